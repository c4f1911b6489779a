variable "masters" {
  type    = map(object({ address = string }))
  default = { master-1 = { address = "10.0.0.11" } }

  validation {
    condition     = length(var.masters) % 2 == 1
    error_message = "An even number of masters bears the loss of no more than one fewer would."
  }
}

output "masters_that_may_be_lost" {
  value = provider::gantry::quorum(length(var.masters)).tolerance
}

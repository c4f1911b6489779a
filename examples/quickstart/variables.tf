variable "name" {
  description = "Name of the cluster."
  type        = string
  default     = "quickstart"
}

variable "ssh" {
  description = "SSH login to the servers."
  type = object({
    user             = optional(string)
    private_key_file = optional(string)
  })
}

variable "masters" {
  description = "The servers of the control plane, by node name."
  type = map(object({
    address  = string
    host_key = optional(string)
  }))
}

variable "workers" {
  description = "The servers that run the workloads, by node name."
  type = map(object({
    address  = string
    host_key = optional(string)
  }))
  default = {}
}

variable "bundle" {
  description = "Path of the bundle that make bundle builds."
  type        = string
  default     = "../../dist/gantry-bundle-linux-amd64.tar.zst"
}

variable "log_dir" {
  description = "Where a log of each run is written; none by default."
  type        = string
  default     = null
}

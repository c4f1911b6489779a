# Servers that another provider makes in the same apply: their names are known when
# the plan is made, their addresses are not. terraform_data stands for the other
# provider's machines here.

terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

variable "machines" {
  description = "Addresses that the machines will turn out to have, by name."
  type = object({
    masters = map(string)
    workers = map(string)
  })
}

variable "bundle" {
  description = "Path of the bundle that make bundle builds."
  type        = string
  default     = "../../dist/gantry-bundle-linux-amd64.tar.zst"
}

resource "terraform_data" "master" {
  for_each = var.machines.masters
  input    = each.value
}

resource "terraform_data" "worker" {
  for_each = var.machines.workers
  input    = each.value
}

provider "gantry" {
  bundle = var.bundle
  ssh    = { private_key_file = "~/.ssh/id_ed25519" }
}

# The keys of the maps must be known at plan: they are the names of the Nodes.
resource "gantry_cluster" "this" {
  name    = "made-elsewhere"
  masters = { for name, m in terraform_data.master : name => { address = m.output } }
}

resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  hosts   = { for name, m in terraform_data.worker : name => { address = m.output } }
}

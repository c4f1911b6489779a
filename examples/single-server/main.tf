# One server that is master and worker at once: for a first try, for tests, or at the edge.

terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

variable "address" {
  description = "Address of the server."
  type        = string
}

variable "bundle" {
  description = "Path of the bundle that make bundle builds."
  type        = string
  default     = "../../dist/gantry-bundle-linux-amd64.tar.zst"
}

provider "gantry" {
  bundle = var.bundle
  ssh    = { private_key_file = "~/.ssh/id_ed25519" }
}

resource "gantry_cluster" "this" {
  name                 = "single"
  masters              = { server = { address = var.address } }
  workloads_on_masters = true
}

resource "gantry_kubeconfig_file" "admin" {
  cluster = gantry_cluster.this.handle
  path    = "${path.module}/kubeconfig"
}

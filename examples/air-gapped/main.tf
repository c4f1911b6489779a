# Servers without internet access, and a machine for Terraform without it: everything
# that is installed is in the bundle, the provider comes from a directory (see cli.tfrc),
# and the servers' host keys are verified against a known_hosts file.

terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

variable "bundle" {
  description = "Path of the bundle, as it was carried in."
  type        = string
}

variable "known_hosts_file" {
  description = "The servers' SSH host keys, in the format of known_hosts."
  type        = string
}

variable "masters" {
  description = "The servers of the control plane, by node name."
  type        = map(object({ address = string }))
}

variable "workers" {
  description = "The servers that run the workloads, by node name."
  type        = map(object({ address = string }))
  default     = {}
}

provider "gantry" {
  bundle = var.bundle
  ssh = {
    private_key_file = "~/.ssh/id_ed25519"
    host_key_policy  = "known_hosts"
    known_hosts_file = var.known_hosts_file
  }
}

resource "gantry_cluster" "this" {
  name    = "air-gapped"
  masters = var.masters
}

resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  hosts   = var.workers
}

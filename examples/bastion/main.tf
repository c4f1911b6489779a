# Servers that are reached through a bastion only: it forwards connections to
# their sshd, and needs to be able to do nothing else.

terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

provider "gantry" {
  ssh = {
    user             = var.ssh.user
    private_key_file = var.ssh.private_key_file
    jump_hosts       = var.jump_hosts
  }
  bundle  = var.bundle
  log_dir = var.log_dir
}

resource "gantry_cluster" "this" {
  name    = var.name
  masters = var.masters
}

resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  hosts   = var.workers
}

resource "gantry_kubeconfig_file" "admin" {
  cluster = gantry_cluster.this.handle
  path    = "${path.module}/kubeconfig"
}

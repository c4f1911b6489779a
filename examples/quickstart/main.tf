# One master, and workers from a map: add a key and apply, and that server joins;
# remove one and apply, and it is drained, removed and left bare.

terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

provider "gantry" {
  ssh     = var.ssh
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

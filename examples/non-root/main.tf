# Servers that are logged in to as an ordinary user, who becomes root by sudo: with a
# password, which no state and no plan ever holds, or without.

terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

variable "user" {
  description = "User to log in as."
  type        = string
}

variable "sudo_password" {
  description = "What sudo asks the user for; null where it asks for nothing."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "masters" {
  description = "The servers of the control plane, by node name."
  type        = map(object({ address = string }))
}

variable "bundle" {
  description = "Path of the bundle that make bundle builds."
  type        = string
  default     = "../../dist/gantry-bundle-linux-amd64.tar.zst"
}

provider "gantry" {
  bundle = var.bundle
  ssh = {
    user             = var.user
    private_key_file = "~/.ssh/id_ed25519"
    sudo_password    = var.sudo_password
  }
}

resource "gantry_cluster" "this" {
  name    = "non-root"
  masters = var.masters
}

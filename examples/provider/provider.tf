terraform {
  required_version = ">= 1.11"
  required_providers {
    gantry = {
      source = "registry.terraform.io/gantry-run/gantry"
    }
  }
}

provider "gantry" {
  bundle = "dist/gantry-bundle-linux-amd64.tar.zst"
  ssh = {
    user             = "root"
    private_key_file = "~/.ssh/id_ed25519"
  }
  log_dir = "log"
}

locals {
  inventory = <<-EOT
    [masters]
    master-1 ansible_host=10.0.0.11

    [workers]
    worker-1 ansible_host=10.0.0.21 ansible_user=admin
    worker-2 10.0.0.22
    admin@10.0.0.23:2222
  EOT
}

resource "gantry_cluster" "this" {
  name    = "prod"
  masters = provider::gantry::parse_hosts(local.inventory, "masters")
}

resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  hosts   = provider::gantry::parse_hosts(local.inventory, "workers")
}

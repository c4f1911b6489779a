resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = "workers"
  labels  = { tier = "general" }
  taints  = [{ key = "dedicated", value = "batch", effect = "NoSchedule" }]
  hosts = {
    worker-1 = { address = "10.0.0.21" }
    worker-2 = { address = "10.0.0.22", labels = { disk = "ssd" } }
    worker-3 = { address = "10.0.0.23", ssh = { user = "admin", port = 2222 } }
  }
  drain_timeout = "10m"
}

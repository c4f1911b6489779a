resource "gantry_cluster" "this" {
  name = "prod"
  network = {
    pod_cidrs     = ["10.244.0.0/16"]
    service_cidrs = ["10.96.0.0/16"]
  }
  masters = {
    master-1 = { address = "10.0.0.11" }
    master-2 = { address = "10.0.0.12" }
    master-3 = { address = "master-3.example.org", node_ips = ["10.0.0.13"] }
  }
  timeouts = { create = "20m" }
}

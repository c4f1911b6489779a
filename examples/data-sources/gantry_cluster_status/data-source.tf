data "gantry_cluster_status" "now" {
  cluster = gantry_cluster.this.handle
  timeout = "5s"
}

output "not_ready" {
  value = { for name, n in data.gantry_cluster_status.now.nodes : name => n.message if !n.ready }
}

output "masters_that_may_fail" {
  value = data.gantry_cluster_status.now.voters_may_fail
}

output "certificates_end" {
  value = data.gantry_cluster_status.now.first_expiry
}

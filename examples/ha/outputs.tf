output "endpoints" {
  description = "URLs of the API."
  value       = gantry_cluster.this.endpoints
}

output "kubeconfig" {
  description = "Path of the kubeconfig: kubectl --kubeconfig=… get nodes."
  value       = abspath(gantry_kubeconfig_file.admin.path)
}

output "nodes" {
  description = "State of every server."
  value = {
    for name, s in merge(gantry_cluster.this.status, gantry_node_pool.workers.status) : name => s.state
  }
}

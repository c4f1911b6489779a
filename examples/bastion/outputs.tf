output "endpoints" {
  description = "Where the API is served."
  value       = gantry_cluster.this.endpoints
}

output "kubeconfig" {
  description = "Path of the kubeconfig: kubectl --kubeconfig=… get nodes."
  value       = abspath(gantry_kubeconfig_file.admin.path)
}

output "nodes" {
  description = "How every server stands."
  value = {
    for name, s in merge(gantry_cluster.this.status, gantry_node_pool.workers.status) : name => s.state
  }
}

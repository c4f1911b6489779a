ephemeral "gantry_kubeconfig" "ci" {
  cluster  = gantry_cluster.this.handle
  validity = "15m"
}

# It never reaches a state or a plan: use it in the configuration of a provider, or
# in a provisioner.
resource "terraform_data" "smoke_test" {
  triggers_replace = gantry_cluster.this.id

  provisioner "local-exec" {
    command     = "umask 077; printenv KUBECONFIG_DATA >kc && kubectl --kubeconfig=kc get nodes; status=$?; rm -f kc; exit $status"
    environment = { KUBECONFIG_DATA = ephemeral.gantry_kubeconfig.ci.kubeconfig }
  }
}

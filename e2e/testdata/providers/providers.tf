# Other providers reach the cluster by a certificate of this run that is kept
# nowhere.
ephemeral "gantry_kubeconfig" "admin" {
  cluster = gantry_cluster.this.handle
}

provider "kubernetes" {
  load_config_file       = false
  host                   = ephemeral.gantry_kubeconfig.admin.host
  cluster_ca_certificate = ephemeral.gantry_kubeconfig.admin.cluster_ca_certificate
  client_certificate     = ephemeral.gantry_kubeconfig.admin.client_certificate
  client_key             = ephemeral.gantry_kubeconfig.admin.client_key
}

provider "helm" {
  kubernetes {
    load_config_file       = false
    host                   = ephemeral.gantry_kubeconfig.admin.host
    cluster_ca_certificate = ephemeral.gantry_kubeconfig.admin.cluster_ca_certificate
    client_certificate     = ephemeral.gantry_kubeconfig.admin.client_certificate
    client_key             = ephemeral.gantry_kubeconfig.admin.client_key
  }
}

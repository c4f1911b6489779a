resource "gantry_kubeconfig_file" "admin" {
  cluster      = gantry_cluster.this.handle
  path         = "${path.module}/kubeconfig"
  validity     = "168h"
  renew_before = "24h"
}

locals {
  merged = provider::gantry::kubeconfig_merge(
    yamlencode({
      apiVersion = "v1", kind = "Config", current-context = "prod"
      clusters   = [{ name = "prod", cluster = { server = "https://10.0.0.11:6443" } }]
      contexts   = [{ name = "prod", context = { cluster = "prod", user = "me" } }]
      users      = [{ name = "me", user = {} }]
    }),
    yamlencode({
      apiVersion = "v1", kind = "Config", current-context = "test"
      clusters   = [{ name = "test", cluster = { server = "https://10.1.0.11:6443" } }]
      contexts   = [{ name = "test", context = { cluster = "test", user = "me" } }]
      users      = [{ name = "me", user = {} }]
    }),
  )
}

output "kubeconfig" {
  value = local.merged
}

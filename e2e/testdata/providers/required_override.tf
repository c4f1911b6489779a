# Both are the last ones of their first major version.
terraform {
  required_providers {
    kubernetes = { source = "registry.terraform.io/hashicorp/kubernetes" }
    helm       = { source = "registry.terraform.io/hashicorp/helm" }
  }
}

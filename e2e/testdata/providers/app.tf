variable "replicas" {
  default = 1
}

resource "kubernetes_namespace" "shop" {
  metadata {
    name   = "shop"
    labels = { team = "web" }
  }
}

resource "kubernetes_secret" "shop" {
  metadata {
    name      = "shop"
    namespace = kubernetes_namespace.shop.metadata[0].name
  }
  data = { greeting = "hello" }
}

resource "kubernetes_role" "shop" {
  metadata {
    name      = "shop"
    namespace = kubernetes_namespace.shop.metadata[0].name
  }
  rule {
    api_groups = [""]
    resources  = ["pods"]
    verbs      = ["get", "list"]
  }
}

resource "kubernetes_role_binding" "shop" {
  metadata {
    name      = "shop"
    namespace = kubernetes_namespace.shop.metadata[0].name
  }
  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = kubernetes_role.shop.metadata[0].name
  }
  subject {
    kind      = "ServiceAccount"
    name      = "default"
    namespace = kubernetes_namespace.shop.metadata[0].name
  }
}

# It waits until the pods are ready.
resource "kubernetes_deployment" "hello" {
  metadata {
    name      = "hello"
    namespace = kubernetes_namespace.shop.metadata[0].name
  }
  spec {
    replicas = var.replicas
    selector {
      match_labels = { app = "hello" }
    }
    template {
      metadata {
        labels = { app = "hello" }
      }
      spec {
        termination_grace_period_seconds = 1
        container {
          name  = "hello"
          image = "demo.gantry.run/hello:1"
          args  = ["serve"]
          port {
            container_port = 8080
          }
          env_from {
            secret_ref {
              name = kubernetes_secret.shop.metadata[0].name
            }
          }
        }
      }
    }
  }
}

# So does this, and its pods.
resource "helm_release" "hello" {
  name      = "released"
  namespace = kubernetes_namespace.shop.metadata[0].name
  chart     = "${path.module}/chart"
  set {
    name  = "replicas"
    value = var.replicas
  }
}

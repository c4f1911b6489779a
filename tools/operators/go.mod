// The modules whose manifests are applied in tests (make test-operators). Nothing of them is
// built: each is had at its version by itself, and go.sum says what it must be.
module github.com/gantry-run/gantry/tools/operators

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.5.7
	github.com/cloudnative-pg/cloudnative-pg v1.28.0
	github.com/kedacore/keda/v2 v2.21.0
	github.com/longhorn/longhorn-manager v1.10.0
	github.com/metallb/frr-k8s v0.0.21
	github.com/prometheus-operator/prometheus-operator v0.85.0
	github.com/tektoncd/pipeline v1.3.0
	k8s.io/kubernetes v1.37.2
	sigs.k8s.io/gateway-api v1.6.2
	sigs.k8s.io/metrics-server v0.9.0
)

package apiserver_test

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

// healthChecks: the checks have upstream's names, which Kubernetes' own suite asks for.
func healthChecks(t *testing.T, c *apitest.Cluster) {
	wants := strings.Fields(`ping log etcd storage-readiness start-apiserver-admission-initializer generic-apiserver-start-informers
		start-apiextensions-informers start-apiextensions-controllers crd-informer-synced bootstrap-controller start-system-namespaces-controller
		start-service-ip-repair-controllers rbac/bootstrap-roles scheduling/bootstrap-system-priority-classes start-cluster-authentication-info-controller
		priority-and-fairness-config-producer start-kube-aggregator-informers apiservice-registration-controller apiservice-status-local-available-controller
		apiservice-status-remote-available-controller kube-apiserver-autoregistration autoregister-completion apiservice-openapi-controller`)
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		body, err := c.Admin().Discovery().RESTClient().Get().AbsPath(path).Param("verbose", "1").Do(t.Context()).Raw()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		lines := strings.Split(string(body), "\n")
		for _, want := range wants {
			if !slices.Contains(lines, "[+]"+want+" ok") && !slices.Contains(lines, "[+]poststarthook/"+want+" ok") {
				t.Errorf("%s does not tell of %s:\n%s", path, want, body)
			}
		}
	}
}

// componentStatuses: etcd is well; there are no other processes beside this server.
func componentStatuses(t *testing.T, c *apitest.Cluster) {
	k := c.Admin().CoreV1().ComponentStatuses()
	list := must[*corev1.ComponentStatusList](t)(k.List(t.Context(), metav1.ListOptions{}))
	var names []string
	for _, s := range list.Items {
		names = append(names, s.Name)
	}
	if want := []string{"controller-manager", "scheduler", "etcd-0"}; !slices.Equal(names, want) {
		t.Errorf("components are %v, want %v", names, want)
	}
	etcd := must[*corev1.ComponentStatus](t)(k.Get(t.Context(), "etcd-0", metav1.GetOptions{}))
	if len(etcd.Conditions) != 1 || etcd.Conditions[0].Status != corev1.ConditionTrue || etcd.Conditions[0].Message != "ok" {
		t.Errorf("etcd: %+v", etcd.Conditions)
	}
	if _, err := k.Create(t.Context(), &corev1.ComponentStatus{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{}); err == nil {
		t.Error("nobody can make a component")
	}
}

//go:build acceptance

package provider

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/config"
)

var web = map[string]string{"app": "web"}

// webOn puts a pod of the shop on a node. The model does not go by the node that a
// list asks for: no other may be there.
func (w *world) webOn(name, node string) {
	w.t.Helper()
	_, err := w.api.CoreV1().Pods("shop").Create(w.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", Labels: web}, Spec: corev1.PodSpec{NodeName: node}}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// budgeted puts a pod on w1 that a disruption budget holds there.
func (w *world) budgeted() {
	w.t.Helper()
	w.webOn("web-1", "w1")
	if _, err := w.api.PolicyV1().PodDisruptionBudgets("shop").Create(w.t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: web}},
	}, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.api.Resources = []*metav1.APIResourceList{
		{GroupVersion: "policy/v1"},
		{GroupVersion: "v1", APIResources: []metav1.APIResource{{Name: "pods/eviction", Kind: "Eviction", Group: "policy", Version: "v1"}}},
	}
	w.api.Discovery().(*fake.FakeDiscovery).FakedServerVersion = &version.Info{Major: "1", Minor: "37"}
	w.api.PrependReactor("create", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if a.GetSubresource() != "eviction" {
			return false, nil, nil
		}
		return true, nil, apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 1)
	})
}

// What holds a removal up holds up the destroy of one pool of several: the plan says
// so, and it is said how it ends. The last pool has nowhere to move its pods to, and
// no budget keeps a cluster from being destroyed.
func TestAccDestroy(t *testing.T) {
	w := newWorld(t, 3)
	dir := t.TempDir()
	write := func(pool string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(w.block()+clusterHCL+pool), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(ok bool, args []string, wants ...string) {
		t.Helper()
		out, err := runIn(t, dir, w.provider, append(args, "-no-color", "-input=false")...)
		if (err == nil) != ok {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is not in %s", args, want, out)
			}
		}
		if running := slices.Contains(w.servers["192.0.2.2"].Running(), config.Kubelet.Unit()); running == (ok && args[0] == "destroy") {
			t.Errorf("after %v the worker's kubelet runs: %v", args, running)
		}
	}
	one := poolHCL(`w1 = { address = "192.0.2.2" }`)
	other := strings.NewReplacer(`"workers" {`, `"other" {`, `"workers"`, `"other"`).Replace(poolHCL(`w2 = { address = "192.0.2.3" }`))
	pool := one + other
	write(pool)
	apply, destroy := []string{"apply", "-auto-approve"}, []string{"destroy", "-auto-approve", "-target=gantry_node_pool.workers"}
	run(true, apply)
	w.budgeted()
	w.drainTimeout = time.Second // waited out
	foreseen := []string{
		"Pool workers: w1 will leave the cluster", "w1 leaves; pods to be evicted: 1 (shop/web-1).",
		"The disruption budget shop/web allows no eviction now, and would hold the drain up: shop/web-1.",
	}
	run(true, []string{"plan", "-destroy", "-target=gantry_node_pool.workers"}, foreseen...)
	run(false, destroy, append(foreseen, `step "drain" failed`, `set on_drain_timeout = "force", apply, and then destroy`)...)

	w.down["192.0.2.1"] = true
	run(false, destroy, "Pool workers was not destroyed", "no route to host", "set abandon_unreachable = true")
	w.down["192.0.2.1"] = false

	write(strings.Replace(one, "name ", "on_drain_timeout = \"force\"\n  name ", 1) + other)
	run(true, apply)
	run(true, destroy, "was taken out with pods on it")
	if err := w.api.CoreV1().Pods("shop").Delete(t.Context(), "web-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.webOn("web-2", "w2")
	w.drainTimeout = patience.Limit
	run(true, []string{"destroy", "-auto-approve"}, "w2 leaves; pods to be evicted: 1 (shop/web-2).", "No other node is left for these pods: they end")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

//go:build acceptance

package provider

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// volumeOn is a volume whose data is on one node, and of a claim of the shop.
func (w *world) volumeOn(name, node string) {
	w.t.Helper()
	_, err := w.api.CoreV1().PersistentVolumes().Create(w.t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			ClaimRef:               &corev1.ObjectReference{Namespace: "shop", Name: "of-" + name},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
			}}}}},
		},
	}, metav1.CreateOptions{})
	w.must(err)
}

func (w *world) noVolume(name string) {
	w.t.Helper()
	w.must(w.api.CoreV1().PersistentVolumes().Delete(w.t.Context(), name, metav1.DeleteOptions{}))
}

const (
	lossRefused = "The data of volumes would be lost"
	onMaster    = "m1: volume orders (1Gi), claim shop/of-orders"
	onWorker    = "w1: volume carts (1Gi), claim shop/of-carts"
)

// A cluster ends with the data of volumes only where that was allowed: by a destroy, by
// another network, and by a replacement that Terraform asks no plan for.
func TestAccADestroyKeepsVolumes(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	allow := func(hcl string) string {
		return strings.Replace(hcl, "  name ", "  allow_volume_loss = true\n  name ", 1)
	}
	elsewhere := func(hcl string) string {
		return strings.Replace(hcl, "  name ", "  network = { pod_cidrs = [\"10.100.0.0/16\"] }\n  name ", 1)
	}
	pool := poolHCL(oneWorker)
	ws.write(w.block() + clusterHCL + pool)
	ws.do(nil, "apply", "-auto-approve")
	ws.do(nil, "plan") // which marks the master as known
	changes := func() int { return len(w.servers["192.0.2.1"].Changes()) + len(w.servers["192.0.2.2"].Changes()) }
	w.volumeOn("orders", "m1")
	before := changes()
	for _, args := range [][]string{{"plan", "-destroy"}, {"destroy", "-auto-approve"}} {
		ws.refused(lossRefused, args...)
		ws.refused("Cluster demo: these volumes lie on servers that would leave, and nowhere else: "+onMaster, args...)
	}
	// What the new configuration allows is not what was applied.
	ws.write(w.block() + allow(elsewhere(clusterHCL)) + pool)
	ws.refused(onMaster, "plan")
	ws.write(w.block() + clusterHCL + pool)
	ws.do([]string{"Plan: 2 to add, 0 to change, 2 to destroy."}, "plan", "-replace=gantry_cluster.this")
	if after := changes(); after != before {
		t.Errorf("a server was changed: %d, %d", before, after)
	}
	w.noVolume("orders")

	w.volumeOn("carts", "w1")
	before = changes()
	ws.refused(onWorker, "apply", "-auto-approve", "-replace=gantry_node_pool.workers")
	ws.refused(onWorker, "destroy", "-auto-approve")
	w.noVolume("carts")
	// One that is made after the plan was.
	asked, late := 0, false
	w.api.PrependReactor("list", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if asked--; late && asked < 0 {
			return false, nil, nil
		}
		return true, &corev1.PersistentVolumeList{}, nil
	})
	ws.do([]string{"w1 will leave the cluster"}, "plan", "-destroy")
	w.volumeOn("carts", "w1")
	asked, late = -asked, true
	ws.refused(onWorker, "destroy", "-auto-approve")
	if after := changes(); after != before {
		t.Errorf("a server was changed: %d, %d", before, after)
	}
	if !strings.Contains(strings.Join(w.servers["192.0.2.2"].Running(), " "), config.Kubelet.Unit()) {
		t.Error("the worker's kubelet does not run")
	}

	w.volumeOn("orders", "m1")
	ws.write(w.block() + allow(clusterHCL) + pool)
	ws.do(nil, "apply", "-auto-approve")
	ws.refused(onWorker, "destroy", "-auto-approve")
	ws.write(w.block() + allow(clusterHCL) + allow(pool))
	ws.do([]string{"0 added, 1 changed"}, "apply", "-auto-approve")
	ws.do([]string{"the data of volumes will be lost", onMaster, onWorker, "2 destroyed"}, "destroy", "-auto-approve")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

// A pool that another configuration has does not lose its volumes with the cluster unasked.
func TestAccADestroyKeepsVolumesOfOtherConfigurations(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	ws.write(w.block() + clusterHCL + poolHCL(oneWorker))
	ws.do(nil, "apply", "-auto-approve")
	ws.write(w.block() + clusterHCL + "removed {\n  from = gantry_node_pool.workers\n  lifecycle { destroy = false }\n}\n")
	ws.do(nil, "apply", "-auto-approve")
	ws.write(w.block() + clusterHCL)
	w.volumeOn("carts", "w1")
	ws.refused(onWorker, "destroy", "-auto-approve")
	if !strings.Contains(strings.Join(w.servers["192.0.2.1"].Running(), " "), config.APIServer.Unit()) {
		t.Error("the API server does not run")
	}
	w.noVolume("carts")
	ws.do([]string{"1 destroyed"}, "destroy", "-auto-approve")
}

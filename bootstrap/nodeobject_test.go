package bootstrap

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

func (w *world) node(t *testing.T, name string) *corev1.Node {
	t.Helper()
	n, err := w.api.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) change(t *testing.T, name string, do func(*corev1.Node)) {
	t.Helper()
	n := w.node(t, name)
	do(n)
	if _, err := w.api.CoreV1().Nodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// grown is a cluster with a pool of one worker.
func grown(t *testing.T, w *world, pool spec.Pool) spec.Cluster {
	t.Helper()
	c := w.create(t)
	w.join(t, c, pool)
	return c
}

// join makes the hosts of a pool workers.
func (w *world) join(t *testing.T, c spec.Cluster, pool spec.Pool) {
	t.Helper()
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: fleet.Names(pool.Hosts)})
	succeed(t, r, err)
}

func TestOldNodesGetWhatTheConfigurationSaysAndNothingRestarts(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	pool.Labels, pool.Annotations = map[string]string{"a": "1", "gone": "x"}, map[string]string{"note": "1", "old": "x"}
	pool.Taints = []spec.Taint{{Key: "dedicated", Value: "db", Effect: "NoSchedule"}, {Key: "gone", Effect: "NoExecute"}}
	c := grown(t, w, pool)
	w.change(t, "w1", func(n *corev1.Node) { n.Labels["theirs"] = "y" })

	pool.Labels, pool.Annotations = map[string]string{"a": "2"}, map[string]string{"note": "2"}
	pool.Taints = []spec.Taint{{Key: "dedicated", Value: "web", Effect: "NoSchedule"}}
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	n := w.node(t, "w1")
	if _, gone := n.Labels["gone"]; gone || n.Labels["a"] != "2" || n.Labels["theirs"] != "y" {
		t.Errorf("labels are %v", n.Labels)
	}
	if _, old := n.Annotations["old"]; old || n.Annotations["note"] != "2" {
		t.Errorf("annotations are %v", n.Annotations)
	}
	if len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Value != "web" {
		t.Errorf("taints are %v", n.Spec.Taints)
	}
	for _, c := range config.WorkerComponents() {
		if starts := w.hosts["w1"].Starts(c.Unit()); starts != 1 {
			t.Errorf("%s was started %d times", c, starts)
		}
	}
	w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), pool))
}

func TestDriftOfANodeIsSeenAndMended(t *testing.T) {
	pool := func(w *world) spec.Pool {
		p := w.pool("w1")
		p.Labels, p.Annotations = map[string]string{"a": "1"}, map[string]string{"note": "1"}
		p.Taints = []spec.Taint{{Key: "dedicated", Value: "db", Effect: "NoSchedule"}}
		return p
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Node)
		says   string // empty: it is none
	}{
		"a label removed":      {func(n *corev1.Node) { delete(n.Labels, "a") }, "label a is missing"},
		"a label changed":      {func(n *corev1.Node) { n.Labels["a"] = "2" }, `label a is "2" instead of "1"`},
		"an annotation gone":   {func(n *corev1.Node) { delete(n.Annotations, "note") }, "annotation note is missing"},
		"our own record gone":  {func(n *corev1.Node) { delete(n.Annotations, nodes.AppliedAnnotation) }, "annotation gantry.run/applied differs"},
		"our taint removed":    {func(n *corev1.Node) { n.Spec.Taints = nil }, "taint dedicated:NoSchedule is missing"},
		"our taint changed":    {func(n *corev1.Node) { n.Spec.Taints[0].Value = "x" }, `taint dedicated:NoSchedule has value "x" instead of "db"`},
		"a foreign taint":      {addTaint("example.com/broken"), "taint example.com/broken:NoSchedule is not of the configuration"},
		"an interrupted drain": {func(n *corev1.Node) { n.Spec.Unschedulable = true; n.Annotations[drain.CordonAnnotation] = "true" }, "still cordoned"},
		"a controller's taint": {addTaint("node.kubernetes.io/unreachable"), ""},
		"a foreign label":      {func(n *corev1.Node) { n.Labels["theirs"] = "x" }, ""},
		"an operator's cordon": {func(n *corev1.Node) { n.Spec.Unschedulable = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, smallBundle(t), "m1", "w1")
			p := pool(w)
			c := grown(t, w, p)
			w.change(t, "w1", tc.change)
			before := w.node(t, "w1")
			s := w.engine.ObservePool(t.Context(), c.Connection(), p).Hosts["w1"]
			if tc.says == "" {
				w.ready(t, Report{Hosts: map[string]Status{"w1": s}})
			} else if s.State != Drifted || !strings.Contains(s.Message, "its Node: ") || !strings.Contains(s.Message, tc.says) {
				t.Fatalf("%s: %s", s.State, s.Message)
			}
			r, err := w.engine.ApplyPool(t.Context(), c.Connection(), p, PoolChange{Touch: []string{"w1"}})
			succeed(t, r, err)
			w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), p))
			if after := w.node(t, "w1"); tc.says == "" && (len(after.Spec.Taints) != len(before.Spec.Taints) || after.Spec.Unschedulable != before.Spec.Unschedulable || after.Labels["theirs"] != before.Labels["theirs"]) {
				t.Errorf("what is none of ours was changed: %v", after)
			}
			if starts := w.hosts["w1"].Starts(config.Kubelet.Unit()); starts != 1 {
				t.Errorf("the kubelet was started %d times", starts)
			}
		})
	}
}

func addTaint(key string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
}

func TestADeletedNodeIsRegisteredAgain(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	c := grown(t, w, pool)
	if err := w.api.CoreV1().Nodes().Delete(t.Context(), "w1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if s := w.engine.ObservePool(t.Context(), c.Connection(), pool).Hosts["w1"]; s.State != Drifted || !strings.Contains(s.Message, "its Node is missing") {
		t.Errorf("%s: %s", s.State, s.Message)
	}
	w.hosts["w1"].Reconnect()
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	if got := w.hosts["w1"].Changes(); !slices.Equal(got, []string{"restart-unit gantry-kubelet.service"}) {
		t.Errorf("it was mended by %v", got)
	}
	w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), pool))
}

// A plan that shows no difference says whether it has looked at the Nodes.
func TestNodesThatCannotBeComparedAreSaid(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	c := grown(t, w, pool)
	look := func(says string) {
		t.Helper()
		for whose, r := range map[string]Report{"cluster demo": w.engine.ObserveCluster(t.Context(), c), "pool p": w.engine.ObservePool(t.Context(), c.Connection(), pool)} {
			switch {
			case says == "" && len(r.Warnings) > 0:
				t.Errorf("%s: warnings %q", whose, r.Warnings)
			case says != "" && (len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "the Nodes of "+whose+" could not be compared") || !strings.Contains(r.Warnings[0], says)):
				t.Errorf("%s: warnings %q lack %q", whose, r.Warnings, says)
			}
			if s := r.Hosts["w1"]; whose == "pool p" && s.State != Ready {
				t.Errorf("what is not known of the Node changes the host: %v", s)
			}
		}
	}
	look("")
	w.api.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("connection refused")
	})
	look("list the nodes: connection refused")
	w.hosts["m1"].PowerCut()
	look(host.ErrUnreachable.Error())
	// A master that has not got as far as a store.
	w.hosts["m1"].Reconnect()
	w.hosts["m1"].SetFile(config.Etcd.ConfigFile(), "")
	look("store")
}

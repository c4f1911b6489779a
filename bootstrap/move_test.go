package bootstrap

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// A run that moved a name to another server was cut before that was kept: the next
// one takes the old server out once more, and must not take the new one's Node for
// the old one's.
func TestANameThatHasMovedIsNotTakenFromItsNewServer(t *testing.T) {
	for name, tc := range map[string]struct {
		old, moved, nodeIP string
		// begun: the run was cut when the new server had registered, and no more.
		begun, dead bool
	}{
		"a worker":                           {old: "w1", moved: "w1@b"},
		"a worker whose old server is dead":  {old: "w1", moved: "w1@b", dead: true},
		"one that has just registered":       {old: "w1", moved: "w1@b", dead: true, begun: true},
		"one that took the node IP over":     {old: "w1", moved: "w1@b", dead: true, nodeIP: "10.0.0.9"},
		"a master":                           {old: "m2", moved: "m2@b"},
		"a master whose old server is dead":  {old: "m2", moved: "m2@b", dead: true},
		"a master that has just registered":  {old: "m2", moved: "m2@b", begun: true},
		"a dead one that has just been left": {old: "m2", moved: "m2@b", dead: true, begun: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, smallBundle(t), "m1", "m2", "m2@b", "w1", "w1@b")
			c := w.create(t)
			from, to := w.spec(tc.old), w.spec(tc.moved)
			if tc.nodeIP != "" {
				from[0].NodeIPs, to[0].NodeIPs = addr.MustIPs(tc.nodeIP), addr.MustIPs(tc.nodeIP)
				w.hosts[tc.old].Facts, w.hosts[tc.moved].Facts = "address="+tc.nodeIP, "address="+tc.nodeIP
			}
			node := from[0].Name
			apply := func(moved bool) {
				t.Helper()
				var r Report
				var err error
				if node == "m2" {
					c.Masters = append(w.spec("m1"), from...)
					change := ClusterChange{Touch: []string{"m1", "m2"}}
					if moved {
						c.Masters, change.Leaving = append(w.spec("m1"), to...), from
					}
					r, err = w.engine.UpdateCluster(t.Context(), c, change)
				} else {
					pool, change := w.pool(), PoolChange{Touch: []string{"w1"}}
					if pool.Hosts = from; moved {
						pool.Hosts, change.Leaving = to, from
					}
					r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, change)
				}
				succeed(t, r, err)
			}
			apply(false)
			if tc.dead {
				w.hosts[tc.old].PowerCut()
				w.change(t, node, func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown })
			}
			apply(true)
			w.change(t, node, func(n *corev1.Node) {
				n.Labels["mark"] = "new"
				if tc.nodeIP != "" {
					n.Status.Addresses[0].Address = tc.nodeIP
				}
				if tc.begun {
					delete(n.Annotations, nodes.HostAnnotation)
				}
			})
			for range 2 {
				apply(true)
				n := w.node(t, node)
				if n.Labels["mark"] != "new" || n.Spec.Unschedulable {
					t.Errorf("the new server's Node was deleted or cordoned: %v %v", n.Labels, n.Spec)
				}
			}
			if starts := w.hosts[tc.moved].Starts(config.Kubelet.Unit()); starts != 1 {
				t.Errorf("its kubelet was started %d times", starts)
			}
			if !tc.dead {
				w.bare(t, tc.old)
			}
		})
	}
}

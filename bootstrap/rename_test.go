package bootstrap

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
)

// TestAServerGetsAnotherName: the key of a server in the map is another one, its address is
// not. The server leaves under the old name and joins under the new one, in one change.
func TestAServerGetsAnotherName(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1", "w2")
	c := w.create(t)
	before := w.pool("w1", "w2")
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), before, PoolChange{Touch: []string{"w1", "w2"}})
	succeed(t, r, err)
	after := w.pool("w1", "w2")
	after.Hosts[0].Name = "edge-1"
	w.hosts["w1"].OnStart = func(unit string) error {
		if unit != config.Kubelet.Unit() {
			return nil
		}
		return w.hosts["w1"].Register(context.Background(), w.api, "edge-1")
	}
	leaving := before.Hosts[:1]
	if found := w.engine.PreflightPool(t.Context(), c.Connection(), after, []string{"edge-1"}, leaving); len(found) > 0 {
		t.Errorf("the plan has against it %v", found)
	}
	// One that keeps its name elsewhere is still somebody's.
	if found := w.engine.PreflightPool(t.Context(), c.Connection(), after, []string{"edge-1"}, nil); found["edge-1"] == nil {
		t.Error("the server of a node that stays may become another")
	}
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), after, PoolChange{Touch: []string{"edge-1"}, Leaving: leaving})
	succeed(t, r, err)
	if r.Hosts["edge-1"].State != Ready || r.Hosts["w1"].State == Ready {
		t.Errorf("%+v", r.Hosts)
	}
	w.node(t, "edge-1")
	if _, err := w.api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Node of the old name: %v", err)
	}
	if starts := w.hosts["w2"].Starts(config.Kubelet.Unit()); starts != 1 {
		t.Errorf("the other server's kubelet was started %d times", starts)
	}
}

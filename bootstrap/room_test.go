package bootstrap

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestAMasterWithoutRoomDoesNotVote(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2")
	c := w.create(t)
	c.Masters = w.spec("m1", "m2")
	w.hosts["m2"].NoRoom = true
	change := ClusterChange{Touch: []string{"m1", "m2"}}
	r, err := w.engine.UpdateCluster(t.Context(), c, change)
	if err != nil {
		t.Fatal(err)
	}
	var failed *step.Error
	if err := r.Failed()["m2"]; !errors.As(err, &failed) || failed.Step != "vote" || !host.NoSpace(err) {
		t.Errorf("the failure is %v", err)
	}
	if got := w.store.Names(); !slices.Equal(got, []string{"m1", "learner m2"}) {
		t.Errorf("the store has %v", got)
	}
	w.hosts["m2"].NoRoom = false
	r, err = w.engine.UpdateCluster(t.Context(), c, change)
	succeed(t, r, err)
	if got := w.store.Names(); !slices.Equal(got, []string{"m1", "m2"}) {
		t.Errorf("with room the store has %v", got)
	}
}

func TestANodeThatIsNotReadyForWantOfRoomIsToldSo(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	c := w.create(t)
	w.engine.NodeTimeout = time.Second // waited out
	start := w.hosts["w1"].OnStart
	w.hosts["w1"].NoRoom = true
	w.hosts["w1"].OnStart = func(unit string) error {
		if unit == config.Kubelet.Unit() {
			return nil // it runs, and can do nothing
		}
		return start(unit)
	}
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), w.pool("w1"), PoolChange{Touch: []string{"w1"}})
	if err != nil {
		t.Fatal(err)
	}
	failed := r.Failed()["w1"]
	if failed == nil || !host.NoSpace(failed) || !strings.Contains(failed.Error(), "its kubelet has not registered yet") {
		t.Errorf("the failure is %v", failed)
	}
}

package bootstrap

import (
	"errors"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// An API server that cannot bear its new configuration takes one master down, not one
// after the other.
func TestBehindAMasterThatDoesNotComeUpTheOthersServe(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "m3", "m4")
	c := w.createAll(t, "m1", "m2", "m3")
	unit, refuses := config.APIServer.Unit(), true
	starts := map[string]int{}
	for _, name := range []string{"m1", "m2", "m3"} {
		m := w.hosts[name]
		before := m.OnStart
		m.OnStart = func(u string) error {
			if u == unit && refuses {
				return errors.New("the API server does not start")
			}
			return before(u)
		}
		starts[name] = m.Starts(unit)
	}
	c = w.with(c, "m1", "m2", "m3", "m4")
	c.APIServer.Audit = spec.Audit{Disabled: true}
	touch := ClusterChange{Touch: []string{"m1", "m2", "m3", "m4"}}
	r, err := w.engine.UpdateCluster(t.Context(), c, touch)
	if err != nil || len(r.Failed()) != 3 {
		t.Fatalf("%v %v", err, r.Failed())
	}
	for _, name := range []string{"m2", "m3"} {
		if s := r.Hosts[name]; s.State != Pending || !strings.Contains(s.Message, "waits for master m1, which did not come up") {
			t.Errorf("%s is %s: %s", name, s.State, s.Message)
		}
		if got := w.hosts[name].Starts(unit); got != starts[name] {
			t.Errorf("the API server of %s was started again", name)
		}
	}
	if s := r.Hosts["m4"]; s.State != Ready {
		t.Errorf("the new master is %s: %s", s.State, s.Message)
	}
	refuses = false
	r, err = w.engine.UpdateCluster(t.Context(), c, touch)
	succeed(t, r, err)
	w.ready(t, w.engine.ObserveCluster(t.Context(), c))
}

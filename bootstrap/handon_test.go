package bootstrap

import (
	"strings"
	"sync"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// Workers take the bundle from a master where they can, and are sent it where not:
// they join in either case, and no master is sent nothing.
func TestTheBundleIsHandedOn(t *testing.T) {
	archive, unpacker := bundle.Staged()[1], bundle.Staged()[0]
	for name, tc := range map[string]struct {
		prepare func(*world)
		sent    bool
		says    string
	}{
		"from a master":                  {prepare: func(*world) {}},
		"the master did not keep it":     {func(w *world) { w.hosts["m1"].SetFile(archive, "") }, true, "does not hand the bundle on"},
		"the master is out of reach":     {func(w *world) { w.hosts["w1"].Peer = func(string) *hosttest.Model { return nil } }, true, "is sent from here"},
		"the configuration says not to":  {func(w *world) { w.engine.HandOn = false }, true, ""},
		"the master has another address": {func(w *world) { w.hosts["w1"].Peer = func(string) *hosttest.Model { return w.hosts["w1"] } }, true, "is sent from here"},
	} {
		w := newWorld(t, smallBundle(t), "m1", "w1")
		c := w.create(t)
		tc.prepare(w)
		var mu sync.Mutex
		var said []string
		w.engine.Events = func(e step.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Err != nil {
				e.Message += e.Err.Error()
			}
			said = append(said, e.Message)
		}
		r, err := w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: "p", Hosts: w.spec("w1")}, PoolChange{Touch: []string{"w1"}})
		if err != nil || len(r.Failed()) > 0 {
			t.Fatal(name, err, r.Failed())
		}
		changes := strings.Join(w.hosts["w1"].Changes(), "\n")
		if sent := strings.Contains(changes, "upload "+archive); sent != tc.sent || !strings.Contains(changes, "upload "+unpacker) {
			t.Errorf("%s: the archive was sent: %v\n%s", name, sent, changes)
		}
		if !strings.Contains(strings.Join(said, "\n"), tc.says) {
			t.Errorf("%s: the log does not say %q: %q", name, tc.says, said)
		}
		if left := strings.Join(w.hosts["w1"].Paths(), "\n"); strings.Contains(left, archive) || strings.Contains(left, unpacker) {
			t.Errorf("%s: the worker kept what it does not hand on", name)
		}
		if kept := strings.Join(w.hosts["m1"].Paths(), "\n"); !strings.Contains(kept, archive) || !strings.Contains(kept, unpacker) {
			t.Errorf("%s: the master kept %s", name, kept)
		}
	}
}

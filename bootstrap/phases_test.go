package bootstrap

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/controlplane"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/workers"
)

// reachable logs in to hosts but for those whose address starts with "dead".
func reachable(_ context.Context, h spec.Host) (host.Host, error) {
	if strings.HasPrefix(h.Address, "dead") {
		return nil, errors.New("no route to host")
	}
	return hosttest.NewModel(h.Name, h.Address), nil
}

func named(names ...string) []spec.Host {
	var out []spec.Host
	for _, n := range names {
		name, _, _ := strings.Cut(n, "@")
		out = append(out, spec.Host{Name: name, Address: "of-" + n})
	}
	return out
}

// What each operation does, as a reader of operations.go finds it, and which phases
// are due once its hosts are known.
func TestThePhasesOfEachOperation(t *testing.T) {
	e := New(Config{Connect: reachable})
	var b strings.Builder
	for _, list := range []string{createCluster().String(), updateCluster().String(), destroyCluster().String(), applyPool().String()} {
		b.WriteString(list + "\n")
	}

	ofMasters := func(title string, list phases[masters], c Config, want []spec.Host, change ClusterChange) {
		op := &controlplane.Operation{Config: New(c).controlplane(), Want: spec.Cluster{Name: "demo", Masters: want}, Change: change}
		defer op.Close()
		for _, prepare := range []func(context.Context) error{op.Connect, op.OrderRemovals} {
			if err := prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		due := list.due(op)
		due.name = title
		b.WriteString(due.String() + "\n")
	}
	dead := []spec.Host{{Name: "m3", Address: "dead-m3"}}
	ofMasters("masters: create", createCluster(), e.Config, named("m1", "m2"), ClusterChange{Touch: []string{"m1", "m2"}})
	ofMasters("masters: grow", updateCluster(), e.Config, named("m1", "m2"), ClusterChange{Touch: []string{"m1", "m2"}})
	ofMasters("masters: upgrade", updateCluster(), e.Config, named("m1"), ClusterChange{Touch: []string{"m1"}})
	ofMasters("masters: shrink", updateCluster(), e.Config, named("m1"), ClusterChange{Leaving: named("m2")})
	ofMasters("masters: replace a dead one", updateCluster(), e.Config, named("m1", "m4"), ClusterChange{Touch: []string{"m4"}, Leaving: dead})
	ofMasters("masters: move", updateCluster(), e.Config, named("m1", "m2@b"), ClusterChange{Touch: []string{"m2"}, Leaving: named("m2")})
	ofMasters("masters: destroy", destroyCluster(), e.Config, named("m1"), ClusterChange{})
	ofMasters("masters: destroy and abandon", destroyCluster(), Config{Connect: reachable, AbandonUnreachable: true}, named("m1"), ClusterChange{})

	ofPools := func(title string, c Config, hosts []spec.Host, change PoolChange, alone bool) {
		op := &workers.Operation{Config: New(c).workers(), Want: spec.Pool{Name: "p", Hosts: hosts}, Change: change}
		defer op.Close()
		if alone { // there is no master that could be reached
			if err := op.Reach(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := op.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		due := applyPool().due(op)
		due.name = title
		b.WriteString(due.String() + "\n")
	}
	ofPools("pool: create, grow and upgrade", e.Config, named("w1"), PoolChange{Touch: []string{"w1"}}, false)
	ofPools("pool: shrink", e.Config, named("w1"), PoolChange{Leaving: named("w2")}, false)
	ofPools("pool: move", e.Config, named("w1@b"), PoolChange{Touch: []string{"w1"}, Leaving: named("w1")}, false)
	ofPools("pool: destroy", e.Config, nil, PoolChange{Leaving: named("w1"), Destroy: true}, false)
	ofPools("pool: destroy without a master", Config{Connect: reachable, AbandonUnreachable: true}, nil, PoolChange{Leaving: named("w1"), Destroy: true}, true)

	want, err := os.ReadFile("testdata/operations.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("testdata/operations.txt has other phases than\n%s", &b)
	}
}

// The runner asks a condition when its phase's turn has come, and stops at the first
// failure.
func TestTheRunnerWalksThePhasesThatAreDue(t *testing.T) {
	type state struct {
		done  []string
		found bool
	}
	do := func(name string, err error) func(*state, context.Context) error {
		return func(s *state, _ context.Context) error { s.done = append(s.done, name); return err }
	}
	found := condition[*state]{"it was found", func(s *state) bool { return s.found }}
	failed := errors.New("failed")
	list := phases[*state]{name: "x"}.
		thenWhen(found, "too early", do("too early", nil)).
		then("find", func(s *state, _ context.Context) error { s.found = true; return nil }).
		thenWhen(found, "use", do("use", nil))
	for name, tc := range map[string]struct {
		list phases[*state]
		done []string
		err  error
	}{
		"to the end":           {list.then("last", do("last", nil)), []string{"use", "last"}, nil},
		"to the first failure": {list.then("fail", do("fail", failed)).then("last", do("last", nil)), []string{"use", "fail"}, failed},
	} {
		s := &state{}
		if err := tc.list.run(t.Context(), s); !errors.Is(err, tc.err) || !slices.Equal(s.done, tc.done) {
			t.Errorf("%s: %v, %v", name, s.done, err)
		}
	}
	if got, want := list.String(), "x:\n  too early (when it was found)\n  find\n  use (when it was found)\n"; got != want {
		t.Errorf("it is printed as\n%s", got)
	}
}

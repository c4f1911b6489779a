package containertest

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func spec(name string, restarts int32) container.Spec {
	return container.Spec{ResolvedImage: "i", Container: container.Container{ID: container.ID("u", "s", name, restarts), Pod: container.PodRef{UID: "u"}, Name: name, Restarts: restarts}}
}

func (r *Runtime) get(t *testing.T, id string) (container.Container, bool) {
	t.Helper()
	all, err := r.List(t.Context(), "u")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if c.ID == id {
			return c, true
		}
	}
	return container.Container{}, false
}

func TestPrograms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New("i")
		r.Program("short", Program{Lasts: 2 * time.Second, Code: 7})
		r.Program("slow", Program{Stops: 3 * time.Second})
		r.Program("deaf", Program{Stops: -1})
		ids := map[string]string{}
		for _, name := range []string{"short", "slow", "deaf", "quick"} {
			c, err := r.Start(t.Context(), spec(name, 0))
			if err != nil || c.State != container.StateRunning || !c.StartedAt.Equal(time.Now()) {
				t.Fatalf("%+v, %v", c, err)
			}
			ids[name] = c.ID
			if err := r.Signal(t.Context(), c.ID, syscall.SIGTERM); name != "short" && err != nil {
				t.Fatal(err)
			}
			if name == "short" {
				r.Program("short", Program{})
			}
		}
		check := func(when string, want map[string]int32) { // exit codes; -1: it runs
			t.Helper()
			for name, code := range want {
				c, ok := r.get(t, ids[name])
				got := int32(-1)
				if c.Exit != nil {
					got = c.Exit.Code
				}
				if !ok || got != code {
					t.Errorf("%s: %s is %+v, want exit %d", when, name, c, code)
				}
			}
		}
		check("at once", map[string]int32{"short": 0, "slow": -1, "deaf": -1, "quick": 0})
		time.Sleep(4 * time.Second)
		check("later", map[string]int32{"slow": 0, "deaf": -1})
		if err := r.Signal(t.Context(), ids["deaf"], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		check("killed", map[string]int32{"deaf": 137})
		for range 2 {
			if err := r.Remove(t.Context(), ids["deaf"]); err != nil {
				t.Error(err)
			}
		}
		if _, ok := r.get(t, ids["deaf"]); ok {
			t.Error("it is still there")
		}
	})
}

func TestTwoIncarnationsAreAViolation(t *testing.T) {
	r := New("i")
	for i := range int32(2) {
		if _, err := r.Start(t.Context(), spec("c", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Violations(); len(got) != 1 {
		t.Errorf("violations %v", got)
	}
	if _, err := r.Start(t.Context(), spec("c", 1)); err != nil { // the same one again
		t.Fatal(err)
	}
	if _, err := New().Start(t.Context(), spec("c", 0)); err == nil {
		t.Error("a container starts without its image")
	}
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, broken := New("i"), errors.New("broken")
		start := func(ctx context.Context, restarts int32) (bool, error) {
			s := spec("c", restarts)
			_, err := r.Start(ctx, s)
			_, there := r.get(t, s.ID)
			return there, err
		}
		r.Fail(Fault{Op: "Start", Err: broken})
		r.Fail(Fault{Op: "Start", Err: broken, Done: true})
		r.Fail(Fault{Op: "Start", Delay: time.Minute})
		if there, err := start(t.Context(), 0); !errors.Is(err, broken) || there {
			t.Errorf("a failure: %v, there %v", err, there)
		}
		if there, err := start(t.Context(), 1); !errors.Is(err, broken) || !there {
			t.Errorf("a failure that nobody sees: %v, there %v", err, there)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if there, err := start(ctx, 2); !errors.Is(err, context.DeadlineExceeded) || there {
			t.Errorf("a slow call that is given up: %v, there %v", err, there)
		}
		r.Fail(Fault{Op: "List", Err: broken})
		r.SetAway(true)
		r.SetAway(true)
		if _, err := r.Version(t.Context()); !errors.Is(err, container.ErrUnavailable) {
			t.Errorf("a runtime that is away: %v", err)
		}
		if err := r.Watch(t.Context(), func() { t.Error("it connects") }, nil); !errors.Is(err, container.ErrUnavailable) {
			t.Errorf("to watch one that is away: %v", err)
		}
		r.Heal()
		if _, err := r.List(t.Context(), ""); err != nil {
			t.Errorf("healed: %v", err)
		}
	})
}

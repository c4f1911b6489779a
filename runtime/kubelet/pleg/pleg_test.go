package pleg

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containertest"
)

// state is what the generator told, in order.
type state struct {
	mu   sync.Mutex
	told []string
}

func (s *state) Reached(version string) { s.tell("reached " + version) }
func (s *state) Lost(error)             { s.tell("lost") }
func (s *state) exited(all ...container.Container) {
	for _, c := range all {
		if c.Exit == nil {
			s.tell(c.Name + " runs")
			continue
		}
		s.tell(c.Name + " ended")
	}
}

func (s *state) tell(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.told); n == 0 || s.told[n-1] != what {
		s.told = append(s.told, what)
	}
}

func (s *state) want(t *testing.T, when, want string) {
	t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := strings.Join(s.told, ", "); got != want {
		t.Errorf("%s: %s, want %s", when, got, want)
	}
	s.told = nil
}

func start(t *testing.T, rt *containertest.Runtime, name string) string {
	t.Helper()
	c, err := rt.Start(t.Context(), container.Spec{ResolvedImage: "i", Container: container.Container{ID: name + "-id", Name: name}})
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func TestEndsAreToldAcrossRestartsOfTheRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, s := containertest.New("i"), &state{}
		g := &Generator{Runtime: rt, State: s, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		a, b := start(t, rt, "a"), start(t, rt, "b")
		start(t, rt, "c")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.Run(ctx, s.exited) }()
		s.want(t, "at first", "reached model://1")
		rt.Exit(a, 1)
		s.want(t, "an end", "a ended")
		rt.SetAway(true)
		s.want(t, "the runtime goes", "lost")
		rt.Exit(b, 1)
		time.Sleep(time.Second)
		s.want(t, "an end that nobody saw", "lost")
		rt.SetAway(false)
		time.Sleep(time.Second)
		s.want(t, "the runtime is back", "reached model://1, a ended, b ended")
		rt.Fail(containertest.Fault{Op: "List", Err: errors.New("broken")})
		rt.SetAway(true)
		synctest.Wait()
		rt.SetAway(false)
		time.Sleep(time.Second)
		s.want(t, "the list fails once", "lost, reached model://1, a ended, b ended")
		time.Sleep(relistPeriod)
		s.want(t, "later", "reached model://1, a ended, b ended")
		cancel()
		<-done
	})
}

func TestListWaitsForTheRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, s := containertest.New("i"), &state{}
		g := &Generator{Runtime: rt, State: s, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		start(t, rt, "a")
		rt.SetAway(true)
		time.AfterFunc(10*time.Second, func() { rt.SetAway(false) })
		began := time.Now()
		all, err := g.List(t.Context())
		if err != nil || len(all) != 1 || time.Since(began) < 10*time.Second || time.Since(began) > 11*time.Second {
			t.Errorf("%d containers, %v, after %s", len(all), err, time.Since(began))
		}
		s.want(t, "then", "lost, reached model://1")
		rt.SetAway(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.List(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("when it is told to end: %v", err)
		}
	})
}

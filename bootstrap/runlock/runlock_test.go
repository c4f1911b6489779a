package runlock

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// site is model masters that some runs reach, and others not.
type site map[string]*hosttest.Model

func newSite(names ...string) site {
	s := site{}
	for _, n := range names {
		s[n] = hosttest.NewModel(n, n)
	}
	return s
}

func (s site) masters(names ...string) []spec.Host {
	var out []spec.Host
	for _, n := range names {
		out = append(out, spec.Host{Name: n, Address: n})
	}
	return out
}

// run is another run, which does not reach some of the masters.
func (s site) run(t *testing.T, who string, ttl time.Duration, notReached ...string) *Keeper {
	k := New(Config{Who: who, TTL: ttl, Connect: func(_ context.Context, h spec.Host) (host.Host, error) {
		for _, n := range notReached {
			if n == h.Name {
				return nil, &host.Error{Kind: host.ErrUnreachable, Host: n, Doing: "log in", Err: errors.New("no route to host")}
			}
		}
		return s[h.Name].Login()
	}})
	t.Cleanup(k.Close)
	return k
}

func TestTheSecondRunIsRefusedAndToldByWhom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite("m1", "m2", "m3")
		masters := s.masters("m1", "m2", "m3")
		first, second := s.run(t, "alice@desk", time.Minute), s.run(t, "bob@ci", time.Minute)
		_, done, err := first.Hold(t.Context(), masters, "update cluster demo")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = second.Hold(t.Context(), masters, "destroy cluster demo")
		var held *HeldError
		if !errors.As(err, &held) || held.Holder != "alice@desk: update cluster demo" || time.Since(held.Since) >= time.Second {
			t.Fatalf("got %v", err)
		}
		// Operations of one run share it, also when they name fewer masters or others.
		if _, _, err := first.Hold(t.Context(), s.masters("m2"), "update pool p"); err != nil {
			t.Error(err)
		}
		done()
		if _, _, err = second.Hold(t.Context(), masters, "x"); !errors.As(err, &held) {
			t.Errorf("it came between two operations of one run: %v", err)
		}
		first.Close()
		for name, m := range s {
			if m.Holder() != "" {
				t.Errorf("%s is still held by %s", name, m.Holder())
			}
		}
		if _, _, err := second.Hold(t.Context(), masters, "x"); err != nil {
			t.Error(err)
		}
	})
}

func TestALiveHolderIsWaitedForAsLongAsItWasSaid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite("m1")
		first, second := s.run(t, "a", time.Minute), s.run(t, "b", time.Minute)
		if _, _, err := first.Hold(t.Context(), s.masters("m1"), "x"); err != nil {
			t.Fatal(err)
		}
		second.Wait = 10 * time.Second
		time.AfterFunc(200*time.Millisecond, first.Close)
		start := time.Now()
		if _, _, err := second.Hold(t.Context(), s.masters("m1"), "y"); err != nil || time.Since(start) > time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

// stuck is a connection over which nothing comes any more once it is cut, and
// neither end is told.
type stuck struct {
	host.Host
	cut *atomic.Bool
}

func (s stuck) Run(ctx context.Context, c host.Command) ([]byte, error) {
	if s.cut.Load() && !c.Lasting {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.Host.Run(ctx, c)
}

// However the holder is lost to a master, it has stopped by the time at which that
// one lets another in: be it that the record outlived its connection, or its age.
func TestARunThatCannotRenewStopsBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ttl  time.Duration
		told bool
	}{
		"the connection ended": {time.Minute, true},
		"neither was told":     {5 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite("m1")
				s["m1"].Grace = grace
				first, second := s.run(t, "a", tc.ttl), s.run(t, "b", tc.ttl)
				var cut atomic.Bool
				reach := first.Connect
				first.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
					if cut.Load() {
						return nil, &host.Error{Kind: host.ErrUnreachable, Host: "m1", Doing: "log in", Err: errors.New("no route to host")}
					}
					c, err := reach(ctx, h)
					return stuck{c, &cut}, err
				}
				ctx, _, err := first.Hold(t.Context(), s.masters("m1"), "x")
				if err != nil {
					t.Fatal(err)
				}
				cut.Store(true)
				if tc.told {
					s["m1"].Reconnect() // others are possible
				}
				second.Wait = time.Minute
				if _, _, err := second.Hold(t.Context(), s.masters("m1"), "y"); err != nil {
					t.Fatal(err)
				}
				if ctx.Err() == nil {
					t.Fatal("two runs are at work")
				}
				var lost *LostError
				if !errors.As(context.Cause(ctx), &lost) || !errors.Is(context.Cause(ctx), host.ErrUnreachable) {
					t.Errorf("it ended with %v", context.Cause(ctx))
				}
			})
		})
	}
}

func TestALostMasterEndsNothingAsLongAsAMajorityAgrees(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite("m1", "m2", "m3")
		ttl := 2 * time.Second
		first := s.run(t, "a", ttl)
		ctx, _, err := first.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x")
		if err != nil {
			t.Fatal(err)
		}
		s["m1"].PowerCut()
		time.Sleep(ttl + ttl/2)
		if ctx.Err() != nil {
			t.Fatalf("ended with %v", context.Cause(ctx))
		}
		// Nobody else gets in through the others, and not through the first, which the
		// second run takes for dead.
		var held *HeldError
		if _, _, err := s.run(t, "b", ttl, "m1").Hold(t.Context(), s.masters("m1", "m2", "m3"), "y"); !errors.As(err, &held) {
			t.Errorf("got %v", err)
		}
		if _, _, err := s.run(t, "b", ttl, "m1", "m2").Hold(t.Context(), s.masters("m1", "m2", "m3"), "y"); !errors.As(err, &held) {
			t.Errorf("got %v", err)
		}
		// When it comes back it is taken again.
		s["m1"].Reconnect()
		time.Sleep(ttl)
		if s["m1"].Holder() == "" {
			t.Error("the master that came back is free")
		}
	})
}

func TestAMinorityIsEnoughOnlyWhenTheOthersAreDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite("m1", "m2", "m3")
		k := s.run(t, "a", time.Second, "m2", "m3")
		var dead atomic.Bool
		s["m1"].OnDial = func(string) error {
			if dead.Load() {
				return errors.New("no route to host")
			}
			return nil
		}
		if _, _, err := k.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x"); err == nil || !strings.Contains(err.Error(), "m1 reaches it. With fewer than 2 of 3 masters that agree") {
			t.Errorf("two living masters were not asked: %v", err)
		}
		if s["m1"].Holder() != "" {
			t.Error("a refused run keeps what it had got")
		}
		dead.Store(true)
		start := time.Now()
		if _, _, err := k.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x"); err != nil || time.Since(start) < time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		var nobody *NobodyError
		if _, _, err := s.run(t, "b", time.Second, "m1").Hold(t.Context(), s.masters("m1"), "x"); !errors.As(err, &nobody) || !errors.Is(nobody.Hosts["m1"], host.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

// A master that does not grant the run lock may have granted it to another run, whatever
// the reason why this one was not told so.
func TestAMinorityIsNotEnoughWhenTheOthersFail(t *testing.T) {
	t.Parallel()
	refused := &host.Error{Kind: host.ErrAuth, Host: "m", Doing: "log in", Err: errors.New("no such key")}
	full := &host.CommandError{Host: "m", Status: 1, Stderr: "No space left on device"}
	for name, tc := range map[string]struct {
		login, take error
	}{
		"refused logins":  {refused, nil},
		"a full /run":     {nil, full},
		"hung after that": {nil, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSite("m1", "m2", "m3")
				// Nor does m1 reach the others.
				s["m1"].OnDial = func(string) error { return errors.New("administratively prohibited") }
				other, k := s.run(t, "b", 3*time.Second, "m1"), s.run(t, "a", 3*time.Second)
				if _, _, err := other.Hold(t.Context(), s.masters("m2", "m3"), "y"); err != nil {
					t.Fatal(err)
				}
				reach := k.Connect
				k.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
					c, err := reach(ctx, h)
					if h.Name != "m1" && tc.login != nil {
						return nil, tc.login
					}
					if h.Name != "m1" {
						c = failing{c, tc.take}
					}
					return c, err
				}
				if _, _, err := k.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x"); err == nil || !strings.Contains(err.Error(), "it answers SSH") {
					t.Errorf("two runs are at work: %v", err)
				}
				if s["m1"].Holder() != "" {
					t.Error("a refused run keeps what it had got")
				}
				// With none at all the reason decides what may go on without a run lock.
				var nobody *NobodyError
				if _, _, err := k.Hold(t.Context(), s.masters("m2"), "x"); !errors.As(err, &nobody) || nobody.LoggedIn != (tc.login == nil) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// failing is a master that lets in and then fails; with its deadline it hangs first.
type failing struct {
	host.Host
	err error
}

func (f failing) Run(ctx context.Context, c host.Command) ([]byte, error) {
	if c.Lasting || errors.Is(f.err, context.DeadlineExceeded) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return nil, f.err
}

func TestAMasterThatHangsCostsAHeadStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite("m1", "m2", "m3")
		k := s.run(t, "a", time.Minute)
		reach := k.Connect
		k.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
			if h.Name == "m1" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return reach(ctx, h)
		}
		start := time.Now()
		if _, _, err := k.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x"); err != nil || time.Since(start) != headStart {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

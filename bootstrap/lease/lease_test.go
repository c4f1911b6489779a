package lease

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
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
	s := newSite("m1", "m2", "m3")
	masters := s.masters("m1", "m2", "m3")
	first, second := s.run(t, "alice@desk", time.Minute), s.run(t, "bob@ci", time.Minute)
	_, done, err := first.Hold(t.Context(), masters, "update cluster demo")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = second.Hold(t.Context(), masters, "destroy cluster demo")
	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "alice@desk: update cluster demo" || time.Since(held.Since) > time.Minute {
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
}

func TestALiveHolderIsWaitedForAsLongAsItWasSaid(t *testing.T) {
	t.Parallel()
	s := newSite("m1")
	first, second := s.run(t, "a", time.Minute), s.run(t, "b", time.Minute)
	if _, _, err := first.Hold(t.Context(), s.masters("m1"), "x"); err != nil {
		t.Fatal(err)
	}
	second.Wait = 10 * time.Second
	time.AfterFunc(200*time.Millisecond, first.Close)
	start := time.Now()
	if _, _, err := second.Hold(t.Context(), s.masters("m1"), "y"); err != nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

func TestARunThatCannotRenewStopsBeforeItsLeaseEnds(t *testing.T) {
	t.Parallel()
	s := newSite("m1")
	ttl := 2 * time.Second
	first, second := s.run(t, "a", ttl), s.run(t, "b", ttl)
	var cut atomic.Bool
	reach := first.Connect
	first.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) {
		if cut.Load() {
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: "m1", Doing: "log in", Err: errors.New("no route to host")}
		}
		return reach(ctx, h)
	}
	ctx, _, err := first.Hold(t.Context(), s.masters("m1"), "x")
	if err != nil {
		t.Fatal(err)
	}
	cut.Store(true)
	s["m1"].Reconnect() // its connection is lost, and others are possible
	begun := time.Now()
	second.Wait = 2 * ttl
	if _, _, err := second.Hold(t.Context(), s.masters("m1"), "y"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(ttl):
		t.Fatal("the first run works on")
	}
	var lost *LostError
	if !errors.As(context.Cause(ctx), &lost) || !errors.Is(context.Cause(ctx), host.ErrUnreachable) || time.Since(begun) > 2*ttl {
		t.Errorf("it ended with %v after %s", context.Cause(ctx), time.Since(begun))
	}
}

func TestALostMasterEndsNothingAsLongAsAMajorityAgrees(t *testing.T) {
	t.Parallel()
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
}

func TestAMinorityIsEnoughOnlyWhenTheOthersAreDead(t *testing.T) {
	t.Parallel()
	s := newSite("m1", "m2", "m3")
	k := s.run(t, "a", time.Second, "m2", "m3")
	var dead atomic.Bool
	s["m1"].OnDial = func(string) error {
		if dead.Load() {
			return errors.New("no route to host")
		}
		return nil
	}
	if _, _, err := k.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x"); err == nil || !strings.Contains(err.Error(), "m1 reaches it") {
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
}

func TestAMasterThatHangsCostsAHeadStart(t *testing.T) {
	t.Parallel()
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
	if _, _, err := k.Hold(t.Context(), s.masters("m1", "m2", "m3"), "x"); err != nil || time.Since(start) > 3*headStart {
		t.Errorf("%v after %s", err, time.Since(start))
	}
}

// The scripts themselves, by SSH and a shell.
func TestTheRecordOnARealFileSystem(t *testing.T) {
	t.Parallel()
	server, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	ip, port, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "lease")
	run := func(who string) *Keeper {
		k := New(Config{Who: who, File: file, Connect: func(ctx context.Context, h spec.Host) (host.Host, error) {
			return ssh.Dial(ctx, ssh.Config{PrivateKey: server.ClientKey, User: "root"}, ssh.Target{Name: h.Name, Address: ip, Port: atoi(t, port), HostKey: server.HostKey})
		}})
		t.Cleanup(k.Close)
		return k
	}
	masters := []spec.Host{{Name: "m1", Address: "m1"}}
	first, second := run("alice@desk (a 'quoted' $name)"), run("bob")
	ctx, _, err := first.Hold(t.Context(), masters, "create")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = second.Hold(t.Context(), masters, "x")
	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "alice@desk (a 'quoted' $name): create" || time.Since(held.Since).Abs() > 5*time.Second {
		t.Fatalf("got %v", err)
	}
	// All connections are cut: the holder comes back in time and goes on.
	server.Drop()
	time.Sleep((graceSeconds + 1) * time.Second)
	if _, _, err = second.Hold(t.Context(), masters, "x"); !errors.As(err, &held) || ctx.Err() != nil {
		t.Fatalf("after a cut: %v, %v", err, context.Cause(ctx))
	}
	// The holder is killed: it comes back no more.
	first.stop()
	first.loops.Wait()
	server.Drop()
	start := time.Now()
	second.Wait = 10 * time.Second
	if _, _, err = second.Hold(t.Context(), masters, "x"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < graceSeconds/2*time.Second || took > 8*time.Second {
		t.Errorf("a dead holder barred the next run for %s", took)
	}
	second.Close()
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is left behind: %v", err)
	}
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	p, err := net.LookupPort("tcp", s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

package runlock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
)

// realMaster is a master by SSH and a shell, at the limits of what the settings allow:
// each command may take a second, and a connection has two sessions.
type realMaster struct {
	*hosttest.SSHD
	spec []spec.Host
	file string
}

func newRealMaster(t *testing.T) realMaster {
	server, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	server.MaxSessions = ssh.MinSessions
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return realMaster{server, []spec.Host{{Name: "m1", Address: "m1"}}, filepath.Join(t.TempDir(), "run-lock")}
}

// run is another run, which counts its logins.
func (m realMaster) run(t *testing.T, who string, ttl time.Duration) (k *Keeper, logins *atomic.Int32) {
	ip, port, err := net.SplitHostPort(m.Address)
	if err != nil {
		t.Fatal(err)
	}
	logins = &atomic.Int32{}
	k = New(Config{Who: who, File: m.file, TTL: ttl, Connect: func(ctx context.Context, h spec.Host) (host.Host, error) {
		c := ssh.Config{PrivateKey: m.ClientKey, User: "root", CommandTimeout: time.Second, MaxSessions: ssh.MinSessions}
		s, err := ssh.Dial(ctx, c, ssh.Target{Name: h.Name, Address: ip, Port: atoi(t, port), HostKey: m.HostKey})
		if err == nil {
			logins.Add(1)
		}
		return s, err
	}})
	t.Cleanup(k.Close)
	return k, logins
}

// The scripts themselves. What guards the record outlives the time-out of commands,
// and leaves a session to those that renew it.
func TestTheRecordOnARealFileSystem(t *testing.T) {
	t.Parallel()
	m := newRealMaster(t)
	first, logins := m.run(t, "alice@desk (a 'quoted' $name)", 0)
	second, _ := m.run(t, "bob", 0)
	ctx, _, err := first.Hold(t.Context(), m.spec, "create")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = second.Hold(t.Context(), m.spec, "x")
	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "alice@desk (a 'quoted' $name): create" || time.Since(held.Since).Abs() > 5*time.Second {
		t.Fatalf("got %v", err)
	}
	// All connections are cut: the holder comes back in time and goes on.
	m.Drop()
	time.Sleep(grace + time.Second)
	if _, _, err = second.Hold(t.Context(), m.spec, "x"); !errors.As(err, &held) || ctx.Err() != nil {
		t.Fatalf("after a cut: %v, %v", err, context.Cause(ctx))
	}
	if n := logins.Load(); n != 2 {
		t.Errorf("the holder logged in %d times", n)
	}
	// The holder is killed: it comes back no more.
	first.stop()
	first.loops.Wait()
	m.Drop()
	start := time.Now()
	second.Wait = second.TTL - grace // its age would decide later
	if _, _, err = second.Hold(t.Context(), m.spec, "x"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < grace/2 {
		t.Errorf("a holder that may come back barred the next run for %s", took)
	}
	second.Close()
	if _, err := os.Stat(m.file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is left behind: %v", err)
	}
}

// A holder that lost its power leaves a record that nobody guards: its age decides.
func TestARecordThatIsNotRenewedEnds(t *testing.T) {
	t.Parallel()
	const ttl = 1000 // seconds, to which those of a busy machine are nothing
	for name, tc := range map[string]struct {
		age  float64
		held bool
	}{
		"renewed a while ago": {ttl / 2, true},
		"at its end":          {ttl + 1, false},
		"of long ago":         {100 * ttl, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newRealMaster(t)
			uptime, err := os.ReadFile("/proc/uptime")
			if err != nil {
				t.Fatal(err)
			}
			now, err := strconv.ParseFloat(strings.Fields(string(uptime))[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			left := fmt.Sprintf("another-token\n%.2f\n1700000000\ncarol@laptop: destroy\n", now-tc.age)
			if err := os.WriteFile(m.file, []byte(left), 0o600); err != nil {
				t.Fatal(err)
			}
			k, _ := m.run(t, "alice", ttl*time.Second)
			_, _, err = k.Hold(t.Context(), m.spec, "x")
			var held *HeldError
			if errors.As(err, &held) != tc.held || !tc.held && err != nil {
				t.Fatalf("got %v", err)
			}
			if tc.held && (held.Holder != "carol@laptop: destroy" || held.Since.Unix() != 1700000000 || held.Silent < ttl/2*time.Second-time.Second || held.Silent > ttl*time.Second) {
				t.Errorf("got %+v", held)
			}
			record, err := os.ReadFile(m.file)
			if err != nil || strings.HasPrefix(string(record), k.Token+"\n") == tc.held {
				t.Errorf("the record is %q: %v", record, err)
			}
		})
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

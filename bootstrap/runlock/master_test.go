package runlock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/internal/patience"
)

// realMaster is a master by SSH and a shell, at the limit of what the settings allow: a
// connection has two sessions.
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
	m := realMaster{server, []spec.Host{{Name: "m1", Address: "m1"}}, filepath.Join(t.TempDir(), "run-lock")}
	t.Cleanup(m.endGuards)
	return m
}

// endGuards ends what waits out a grace that is longer than the test.
func (m realMaster) endGuards() {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		// Which may have ended by now, all of it.
		said, err := os.ReadFile(line)
		if err != nil || !strings.Contains(string(said), "\x00"+GuardCommand+"\x00"+m.file+"\x00") {
			continue
		}
		of := filepath.Dir(line)
		slept, _ := os.ReadFile(filepath.Join(of, "task", filepath.Base(of), "children"))
		for _, id := range append([]string{filepath.Base(of)}, strings.Fields(string(slept))...) {
			if pid, err := strconv.Atoi(id); err == nil {
				syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // as above
			}
		}
	}
}

// ttl is one that no busy machine outlasts, and whose seventh part, after which a login
// that failed is tried again, is no time in which to come back within a grace.
const ttl = 1000 * time.Second

// run is another run, which counts its logins.
func (m realMaster) run(t *testing.T, who string, grace time.Duration) (k *Keeper, logins *atomic.Int32) {
	ip, port, err := net.SplitHostPort(m.Address)
	if err != nil {
		t.Fatal(err)
	}
	logins = &atomic.Int32{}
	k = New(Config{Who: who, File: m.file, TTL: ttl, Connect: func(ctx context.Context, h spec.Host) (host.Host, error) {
		c := ssh.Config{PrivateKey: m.ClientKey, User: "root", ConnectTimeout: patience.Limit, MaxSessions: ssh.MinSessions}
		s, err := ssh.Dial(ctx, c, ssh.Target{Name: h.Name, Address: ip, Port: atoi(t, port), HostKey: m.HostKey})
		if err == nil {
			logins.Add(1)
		}
		return s, err
	}})
	k.grace = grace
	t.Cleanup(k.Close)
	return k, logins
}

// The scripts themselves. All connections are cut: the holder comes back within the grace,
// of which a busy machine does not take half, and goes on.
func TestTheRecordOnARealFileSystem(t *testing.T) {
	t.Parallel()
	m := newRealMaster(t)
	first, logins := m.run(t, "alice@desk (a 'quoted' $name)", time.Minute)
	second, _ := m.run(t, "bob", time.Minute)
	began := time.Now().Truncate(time.Second)
	ctx, _, err := first.Hold(t.Context(), m.spec, "create")
	if err != nil {
		t.Fatal(err)
	}
	took := time.Now()
	_, _, err = second.Hold(t.Context(), m.spec, "x")
	var held *HeldError
	if !errors.As(err, &held) || held.Holder != "alice@desk (a 'quoted' $name): create" || held.Since.Before(began) || held.Since.After(took) {
		t.Fatalf("got %v", err)
	}
	taken := m.record(t)
	m.Drop()
	patience.Until(t, "the record is renewed over another connection", func() bool { return logins.Load() == 2 && !slices.Contains([]string{"", taken}, m.record(t)) })
	if _, _, err = second.Hold(t.Context(), m.spec, "x"); !errors.As(err, &held) || ctx.Err() != nil {
		t.Fatalf("after a cut: %v, %v", err, context.Cause(ctx))
	}
	first.Close()
	patience.Until(t, "the record goes with its holder", func() bool { _, err := os.Stat(m.file); return errors.Is(err, os.ErrNotExist) })
}

// record is what the file has.
func (m realMaster) record(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A holder that is killed comes back no more: the record goes with its connection, after
// the grace and long before its age.
func TestAHolderThatIsKilledLeavesNoRecord(t *testing.T) {
	t.Parallel()
	const grace = time.Second
	m := newRealMaster(t)
	first, _ := m.run(t, "alice", grace)
	second, _ := m.run(t, "bob", grace)
	if _, _, err := first.Hold(t.Context(), m.spec, "create"); err != nil {
		t.Fatal(err)
	}
	first.stop()
	first.loops.Wait()
	start := time.Now()
	m.Drop()
	second.Wait = patience.Limit
	if _, _, err := second.Hold(t.Context(), m.spec, "x"); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < grace {
		t.Errorf("a holder that may come back barred the next run for %s", took)
	}
	second.Close()
	patience.Until(t, "the record goes with its holder", func() bool { _, err := os.Stat(m.file); return errors.Is(err, os.ErrNotExist) })
}

// What the guard does when its connection has ended: the sleep of its grace is that in
// which the record is changed.
func TestTheGuardTakesOnlyWhatIsNotRenewed(t *testing.T) {
	t.Parallel()
	const before = "token\n100.25\n1700000000\ncarol\n"
	for name, tc := range map[string]struct {
		record, meanwhile string
		stays             string // "": the record is removed
	}{
		"not renewed":            {before, "", ""},
		"renewed":                {before, "token\n101.50\n1700000000\ncarol\n", "token\n101.50\n1700000000\ncarol\n"},
		"taken by another":       {before, "other\n100.25\n1700000000\nbob\n", "other\n100.25\n1700000000\nbob\n"},
		"another's from the off": {"other\n100.25\n1700000000\nbob\n", "", "other\n100.25\n1700000000\nbob\n"},
		"there is none":          {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file, next, sleep := filepath.Join(dir, "run-lock"), filepath.Join(dir, "next"), filepath.Join(dir, "sleep")
			for path, content := range map[string]string{file: tc.record, next: tc.meanwhile} {
				if content == "" {
					continue
				}
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			fake := "#!/bin/sh\n[ \"$1\" != 7 ] || [ ! -e '" + next + "' ] || cat '" + next + "' >'" + file + "'\n"
			if err := os.WriteFile(sleep, []byte(fake), 0o700); err != nil {
				t.Fatal(err)
			}
			ended, connection, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			ended.Close()
			defer connection.Close()
			guard := exec.CommandContext(t.Context(), "sh", "-c", guardScript, GuardCommand, file, "token", "7")
			guard.Env, guard.Stdout = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, connection
			if err := guard.Run(); err != nil {
				t.Fatal(err)
			}
			left, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, os.ErrNotExist) || string(left) != tc.stays || (err == nil) != (tc.stays != "") {
				t.Errorf("it leaves %q, %v, want %q", left, err, tc.stays)
			}
		})
	}
}

// A holder that lost its power leaves a record that nobody guards: its age decides.
func TestARecordThatIsNotRenewedEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		age  float64
		held bool
	}{
		"renewed a while ago": {ttl.Seconds() / 2, true},
		"at its end":          {ttl.Seconds() + 1, false},
		"of long ago":         {100 * ttl.Seconds(), false},
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
			k, _ := m.run(t, "alice", grace)
			_, _, err = k.Hold(t.Context(), m.spec, "x")
			var held *HeldError
			if errors.As(err, &held) != tc.held || !tc.held && err != nil {
				t.Fatalf("got %v", err)
			}
			if tc.held && (held.Holder != "carol@laptop: destroy" || held.Since.Unix() != 1700000000 || held.Silent < ttl/2-time.Second || held.Silent > ttl) {
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

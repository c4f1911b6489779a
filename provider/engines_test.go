package provider

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/provider/login"
	"github.com/gantry-run/gantry/provider/runlog"
)

// enginesWith are engines of a provider with these logins, and a log in that directory.
func enginesWith(logins login.Profiles, logDir string) *engines {
	return newEngines(bootstrap.Config{}, logins, runlog.New(logDir, time.Now), newProcessLocks("test").of(0), nil)
}

// oneServer is an SSH server in this process, and how it is declared.
func oneServer(t *testing.T, name string) (*hosttest.SSHD, spec.Host) {
	t.Helper()
	sshd, err := hosttest.NewSSHD()
	if err == nil {
		err = sshd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sshd.Stop)
	at, err := netip.ParseAddrPort(sshd.Address)
	if err != nil {
		t.Fatal(err)
	}
	return sshd, spec.Host{Name: name, Address: at.Addr().String(), SSH: spec.SSH{Port: int(at.Port())}}
}

// Resources that are worked on at a time go to the same masters. They log in once;
// the run lock does so for itself, since an upload must not keep a renewal waiting.
func TestOperationsShareAConnectionAndTheRunLockHasItsOwn(t *testing.T) {
	sshd, master := oneServer(t, "m1")
	e := enginesWith(login.Profiles{"": {PrivateKey: sshd.ClientKey}}, "")
	dial := func(to connect, want int) {
		t.Helper()
		h, err := to(t.Context(), master)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		if _, err := h.Run(t.Context(), host.Command{Argv: []string{"true"}}); err != nil || sshd.Logins() != want {
			t.Errorf("%d logins, not %d: %v", sshd.Logins(), want, err)
		}
	}
	for _, title := range []string{"read cluster demo", "read pool p"} {
		ctx, end := e.begin(t.Context(), title)
		defer end()
		dial(e.engine(ctx, 0).Connect, 1)
	}
	dial(e.dialAlone, 2)
}

// What goes over a connection is counted to the operation that the engine was made for,
// and what it tells is written to log_dir.
func TestAnEngineTellsItsOperation(t *testing.T) {
	sshd, server := oneServer(t, "w1")
	dir := t.TempDir()
	e := enginesWith(login.Profiles{"": {PrivateKey: sshd.ClientKey}}, dir)
	ctx, end := e.begin(t.Context(), "create pool p")
	engine := e.engine(ctx, 0)
	h, err := engine.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.Run(ctx, host.Command{Argv: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	engine.Events(step.Event{Host: h.Name(), Step: "binaries", State: step.Done, Took: 1500 * time.Millisecond})
	end()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(strings.Fields(string(data)), " "); !strings.Contains(text, "1 hosts w1 (127.0.0.1) 1.5 s sent ") || strings.Contains(text, "sent 0.0 kB") || !strings.HasSuffix(text, "binaries 1.5 s") {
		t.Errorf("the summary is\n%s", data)
	}
}

func TestWhatTheProviderBlockSaysReachesTheEngine(t *testing.T) {
	for set, want := range map[time.Duration]time.Duration{0: 2 * time.Minute, time.Hour: time.Hour} {
		e := newEngines(bootstrap.Config{NodeTimeout: set, Parallelism: 3}, nil, runlog.New("", time.Now), newProcessLocks("test").of(0), nil)
		if got := e.engine(t.Context(), time.Minute); got.NodeTimeout != want || got.DrainTimeout != time.Minute || got.Parallelism != 3 || got.RunLock == nil {
			t.Errorf("%s becomes %+v", set, got.Config)
		}
	}
}

// A host whose profile does not exist is dialled by nobody.
func TestNoProfileNoConnection(t *testing.T) {
	e := enginesWith(login.Profiles{"": {}}, "")
	for _, to := range []connect{e.dial, e.dialAlone, e.engine(t.Context(), 0).Connect} {
		if h, err := to(t.Context(), spec.Host{Name: "w1", SSH: spec.SSH{Profile: "x"}}); err == nil || h != nil || !strings.Contains(err.Error(), `by the profile "x"`) {
			t.Errorf("%v, %v", h, err)
		}
	}
}

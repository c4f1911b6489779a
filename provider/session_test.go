package provider

import (
	"context"
	"net/netip"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/ssh"
)

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
// the lease does so for itself, since an upload must not keep a renewal waiting.
func TestOperationsShareAConnectionAndTheLeaseHasItsOwn(t *testing.T) {
	sshd, master := oneServer(t, "m1")
	s := &session{logins: map[string]ssh.Config{"": {PrivateKey: sshd.ClientKey}}}
	login := func(connect func(context.Context, spec.Host) (host.Host, error), want int) {
		t.Helper()
		h, err := connect(t.Context(), master)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { h.Close() })
		if _, err := h.Run(t.Context(), host.Command{Argv: []string{"true"}}); err != nil || sshd.Logins() != want {
			t.Errorf("%d logins, not %d: %v", sshd.Logins(), want, err)
		}
	}
	for _, title := range []string{"read cluster demo", "read pool p"} {
		ctx, end := s.operation(t.Context(), title)
		defer end()
		login(s.engine(ctx, 0).Connect, 1)
	}
	login(s.dialAlone, 2)
}

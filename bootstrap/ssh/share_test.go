package ssh

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/internal/patience"
)

func TestAConnectionIsSharedUntilItsLastUse(t *testing.T) {
	s := server(t, nil)
	cfg, to := Config{PrivateKey: s.ClientKey}, target(t, "h1", s)
	var shared Connections
	hosts := make([]*Host, 5)
	var wg sync.WaitGroup
	for i := range hosts {
		wg.Go(func() {
			h, err := shared.Dial(t.Context(), "", cfg, to)
			if err != nil {
				t.Error(err)
				return
			}
			hosts[i] = h
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	// Whoever leaves ends what it has running, and that alone.
	leaving, staying := begin(t, hosts[0], t.Context()), begin(t, hosts[1], t.Context())
	if n := s.Logins(); n != 1 {
		t.Fatalf("%d logins", n)
	}
	hosts[0].Close()
	if err := within(t, "the command of who leaves", func() error { return <-leaving }); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if _, err := hosts[0].Run(t.Context(), host.Shell("x", "true")); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("it is used after it was left: %v", err)
	}
	hosts[0].Close() // which counts once
	if sent, _ := hosts[2].Traffic(); sent == 0 {
		t.Error("no bytes are counted")
	}
	if late, err := shared.Dial(t.Context(), "", cfg, to); err != nil {
		t.Error(err)
	} else if sent, received := late.Traffic(); sent+received > 1000 {
		t.Errorf("a late user is charged with %d and %d bytes", sent, received)
	} else {
		late.Close()
	}
	for _, h := range hosts[2:] {
		h.Close()
	}
	select {
	case err := <-staying:
		t.Errorf("the command of who stays ended: %v", err)
	default:
	}
	hosts[1].Close()
	patience.Until(t, "the connection ends with its last use", func() bool { return s.Connections() == 0 })
	// Another way to the same host is a connection of its own.
	for _, by := range []string{"", "profile"} {
		h, err := shared.Dial(t.Context(), by, cfg, to)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
	}
	patience.Until(t, "there are three logins in all", func() bool { return s.Logins() == 3 })
}

func TestASharedConnectionThatIsLostIsMadeAnew(t *testing.T) {
	s := server(t, nil)
	cfg, to := Config{PrivateKey: s.ClientKey}, target(t, "h1", s)
	var shared Connections
	before, err := shared.Dial(t.Context(), "", cfg, to)
	if err != nil {
		t.Fatal(err)
	}
	s.Drop()
	patience.Until(t, "the loss is seen", func() bool { return before.alive.Err() != nil })
	after, err := shared.Dial(t.Context(), "", cfg, to)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	before.Close() // it has no part in the new one
	if _, err := after.Run(t.Context(), host.Shell("x", "true")); err != nil || s.Logins() != 2 {
		t.Errorf("%v after %d logins", err, s.Logins())
	}
}

// A host that does not answer costs those who go there at the same time one login that
// fails, and the impatience of one of them is not the others'.
func TestAFailedLoginIsThatOfAllWhoWaited(t *testing.T) {
	s := server(t, func(s *hosttest.SSHD) { s.Hang = true })
	cfg, to := Config{PrivateKey: s.ClientKey, ConnectTimeout: patience.Limit}, target(t, "h1", s)
	var shared Connections
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := shared.Dial(ctx, "", cfg, to); first <- err }()
	patience.Until(t, "the first one dials", func() bool { return s.Connections() == 1 })
	errs := make(chan error, 3)
	for range cap(errs) {
		go func() { _, err := shared.Dial(t.Context(), "", cfg, to); errs <- err }()
	}
	patience.Until(t, "the others wait", func() bool {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		return shared.open[way{"", to}].users == 4
	})
	cancel()
	if err := within(t, "the first", func() error { return <-first }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s.Drop()
	for range cap(errs) {
		if err := within(t, "the others", func() error { return <-errs }); !errors.Is(err, host.ErrUnreachable) || errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
	if len(shared.open) != 0 {
		t.Error("the failure is kept")
	}
}

// Those who hold a session for as long as they work leave some to the others.
func TestLastingCommandsLeaveSessions(t *testing.T) {
	s := server(t, nil)
	h := loginTo(t, s, Config{MaxSessions: 2})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	for range cap(ended) {
		go func() {
			_, err := h.Run(ctx, host.Command{Argv: []string{"sleep", "100"}, Lasting: true})
			ended <- err
		}()
	}
	patience.Until(t, "one begins", func() bool { return s.MostSessions() == 1 })
	if _, err := h.Run(t.Context(), host.Shell("x", "true")); err != nil {
		t.Error(err)
	}
	cancel()
	for range cap(ended) {
		if err := within(t, "it", func() error { return <-ended }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

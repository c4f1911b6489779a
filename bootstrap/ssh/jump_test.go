package ssh

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/internal/patience"
)

func target(t *testing.T, name string, s *hosttest.SSHD) Target {
	t.Helper()
	address, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return Target{Name: name, Address: address, Port: n, HostKey: s.HostKey}
}

// through is the configuration that logs in to s through the jumps.
func through(t *testing.T, s *hosttest.SSHD, jumps ...*hosttest.SSHD) Config {
	t.Helper()
	cfg := Config{PrivateKey: s.ClientKey, ConnectTimeout: patience.Limit}
	var chain []Jump
	for i, j := range jumps {
		chain = append(chain, Jump{Target: target(t, "jump-"+strconv.Itoa(i+1), j), PrivateKey: j.ClientKey})
	}
	cfg.Jumps = NewChain(cfg, chain...)
	return cfg
}

func TestHostsBehindAChainShareIt(t *testing.T) {
	first, second, s := server(t, nil), server(t, nil), server(t, nil)
	cfg := through(t, s, first, second)
	var wg sync.WaitGroup
	hosts := make([]*Host, 5)
	for i := range hosts {
		wg.Go(func() {
			h, err := Dial(t.Context(), cfg, target(t, "h"+strconv.Itoa(i), s))
			if err != nil {
				t.Error(err)
				return
			}
			hosts[i] = h
			if out, err := h.Run(t.Context(), host.Shell("x", "echo here")); err != nil || string(out) != "here\n" {
				t.Errorf("got %q %v", out, err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if first.Logins() != 1 || second.Logins() != 1 || s.Logins() != 5 {
		t.Errorf("logins: %d and %d on the jumps, %d on the host", first.Logins(), second.Logins(), s.Logins())
	}
	if got := first.Forwarded(); !slices.Equal(got, []string{second.Address}) {
		t.Errorf("the first jump forwarded to %v", got)
	}
	if got := second.Forwarded(); len(got) != 5 || got[0] != s.Address {
		t.Errorf("the second jump forwarded to %v", got)
	}
	for i, h := range hosts {
		if i == len(hosts)-1 && first.Connections() != 1 {
			t.Error("the jump was left while a host behind it was in use")
		}
		h.Close()
		h.Close() // which gives the jump back once
	}
	patience.Until(t, "the jumps are left after the last host", func() bool { return first.Connections()+second.Connections() == 0 })
}

// A jump host may be opened by other credentials than the hosts, and is shown none of
// theirs then.
func TestAJumpHasCredentialsOfItsOwn(t *testing.T) {
	authority, s := newSigner(t), server(t, nil)
	hostKey, err := ParseKey(s.ClientKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*hosttest.SSHD)
		jump   func(*hosttest.SSHD) Jump
		shown  bool // the hosts' credentials
	}{
		"an encrypted key": {nil, func(j *hosttest.SSHD) Jump {
			key, err := j.EncryptedKey("open sesame")
			if err != nil {
				t.Fatal(err)
			}
			return Jump{PrivateKey: key, Passphrase: []byte("open sesame")}
		}, false},
		"a password": {func(j *hosttest.SSHD) { j.Password = "correct horse" }, func(*hosttest.SSHD) Jump { return Jump{Password: "correct horse"} }, false},
		"a certificate": {func(j *hosttest.SSHD) { j.Authority = authority.PublicKey() }, func(j *hosttest.SSHD) Jump {
			key, err := ParseKey(j.ClientKey, nil)
			if err != nil {
				t.Fatal(err)
			}
			return Jump{PrivateKey: j.ClientKey, Certificate: certificate(t, authority, key.PublicKey(), ssh.UserCert)}
		}, false},
		"a certificate for the hosts' key": {func(j *hosttest.SSHD) { j.Authority = authority.PublicKey() }, func(*hosttest.SSHD) Jump {
			return Jump{Certificate: certificate(t, authority, hostKey.PublicKey(), ssh.UserCert)}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			jump := server(t, tc.change)
			cfg := Config{PrivateKey: s.ClientKey, Password: "of the hosts", Agent: false, ConnectTimeout: patience.Limit}
			j := tc.jump(jump)
			j.Target = target(t, "jump", jump)
			cfg.Jumps = NewChain(cfg, j)
			if h, err := Dial(t.Context(), cfg, target(t, "h1", s)); err != nil {
				t.Error(err)
			} else {
				h.Close()
			}
			if offered := j.over(cfg); (offered.Password == "of the hosts") != tc.shown || bytes.Equal(offered.PrivateKey, s.ClientKey) != tc.shown {
				t.Error("it is offered the wrong credentials")
			}
		})
	}
}

func TestAJumpThatDropsIsUnreachableAndThenUsedAnew(t *testing.T) {
	jump, s := server(t, nil), server(t, nil)
	cfg := through(t, s, jump)
	h, err := Dial(t.Context(), cfg, target(t, "h1", s))
	if err != nil {
		t.Fatal(err)
	}
	ended := begin(t, h, t.Context())
	jump.Drop()
	if err := within(t, "the command", func() error { return <-ended }); !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("in mid-command: got %v", err)
	}
	patience.Until(t, "the loss is seen", cfg.Jumps.lost)
	again, err := Dial(t.Context(), cfg, target(t, "h1", s))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	h.Close() // of before the loss: it has no part in the new connection
	if _, err := again.Run(t.Context(), host.Shell("x", "true")); err != nil || jump.Logins() != 2 {
		t.Errorf("%v after %d logins", err, jump.Logins())
	}
}

func TestFailuresOfAJumpAreToldAsItsOwn(t *testing.T) {
	other := server(t, nil)
	for name, tc := range map[string]struct {
		change func(*hosttest.SSHD)
		key    string
		waits  func(*Config) *time.Duration // whose time-out is waited for
		want   error
		says   string
	}{
		"hung":         {func(s *hosttest.SSHD) { s.Hang = true }, "", func(c *Config) *time.Duration { return &c.Jumps.cfg.ConnectTimeout }, host.ErrUnreachable, "jump-1"},
		"refused":      {func(s *hosttest.SSHD) { s.Refuse = true }, "", nil, host.ErrAuth, "jump-1"},
		"changed key":  {nil, other.HostKey, nil, host.ErrHostKeyChanged, "jump-1"},
		"hung forward": {func(s *hosttest.SSHD) { s.HangForwards = true }, "", func(c *Config) *time.Duration { return &c.ConnectTimeout }, host.ErrUnreachable, "through jump-1"},
	} {
		t.Run(name, func(t *testing.T) {
			jump, s := server(t, tc.change), server(t, nil)
			cfg := through(t, s, jump)
			if tc.key != "" {
				cfg.Jumps.jumps[0].HostKey = tc.key
			}
			if tc.waits != nil {
				*tc.waits(&cfg) = time.Second
			}
			err := within(t, "the login", func() error { _, err := Dial(t.Context(), cfg, target(t, "h1", s)); return err })
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "h1 (127.0.0.1)") {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	t.Run("nothing listens behind it", func(t *testing.T) {
		jump, s := server(t, nil), server(t, nil)
		cfg, to := through(t, s, jump), target(t, "h1", s)
		s.Stop()
		if _, err := Dial(t.Context(), cfg, to); !errors.Is(err, host.ErrUnreachable) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v", err)
		}
		patience.Until(t, "the jump is left", func() bool { return jump.Connections() == 0 })
	})
}

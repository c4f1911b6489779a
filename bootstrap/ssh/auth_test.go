package ssh

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/internal/patience"
)

func tryLogin(t *testing.T, s *hosttest.SSHD, cfg Config) (*Host, error) {
	t.Helper()
	cfg.ConnectTimeout = patience.Limit
	h, err := Dial(t.Context(), cfg, target(t, "h1", s))
	if err == nil {
		t.Cleanup(func() { h.Close() })
	}
	return h, err
}

func newSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// certificate is signed by the authority, for the user "root" and an hour.
func certificate(t *testing.T, authority ssh.Signer, key ssh.PublicKey, kind uint32) []byte {
	t.Helper()
	cert := &ssh.Certificate{
		Key: key, KeyId: "test", CertType: kind, ValidPrincipals: []string{"root"},
		ValidAfter: uint64(time.Now().Add(-time.Minute).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return ssh.MarshalAuthorizedKey(cert)
}

func TestAPasswordLogsIn(t *testing.T) {
	for name, ask := range map[string]bool{"as such": false, "in a dialogue": true} {
		t.Run(name, func(t *testing.T) {
			s := server(t, func(s *hosttest.SSHD) { s.Password, s.AskPassword = "correct horse", ask })
			if _, err := tryLogin(t, s, Config{Password: "correct horse"}); err != nil {
				t.Error(err)
			}
			_, err := tryLogin(t, s, Config{Password: "wrong horse"})
			if !errors.Is(err, host.ErrAuth) || strings.Contains(err.Error(), "horse") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAUserCertificateLogsIn(t *testing.T) {
	authority, stranger := newSigner(t), newSigner(t)
	s := server(t, func(s *hosttest.SSHD) { s.Authority = authority.PublicKey() })
	key, err := ParseKey(s.ClientKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	good := certificate(t, authority, key.PublicKey(), ssh.UserCert)
	if _, err := tryLogin(t, s, Config{PrivateKey: s.ClientKey, Certificate: good}); err != nil {
		t.Error(err)
	}
	if _, err := tryLogin(t, s, Config{PrivateKey: s.ClientKey}); !errors.Is(err, host.ErrAuth) {
		t.Errorf("the bare key: got %v", err)
	}
	for name, tc := range map[string]struct {
		cert []byte
		want string
	}{
		"of another authority": {certificate(t, stranger, key.PublicKey(), ssh.UserCert), host.ErrAuth.Error()},
		"for another key":      {certificate(t, authority, stranger.PublicKey(), ssh.UserCert), "neither the private key nor with the agent"},
		"of a host":            {certificate(t, authority, key.PublicKey(), ssh.HostCert), "not a user certificate"},
		"no certificate":       {ssh.MarshalAuthorizedKey(key.PublicKey()), "not a user certificate"},
		"nonsense":             {[]byte("nonsense"), "read the certificate"},
	} {
		if _, err := tryLogin(t, s, Config{PrivateKey: s.ClientKey, Certificate: tc.cert}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The agent's keys count beside a private key that the host does not know, and a
// certificate may be for one of them.
func TestTheAgentsKeysCountBesideThePrivateKey(t *testing.T) {
	authority := newSigner(t)
	plain, certified := server(t, nil), server(t, func(s *hosttest.SSHD) { s.Authority = authority.PublicKey() })
	socket := filepath.Join(t.TempDir(), "agent")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	ring := agent.NewKeyring()
	for _, s := range []*hosttest.SSHD{plain, certified} {
		key, err := ssh.ParseRawPrivateKey(s.ClientKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn) //nolint:errcheck // ends with the connection
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", socket)
	other, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tryLogin(t, plain, Config{PrivateKey: other.ClientKey, Agent: true}); err != nil {
		t.Error(err)
	}
	key, err := ParseKey(certified.ClientKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	cert := certificate(t, authority, key.PublicKey(), ssh.UserCert)
	if _, err := tryLogin(t, certified, Config{Agent: true, Certificate: cert}); err != nil {
		t.Error(err)
	}
}

func TestHostKeyPolicies(t *testing.T) {
	s, other := server(t, nil), server(t, nil)
	file := func(lines ...string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "known_hosts")
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	line := func(address, key string) string {
		t.Helper()
		k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return knownhosts.Line([]string{address}, k)
	}
	authority, stranger := newSigner(t), newSigner(t)
	signed := server(t, func(s *hosttest.SSHD) { s.HostAuthority = authority })
	by := func(a ssh.Signer) string {
		return "@cert-authority " + line(signed.Address, string(ssh.MarshalAuthorizedKey(a.PublicKey())))
	}
	for name, tc := range map[string]struct {
		policy HostKeyPolicy
		file   string
		pinned string
		want   error
	}{
		"known":                        {KnownHosts, file(line(s.Address, s.HostKey)), "", nil},
		"known, whatever was pinned":   {KnownHosts, file(line(s.Address, s.HostKey)), other.HostKey, nil},
		"known and hashed":             {KnownHosts, file(line(knownhosts.HashHostname(knownhosts.Normalize(s.Address)), s.HostKey)), "", nil},
		"changed":                      {KnownHosts, file(line(s.Address, other.HostKey)), "", host.ErrHostKeyChanged},
		"unknown":                      {KnownHosts, file(line(other.Address, s.HostKey)), "", host.ErrHostKeyUnknown},
		"no file":                      {KnownHosts, "/nonexistent/known_hosts", "", os.ErrNotExist},
		"insecure":                     {Insecure, "", "", nil},
		"insecure, whatever is pinned": {Insecure, "", other.HostKey, nil},
		"pinned":                       {Pin, "", s.HostKey, nil},
		"another is pinned":            {Pin, "", other.HostKey, host.ErrHostKeyChanged},
	} {
		t.Run(name, func(t *testing.T) {
			to := target(t, "h1", s)
			to.HostKey = tc.pinned
			h, err := Dial(t.Context(), Config{PrivateKey: s.ClientKey, ConnectTimeout: patience.Limit, HostKeys: tc.policy, KnownHostsFile: tc.file}, to)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if err == nil {
				h.Close()
			}
		})
	}
	for name, tc := range map[string]struct {
		authority ssh.Signer
		want      error
	}{"known": {authority, nil}, "another": {stranger, host.ErrHostKeyUnknown}} {
		to := target(t, "h1", signed)
		h, err := Dial(t.Context(), Config{PrivateKey: signed.ClientKey, HostKeys: KnownHosts, KnownHostsFile: file(by(tc.authority))}, to)
		if !errors.Is(err, tc.want) {
			t.Errorf("a certificate by an authority that is %s: got %v", name, err)
		}
		if err == nil {
			if h.HostKey() != signed.HostKey {
				t.Errorf("its key is told as %q", h.HostKey())
			}
			h.Close()
		}
	}
	// Behind a jump host the keys are looked up by the same address.
	jump := server(t, nil)
	cfg := Config{PrivateKey: s.ClientKey, HostKeys: KnownHosts, KnownHostsFile: file(line(jump.Address, jump.HostKey), line(s.Address, s.HostKey))}
	cfg.Jumps = NewChain(cfg, Jump{Target: target(t, "jump", jump), PrivateKey: jump.ClientKey})
	h, err := Dial(t.Context(), cfg, target(t, "h1", s))
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
}

// fakeSudo puts a sudo on the PATH that asks for a password as the real one does;
// with an empty one it asks for none and leaves its input alone. It tells in a
// file what its arguments were.
func fakeSudo(t *testing.T, password string) (argv string) {
	t.Helper()
	dir := t.TempDir()
	argv = filepath.Join(dir, "argv")
	script := `#!/bin/sh
printf '%s\n' "$@" >>` + argv + `
n=; while :; do case "$1" in -n) n=1; shift;; -k|-S) shift;; -p) shift 2;; *) break;; esac; done
want='` + password + `'
if [ -n "$want" ]; then
  if [ -n "$n" ]; then echo "sudo: a password is required" >&2; exit 1; fi
  IFS= read -r got
  if [ "$got" != "$want" ]; then echo "Sorry, try again." >&2; echo "sudo: 1 incorrect password attempt" >&2; exit 1; fi
fi
exec "$@"
`
	if err := os.WriteFile(filepath.Join(dir, "sudo"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return argv
}

func TestSudoIsGivenItsPasswordAndTheCommandItsInput(t *testing.T) {
	const secret = "it's a $ecret"
	for name, asked := range map[string]string{"it asks": `it'\''s a $ecret`, "it does not ask": ""} {
		t.Run(name, func(t *testing.T) {
			argv := fakeSudo(t, asked)
			s := server(t, nil)
			var logged bytes.Buffer
			cfg := Config{PrivateKey: s.ClientKey, User: "admin", SudoPassword: secret,
				Log: slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))}
			h, err := tryLogin(t, s, cfg)
			if err != nil {
				t.Fatal(err)
			}
			input := []byte("first line\n\x00binary, no newline")
			out, err := h.Run(t.Context(), host.Command{Argv: []string{"cat"}, Stdin: input})
			if err != nil || !bytes.Equal(out, input) {
				t.Errorf("with input: %q %v", out, err)
			}
			if out, err := h.Run(t.Context(), host.Command{Argv: []string{"cat"}}); err != nil || len(out) > 0 {
				t.Errorf("without input: %q %v", out, err)
			}
			large := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
			file := filepath.Join(t.TempDir(), "f")
			if err := h.WriteFiles(t.Context(), host.File{Path: file, Data: large, Mode: 0o600}); err != nil {
				t.Error(err)
			}
			if data, _ := os.ReadFile(file); !bytes.Equal(data, large) {
				t.Errorf("wrote %d bytes", len(data))
			}
			_, err = h.Run(t.Context(), host.Shell("x", "exit 7"))
			var failed *host.CommandError
			if !errors.As(err, &failed) || failed.Status != 7 {
				t.Errorf("got %v", err)
			}
			args, readErr := os.ReadFile(argv)
			if readErr != nil || len(args) == 0 {
				t.Error(readErr)
			}
			for what, text := range map[string]string{"arguments": string(args), "log": logged.String(), "error": err.Error()} {
				if strings.Contains(text, "ecret") {
					t.Errorf("the %s hold the password: %s", what, text)
				}
			}
		})
	}
}

func TestARefusalOfSudoIsToldAsOne(t *testing.T) {
	argv := fakeSudo(t, "right")
	s := server(t, nil)
	for name, password := range map[string]string{"wrong": "wrong", "none": ""} {
		h, err := tryLogin(t, s, Config{PrivateKey: s.ClientKey, User: "admin", SudoPassword: password})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Run(t.Context(), host.Command{Argv: []string{"true"}}); !errors.Is(err, host.ErrPermission) {
			t.Errorf("%s password: got %v", name, err)
		}
		// The refusal holds: another attempt may lock the user out.
		before, _ := os.ReadFile(argv)
		_, err = h.Run(t.Context(), host.Command{Argv: []string{"true"}})
		if after, _ := os.ReadFile(argv); !errors.Is(err, host.ErrPermission) || len(before) == 0 || !bytes.Equal(before, after) {
			t.Errorf("%s password, again: got %v", name, err)
		}
	}
}

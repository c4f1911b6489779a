package ssh

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/crypto/ssh"
)

// Config is how all hosts of one provider are logged in to.
type Config struct {
	User string // default root; any other becomes root by sudo
	// SudoPassword is for a user whose sudo asks for one.
	SudoPassword string
	// PrivateKey is a PEM key, Passphrase opens it where it is encrypted.
	PrivateKey []byte
	Passphrase []byte
	// Certificate is an OpenSSH user certificate (the content of id_…-cert.pub) for
	// the private key, or for a key of the agent.
	Certificate []byte
	// Password is tried after the keys.
	Password string
	// HostKeys is how a host's key is judged (default Pin). KnownHostsFile is the
	// file of the policy KnownHosts.
	HostKeys       HostKeyPolicy
	KnownHostsFile string
	// Agent offers the keys of the agent at SSH_AUTH_SOCK.
	Agent bool
	Port  int // default 22
	// Jumps is the way to the hosts; nil is the direct one.
	Jumps *Chain
	// ConnectTimeout bounds TCP connect, handshake and login together (default 10 s).
	ConnectTimeout time.Duration
	// KeepAlive is how often the host must answer (default 5 s); the connection is
	// given up after KeepAliveMisses answers that did not come (default 3).
	KeepAlive       time.Duration
	KeepAliveMisses int
	// CommandTimeout bounds each command and each upload (default 15 min).
	CommandTimeout time.Duration
	// MaxSessions bounds the sessions at a time; sshd's own limit is 10 (default 8, at
	// least MinSessions).
	MaxSessions int
	// SumsDir is where a host may keep the SHA-256 of its large files, if the
	// directory above it exists; empty is nowhere.
	SumsDir string
	Log     *slog.Logger
}

// MinSessions is what a connection needs: some commands last as long as it does,
// and others run beside them.
const MinSessions = 2

// Target is one host.
type Target struct {
	Name    string
	Address string
	Port    int    // 0: the Config's
	User    string // "": the Config's
	// HostKey is the pinned key in authorized_keys form; with "" the first one is
	// accepted, and Host.HostKey says which it was. Only the policy Pin looks at it.
	HostKey string
}

func (c Config) complete(t Target) (Config, Target) {
	setDefault(&c.User, "root")
	setDefault(&c.Port, 22)
	setDefault(&c.ConnectTimeout, 10*time.Second)
	setDefault(&c.KeepAlive, 5*time.Second)
	setDefault(&c.KeepAliveMisses, 3)
	setDefault(&c.CommandTimeout, 15*time.Minute)
	setDefault(&c.MaxSessions, 8)
	setDefault(&c.HostKeys, Pin)
	setDefault(&t.Port, c.Port)
	setDefault(&t.User, c.User)
	setDefault(&t.Name, t.Address)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, t
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// ParseKey says whether a private key can be used, before any host is dialled.
func ParseKey(pem, passphrase []byte) (ssh.Signer, error) {
	if len(passphrase) > 0 {
		signer, err := ssh.ParsePrivateKeyWithPassphrase(pem, passphrase)
		if err != nil {
			return nil, fmt.Errorf("open the private key with its passphrase: %w", err)
		}
		return signer, nil
	}
	signer, err := ssh.ParsePrivateKey(pem)
	var encrypted *ssh.PassphraseMissingError
	if errors.As(err, &encrypted) {
		return nil, errors.New("the private key is encrypted: give its passphrase, or use the agent")
	}
	if err != nil {
		return nil, fmt.Errorf("read the private key: %w", err)
	}
	return signer, nil
}

package ssh

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// errKeyChanged marks the refusal inside the handshake, whose error would
// otherwise be one of many.
var errKeyChanged = errors.New("the host shows a key that is not the pinned one")

// errKeyUnknown marks the other refusal.
var errKeyUnknown = errors.New("the host's key is not in the known_hosts file")

// HostKeyPolicy is how a host's key is judged.
type HostKeyPolicy string

// The policies.
const (
	// Pin: it is the Target's HostKey, or the first one is accepted and reported.
	Pin HostKeyPolicy = "pin"
	// KnownHosts: the KnownHostsFile has it for the host's address.
	KnownHosts HostKeyPolicy = "known_hosts"
	// Insecure: any key is accepted.
	Insecure HostKeyPolicy = "insecure"
)

// ParseKnownHosts says whether a known_hosts file can be used.
func ParseKnownHosts(file string) (ssh.HostKeyCallback, error) {
	known, err := knownhosts.New(file)
	if err != nil {
		return nil, fmt.Errorf("read the known_hosts file: %w", err)
	}
	return known, nil
}

// pin checks the host's key and remembers it.
type pin struct {
	want  ssh.PublicKey       // nil: the first contact, or another policy
	known ssh.HostKeyCallback // nil: another policy
	file  string              // that known was read from
	got   ssh.PublicKey
}

// newPin judges by the policy of c.
func (c Config) newPin(t Target) (*pin, error) {
	switch c.HostKeys {
	case Pin:
		return newPin(t.HostKey)
	case Insecure:
		return &pin{}, nil
	case KnownHosts:
		known, err := ParseKnownHosts(c.KnownHostsFile)
		return &pin{known: known, file: c.KnownHostsFile}, err
	}
	return nil, fmt.Errorf("unknown host key policy %q", c.HostKeys)
}

func newPin(authorizedKey string) (*pin, error) {
	if strings.TrimSpace(authorizedKey) == "" {
		return &pin{}, nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorizedKey))
	if err != nil {
		return nil, fmt.Errorf("the pinned host key %q is not of the form \"ssh-ed25519 AAAA…\": %w", authorizedKey, err)
	}
	return &pin{want: key}, nil
}

func (p *pin) check(address string, _ net.Addr, key ssh.PublicKey) error {
	p.got = key
	cert, certified := key.(*ssh.Certificate)
	if certified {
		p.got = cert.Key
	}
	if p.known != nil {
		err := p.lookUp(address, key)
		var mismatch *knownhosts.KeyError
		switch {
		case err != nil && certified:
			return fmt.Errorf("%w: %s has no authority for the certificate of %s: %w", errKeyUnknown, p.file, address, err)
		case !errors.As(err, &mismatch):
			return err
		case len(mismatch.Want) == 0:
			return fmt.Errorf("%w: %s has none for %s, which shows %s", errKeyUnknown, p.file, address, ssh.FingerprintSHA256(key))
		}
		return fmt.Errorf("%w: it is %s, %s has others for %s", errKeyChanged, ssh.FingerprintSHA256(key), p.file, address)
	}
	if p.want != nil && !bytes.Equal(p.want.Marshal(), key.Marshal()) {
		return fmt.Errorf("%w: it is %s, pinned is %s", errKeyChanged, ssh.FingerprintSHA256(key), ssh.FingerprintSHA256(p.want))
	}
	return nil
}

// algorithms makes the host show a key of the expected kind, of the several that
// it may have. Nil leaves the choice to the handshake.
func (p *pin) algorithms(address string) []string {
	if p.known == nil {
		if p.want == nil {
			return nil
		}
		return algorithmsOf(p.want)
	}
	// The file is asked with a key that no host has; it answers with those it knows.
	none, err := ssh.NewPublicKey(make(ed25519.PublicKey, ed25519.PublicKeySize))
	if err != nil {
		return nil
	}
	var known *knownhosts.KeyError
	var out []string
	if errors.As(p.lookUp(address, none), &known) {
		for _, k := range known.Want {
			if isAuthority(k) { // the host shows a certificate, of whatever kind its key is
				out = append(out, ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
					ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01)
				continue
			}
			out = append(out, algorithmsOf(k.Key)...)
		}
	}
	return out
}

// isAuthority reports whether a line of a known_hosts file is for an authority,
// which the parser does not tell.
func isAuthority(k knownhosts.KnownKey) bool {
	data, err := os.ReadFile(k.Filename)
	if err != nil {
		return false
	}
	lines := strings.Split(string(data), "\n")
	return k.Line <= len(lines) && strings.HasPrefix(strings.TrimSpace(lines[k.Line-1]), "@cert-authority")
}

// lookUp goes by the address that was asked for: behind a jump host the remote
// address is not known.
func (p *pin) lookUp(address string, key ssh.PublicKey) error {
	return p.known(address, &net.TCPAddr{}, key)
}

func algorithmsOf(key ssh.PublicKey) []string {
	if t := key.Type(); t != ssh.KeyAlgoRSA {
		return []string{t}
	}
	return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
}

func (p *pin) authorizedKey() string {
	if p.got == nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p.got)))
}

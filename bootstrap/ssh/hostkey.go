package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
)

// errKeyChanged marks the refusal inside the handshake, whose error would
// otherwise be one of many.
var errKeyChanged = errors.New("the host shows a key that is not the pinned one")

// pin checks the host's key and remembers it.
type pin struct {
	want ssh.PublicKey // nil: the first contact
	got  ssh.PublicKey
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

func (p *pin) check(_ string, _ net.Addr, key ssh.PublicKey) error {
	p.got = key
	if p.want != nil && !bytes.Equal(p.want.Marshal(), key.Marshal()) {
		return fmt.Errorf("%w: it is %s, pinned is %s", errKeyChanged, ssh.FingerprintSHA256(key), ssh.FingerprintSHA256(p.want))
	}
	return nil
}

// algorithms makes the host show the key of the pinned kind, of the several that
// it may have. Nil leaves the choice to the handshake.
func (p *pin) algorithms() []string {
	if p.want == nil {
		return nil
	}
	if t := p.want.Type(); t != ssh.KeyAlgoRSA {
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

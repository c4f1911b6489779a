package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// ParseCertificate says whether a user certificate can be used.
func ParseCertificate(data []byte) (*ssh.Certificate, error) {
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil, fmt.Errorf("read the certificate (expected the content of id_…-cert.pub): %w", err)
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok || cert.CertType != ssh.UserCert {
		return nil, errors.New("what is given as the certificate is not a user certificate (expected the content of id_…-cert.pub)")
	}
	return cert, nil
}

// auth returns the ways to log in, and what closes the agent's connection. All
// keys are one way: the library tries each way once.
func (c Config) auth() ([]ssh.AuthMethod, func(), error) {
	cleanup := func() {}
	var signers []ssh.Signer
	if len(c.PrivateKey) > 0 {
		signer, err := ParseKey(c.PrivateKey, c.Passphrase)
		if err != nil {
			return nil, cleanup, err
		}
		signers = append(signers, signer)
	}
	var fromAgent func() ([]ssh.Signer, error)
	if c.Agent {
		socket := os.Getenv("SSH_AUTH_SOCK")
		conn, err := net.DialTimeout("unix", socket, c.ConnectTimeout)
		if err != nil {
			return nil, cleanup, fmt.Errorf("reach the SSH agent at SSH_AUTH_SOCK=%q: %w", socket, err)
		}
		cleanup = func() { conn.Close() }
		fromAgent = agent.NewClient(conn).Signers
	}
	var cert *ssh.Certificate
	if len(c.Certificate) > 0 {
		var err error
		if cert, err = ParseCertificate(c.Certificate); err != nil {
			cleanup()
			return nil, func() {}, err
		}
	}
	var methods []ssh.AuthMethod
	if len(signers) > 0 || fromAgent != nil {
		methods = append(methods, ssh.PublicKeysCallback(func() ([]ssh.Signer, error) {
			all := signers
			if fromAgent != nil {
				more, err := fromAgent()
				if err != nil {
					return nil, fmt.Errorf("ask the SSH agent for its keys: %w", err)
				}
				all = append(all[:len(all):len(all)], more...)
			}
			return certified(cert, all)
		}))
	}
	if c.Password != "" {
		methods = append(methods, ssh.Password(c.Password), ssh.KeyboardInteractive(c.answer))
	}
	if len(methods) == 0 {
		return nil, cleanup, errors.New("no way to log in: give a private key or a password, or use the agent")
	}
	return methods, cleanup, nil
}

// certified puts the certificate, with the key that it is for, before the keys.
func certified(cert *ssh.Certificate, signers []ssh.Signer) ([]ssh.Signer, error) {
	if cert == nil {
		return signers, nil
	}
	for _, s := range signers {
		if bytes.Equal(s.PublicKey().Marshal(), cert.Key.Marshal()) {
			with, err := ssh.NewCertSigner(cert, s)
			if err != nil {
				return nil, fmt.Errorf("use the certificate: %w", err)
			}
			return append([]ssh.Signer{with}, signers...), nil
		}
	}
	return nil, fmt.Errorf("the certificate %q is for the key %s, which is neither the private key nor with the agent",
		cert.KeyId, ssh.FingerprintSHA256(cert.Key))
}

// answer gives the password to whatever sshd asks for without showing it.
func (c Config) answer(_, _ string, questions []string, shown []bool) ([]string, error) {
	answers := make([]string, len(questions))
	for i := range questions {
		if !shown[i] {
			answers[i] = c.Password
		}
	}
	return answers, nil
}

package keypair

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// Pair is a certificate and its key as their files have them.
type Pair struct {
	files config.KeyPair

	mu     sync.Mutex
	stamps [2]stamp
	cert   *tls.Certificate // not changed once it is here; its Leaf is set
}

// stamp tells a file from the one that replaces it.
type stamp struct {
	ino      uint64
	size     int64
	modified unix.Timespec
}

// Load reads both files, which may be one and the same.
func Load(files config.KeyPair) (*Pair, error) {
	p := &Pair{files: files}
	stamps, err := p.look()
	if err != nil {
		return nil, err
	}
	if p.cert, err = p.read(); err != nil {
		return nil, err
	}
	p.stamps = stamps
	return p, nil
}

// Name is that of the certificate's file, without its extension.
func (p *Pair) Name() string {
	base := filepath.Base(p.files.CertFile)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// Current is the certificate as the files have it now. While they cannot be read, or do
// not belong together, it is the one before.
func (p *Pair) Current() *tls.Certificate {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The look comes before the reading: a file that is replaced in between is read
	// once more.
	stamps, err := p.look()
	if err != nil || stamps == p.stamps {
		return p.cert
	}
	if cert, err := p.read(); err == nil {
		p.cert, p.stamps = cert, stamps
	}
	return p.cert
}

// Leaf is the current certificate, parsed.
func (p *Pair) Leaf() *x509.Certificate { return p.Current().Leaf }

// GetCertificate is that of a server's tls.Config.
func (p *Pair) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.Current(), nil
}

func (p *Pair) look() (out [2]stamp, err error) {
	for i, file := range []string{p.files.CertFile, p.files.KeyFile} {
		var s unix.Stat_t
		if err := unix.Stat(file, &s); err != nil {
			return out, &os.PathError{Op: "stat", Path: file, Err: err}
		}
		out[i] = stamp{s.Ino, s.Size, s.Mtim}
	}
	return out, nil
}

func (p *Pair) read() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(p.files.CertFile, p.files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("load the certificate %s: %w", p.files.CertFile, err)
	}
	return &cert, nil
}

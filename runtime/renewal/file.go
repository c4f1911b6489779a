package renewal

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/gantry-run/gantry/runtime/durable"
)

// encode renders a certificate, a request or a key as PEM.
func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}

// bundle is what a leaf's file holds: the certificate, then its key.
func bundle(cert []byte, key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(bytes.TrimSpace(cert), append([]byte("\n"), encode("PRIVATE KEY", der)...)...), nil
}

// lend gives a file to the group of a directory.
func lend(file, dir string) error {
	if dir == "" {
		return nil
	}
	has, err := os.Stat(file)
	if err != nil {
		return err
	}
	owner, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the process does not run
	}
	if err != nil {
		return err
	}
	_, now := ids(has)
	if _, group := ids(owner); now != group {
		return errors.Join(os.Chown(file, -1, group), os.Chmod(file, 0o640))
	}
	return nil
}

// ids are the owner and the group of a file; -1 where the system does not tell, which
// leaves them as they are.
func ids(info fs.FileInfo) (owner, group int) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), int(s.Gid)
	}
	return -1, -1
}

// replaceFile puts data in the place of a file, with its owner and mode: whoever opens
// it has the old content or the new one, also after the power was cut.
func replaceFile(path string, data []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("replace %s: %w", path, err)
		}
	}()
	old, err := os.Stat(path)
	if err != nil {
		return err
	}
	a := durable.Attributes{Mode: old.Mode(), Owned: true}
	a.Owner, a.Group = ids(old)
	return durable.WriteFile(nil, path, data, a)
}

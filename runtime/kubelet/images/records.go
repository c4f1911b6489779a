package images

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/gantry-run/gantry/runtime/durable"
)

// Records are the files that say with whose credentials this node's images were pulled,
// so that a pod does not run an image that it could not pull. They outlive this process.
// https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
type Records struct {
	// Dir is the directory of the files.
	Dir string
	// Disk is what they are written to, nil for the host's: they must hold after a power
	// cut, since the images do.
	Disk durable.FS

	mu      sync.Mutex
	pulling map[string]int // pulls under way, by name of the image
}

// pulled is who may use an image that was pulled.
type pulled struct {
	Image string `json:"image"`
	// Everybody: it was pulled without credentials.
	Everybody bool     `json:"everybody,omitempty"`
	Secrets   []origin `json:"secrets,omitempty"`
}

// origin is where a credential came from.
type origin struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	// Hash of the credential, so that the same in another Secret counts too.
	Hash string `json:"hash"`
}

func (o origin) sameSecret(p origin) bool {
	return o.Namespace == p.Namespace && o.Name == p.Name && o.UID == p.UID
}

// maxOrigins bounds the Secrets that one image has on record.
const maxOrigins = 100

func (r *Records) file(kind, of string) string {
	sum := sha256.Sum256([]byte(of))
	return filepath.Join(r.Dir, kind+"-"+hex.EncodeToString(sum[:]))
}

// begin notes that an image of that name is about to be pulled. Until end, and after a
// crash in between, an image of that name counts as pulled by this node.
func (r *Records) begin(name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulling[name] == 0 {
		err := durable.MakeDir(r.Disk, r.Dir, 0o700)
		if err == nil {
			err = durable.WriteFile(r.Disk, r.file("pulling", name), []byte(name), durable.Attributes{Mode: 0o600})
		}
		if err != nil {
			return fmt.Errorf("failed to record image pull intent: %w", err)
		}
	}
	if r.pulling == nil {
		r.pulling = map[string]int{}
	}
	r.pulling[name]++
	return nil
}

// end notes that a pull has ended, and what came of it is on record.
func (r *Records) end(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulling[name]--; r.pulling[name] <= 0 {
		delete(r.pulling, name)
		durable.Remove(r.Disk, r.file("pulling", name)) //nolint:errcheck // what stays is only asked for credentials once more
	}
}

// get returns the record of an image, nil if there is none, and whether this node pulled
// an image of that name or began to.
func (r *Records) get(name, id string) (record *pulled, byThisNode bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	record, err = r.read(id)
	if err != nil || record != nil {
		return record, true, err
	}
	_, err = os.Stat(r.file("pulling", name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return nil, err == nil, err
}

func (r *Records) read(id string) (*pulled, error) {
	data, err := os.ReadFile(r.file("pulled", id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read who may use image %s: %w", id, err)
	}
	out := &pulled{}
	if err := json.Unmarshal(data, out); err != nil {
		return nil, fmt.Errorf("read who may use image %s: %w", id, err)
	}
	return out, nil
}

// allow notes who may use an image: everybody, or who has one of these credentials.
func (r *Records) allow(id string, everybody bool, origins ...origin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	have, err := r.read(id)
	known := err == nil && have != nil
	if !known {
		have = &pulled{Image: id} // one that cannot be read is written anew
	}
	before, err := json.Marshal(have)
	if err != nil {
		return err
	}
	have.Everybody = have.Everybody || everybody
	for _, o := range origins {
		have.Secrets = slices.DeleteFunc(have.Secrets, o.sameSecret)
		if len(have.Secrets) < maxOrigins {
			have.Secrets = append(have.Secrets, o)
		}
	}
	data, err := json.Marshal(have)
	if err != nil {
		return err
	}
	if known && bytes.Equal(data, before) {
		return nil // it is pulled at each start of a pod that asks for that
	}
	if err := durable.WriteFile(r.Disk, r.file("pulled", id), data, durable.Attributes{Mode: 0o600}); err != nil {
		return fmt.Errorf("record who may use image %s: %w", id, err)
	}
	return nil
}

// forget drops the record of an image that is removed.
func (r *Records) forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	durable.Remove(r.Disk, r.file("pulled", id)) //nolint:errcheck // what stays is only asked for credentials once more
}

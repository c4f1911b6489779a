package csi

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/durable"
)

// publishRecord is what is remembered of a pod's volume. It is there from before the driver
// is first asked until after all was undone.
type publishRecord struct {
	Driver string `json:"driver"`
	Handle string `json:"handle"`
	// Volume is the name of the PersistentVolume, or of an ephemeral volume in its pod.
	Volume string `json:"volume"`
	Target string `json:"target"`
	// Attach: the volume has to stay attached to the node for as long as this is there.
	Attach   bool `json:"attach,omitempty"`
	Block    bool `json:"block,omitempty"`
	ReadOnly bool `json:"readOnly,omitempty"`
	// Called: the driver may have published it, and has to be told to undo that.
	Called bool `json:"called,omitempty"`
	// Published: it was, with all that goes with it.
	Published bool `json:"published,omitempty"`
}

// stageRecord is what is remembered of a volume that is staged for all pods of the node.
type stageRecord struct {
	Driver  string `json:"driver"`
	Handle  string `json:"handle"`
	Staging string `json:"staging"`
	Attach  bool   `json:"attach,omitempty"`
	Block   bool   `json:"block,omitempty"`
}

// key is a volume on this node: the name that upstream has for it.
type key string

func keyOf(driver, handle string) key { return key("kubernetes.io/csi/" + driver + "^" + handle) }

func (r publishRecord) key() key { return keyOf(r.Driver, r.Handle) }
func (r stageRecord) key() key   { return keyOf(r.Driver, r.Handle) }

// recordName is that of a pod's record in the directory of the volume.
const recordName = "volume.json"

// store keeps records. A pod's lie in its own directory, those of staging in dir.
type store struct {
	disk durable.FS // nil: the host's
	dir  string
}

func (s store) stagePath(k key) string {
	return filepath.Join(s.dir, fmt.Sprintf("%x.json", sha256.Sum256([]byte(k))))
}

func (s store) save(path string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	if err := durable.MakeDir(s.disk, filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(s.disk, path, data, durable.Attributes{Mode: 0o600}); err != nil {
		return fmt.Errorf("remember the volume: %w", err)
	}
	return nil
}

func (s store) remove(path string) error {
	if err := durable.Remove(s.disk, path); err != nil {
		return fmt.Errorf("forget the volume: %w", err)
	}
	return nil
}

func load[R any](path string) (r R, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// stages are all records of staging.
func (s store) stages() (out []stageRecord, err error) {
	list, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var errs []error
	for _, e := range list {
		if filepath.Ext(e.Name()) != ".json" { // half of one
			continue
		}
		r, err := load[stageRecord](filepath.Join(s.dir, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, r)
	}
	return out, errors.Join(append(errs, err)...)
}

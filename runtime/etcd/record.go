package etcd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/durable"
)

// Files beside the data directory, which is lost or restored without them.
const (
	recordFile = "record.json"
	// RefusedFile says why the member does not start; it is there for as long as that
	// holds.
	RefusedFile = "refused"
)

// record is what this server knows of its own membership, apart from the data: that its
// log has once reached an entry and a term. A member has promised the others to hold what
// it had acknowledged, and its vote of a term, for ever.
type record struct {
	ClusterID string `json:"clusterID"`
	MemberID  string `json:"memberID"`
	// Index is the last entry that was applied, and so is in the log on disk; Term is
	// the term of then.
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	// Peers are the client URLs of the other members.
	Peers []string `json:"peers,omitempty"`
}

// behind reports whether a log that ends with this entry in this term is older than what
// the record knows of it.
func (r record) behind(d onDisk) bool { return d.Index < r.Index || d.Term < r.Term }

// readRecord reads the record of the directory; nil when there is none.
func readRecord(dir string) (*record, error) {
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known of this member: %w", err)
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("read what is known of this member from %s: %w", filepath.Join(dir, recordFile), err)
	}
	return r, nil
}

func writeRecord(dir string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return durable.WriteFile(nil, filepath.Join(dir, recordFile), append(data, '\n'), durable.Attributes{Mode: 0o600})
}

// Forget removes what a server knows of its membership, so that it may be another member,
// or one whose data was restored.
func Forget(memberDir string) error {
	for _, name := range []string{recordFile, RefusedFile} {
		if err := os.Remove(filepath.Join(memberDir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// replaceFile is durable.WriteFile of what is too large to be held: it writes a file under another name, and gives it its own once it is on disk:
// whoever reads it, after a power cut too, has the old one or the new one.
func replaceFile(path string, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()           // it failed already
			os.Remove(f.Name()) // as above
		}
	}()
	if err := write(f); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

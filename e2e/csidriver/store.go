package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// driver is what all services know. It keeps everything in files of dir: of a volume or a
// snapshot what it is (ID.json), and what is in it (ID.data, a directory or a file).
type driver struct {
	name, node, dir string
	// limit is how many volumes the node has room for, capacity how many bytes; 0: any number.
	limit, capacity int64
	mounts          mounts
	now             func() time.Time

	mu sync.Mutex // held while a volume or a snapshot is read to be changed
}

type volume struct {
	ID    string
	Size  int64
	Block bool
	// Node has it attached, "" for none.
	Node string
	// Target is where the one pod has it that may have it, "" for none.
	Target string
}

type snapshot struct {
	ID, Volume string
	Size       int64
	Made       time.Time
}

func (s *snapshot) message() *spec.Snapshot {
	return &spec.Snapshot{SnapshotId: s.ID, SourceVolumeId: s.Volume, SizeBytes: s.Size, CreationTime: timestamppb.New(s.Made), ReadyToUse: true}
}

// idOf is the same for the same name, and short however long that is.
func idOf(name string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:32] }

// Kinds of what is kept, each a directory.
const (
	volumes   = "volumes"
	snapshots = "snapshots"
)

func (d *driver) file(kind, id, what string) string {
	return filepath.Join(d.dir, kind, filepath.Base(id)+what)
}

func (d *driver) data(id string) string         { return d.file(volumes, id, ".data") }
func (d *driver) snapshotData(id string) string { return d.file(snapshots, id, ".data") }

// ephemeral is where a volume lies that is a pod's own.
func (d *driver) ephemeral(id string) string { return d.file(volumes, id, ".ephemeral") }

func read[T any](d *driver, kind, id string) (*T, error) {
	text, err := os.ReadFile(d.file(kind, id, ".json"))
	if os.IsNotExist(err) {
		return nil, status.Errorf(codes.NotFound, "%s has no %q", kind, id)
	}
	if err != nil {
		return nil, err
	}
	out := new(T)
	return out, json.Unmarshal(text, out)
}

func (d *driver) write(kind, id string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := d.file(kind, id, ".json")
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (d *driver) remove(kind, id string) error {
	if err := os.RemoveAll(d.file(kind, id, ".data")); err != nil {
		return err
	}
	return os.RemoveAll(d.file(kind, id, ".json"))
}

func list[T any](d *driver, kind string) ([]*T, error) {
	files, err := filepath.Glob(filepath.Join(d.dir, kind, "*.json"))
	var out []*T
	for _, f := range files {
		one, err := read[T](d, kind, strings.TrimSuffix(filepath.Base(f), ".json"))
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, err
}

func (d *driver) volume(id string) (*volume, error)     { return read[volume](d, volumes, id) }
func (d *driver) snapshot(id string) (*snapshot, error) { return read[snapshot](d, snapshots, id) }

// free is how many bytes are no volume's. A snapshot takes none.
func (d *driver) free() (int64, error) {
	if d.capacity == 0 {
		return math.MaxInt64, nil
	}
	all, err := list[volume](d, volumes)
	free := d.capacity
	for _, v := range all {
		free -= v.Size
	}
	return max(free, 0), err
}

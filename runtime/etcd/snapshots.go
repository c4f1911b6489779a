package etcd

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// snapshotPeriod is how often a member takes a snapshot of the store, and
	// snapshotsKept how many of them it keeps: two days.
	snapshotPeriod = 4 * time.Hour
	snapshotsKept  = 12
	snapshotSuffix = ".db"
	// snapshotRoom is what a snapshot leaves free on the disk: the store needs it more.
	snapshotRoom = 1 << 30
)

// Snapshots are those of one member, in files of their own: the data file of the store
// and the SHA-256 of it, as etcdctl and etcdutl have them.
type Snapshots struct {
	Dir string
	// Keep is how many are kept; older ones go.
	Keep int
}

// list returns the names, the oldest first.
func (s Snapshots) list() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the snapshots: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), snapshotSuffix) {
			out = append(out, e.Name())
		}
	}
	slices.Sort(out) // their names begin with their times
	return out, nil
}

// due reports whether the last one is so old that another is to be taken. One of the
// future was taken by a clock that was wrong.
func (s Snapshots) due(now time.Time) (bool, error) {
	names, err := s.list()
	if err != nil || len(names) == 0 {
		return err == nil, err
	}
	info, err := os.Stat(filepath.Join(s.Dir, names[len(names)-1]))
	if err != nil {
		return false, err
	}
	age := now.Sub(info.ModTime())
	return age >= snapshotPeriod || age < -time.Minute, nil
}

// source is a data file as it is at one moment.
type source interface {
	Size() int64
	WriteTo(w io.Writer) (int64, error)
}

// take writes a snapshot of a revision, reads it again, and lets the oldest go. A file
// under its name is whole.
func (s Snapshots) take(now time.Time, revision int64, from source) (path string, err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return "", err
	}
	if err := s.sweep(); err != nil {
		return "", err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(s.Dir, &disk); err != nil {
		return "", err
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < from.Size()+snapshotRoom {
		return "", fmt.Errorf("a snapshot of %d bytes is not taken: %d bytes are free in %s, and %d have to stay free", from.Size(), free, s.Dir, snapshotRoom)
	}
	path = filepath.Join(s.Dir, fmt.Sprintf("%s-%d%s", now.UTC().Format("20060102T150405Z"), revision, snapshotSuffix))
	err = replaceFile(path, func(f *os.File) error {
		sum := sha256.New()
		if _, err := from.WriteTo(io.MultiWriter(f, sum)); err != nil {
			return err
		}
		if _, err := f.Write(sum.Sum(nil)); err != nil {
			return err
		}
		return Verify(f.Name())
	})
	if err != nil {
		return "", err
	}
	return path, s.prune()
}

// prune removes the oldest that are more than are kept.
func (s Snapshots) prune() error {
	names, err := s.list()
	if err != nil {
		return err
	}
	for _, name := range names[:max(0, len(names)-s.Keep)] {
		if err := os.Remove(filepath.Join(s.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what a snapshot that was cut has left.
func (s Snapshots) sweep() error {
	cut, err := filepath.Glob(filepath.Join(s.Dir, "*"+snapshotSuffix+".part-*"))
	if err != nil {
		return err
	}
	for _, path := range cut {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// Verify compares a snapshot with the SHA-256 at its end.
func Verify(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	const page = 512 // of which data files are multiples
	size := info.Size() - sha256.Size
	if size <= 0 || size%page != 0 {
		return fmt.Errorf("%s is no whole snapshot: of its %d bytes the last %d should be the SHA-256 of the others", path, info.Size(), sha256.Size)
	}
	sum, want := sha256.New(), make([]byte, sha256.Size)
	if _, err := io.CopyN(sum, f, size); err != nil {
		return err
	}
	if _, err := io.ReadFull(f, want); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return fmt.Errorf("%s is damaged: its SHA-256 is %x, and it says %x", path, sum.Sum(nil), want)
	}
	return nil
}

// snapshot takes one when it is due. A learner has not all of the store yet.
func (k *keeper) snapshot(context.Context) error {
	now := time.Now()
	if due, err := k.snapshots.due(now); err != nil || !due || k.etcd.Server.IsLearner() {
		return err
	}
	revision := k.etcd.Server.KV().Rev()
	snap := k.etcd.Server.Backend().Snapshot()
	path, err := k.snapshots.take(now, revision, snap)
	if err = cmp.Or(err, snap.Close()); err != nil {
		return err
	}
	k.log.Info("a snapshot was taken", "file", path, "revision", revision)
	return nil
}

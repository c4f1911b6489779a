// Package crashtest tries writers and readers of files against a power cut at any
// moment: a [Disk] keeps what was written and synced, in which order, and makes every
// state in which a disk may be found then. It assumes no more than POSIX promises: data
// is there once its file was synced, names are there once their directory was, and all
// else may be there or not, in any combination, half of a file too. That is weaker than
// what any file system does, so what passes here needs no particular one.
//
// https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai
// It may import runtime/durable.
package crashtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/durable"
)

// Disk is a directory whose writes are remembered. It implements durable.FS; reads go
// to the directory itself.
type Disk struct {
	dir    string
	log    []change
	inodes map[string]int // of the files that are there, by path
	count  int
}

// change is one call that changed the disk.
type change struct {
	kind     changeKind
	inode    int
	path, to string // relative to the directory
	data     []byte
	mode     fs.FileMode
}

type changeKind int

const (
	enter      changeKind = iota // a name for an inode
	rename                       // a name becomes another, in one step
	remove                       // a name is no more
	write                        // data is appended to an inode
	chmod                        // of an inode
	syncInode                    // its data is on the disk
	syncNames                    // the names in a directory are on the disk
	checkpoint                   // a caller was told something
)

// New is a disk in an empty directory.
func New(dir string) *Disk { return &Disk{dir: dir, inodes: map[string]int{}} }

// Mark notes that a caller goes on from here: [Crash.Marks] tells how many of these
// calls came before a crash.
func (d *Disk) Mark() { d.log = append(d.log, change{kind: checkpoint}) }

// Create implements durable.FS.
func (d *Disk) Create(path string) (durable.File, error) {
	f, err := durable.OS{}.Create(path)
	if err != nil {
		return nil, err
	}
	d.count++
	d.inodes[path] = d.count
	d.log = append(d.log, change{kind: enter, inode: d.count, path: d.relative(path)})
	return &file{f, d, d.count}, nil
}

// Rename implements durable.FS.
func (d *Disk) Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.log = append(d.log, change{kind: rename, inode: d.inodes[from], path: d.relative(from), to: d.relative(to)})
	d.inodes[to] = d.inodes[from]
	delete(d.inodes, from)
	return nil
}

// Remove implements durable.FS.
func (d *Disk) Remove(path string) error {
	if d.inodes[path] == 0 {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	d.log = append(d.log, change{kind: remove, path: d.relative(path)})
	delete(d.inodes, path)
	return nil
}

// Sync implements durable.FS.
func (d *Disk) Sync(dir string) error {
	d.log = append(d.log, change{kind: syncNames, path: d.relative(dir)})
	return nil
}

func (d *Disk) relative(path string) string {
	rel, err := filepath.Rel(d.dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		panic(fmt.Sprintf("%s is not on the disk in %s", path, d.dir))
	}
	return rel
}

// file is one that is being written.
type file struct {
	durable.File
	disk  *Disk
	inode int
}

func (f *file) Write(data []byte) (int, error) {
	f.disk.log = append(f.disk.log, change{kind: write, inode: f.inode, data: append([]byte(nil), data...)})
	return f.File.Write(data)
}

func (f *file) Chmod(mode fs.FileMode) error {
	f.disk.log = append(f.disk.log, change{kind: chmod, inode: f.inode, mode: mode})
	return f.File.Chmod(mode)
}

func (f *file) Sync() error {
	f.disk.log = append(f.disk.log, change{kind: syncInode, inode: f.inode})
	return nil // the test's own disk needs no sync
}

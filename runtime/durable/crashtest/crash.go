package crashtest

import (
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Crash is a disk as it may be found after the power was cut.
type Crash struct {
	// Dir holds the files. It is the reader's to write to.
	Dir string
	// After is how many calls came before, and Marks how many calls of Mark.
	After, Marks int
	state        state
}

// String tells the files, for who reads of a failure.
func (c Crash) String() string {
	return fmt.Sprintf("after %d calls, %d marks: %s", c.After, c.Marks, c.state)
}

// state is the names that are there, with their content.
type state map[string]content

type content struct {
	data string
	mode fs.FileMode
}

func (s state) String() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		out = append(out, fmt.Sprintf("%s=%q", name, s[name].data))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// Crashes makes every state of the disk that a crash may leave, each in a directory of
// its own below dir: after any number of calls, with each combination of what was not
// synced by then.
func (d *Disk) Crashes(dir string) iter.Seq2[Crash, error] {
	return func(yield func(Crash, error) bool) {
		made := 0
		for after := range len(d.log) + 1 {
			calls, marks, seen := d.log[:after], 0, map[string]bool{}
			for _, c := range calls {
				if c.kind == checkpoint {
					marks++
				}
			}
			for s := range states(calls) {
				if seen[s.String()] {
					continue
				}
				seen[s.String()] = true
				made++
				at := filepath.Join(dir, fmt.Sprint(made))
				if err := s.write(at); !yield(Crash{at, after, marks, s}, err) || err != nil {
					return
				}
			}
		}
	}
}

func (s state) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, c := range s {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(c.data), c.mode); err != nil {
			return err
		}
	}
	return nil
}

// states are those that calls may have left. What was not synced is a choice: of each
// change of names whether it is there, and of each inode how much.
func states(calls []change) iter.Seq[state] {
	var names []int // indices of changes of names that may be missing
	var loose []int // inodes with data that may be missing
	for i, c := range calls {
		switch c.kind {
		case enter, rename, remove:
			if !namesSynced(calls[i+1:], c) {
				names = append(names, i)
			}
		case write:
			if !dataSynced(calls[i+1:], c.inode) && !slices.Contains(loose, c.inode) {
				loose = append(loose, c.inode)
			}
		case chmod, syncInode, syncNames, checkpoint:
		}
	}
	return func(yield func(state) bool) {
		kept := map[int]int{}
		var choose func(i int) bool
		choose = func(i int) bool {
			if i < len(loose) {
				for kept[loose[i]] = range fates {
					if !choose(i + 1) {
						return false
					}
				}
				return true
			}
			for subset := range 1 << len(names) {
				missing := map[int]bool{}
				for bit, at := range names {
					missing[at] = subset&(1<<bit) == 0
				}
				if !yield(replay(calls, missing, kept)) {
					return false
				}
			}
			return true
		}
		choose(0)
	}
}

// fates of data that was not synced: all of it, none, half, and room for it with zeros.
const fates = 4

func fate(data string, which int) string {
	switch which {
	case 1:
		return ""
	case 2:
		return data[:len(data)/2]
	case 3:
		return strings.Repeat("\x00", len(data))
	default:
		return data
	}
}

func namesSynced(later []change, c change) bool {
	dirs := []string{filepath.Dir(c.path)}
	if c.kind == rename {
		dirs = append(dirs, filepath.Dir(c.to))
	}
	for _, dir := range dirs {
		if !slices.ContainsFunc(later, func(l change) bool { return l.kind == syncNames && l.path == dir }) {
			return false
		}
	}
	return true
}

func dataSynced(later []change, inode int) bool {
	return slices.ContainsFunc(later, func(l change) bool { return l.kind == syncInode && l.inode == inode })
}

// replay is the state after calls, without changes of names that are missing, and with
// what is kept of inodes' data.
func replay(calls []change, missing map[int]bool, kept map[int]int) state {
	names, data, modes := map[string]int{}, map[int]string{}, map[int]fs.FileMode{}
	for i, c := range calls {
		switch {
		case missing[i]:
		case c.kind == enter:
			names[c.path] = c.inode
		case c.kind == rename:
			delete(names, c.path)
			names[c.to] = c.inode
		case c.kind == remove:
			delete(names, c.path)
		case c.kind == write:
			data[c.inode] += string(c.data)
		case c.kind == chmod:
			modes[c.inode] = c.mode
		}
	}
	out := state{}
	for name, inode := range names {
		mode, set := modes[inode]
		if !set {
			mode = 0o600
		}
		out[name] = content{fate(data[inode], kept[inode]), mode}
	}
	return out
}

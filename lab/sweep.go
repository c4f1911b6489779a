package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Sweep takes away what runs left on this machine that were killed, and says what it was,
// a line each. It leaves labs whose owner lives and those that are meant to stay
// ([Options.Keep]), and all that they have. It is quick where nothing is left.
func Sweep(ctx context.Context) ([]string, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("the sweep needs root: it removes mounts, links, cgroups and loop devices (run it with sudo)")
	}
	unlock, err := lock("labs") // none is being made meanwhile
	if err != nil {
		return nil, err
	}
	defer unlock()
	s := sweep{owned: map[string]bool{}}
	if err := s.look(); err != nil {
		return nil, err
	}
	var errs []error
	for _, do := range []func(context.Context) error{s.groups, s.dirs, s.network, s.images, s.loops} {
		errs = append(errs, do(ctx))
	}
	return s.took, errors.Join(errs...)
}

// sweep is one sweep of the machine.
type sweep struct {
	// dead are the directories of labs that nobody owns; owned the names of the others.
	dead  []string
	owned map[string]bool
	took  []string
}

func (s *sweep) say(format string, args ...any) {
	s.took = append(s.took, fmt.Sprintf(format, args...))
}

// moved ends the name of a lab's directory that a test has put elsewhere.
const moved = ".moved"

// labOf is the name of the lab that a file below baseDir is of, none for other files.
func labOf(path string) string {
	rest, below := strings.CutPrefix(path, baseDir+"/")
	if !below {
		return ""
	}
	rest, inLabs := strings.CutPrefix(rest, "labs/")
	name, _, _ := strings.Cut(rest, "/")
	if name, isMoved := strings.CutSuffix(name, moved); isMoved {
		return name
	}
	if !inLabs {
		return ""
	}
	return strings.TrimSuffix(name, gone)
}

// look finds out which labs have an owner.
func (s *sweep) look() error {
	var dirs []string
	for _, pattern := range []string{labDir("*"), filepath.Join(baseDir, "*"+moved)} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		dirs = append(dirs, found...)
	}
	for _, dir := range dirs {
		has, err := owned(dir)
		if err != nil {
			return err
		}
		if has {
			s.owned[labOf(dir)] = true
		} else {
			s.dead = append(s.dead, dir)
		}
	}
	return nil
}

// groups ends the processes of labs, also of those whose directory is gone.
func (s *sweep) groups(ctx context.Context) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	var names []string
	for _, root := range roots {
		found, err := filepath.Glob(filepath.Join(groupDir(root, "*"), "cgroup.procs"))
		if err != nil {
			return err
		}
		for _, f := range found {
			names = append(names, filepath.Base(filepath.Dir(f)))
		}
	}
	var errs []error
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if s.owned[name] {
			continue
		}
		n := len(pidsIn(name))
		if err := killCgroups(ctx, name); err != nil {
			errs = append(errs, fmt.Errorf("the cgroups of lab %s: %w", name, err))
			continue
		}
		s.say("cgroups of lab %s, with %d processes", name, n)
	}
	return errors.Join(errs...)
}

// dirs removes the directories of labs that nobody owns.
func (s *sweep) dirs(ctx context.Context) error {
	var errs []error
	for _, dir := range s.dead {
		if s.owned[labOf(dir)] {
			continue // it is being stopped, or was started anew
		}
		if err := takeAway(ctx, dir); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", dir, err))
			continue
		}
		s.say("directory %s, with its mounts and disks", dir)
	}
	return errors.Join(errs...)
}

// network removes the links and tables of labs that are not there.
func (s *sweep) network(context.Context) error {
	taken := indexes(labDir("*"), filepath.Join(baseDir, "*"+moved))
	links, err := allLinks()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range links {
		name := l.Attrs().Name
		tap, isTap := strings.CutPrefix(name, tapPrefix)
		index, isBridge := strings.CutPrefix(name, bridgePrefix)
		if isTap {
			index, _, _ = strings.Cut(tap, "-")
		}
		if !isBridge && !isTap || taken[index] {
			continue
		}
		remove := removeLink
		if isBridge {
			remove = func(string) error { return removeNetwork(index) }
		}
		if err := remove(name); err != nil {
			errs = append(errs, err)
			continue
		}
		s.say("link %s", name)
	}
	tables, err := bridgeTables()
	errs = append(errs, err)
	for _, name := range tables {
		index, ours := strings.CutPrefix(name, tablePrefix)
		if !ours || taken[index] {
			continue
		}
		if err := dropTable(partitionTable(index)); err != nil {
			errs = append(errs, fmt.Errorf("remove nftables table %s: %w", name, err))
			continue
		}
		s.say("nftables table %s", name)
	}
	return errors.Join(errs...)
}

// images removes those that were being made by a run that is no more.
func (s *sweep) images(ctx context.Context) error {
	var errs []error
	for _, suffix := range []string{makingSuffix, sourcesSuffix} {
		paths, err := filepath.Glob(filepath.Join(baseDir, "images", "*"+suffix))
		errs = append(errs, err)
		for _, path := range paths {
			suite, _, _ := strings.Cut(filepath.Base(path), "-")
			if inUse, err := locked(lockFile(imageLock(suite))); err != nil || inUse {
				errs = append(errs, err)
				continue
			}
			if err := takeAway(ctx, path); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", path, err))
				continue
			}
			s.say("half-made image %s", path)
		}
	}
	return errors.Join(errs...)
}

// loops detaches the devices of labs that nobody owns, and those of nobody whose file is
// deleted: nothing can be mounted of them again.
func (s *sweep) loops(context.Context) error {
	all, err := loops()
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range all {
		lab := ""
		for at := range outward(all, l) {
			if lab = labOf(at.file); lab != "" {
				break
			}
		}
		if lab != "" && s.owned[lab] || lab == "" && (!l.deleted || l.used()) {
			continue
		}
		if err := l.detach(); err != nil {
			errs = append(errs, err)
			continue
		}
		s.say("loop device %s of %s", l.name, l.file)
	}
	return errors.Join(errs...)
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Stop cuts the power of a lab's hosts and removes everything of the lab: also
// what a run that crashed half-way left. The processes of a lab are found by its
// cgroups, also where its directory is gone.
func Stop(ctx context.Context, name string) error {
	if !nameRule.MatchString(name) {
		return fmt.Errorf("%q is no name for a lab", name)
	}
	if err := killCgroups(ctx, name); err != nil {
		return fmt.Errorf("stop lab %s: %w", name, err)
	}
	dir := labDir(name)
	if !exists(dir) && !exists(dir+gone) {
		return nil
	}
	index, err := os.ReadFile(filepath.Join(dir, "index"))
	if err == nil {
		if err := removeNetwork(strings.TrimSpace(string(index))); err != nil {
			return fmt.Errorf("stop lab %s: %w", name, err)
		}
	}
	if err := takeAway(ctx, dir); err != nil {
		return fmt.Errorf("stop lab %s: %w", name, err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}

// Clean stops every lab, also broken ones.
func Clean(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(baseDir, "labs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, Stop(ctx, strings.TrimSuffix(e.Name(), gone)))
	}
	return errors.Join(errs...)
}

// gone ends the name of a directory that is being removed.
const gone = ".gone"

// takeAway removes a directory whose processes have ended, and what the kernel still has
// of it: mounts, and loop devices that have its files.
func takeAway(ctx context.Context, dir string) error {
	devices, err := loopsBelow(dir)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if d.inner {
			if err := d.detach(); err != nil { // before the file system that its file lies on
				return err
			}
		}
	}
	if err := unmountBelow(dir); err != nil {
		return err
	}
	for _, d := range devices {
		if err := d.detach(); err != nil {
			return err
		}
	}
	if err := detached(ctx, devices); err != nil {
		return err
	}
	if strings.HasSuffix(dir, gone) {
		return os.RemoveAll(dir)
	}
	// A rename first: a directory half removed must never look like a lab.
	if err := takeAway(ctx, dir+gone); err != nil {
		return err
	}
	if err := os.Rename(dir, dir+gone); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(dir + gone)
}

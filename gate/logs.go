package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// logBase holds the logs of runs: they outlive checkouts, and boots.
	logBase = "/var/tmp/gantry-ci"
	// mostRuns are kept there.
	mostRuns = 30
	// lockPause is between looks at who else runs.
	lockPause = 5 * time.Second
)

// prepareLogs makes the directory of all runs' logs, which every user of the machine has.
func prepareLogs(base string) error {
	err := os.Mkdir(base, 0o1777)
	switch {
	case err == nil:
		return os.Chmod(base, 0o777|os.ModeSticky) // whatever the umask
	case !os.IsExist(err):
		return err
	}
	if found, err := os.Lstat(base); err != nil || !found.IsDir() {
		return fmt.Errorf("%s is no directory, but logs belong there: remove it (%v)", base, err)
	}
	return nil
}

// alone waits until no other run of this machine has servers: they would take each other's
// away.
func alone(ctx context.Context, out io.Writer, base string) (unlock func(), err error) {
	path := filepath.Join(base, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the machine's runs: %w (its owner, or root, may remove it)", err)
	}
	_ = f.Chmod(0o666) // whatever the umask; it is another's when this fails
	for said := false; ; said = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !said {
			fmt.Fprintf(out, "another run on this machine has servers (%s is locked): waiting for its end\n", path)
		}
		sleep(ctx, lockPause)
		if ctx.Err() != nil {
			f.Close()
			return nil, fmt.Errorf("another run on this machine has had servers all along (%s is locked): %w", path, context.Cause(ctx))
		}
	}
}

// logDir makes the directory of a run's logs, and removes those of the oldest runs, but for
// those of other users.
func logDir(base, commit string, now time.Time) (string, error) {
	dirs, err := runDirs(base)
	if err != nil {
		return "", err
	}
	for _, old := range dirs[:max(0, len(dirs)-mostRuns+1)] {
		_ = os.RemoveAll(old)
	}
	dir := filepath.Join(base, commit+"-"+now.UTC().Format("20060102T150405Z"))
	return dir, os.Mkdir(dir, 0o755)
}

// runDirs are the directories of runs, the oldest first. Their names end with the time.
func runDirs(base string) ([]string, error) {
	dirs, err := filepath.Glob(filepath.Join(base, "*-*Z"))
	slices.SortFunc(dirs, func(a, b string) int {
		return strings.Compare(a[strings.LastIndex(a, "-")+1:], b[strings.LastIndex(b, "-")+1:])
	})
	return dirs, err
}

// flakyBefore counts in how many of the last runs that had its stage a test was flaky.
func flakyBefore(base, stage, name string, runs int) int {
	dirs, err := runDirs(base)
	if err != nil {
		return 0
	}
	n := 0
	for i := len(dirs) - 1; i >= 0 && runs > 0; i-- {
		text, _ := os.ReadFile(filepath.Join(dirs[i], "summary"))
		if !strings.HasPrefix(string(text), stage+" ") && !strings.Contains(string(text), "\n"+stage+" ") {
			continue
		}
		if runs--; strings.Contains(string(text), "flaky: "+name+" ") {
			n++
		}
	}
	return n
}

package lab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// loop is a loop device that has a file.
type loop struct {
	name    string // of the device: loop0
	file    string // as it is now; of a host, as the host names it
	deleted bool
	// on is the device of the file system that the file lies on, as the kernel writes
	// it: 7:3.
	on string
	// inner: another loop device has the file system that the file lies on.
	inner bool
}

// loops are this machine's loop devices that have a file, by their numbers: 7:3.
func loops() (map[string]loop, error) {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, err
	}
	out := map[string]loop{}
	for _, f := range files {
		dir := filepath.Dir(filepath.Dir(f))
		text, err := os.ReadFile(f)
		number, err2 := os.ReadFile(filepath.Join(dir, "dev"))
		if err != nil || err2 != nil {
			continue // it has just lost its file
		}
		l := loop{name: filepath.Base(dir)}
		l.file, l.deleted = strings.CutSuffix(strings.TrimSuffix(string(text), "\n"), " (deleted)")
		if l.on, err = l.fileSystem(); err != nil {
			return nil, err
		}
		out[strings.TrimSpace(string(number))] = l
	}
	return out, nil
}

func (l loop) open(flags int) (*os.File, error) { return os.OpenFile("/dev/"+l.name, flags, 0) }

// fileSystem is the device of the file system that its file lies on.
func (l loop) fileSystem() (string, error) {
	f, err := l.open(os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil // of a machine around this one
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	status, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if errors.Is(err, unix.ENXIO) {
		return "", nil // it has just lost its file
	}
	if err != nil {
		return "", fmt.Errorf("status of %s: %w", l.name, err)
	}
	return fmt.Sprintf("%d:%d", unix.Major(status.Device), unix.Minor(status.Device)), nil
}

// loopsBelow are the loop devices whose files lie below a directory, and those whose files
// lie on a file system that such a device has: a host's own.
func loopsBelow(dir string) ([]loop, error) {
	all, err := loops()
	if err != nil {
		return nil, err
	}
	var out []loop
	for _, l := range all {
		for at := range outward(all, l) {
			if strings.HasPrefix(at.file, dir+"/") {
				_, l.inner = all[l.on]
				out = append(out, l)
				break
			}
		}
	}
	return out, nil
}

// LoopDevices are loop devices with files of a lab's hosts, as the hosts call them; the
// disks of the hosts are not among them.
func LoopDevices(l *Lab) ([]string, error) {
	devices, err := loopsBelow(l.dir())
	var out []string
	for _, d := range devices {
		if d.inner {
			out = append(out, d.name+" of "+d.file)
		}
	}
	return out, err
}

// outward yields a loop device, then the one that has the file system its file lies on,
// and so on.
func outward(all map[string]loop, l loop) iter.Seq[loop] {
	return func(yield func(loop) bool) {
		for range len(all) {
			next, more := all[l.on]
			if !yield(l) || !more {
				return
			}
			l = next
		}
	}
}

// has says whether it still has the file: the device may be another's by now.
func (l loop) has() bool {
	text, err := os.ReadFile("/sys/block/" + l.name + "/loop/backing_file")
	if err != nil {
		return false
	}
	file, _ := strings.CutSuffix(strings.TrimSuffix(string(text), "\n"), " (deleted)")
	return file == l.file
}

// detach takes its file from it: at once, or when its last user goes.
func (l loop) detach() error {
	if !l.has() {
		return nil
	}
	f, err := l.open(os.O_RDWR)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("detach %s from %s: %w", l.name, l.file, err)
	}
	return nil
}

// used says whether something is mounted of it.
func (l loop) used() bool {
	f, err := l.open(os.O_RDWR | unix.O_EXCL)
	if err != nil {
		return true
	}
	f.Close()
	return false
}

const (
	// detachPatience bounds how long is waited for the kernel to write what a device's file
	// system still had in memory.
	detachPatience = 30 * time.Second
	// usedPatience is how long a device may still be mounted somewhere: hosts that were
	// booted beside have a copy of the mount for as long as they are on.
	usedPatience = time.Second
)

// detached waits until devices have lost their files. One that somebody else uses, who has
// a copy of its mount, loses it with him: that is no error of who stops a lab.
func detached(ctx context.Context, devices []loop) error {
	begin := time.Now()
	keeps := func(l loop) bool { return l.has() && (time.Since(begin) < usedPatience || !l.used()) }
	for {
		if !slices.ContainsFunc(devices, keeps) || time.Since(begin) > detachPatience {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("loop devices keep their files: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

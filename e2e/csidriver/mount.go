package main

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// mounts is what a node has to be able to do. Each is done once, however often it is asked for.
type mounts interface {
	// Bind mounts source at target, unless something is mounted there.
	Bind(source, target string, readOnly bool) error
	Unmount(path string) error
	Mounted(path string) (bool, error)
	// AttachLoop is the loop device of a file, DetachLoop takes it away.
	AttachLoop(file string) (string, error)
	DetachLoop(file string) error
}

// kernel are the mounts of this process.
type kernel struct{}

func (k kernel) Bind(source, target string, readOnly bool) error {
	if is, err := k.Mounted(target); err != nil || is {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return status.Errorf(codes.Internal, "bind %s at %s: %v", source, target, err)
	}
	if readOnly {
		return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	return nil
}

func (kernel) Mounted(path string) (bool, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == path {
			return true, nil
		}
	}
	return false, err
}

func (k kernel) Unmount(path string) error {
	for {
		is, err := k.Mounted(path)
		if err != nil || !is {
			return err
		}
		if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
			return status.Errorf(codes.Internal, "unmount %s: %v", path, err)
		}
	}
}

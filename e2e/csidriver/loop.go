package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// loopOf is the loop device that has a file, "" when none has.
func loopOf(file string) (string, error) {
	devices, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, d := range devices {
		have, err := os.ReadFile(d)
		if err == nil && filepath.Base(strings.TrimSpace(string(have))) == filepath.Base(file) {
			return "/dev/" + strings.Split(d, "/")[3], nil
		}
	}
	return "", nil
}

// AttachLoop gives a file to a loop device, if none has it.
func (kernel) AttachLoop(file string) (string, error) {
	if d, err := loopOf(file); err != nil || d != "" {
		return d, err
	}
	if err := unix.Mknod("/dev/loop-control", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 237))); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("make /dev/loop-control: %w", err) // a bare server in a container has none
	}
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", fmt.Errorf("get a loop device: %w", err)
	}
	path := fmt.Sprintf("/dev/loop%d", number)
	if err := unix.Mknod(path, unix.S_IFBLK|0o600, int(unix.Mkdev(7, uint32(number)))); err != nil && !os.IsExist(err) {
		return "", fmt.Errorf("make %s: %w", path, err)
	}
	device, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer device.Close()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_FD, int(f.Fd())); err != nil {
		return "", fmt.Errorf("give %s to %s: %w", file, path, err)
	}
	return path, nil
}

// DetachLoop takes a file's loop device from it.
func (kernel) DetachLoop(file string) error {
	d, err := loopOf(file)
	if err != nil || d == "" {
		return err
	}
	device, err := os.OpenFile(d, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	return unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0)
}

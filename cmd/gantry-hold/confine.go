package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// confined is the name under which this program goes on in its empty root.
	confined = "gantry-hold (confined)"
	program  = "/hold"
	// nobody is the user and group of the process, as pause images have it.
	nobody = 65535

	// Of prctl(2); package syscall does not name them.
	setDumpable     = 4
	dropBounding    = 24
	setNoNewPrivs   = 38
	lastCapability  = 63
	noSetuidDevExec = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
)

// step is a call that can fail, with what it does.
type step struct {
	what string
	do   func() error
}

func run(steps []step) error {
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// enterEmptyRoot makes an empty file system the root of this mount namespace and starts
// this program anew in it. The program is there by a read-only mount: through
// /proc/1/exe, a container could otherwise write the file that the server runs.
func enterEmptyRoot(dir string) error {
	at := filepath.Join(dir, program)
	return run([]step{
		{"make mounts private", func() error { return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") }},
		{"mount an empty root", func() error {
			return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0555,size=4096,nr_inodes=4")
		}},
		{"make a mount point", func() error { return os.WriteFile(at, nil, 0o555) }},
		{"mount the program", func() error { return syscall.Mount("/proc/self/exe", at, "", syscall.MS_BIND, "") }},
		{"mount the program read-only", func() error {
			return syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, "")
		}},
		{"enter the root", func() error { return os.Chdir(dir) }},
		{"change the root", func() error { return syscall.PivotRoot(".", ".") }},
		{"leave the old root", func() error { return syscall.Unmount(".", syscall.MNT_DETACH) }},
		{"enter the new root", func() error { return os.Chdir("/") }},
		{"start in the new root", func() error { return syscall.Exec(program, []string{confined}, os.Environ()) }},
	})
}

// giveUpPrivileges leaves this process, in its empty root, with nothing that it could do.
func giveUpPrivileges() error {
	return run([]step{
		{"unmount the program", func() error { return syscall.Unmount(program, syscall.MNT_DETACH) }},
		{"remove its mount point", func() error { return os.Remove(program) }},
		{"make the root read-only", func() error {
			return syscall.Mount("", "/", "", syscall.MS_REMOUNT|syscall.MS_RDONLY|noSetuidDevExec, "")
		}},
		{"drop the bounding capabilities", dropCapabilities},
		{"drop the groups", func() error { return syscall.Setgroups(nil) }},
		{"become another group", func() error { return syscall.Setgid(nobody) }},
		{"become another user", func() error { return syscall.Setuid(nobody) }}, // and lose all capabilities
		{"gain no privileges", func() error { return prctl(setNoNewPrivs, 1) }},
		{"hide the process", func() error { return prctl(setDumpable, 0) }},
	})
}

func dropCapabilities() error {
	for c := uintptr(0); c <= lastCapability; c++ {
		if err := prctl(dropBounding, c); err == syscall.EINVAL && c > 0 {
			return nil // the kernel has no more
		} else if err != nil {
			return err
		}
	}
	return nil
}

// prctl acts on all threads of the process.
func prctl(option, value uintptr) error {
	if _, _, err := syscall.AllThreadsSyscall6(syscall.SYS_PRCTL, option, value, 0, 0, 0, 0); err != 0 {
		return err
	}
	return nil
}

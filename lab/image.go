package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// packages are what a freshly installed server has: systemd, sshd, sudo, and
// nothing a cluster would want.
const packages = "systemd,systemd-sysv,dbus,openssh-server,iproute2,ca-certificates,procps,kmod,sudo"

// ubuntuPackages are what Ubuntu's servers have besides: their network is netplan's.
const ubuntuPackages = "netplan.io"

// unread keeps out what no test reads; each host is a copy, so every byte counts.
var unread = []string{
	"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*",
	"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/i18n/*",
	"--dpkgopt=path-exclude=/usr/share/info/*",
}

// cgroupUnit makes version 1 controllers writable in the host: nspawn mounts
// them read-only. With version 2 there is nothing to match and it does nothing.
const cgroupUnit = `[Unit]
Description=Make cgroup v1 controllers writable
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'while read dev dir type rest; do if [ "$$type" = cgroup ]; then mount -o remount,bind,rw "$$dir"; fi; done < /proc/mounts'

[Install]
WantedBy=sysinit.target
`

// recipe is what a kind of host's root file system is made of.
type recipe struct {
	// packages by distribution, as /etc/os-release names it; "" are everyone's.
	packages map[string]string
}

var containerRecipe = recipe{packages: map[string]string{"": packages, "ubuntu": ubuntuPackages}}

func (r recipe) include(distribution string) string {
	return strings.Trim(r.packages[""]+","+r.packages[distribution], ",")
}

// id changes with what an image is made of.
func (r recipe) id(of release) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(of.suite+r.include(of.distribution)+strings.Join(unread, "")+cgroupUnit)))[:12]
}

// MakeImage makes the root file system that servers of a release are copied from, where it
// was not made before, and returns its directory. None is the machine's own release.
func MakeImage(ctx context.Context, name string) (string, error) {
	if err := Check(); err != nil {
		return "", err
	}
	of, err := findRelease(name)
	if err != nil {
		return "", err
	}
	return ensureImage(ctx, of, containerRecipe)
}

// What an image is called while it is made, and the file that says where its packages are.
const (
	makingSuffix  = ".making"
	sourcesSuffix = ".sources"
)

func imageLock(suite string) string { return "image-" + suite }

// ensureImage returns the directory of the root file system that hosts are
// copied from. It is made once per machine and release, and again when its
// recipe changes.
func ensureImage(ctx context.Context, of release, r recipe) (string, error) {
	unlock, err := lock(imageLock(of.suite))
	if err != nil {
		return "", err
	}
	defer unlock()
	dir := imageDir(of, r)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	making := dir + makingSuffix
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if of.archive != "" {
		file := dir + sourcesSuffix
		if err := of.writeSources(file); err != nil {
			return "", err
		}
		defer os.Remove(file)
		of.sources = []string{file}
	}
	if err := of.unpack(ctx, r, making); err != nil {
		return "", fmt.Errorf("make the servers' root file system (%s %s): %w", of.distribution, of.suite, err)
	}
	if err := prepareImage(ctx, making); err != nil {
		return "", fmt.Errorf("prepare the servers' root file system (%s %s): %w", of.distribution, of.suite, err)
	}
	return dir, os.Rename(making, dir)
}

// unpackTimeout bounds one attempt: where a mirror answers it takes half a minute.
const unpackTimeout = 8 * time.Minute

// unpack makes the root file system of a release in dir. It tries twice: a mirror may
// fail once, or stand still.
func (of release) unpack(ctx context.Context, r recipe, dir string) error {
	return of.make(ctx, "directory", r.include(of.distribution), dir)
}

// WriteRoot writes an archive of a root file system of this machine's own release,
// with these packages beside the essential ones: what images of containers are made of.
func WriteRoot(ctx context.Context, file string, packages ...string) error {
	own, err := ownRelease()
	if err != nil {
		return err
	}
	if err := own.make(ctx, "tar", strings.Join(packages, ","), file); err != nil {
		return fmt.Errorf("make a root file system (%s %s): %w", own.distribution, own.suite, err)
	}
	return nil
}

// make runs mmdebstrap; target is a directory or a file, by the format.
func (of release) make(ctx context.Context, format, packages, target string) error {
	args := append([]string{"--variant=minbase", "--format=" + format, "--include=" + packages}, unread...)
	args = append(append(args, of.suite, target), of.sources...)
	for try := 1; ; try++ {
		// A run that was killed may have left mounts of the machine's own in it.
		if err := unmountBelow(target); err != nil {
			return err
		}
		if err := os.RemoveAll(target); err != nil {
			return err
		}
		attempt, cancel := context.WithTimeout(ctx, unpackTimeout)
		_, err := run(attempt, "mmdebstrap", args...)
		cancel()
		if err == nil || try == 2 || ctx.Err() != nil {
			return err
		}
	}
}

// prepareImage makes what every host of every lab shares.
func prepareImage(ctx context.Context, root string) error {
	unit := filepath.Join(root, "etc/systemd/system/lab-cgroups.service")
	if err := os.WriteFile(unit, []byte(cgroupUnit), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"--root=" + root, "enable", "lab-cgroups.service", "systemd-networkd.service"},
		{"--root=" + root, "mask", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "systemd-firstboot.service", "systemd-networkd-wait-online.service"},
	} {
		if _, err := run(ctx, "systemctl", args...); err != nil {
			return err
		}
	}
	if _, err := run(ctx, "useradd", "--root", root, "--create-home", "--shell", "/bin/bash", User); err != nil {
		return err
	}
	sudoers := filepath.Join(root, "etc/sudoers.d", User)
	if err := os.WriteFile(sudoers, []byte(User+" ALL=(ALL) NOPASSWD: ALL\n"), 0o440); err != nil {
		return err
	}
	// Each host gets its own.
	for _, f := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		if err := os.Remove(filepath.Join(root, f)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	keys, err := filepath.Glob(filepath.Join(root, "etc/ssh/ssh_host_*"))
	if err != nil {
		return err
	}
	for _, k := range keys {
		if err := os.Remove(k); err != nil {
			return err
		}
	}
	return nil
}

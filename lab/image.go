package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// packages are what a freshly installed server has: systemd, sshd, sudo, and
// nothing a cluster would want.
const packages = "systemd,systemd-sysv,dbus,openssh-server,iproute2,ca-certificates,procps,kmod,sudo"

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

var containerRecipe = recipe{packages: map[string]string{"": packages}}

func (r recipe) include(distribution string) string {
	return strings.Trim(r.packages[""]+","+r.packages[distribution], ",")
}

// ensureImage returns the directory of the root file system that hosts are
// copied from. It is made once per machine, from the machine's own package
// sources and release, and again when its recipe changes.
func ensureImage(ctx context.Context, r recipe) (string, error) {
	unlock, err := lock("image")
	if err != nil {
		return "", err
	}
	defer unlock()
	distribution, suite, sources, err := aptSources()
	if err != nil {
		return "", err
	}
	include := r.include(distribution)
	id := fmt.Sprintf("%x", sha256.Sum256([]byte(suite+include+strings.Join(unread, "")+cgroupUnit)))[:12]
	dir := filepath.Join(baseDir, "images", suite+"-"+id)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	making := dir + ".making"
	if err := os.RemoveAll(making); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	args := append([]string{"--variant=minbase", "--format=directory", "--include=" + include}, unread...)
	args = append(append(args, suite, making), sources...)
	if _, err := run(ctx, "mmdebstrap", args...); err != nil {
		return "", fmt.Errorf("make the servers' root file system: %w", err)
	}
	if err := prepareImage(ctx, making); err != nil {
		return "", fmt.Errorf("prepare the servers' root file system: %w", err)
	}
	return dir, os.Rename(making, dir)
}

// prepareImage makes what every host of every lab shares.
func prepareImage(ctx context.Context, root string) error {
	unit := filepath.Join(root, "etc/systemd/system/lab-cgroups.service")
	if err := os.WriteFile(unit, []byte(cgroupUnit), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"--root=" + root, "enable", "lab-cgroups.service", "systemd-networkd.service", "ssh.service"},
		{"--root=" + root, "disable", "ssh.socket"},
		{"--root=" + root, "mask", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "systemd-firstboot.service", "systemd-networkd-wait-online.service"},
	} {
		if _, err := run(ctx, "systemctl", args...); err != nil && args[1] != "disable" {
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

// aptSources returns the machine's distribution and release, and the files that
// say where its packages come from (third parties' are left out).
func aptSources() (distribution, suite string, sources []string, err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", "", nil, err
	}
	for line := range strings.Lines(string(release)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"`); key {
		case "ID":
			distribution = value
		case "VERSION_CODENAME":
			suite = value
		}
	}
	if suite == "" {
		return "", "", nil, errors.New("/etc/os-release names no VERSION_CODENAME: the lab needs a Debian or Ubuntu machine")
	}
	for _, f := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources"} {
		if b, err := os.ReadFile(f); err == nil && hasSource(string(b)) {
			sources = append(sources, f)
		}
	}
	return distribution, suite, sources, nil
}

func hasSource(text string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "deb ") || strings.HasPrefix(line, "Types:") {
			return true
		}
	}
	return false
}

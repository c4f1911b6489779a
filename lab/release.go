package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The distributions' keys are here and not taken from the machine: a Debian
// machine need not have Ubuntu's, nor an Ubuntu machine those of a newer Debian.

//go:embed keys/debian.asc
var debianKeys string

//go:embed keys/ubuntu.asc
var ubuntuKeys string

// release is where a release's packages come from.
type release struct {
	distribution, suite string
	// sources are the files that say so, for apt.
	sources []string
	// archive and keys make such a file where the machine's own say nothing of it.
	archive, suites, keys string
	// unified: its systemd (258 or newer) boots with cgroup v2 alone.
	unified bool
}

// releases are those that servers can run besides the machine's own, by code name.
var releases = map[string]release{
	"bookworm": debian("bookworm", false),
	"trixie":   debian("trixie", false),
	"jammy":    ubuntu("jammy", false),
	"noble":    ubuntu("noble", false),
	"resolute": ubuntu("resolute", true),
}

func debian(suite string, unified bool) release {
	return release{distribution: "debian", suite: suite, archive: "http://deb.debian.org/debian", suites: suite + " " + suite + "-updates", keys: debianKeys, unified: unified}
}

func ubuntu(suite string, unified bool) release {
	return release{distribution: "ubuntu", suite: suite, archive: "http://archive.ubuntu.com/ubuntu", suites: suite + " " + suite + "-updates " + suite + "-security", keys: ubuntuKeys, unified: unified}
}

// findRelease returns a release by its code name; none is the machine's own,
// whose packages come from where the machine's do.
func findRelease(name string) (release, error) {
	own, err := ownRelease()
	if name == own.suite || name == "" {
		return own, err
	}
	r, known := releases[name]
	if !known {
		return release{}, fmt.Errorf("no release %q is known: there are %s, and this machine's own", name, strings.Join(slices.Sorted(maps.Keys(releases)), ", "))
	}
	return r, nil
}

// bootable says whether a container beside this machine's kernel can run it.
func (r release) bootable() error {
	if r.unified && !isV2() {
		return fmt.Errorf("%s %s boots with cgroup v2 alone, and this machine's controllers are of version 1: make the server a virtual machine", r.distribution, r.suite)
	}
	return nil
}

// Available says whether servers of a release can be made here: they were before,
// or its packages can be fetched.
func Available(ctx context.Context, name string) error {
	r, err := findRelease(name)
	if err != nil {
		return err
	}
	if err := r.bootable(); err != nil {
		return err
	}
	if _, err := os.Stat(imageDir(r, containerRecipe)); err == nil || r.archive == "" {
		return nil
	}
	file, err := os.CreateTemp("", "inrelease-")
	if err != nil {
		return err
	}
	file.Close()
	defer os.Remove(file.Name())
	// apt's own way there, with the proxies that it is told to use. Who is told that
	// there is no way leaves a test out: one failure is not enough to say so.
	_, err = run(ctx, "/usr/lib/apt/apt-helper", "-oAcquire::Retries=3", "-oAcquire::http::Timeout=10",
		"download-file", r.archive+"/dists/"+r.suite+"/InRelease", file.Name())
	if err != nil {
		return fmt.Errorf("the packages of %s %s cannot be fetched: %w", r.distribution, r.suite, err)
	}
	return nil
}

// writeSources writes the file that tells apt where the packages are, and by
// which keys they are signed.
func (r release) writeSources(path string) error {
	var keys strings.Builder
	for line := range strings.Lines(r.keys) {
		if line = strings.TrimSpace(line); line == "" {
			line = "." // an empty line would end the stanza
		}
		keys.WriteString("\n " + line)
	}
	return os.WriteFile(path, fmt.Appendf(nil, "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By:%s\n", r.archive, r.suites, keys.String()), 0o644)
}

// ownRelease is the machine's own, with the files that say where its packages
// come from (third parties' are left out).
func ownRelease() (release, error) {
	var r release
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch value = strings.Trim(value, `"`); key {
		case "ID":
			r.distribution = value
		case "VERSION_CODENAME":
			r.suite = value
		}
	}
	if r.suite == "" {
		return r, errors.New("/etc/os-release names no VERSION_CODENAME: the lab needs a Debian or Ubuntu machine")
	}
	for _, f := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list.d/ubuntu.sources"} {
		if b, err := os.ReadFile(f); err == nil && hasSource(string(b)) {
			r.sources = append(r.sources, f)
		}
	}
	return r, nil
}

func hasSource(text string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "deb ") || strings.HasPrefix(line, "Types:") {
			return true
		}
	}
	return false
}

// imageDir is the root file system that hosts of a release are copied from.
func imageDir(r release, made recipe) string {
	return filepath.Join(baseDir, "images", r.suite+"-"+made.id(r))
}

package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Dir is one of Dirs.
type Dir struct {
	Path string
	Mode fs.FileMode
}

func (d Dir) done(s Seen) bool {
	info, ok := s.Files[d.Path]
	return ok && info.Mode.IsDir() && info.Mode.Perm() == d.Mode.Perm()
}

// Dirs are directories that exist with their modes.
type Dirs []Dir

func (d Dirs) String() string {
	parts := make([]string, len(d))
	for i, dir := range d {
		parts[i] = fmt.Sprintf("%s (%04o)", dir.Path, dir.Mode.Perm())
	}
	return "make directories " + strings.Join(parts, ", ")
}

// Watch names the directories.
func (d Dirs) Watch() Watch {
	var w Watch
	for _, dir := range d {
		w.Files = append(w.Files, dir.Path)
	}
	return w
}

// Done reports whether all are directories of their modes.
func (d Dirs) Done(s Seen) bool { return len(d.Differing(s)) == 0 }

// Differing returns the paths that are not as they should be.
func (d Dirs) Differing(s Seen) []string {
	var out []string
	for _, dir := range d {
		if !dir.done(s) {
			out = append(out, dir.Path)
		}
	}
	return out
}

const dirsScript = `while [ $# -gt 1 ]; do mkdir -p "$2" && chmod "$1" "$2" || exit 1; shift 2; done`

// Apply makes those that differ, and their parents, in order.
func (d Dirs) Apply(ctx context.Context, h host.Host, s Seen) error {
	var args []string
	for _, dir := range d {
		if !dir.done(s) {
			args = append(args, fmt.Sprintf("%04o", dir.Mode.Perm()), dir.Path)
		}
	}
	_, err := h.Run(ctx, host.Shell("make-dirs", dirsScript, args...))
	return err
}

// File is one file with its whole content.
type File host.File

// SHA256 is the digest of the content, in hexadecimal.
func (f File) SHA256() string {
	sum := sha256.Sum256(f.Data)
	return hex.EncodeToString(sum[:])
}

func (f File) done(s Seen) bool {
	info, ok := s.Files[f.Path]
	return ok && info.SHA256 == f.SHA256() && info.Mode == f.Mode.Perm()
}

// Files are written together, in one round trip. With Reload, systemd reads its units again afterwards.
type Files struct {
	Files  []File
	Reload bool
	// Units whose files these are, where Reload is set.
	Units []string
}

func (f Files) String() string {
	parts := make([]string, len(f.Files))
	for i, file := range f.Files {
		parts[i] = fmt.Sprintf("%s (%04o, sha256 %.12s)", file.Path, file.Mode.Perm(), file.SHA256())
	}
	s := "write " + strings.Join(parts, ", ")
	if f.Reload {
		s += "; enable the units; systemctl daemon-reload"
	}
	return s
}

// Watch names the files and units.
func (f Files) Watch() Watch {
	w := Watch{Units: f.Units}
	for _, file := range f.Files {
		w.Files = append(w.Files, file.Path)
	}
	return w
}

// Done reports whether all files are as they should be and systemd knows it.
func (f Files) Done(s Seen) bool {
	stale := func(u string) bool { return s.Units[u].NeedsReload || !s.Units[u].Loaded }
	return !slices.ContainsFunc(f.Files, func(file File) bool { return !file.done(s) }) &&
		!(f.Reload && slices.ContainsFunc(f.Units, stale))
}

// Differing returns the paths that are not as they should be.
func (f Files) Differing(s Seen) []string {
	var out []string
	for _, file := range f.Files {
		if !file.done(s) {
			out = append(out, file.Path)
		}
	}
	return out
}

const loadScript = `[ $# = 0 ] || systemctl enable --quiet --no-reload "$@" || exit 1
systemctl daemon-reload`

// Apply writes those that differ.
func (f Files) Apply(ctx context.Context, h host.Host, s Seen) error {
	var files []host.File
	for _, file := range f.Files {
		if !file.done(s) {
			files = append(files, host.File(file))
		}
	}
	if err := h.WriteFiles(ctx, files...); err != nil {
		return err
	}
	if f.Reload {
		// Enabled here too, since whoever enables a unit later reloads once more.
		_, err := h.Run(ctx, host.Shell("load-units", loadScript, f.Units...))
		return err
	}
	return nil
}

// Remove is paths that do not exist.
type Remove struct{ Paths []string }

func (r Remove) String() string { return "remove " + strings.Join(r.Paths, " ") }

// Watch names the paths.
func (r Remove) Watch() Watch { return Watch{Files: r.Paths} }

// Done reports whether none of them exists.
func (r Remove) Done(s Seen) bool {
	return !slices.ContainsFunc(r.Paths, func(p string) bool { _, ok := s.Files[p]; return ok })
}

// Apply removes them with all that is below.
func (r Remove) Apply(ctx context.Context, h host.Host, _ Seen) error {
	_, err := h.Run(ctx, host.Command{Argv: append([]string{"rm", "-rf", "--one-file-system", "--"}, r.Paths...)})
	return err
}

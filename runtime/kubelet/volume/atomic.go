package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files lie in a directory with a unique name; ..data is a symlink to it that is
// replaced in one step, and every visible name is a symlink through ..data. So a
// container sees either all of the old content or all of the new.
const dataLink = "..data"

// File is the content of one file; Path is relative to the volume.
type File struct {
	Path string
	Data []byte
	Mode fs.FileMode
	// User owns it; nil is root.
	User *int64
}

// Write makes dir hold exactly files, owned by group gid when it is not
// negative. It does nothing when that is so already, and says whether it wrote.
func Write(dir string, files []File, gid int) (changed bool, err error) {
	for _, f := range files {
		if !filepath.IsLocal(f.Path) || strings.HasPrefix(f.Path, "..") {
			return false, fmt.Errorf("%q is no path within a volume", f.Path)
		}
	}
	old, err := os.Readlink(filepath.Join(dir, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("read the volume %s: %w", dir, err)
	}
	if old != "" && same(filepath.Join(dir, old), files) {
		// A crash may have come before all names were visible.
		if err := link(dir, old, files); err != nil {
			return false, fmt.Errorf("write the volume %s: %w", dir, err)
		}
		return false, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, fmt.Errorf("make the volume %s: %w", dir, err)
	}
	next, err := os.MkdirTemp(dir, "..v")
	if err != nil {
		return false, fmt.Errorf("write the volume %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(next) // the first error tells more
		}
	}()
	if err := os.Chmod(next, 0o755); err != nil {
		return false, err
	}
	for _, f := range files {
		if err := writeFile(next, f, gid); err != nil {
			return false, fmt.Errorf("write the volume %s: %w", dir, err)
		}
	}
	tmp := filepath.Join(dir, "..data_tmp")
	os.Remove(tmp) // left by a crash
	if err := os.Symlink(filepath.Base(next), tmp); err != nil {
		return false, err
	}
	if err := os.Rename(tmp, filepath.Join(dir, dataLink)); err != nil {
		return false, err
	}
	if err := link(dir, filepath.Base(next), files); err != nil {
		return true, fmt.Errorf("write the volume %s: %w", dir, err)
	}
	return true, nil
}

func writeFile(root string, f File, gid int) error {
	p := filepath.Join(root, f.Path)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(p, f.Data, f.Mode); err != nil {
		return err
	}
	mode := f.Mode
	if f.User != nil {
		if err := os.Chown(p, int(*f.User), -1); err != nil {
			return err
		}
	}
	if gid >= 0 {
		if err := os.Chown(p, -1, gid); err != nil {
			return err
		}
		mode |= 0o040 // the group that the pod asked for may read
	}
	return os.Chmod(p, mode) // whatever the umask is
}

// link makes the visible names and removes those whose file is gone, and all content
// but the current.
func link(dir, current string, files []File) error {
	want := map[string]bool{}
	for _, f := range files {
		top, _, _ := strings.Cut(filepath.ToSlash(f.Path), "/")
		want[top] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "..v") && e.Name() != current {
			os.RemoveAll(filepath.Join(dir, e.Name())) // unreachable by now
		}
		if want[e.Name()] && e.Type()&fs.ModeSymlink != 0 {
			delete(want, e.Name())
			continue
		}
		if !strings.HasPrefix(e.Name(), "..") && !want[e.Name()] && e.Type()&fs.ModeSymlink != 0 {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	for name := range want {
		if err := os.Symlink(filepath.Join(dataLink, name), filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func same(dir string, files []File) bool {
	n := 0
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil || n != len(files) {
		return false
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Path))
		if err != nil || !bytes.Equal(data, f.Data) {
			return false
		}
		if st, err := os.Stat(filepath.Join(dir, f.Path)); err != nil || st.Mode().Perm()&^0o040 != f.Mode.Perm()&^0o040 {
			return false
		}
	}
	return true
}

package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Install puts the bundle's programs into dir. Each appears under its name only
// when it is complete, has the right hash and is on the disk. Where sums is not
// empty, that directory tells the hashes of large ones to who would have to read
// them again. Where digest is not empty, a bundle of another one is refused.
func Install(r io.Reader, dir, sums, digest string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var pending [][2]string
	hashes := map[string]string{}
	defer func() {
		for _, p := range pending {
			os.Remove(p[0])
		}
	}()
	accept := func(m Manifest) error {
		switch {
		case digest != "" && m.Digest() != digest:
			return fmt.Errorf("this is another bundle: version %s, digest %s", m.Version, m.Digest())
		case len(m.Programs()) == 0:
			return errors.New("the bundle holds no programs: there is nothing to install")
		}
		return nil
	}
	err := walk(r, accept, func(_ Manifest, f File, content io.Reader) error {
		if f.Name == UnpackerName {
			_, err := io.Copy(io.Discard, content)
			return err
		}
		path := filepath.Join(dir, f.Name)
		pending, hashes[path] = append(pending, [2]string{path + ".gantry-new", path}), f.SHA256
		return write(path+".gantry-new", content, f.Mode)
	})
	if err != nil {
		return err
	}
	// Only now is every hash known to be right.
	for _, p := range pending {
		if err := os.Rename(p[0], p[1]); err != nil {
			return err
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return err
	}
	if sums != "" {
		keepSums(sums, hashes) //nolint:errcheck // what is not kept is read again
	}
	return nil
}

// large is what a hash is kept of.
const large = 1_000_000

// keepSums writes, for each file by its path, a line that holds as long as the
// file is untouched: its size, inode and times, and then the SHA-256.
func keepSums(dir string, hashes map[string]string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for path, sum := range hashes {
		var s syscall.Stat_t
		if err := syscall.Stat(path, &s); err != nil {
			return err
		}
		if s.Size < large {
			continue
		}
		line := fmt.Sprintf("%d.%d.%d.%09d.%d.%09d %s\n", s.Size, s.Ino, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec, sum)
		if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(path, "/", "_")), []byte(line), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func write(path string, content io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode.Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, content); err != nil {
		f.Close()
		return err
	}
	if err := errors.Join(f.Chmod(mode.Perm()), f.Sync()); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

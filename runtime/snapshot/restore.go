package snapshot

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/etcd"
)

// Restore makes the server below root the first master again of the archive's cluster:
// its files, and a store of which it is the only member. Nothing is changed before the
// whole archive was read and found whole, nor on a server that holds a cluster. addresses
// are those of the server.
func Restore(root, archive string, addresses []string) (Manifest, error) {
	m, err := Read(archive)
	if err != nil {
		return m, err
	}
	if !slices.Contains(addresses, m.Address) {
		return m, fmt.Errorf("restore %s: it is of master %s at %s, which the certificates in it and the servers of the cluster know by that address; this server has %s: give it that address first",
			archive, m.Name, m.Address, strings.Join(addresses, ", "))
	}
	if holds, err := holdsFiles(filepath.Join(root, config.ConfigDir)); err != nil || holds {
		return m, errors.Join(err, fmt.Errorf("restore %s: this server belongs to a cluster, as %s shows: take a bare server, or wipe this one (gantry host clean, then remove %s and %s)",
			archive, config.ConfigDir, config.ConfigDir, config.StateDir))
	}
	dir := filepath.Join(root, config.StateDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return m, err
	}
	store := filepath.Join(dir, "restore-"+storeName)
	defer os.Remove(store) // what was restored of it is elsewhere
	err = each(archive, func(name string, h *tar.Header, r io.Reader) error {
		to := filepath.Join(root, name)
		if name == storeName {
			to = store
		}
		return place(to, fs.FileMode(h.Mode).Perm(), r)
	})
	if err != nil {
		return m, fmt.Errorf("restore %s: %w", archive, err)
	}
	var c config.EtcdConfig
	if err := config.Load(filepath.Join(root, config.Etcd.ConfigFile()), &c); err != nil {
		return m, err
	}
	c.DataDir = filepath.Join(root, c.DataDir)
	_, err = etcd.Restore(c, store)
	return m, err
}

// holdsFiles reports whether there is a file below a directory.
func holdsFiles(dir string) (bool, error) {
	found := false
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !d.IsDir() {
			found = true
			return fs.SkipAll
		}
		return err
	})
	return found, err
}

// Read reads a whole archive and compares it with its manifest.
func Read(archive string) (Manifest, error) {
	var m Manifest
	seen := map[string]bool{}
	err := each(archive, func(name string, _ *tar.Header, r io.Reader) error {
		if len(seen) == 0 {
			seen[manifestName] = true
			if name != manifestName {
				return errors.New("it does not begin with a manifest: it is no snapshot of a master")
			}
			return json.NewDecoder(r).Decode(&m)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, r); err != nil {
			return err
		}
		switch want, ok := m.Files[name]; {
		case !ok:
			return fmt.Errorf("%s is not in its manifest", name)
		case want != hex.EncodeToString(sum.Sum(nil)):
			return fmt.Errorf("%s in it is damaged: its SHA-256 is not that of the manifest", name)
		}
		seen[name] = true
		return nil
	}, manifestName)
	for name := range m.Files {
		if err == nil && !seen[name] {
			err = fmt.Errorf("%s is missing", name)
		}
	}
	if err == nil && m.Files[storeName] == "" {
		err = errors.New("it holds no store")
	}
	if err != nil {
		return m, fmt.Errorf("read the snapshot %s: %w", archive, err)
	}
	return m, nil
}

// each calls f with the members of an archive; the manifest among them only if it is
// asked for. A name that leads out of the server's root is refused.
func each(archive string, f func(name string, h *tar.Header, r io.Reader) error, also ...string) error {
	in, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer in.Close()
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) || h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%q is no file of a master", h.Name)
		}
		if h.Name == manifestName && !slices.Contains(also, manifestName) {
			continue
		}
		if err := f(h.Name, h, r); err != nil {
			return err
		}
	}
}

// place writes a file of a server that has none of its name in use.
func place(path string, mode fs.FileMode, r io.Reader) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return errors.Join(f.Chmod(mode), f.Sync())
}

package snapshot

import (
	"archive/tar"
	"context"
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
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// manifestName is the first member of an archive, storeName the last.
const (
	manifestName = "manifest.json"
	storeName    = "etcd.db"
)

// Manifest says what an archive holds.
type Manifest struct {
	ClusterID string `json:"clusterID"`
	// Name and Address are those of the master that it was taken on, and of the server
	// that it can be restored on.
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Taken   time.Time `json:"taken"`
	// Files are the SHA-256 of the files in it, by their names: those of the server by
	// their paths without the first slash, and the store.
	Files map[string]string `json:"files"`
}

// Fetch writes a snapshot of the store, with its checksum, to a path.
type Fetch func(ctx context.Context, path string) error

// Save writes the archive of this master. root is the server's root directory. The file
// is as secret as the keys that it holds: root alone may read it.
func Save(ctx context.Context, root string, c config.EtcdConfig, now time.Time, fetch Fetch, out string) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(out), ".snapshot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // what is in it is in the archive, or of no use
	store := filepath.Join(dir, storeName)
	if err := fetch(ctx, store); err != nil {
		return fmt.Errorf("take a snapshot of the store: %w", err)
	}
	names, err := serverFiles(root)
	if err != nil {
		return err
	}
	m := Manifest{ClusterID: c.InitialClusterToken, Name: c.Name, Address: c.Host, Taken: now.UTC(), Files: map[string]string{}}
	paths := map[string]string{storeName: store}
	for _, name := range names {
		paths[name] = filepath.Join(root, name)
	}
	names = append(names, storeName)
	for _, name := range names {
		if m.Files[name], err = sumOf(paths[name]); err != nil {
			return err
		}
	}
	part := filepath.Join(dir, "archive")
	if err := write(part, m, names, paths); err != nil {
		return fmt.Errorf("write the snapshot: %w", err)
	}
	return os.Rename(part, out)
}

// serverFiles are the names of what makes a server a master, in order.
func serverFiles(root string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(filepath.Join(root, config.ConfigDir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		name, err := filepath.Rel(root, path)
		out = append(out, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list what makes this server a master: %w", err)
	}
	others := []string{config.JoinedFile, config.KnownFile}
	for _, c := range append(config.MasterComponents(), config.WorkerComponents()...) {
		others = append(others, c.UnitFile())
	}
	for _, path := range others {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			out = append(out, path[1:])
		}
	}
	slices.Sort(out)
	return out, nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
}

func write(path string, m Manifest, names []string, paths map[string]string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := tar.NewWriter(f)
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: manifestName, Mode: 0o600, Size: int64(len(manifest)), ModTime: m.Taken}); err != nil {
		return err
	}
	if _, err := w.Write(manifest); err != nil {
		return err
	}
	for _, name := range names {
		if err := add(w, name, paths[name], m.Taken); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Sync()
}

func add(w *tar.Writer, name, path string, at time.Time) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: int64(info.Mode().Perm()), Size: info.Size(), ModTime: at}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

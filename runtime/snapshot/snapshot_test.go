package snapshot

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	now    = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	master = config.EtcdConfig{Name: "m1", Host: "192.0.2.1", InitialClusterToken: "id"}
	files  = map[string]fs.FileMode{
		"etc/gantry/pki/ca.key": 0o600, "etc/gantry/pki/ca.crt": 0o644, "etc/gantry/host.yaml": 0o644, "var/lib/gantry/bootstrap/joined": 0o600,
		"etc/systemd/system/gantry-etcd.service": 0o644, "etc/systemd/system/gantry-kubelet.service": 0o644,
	}
)

// server is a root directory with the files of a master, and others.
func server(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, mode := range files {
		check(t, place(filepath.Join(root, name), mode, strings.NewReader("of "+name)))
	}
	for _, name := range []string{"etc/systemd/system/other.service", "var/lib/gantry/bootstrap/bundle/large", "var/lib/gantry/etcd/member/snap/db", "etc/passwd"} {
		check(t, place(filepath.Join(root, name), 0o600, strings.NewReader("not of it")))
	}
	return root
}

func save(t *testing.T, root string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "m1.snapshot")
	check(t, Save(t.Context(), root, master, now, func(_ context.Context, path string) error { return os.WriteFile(path, []byte("store"), 0o600) }, out))
	return out
}

func TestASnapshotHoldsWhatMakesAMaster(t *testing.T) {
	out := save(t, server(t))
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	m, err := Read(out)
	check(t, err)
	if m.ClusterID != "id" || m.Name != "m1" || m.Address != "192.0.2.1" || !m.Taken.Equal(now) || len(m.Files) != len(files)+1 {
		t.Errorf("%+v", m)
	}
	check(t, each(out, func(name string, h *tar.Header, r io.Reader) error {
		data, err := io.ReadAll(r)
		if want := "of " + name; name != storeName && (string(data) != want || fs.FileMode(h.Mode) != files[name]) {
			t.Errorf("%s is %q, %o", name, data, h.Mode)
		}
		return err
	}))
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(out), ".snapshot-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestADamagedSnapshotChangesNothing(t *testing.T) {
	whole, err := os.ReadFile(save(t, server(t)))
	check(t, err)
	turned := bytes.Replace(whole, []byte("of etc/gantry/pki/ca.key"), []byte("OF etc/gantry/pki/ca.key"), 1)
	for what, data := range map[string][]byte{"a byte is turned": turned, "the end is missing": whole[:len(whole)-4096], "the half is missing": whole[:len(whole)/2], "it is empty": nil, "it is none": []byte(strings.Repeat("x", 2048))} {
		path := filepath.Join(t.TempDir(), "damaged")
		check(t, os.WriteFile(path, data, 0o600))
		root := t.TempDir()
		if _, err := Restore(root, path, []string{"192.0.2.1"}); err == nil {
			t.Errorf("%s: restored", what)
		}
		if entries, err := os.ReadDir(root); err != nil || len(entries) > 0 {
			t.Errorf("%s: the server has %v, %v", what, entries, err)
		}
	}
}

func TestWhereASnapshotIsNotRestored(t *testing.T) {
	path := save(t, server(t))
	if _, err := Restore(t.TempDir(), path, []string{"192.0.2.7", "10.0.0.1"}); err == nil || !strings.Contains(err.Error(), "give it that address first") {
		t.Errorf("at another address: %v", err)
	}
	root := server(t)
	if _, err := Restore(root, path, []string{"192.0.2.1"}); err == nil || !strings.Contains(err.Error(), "belongs to a cluster") {
		t.Errorf("on a server of a cluster: %v", err)
	}
	// A name that leads out of the server.
	var evil bytes.Buffer
	w := tar.NewWriter(&evil)
	check(t, w.WriteHeader(&tar.Header{Name: "../evil", Size: 1, Mode: 0o600, Typeflag: tar.TypeReg}))
	_, err := w.Write([]byte("x"))
	check(t, err)
	check(t, w.Close())
	path = filepath.Join(t.TempDir(), "evil")
	check(t, os.WriteFile(path, evil.Bytes(), 0o600))
	if _, err := Restore(t.TempDir(), path, []string{"192.0.2.1"}); err == nil || !strings.Contains(err.Error(), "no file of a master") {
		t.Errorf("%v", err)
	}
}

package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// member is one of an archive.
type member struct{ name, data string }

func tarball(t *testing.T, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, m := range members {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o755}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// manifest lists programs whose content is their name.
func manifest(t *testing.T, names ...string) member {
	t.Helper()
	m := Manifest{Version: "1"}
	for _, name := range names {
		sum := sha256.Sum256([]byte(name))
		m.Files = append(m.Files, File{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(name)), Mode: 0o755})
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return member{ManifestName, string(data)}
}

func TestWalk(t *testing.T) {
	full := errors.New("the disk is full")
	for what, tc := range map[string]struct {
		archive []byte
		at      string // which the visitor ends
		by      error
		visited []string
		err     string
	}{
		"all":                 {tarball(t, manifest(t, "a", "b"), member{"a", "a"}, member{"b", "b"}), "", nil, []string{"a", "b"}, ""},
		"no file":             {tarball(t, manifest(t)), "", nil, nil, "lists no files"},
		"more than is listed": {tarball(t, manifest(t, "a"), member{"a", "a"}, member{"b", "b"}), "", nil, []string{"a"}, `has "b", which is not in the manifest`},
		"a member twice":      {tarball(t, manifest(t, "a"), member{"a", "a"}, member{"a", "a"}), "", nil, []string{"a"}, `has "a", which is not in the manifest`},
		"stopped":             {tarball(t, manifest(t, "a", "b"), member{"a", "a"}, member{"b", "x"}), "a", Stop(), []string{"a"}, ""},
		"failed":              {tarball(t, manifest(t, "a", "b"), member{"a", "a"}, member{"b", "b"}), "b", full, []string{"a", "b"}, "b: the disk is full"},
		"not compressed":      {[]byte("manifest.json and so on"), "", nil, nil, "magic number mismatch"},
		"empty":               {tarball(t), "", nil, nil, "read the bundle"},
		"no manifest":         {tarball(t, member{"a", "a"}), "", nil, nil, `its first member is "a" and not manifest.json`},
		"a manifest of lies":  {tarball(t, member{ManifestName, "lies"}), "", nil, nil, "read the bundle's manifest"},
		"ends too soon":       {tarball(t, manifest(t, "a", "b"), member{"a", "a"}), "", nil, []string{"a"}, "the bundle ends before b"},
		"another member":      {tarball(t, manifest(t, "a"), member{"b", "a"}), "", nil, nil, `the bundle has "b" where the manifest has "a"`},
		"a path":              {tarball(t, manifest(t, "d/a"), member{"d/a", "d/a"}), "", nil, nil, `"d/a", which is no name of a program`},
		"a longer member":     {tarball(t, manifest(t, "a"), member{"a", "ab"}), "", nil, nil, "a has 2 bytes in the bundle, the manifest says 1"},
		"a shorter member":    {tarball(t, manifest(t, "a"), member{"a", ""}), "", nil, nil, "a has 0 bytes in the bundle, the manifest says 1"},
		"a huge manifest":     {tarball(t, member{ManifestName, strings.Repeat(" ", maxManifest+1)}), "", nil, nil, "more than 1048576"},
		"two manifests in it": {tarball(t, member{ManifestName, manifest(t, "a").data + manifest(t, "b").data}, member{"a", "a"}), "", nil, nil, "read the bundle's manifest"},
		"a damaged program":   {tarball(t, manifest(t, "a", "b"), member{"a", "x"}, member{"b", "b"}), "", nil, []string{"a"}, "a: its SHA-256 is"},
	} {
		var visited []string
		err := Walk(bytes.NewReader(tc.archive), func(_ Manifest, f File, r io.Reader) error {
			visited = append(visited, f.Name)
			if f.Name == tc.at {
				return tc.by
			}
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if !slices.Equal(visited, tc.visited) {
			t.Errorf("%s: visited %v, want %v", what, visited, tc.visited)
		}
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: %v, want %q", what, err, tc.err)
		}
	}
}

func TestOnlyTheBundleThatIsAskedForIsInstalled(t *testing.T) {
	list := manifest(t, UnpackerName, "a")
	data := tarball(t, list, member{UnpackerName, UnpackerName}, member{"a", "a"})
	var m Manifest
	if err := json.Unmarshal([]byte(list.data), &m); err != nil {
		t.Fatal(err)
	}
	if got := m.Programs(); len(got) != 1 || got[0].Name != "a" {
		t.Errorf("its programs are %v", got)
	}
	other := m
	if other.Version = "2"; other.Digest() == m.Digest() || len(m.Digest()) != 64 {
		t.Errorf("versions 1 and 2 have the digests %s and %s", m.Digest(), other.Digest())
	}
	for digest, want := range map[string]bool{"": true, m.Digest(): true, other.Digest(): false} {
		dir := filepath.Join(t.TempDir(), "bin")
		err := Install(bytes.NewReader(data), dir, "", digest)
		var names []string
		entries, readErr := os.ReadDir(dir)
		if readErr != nil {
			t.Fatal(readErr)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if want && (err != nil || !slices.Equal(names, []string{"a"})) || !want && (err == nil || !strings.Contains(err.Error(), "this is another bundle") || len(names) > 0) {
			t.Errorf("asked for %q: %v, %v", digest, err, names)
		}
	}
}

func TestTheSumsOfLargeProgramsAreKept(t *testing.T) {
	from := t.TempDir()
	sizes := map[string]int{UnpackerName: 10}
	for i := range 5 {
		sizes[fmt.Sprint("large", i)], sizes[fmt.Sprint("small", i)] = large, large-1
	}
	for name, size := range sizes {
		if err := os.WriteFile(filepath.Join(from, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	m, err := Pack(&out, from, Manifest{Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	dir, sums := filepath.Join(root, "bin"), filepath.Join(root, "run", "sums")
	if err := Install(&out, dir, sums, m.Digest()); err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, f := range m.Programs() {
		path := filepath.Join(dir, f.Name)
		got, err := os.ReadFile(filepath.Join(sums, strings.ReplaceAll(path, "/", "_")))
		if f.Size < large {
			if err == nil {
				t.Errorf("that of %s, of %d bytes, is kept", f.Name, f.Size)
			}
			continue
		}
		var s syscall.Stat_t
		if err := syscall.Stat(path, &s); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("%d.%d.%d.%09d.%d.%09d %s\n", s.Size, s.Ino, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec, f.SHA256)
		if err != nil || string(got) != want {
			t.Errorf("that of %s is %q (%v), want %q", f.Name, got, err, want)
		}
		kept++
	}
	if kept != 5 {
		t.Errorf("%d of 5 are kept", kept)
	}
}

func TestWhatIsPacked(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"z", "a", UnpackerName, ".stamp"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o700), os.Symlink("a", filepath.Join(dir, "l"))); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	m, err := Pack(&out, dir, Manifest{Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range m.Files {
		sum := sha256.Sum256([]byte(f.Name))
		if f.SHA256 != hex.EncodeToString(sum[:]) || f.Size != int64(len(f.Name)) || f.Mode != 0o755 {
			t.Errorf("%+v", f)
		}
		names = append(names, f.Name)
	}
	if !slices.Equal(names, []string{UnpackerName, "a", "z"}) {
		t.Errorf("packed are %v", names)
	}
	if err := os.Remove(filepath.Join(dir, UnpackerName)); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(io.Discard, dir, Manifest{}); err == nil {
		t.Error("packed without an unpacker")
	}
}

package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// pack makes a bundle of one program, of which any word may be a lie.
func pack(t *testing.T, manifest Manifest, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	data, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		name string
		data []byte
	}{{ManifestName, data}, {name, content}} {
		if err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o755}); err != nil {
			t.Skip("no name of a tar's member:", err)
		}
		if _, err := w.Write(m.data); err != nil {
			t.Skip("the name is a directory's:", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// FuzzInstall: a bundle that is damaged or forged leaves nothing anywhere; a whole one
// leaves what its manifest says, in its directory alone.
func FuzzInstall(f *testing.F) {
	f.Add("kubelet", "kubelet", []byte("program"), true, uint16(0), byte(0))
	f.Add("../escape", "../escape", []byte("program"), true, uint16(0), byte(0))
	f.Add("..", "..", []byte{}, true, uint16(0), byte(0))
	f.Add("a", "b", []byte("x"), true, uint16(0), byte(0))
	f.Add("a", "a", []byte("x"), false, uint16(0), byte(0))
	f.Add("a", "a", []byte("content"), true, uint16(40), byte(1))
	f.Fuzz(func(t *testing.T, listed, name string, content []byte, honest bool, at uint16, flip byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "bin")
		sum := sha256.Sum256(content)
		if !honest {
			sum[0]++
		}
		file := File{Name: listed, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content)), Mode: 0o755}
		data := pack(t, Manifest{Version: "1", Files: []File{file}}, name, content)
		if flip != 0 {
			data[int(at)%len(data)] ^= flip
		}
		err := Install(bytes.NewReader(data), dir, "", "")
		var left []string
		if werr := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				left = append(left, path)
			}
			return err
		}); werr != nil {
			t.Fatal(werr)
		}
		if err != nil {
			if len(left) > 0 {
				t.Errorf("refused (%v), and left %q", err, left)
			}
			return
		}
		if flip != 0 {
			return // the flip met a byte that says nothing, or the name
		}
		if listed == UnpackerName {
			t.Error("a bundle of nothing but the unpacker is installed")
			return
		}
		got, rerr := os.ReadFile(filepath.Join(dir, listed))
		if rerr != nil || !bytes.Equal(got, content) || len(left) != 1 || !honest || listed != name {
			t.Errorf("installed %q (%v) from listed %q, named %q, honest %v", left, rerr, listed, name, honest)
		}
	})
}

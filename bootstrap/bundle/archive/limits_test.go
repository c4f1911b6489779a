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
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func fileOf(name string, size int64) File {
	return File{Name: name, SHA256: strings.Repeat("00", sha256.Size), Size: size, Mode: 0o755}
}

func TestWhatAManifestMaySay(t *testing.T) {
	with := func(change func(*File)) []File {
		f := fileOf("a", 1)
		change(&f)
		return []File{f}
	}
	many := func(n int) (out []File) {
		for i := range n {
			out = append(out, fileOf(fmt.Sprint("f", i), 0))
		}
		return out
	}
	for what, tc := range map[string]struct {
		files []File
		err   string
	}{
		"a program":           {with(func(*File) {}), ""},
		"an empty program":    {with(func(f *File) { f.Size = 0 }), ""},
		"the largest program": {with(func(f *File) { f.Size = maxFile }), ""},
		"the most programs":   {many(maxFiles), ""},
		"the largest bundle":  {[]File{fileOf("a", maxFile), fileOf("b", maxBundle-maxFile)}, ""},
		"nothing":             {nil, "lists no files"},
		"too many":            {many(maxFiles + 1), "lists 65 files, more than 64"},
		"one too large":       {with(func(f *File) { f.Size = maxFile + 1 }), "a has 536870913 bytes"},
		"less than nothing":   {with(func(f *File) { f.Size = -1 }), "a has -1 bytes"},
		"together too large":  {[]File{fileOf("a", maxFile), fileOf("b", maxFile), fileOf("c", 1)}, "more than 1073741824 bytes"},
		"one twice":           {[]File{fileOf("a", 1), fileOf("b", 1), fileOf("a", 1)}, `"a" twice`},
		"no name":             {with(func(f *File) { f.Name = "" }), `""`},
		"the directory":       {with(func(f *File) { f.Name = "." }), `"."`},
		"the one above":       {with(func(f *File) { f.Name = ".." }), `".."`},
		"one above":           {with(func(f *File) { f.Name = "../a" }), `"../a"`},
		"the root":            {with(func(f *File) { f.Name = "/" }), `"/"`},
		"an absolute path":    {with(func(f *File) { f.Name = "/a" }), `"/a"`},
		"one below":           {with(func(f *File) { f.Name = "a/b" }), `"a/b"`},
		"a hidden one":        {with(func(f *File) { f.Name = ".a" }), `".a"`},
		"no text":             {with(func(f *File) { f.Name = "a\x00b" }), `"a\x00b"`},
		"setuid":              {with(func(f *File) { f.Mode = fs.ModeSetuid | 0o755 }), "more than permissions"},
		"setuid of a kernel":  {with(func(f *File) { f.Mode = 0o4755 }), "more than permissions"},
		"a directory":         {with(func(f *File) { f.Mode = fs.ModeDir | 0o755 }), "more than permissions"},
		"no sum":              {with(func(f *File) { f.SHA256 = "" }), "no SHA-256"},
		"a short sum":         {with(func(f *File) { f.SHA256 = f.SHA256[2:] }), "no SHA-256"},
		"no hexadecimal":      {with(func(f *File) { f.SHA256 = strings.Repeat("zz", sha256.Size) }), "no SHA-256"},
	} {
		err := Manifest{Files: tc.files}.validate()
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("%s: %v, want %q", what, err, tc.err)
		}
	}
}

// A member that is a link would be followed by who writes to its name.
func TestMembersAreRegularFiles(t *testing.T) {
	f := fileOf("a", 0)
	for kind, fits := range map[byte]bool{
		tar.TypeReg: true, tar.TypeSymlink: false, tar.TypeLink: false, tar.TypeDir: false, tar.TypeChar: false, tar.TypeFifo: false, tar.TypeGNUSparse: false,
	} {
		if err := f.matches(&tar.Header{Name: "a", Typeflag: kind}); (err == nil) != fits {
			t.Errorf("type %q: %v", kind, err)
		}
	}
}

// counted counts what is written, which is thrown away.
type counted struct{ n int64 }

func (c *counted) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// A few kilobytes that say they are terabytes are refused before they are unpacked.
func TestABombIsRefused(t *testing.T) {
	pack := func(size int64, options ...zstd.EOption) []byte {
		m := Manifest{Version: "1", Files: []File{fileOf("a", size)}}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		z, err := zstd.NewWriter(&out, options...)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(z)
		if err := errors.Join(
			w.WriteHeader(&tar.Header{Name: ManifestName, Size: int64(len(data)), Mode: 0o644}), second(w.Write(data)),
			w.WriteHeader(&tar.Header{Name: "a", Size: size, Mode: 0o755}), second(io.CopyN(w, zeros{}, 40<<20)), z.Close(),
		); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	for what, tc := range map[string]struct {
		archive []byte
		err     string
	}{
		"by its size":   {pack(1 << 42), "of at most"},
		"by its window": {pack(40<<20, zstd.WithWindowSize(64<<20)), "window size exceeded"},
	} {
		var got counted
		err := Walk(bytes.NewReader(tc.archive), func(_ Manifest, _ File, r io.Reader) error {
			_, err := io.Copy(&got, r)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), tc.err) || got.n > 0 {
			t.Errorf("%s: unpacked %d bytes of %d: %v", what, got.n, len(tc.archive), err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestABundleWithoutProgramsIsNotInstalled(t *testing.T) {
	sum := sha256.Sum256([]byte(UnpackerName))
	data, err := json.Marshal(Manifest{Files: []File{{Name: UnpackerName, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(UnpackerName)), Mode: 0o755}}})
	if err != nil {
		t.Fatal(err)
	}
	for what, archive := range map[string][]byte{
		"holds no programs": tarball(t, member{ManifestName, string(data)}, member{UnpackerName, UnpackerName}),
		"lists no files":    tarball(t, manifest(t)),
		"another bundle":    tarball(t, manifest(t, "a"), member{"a", "a"}),
	} {
		dir, digest := t.TempDir(), ""
		if what == "another bundle" {
			digest = strings.Repeat("00", sha256.Size)
		}
		err := Install(bytes.NewReader(archive), dir, "", digest)
		entries, _ := os.ReadDir(dir)
		if err == nil || !strings.Contains(err.Error(), what) || len(entries) > 0 {
			t.Errorf("%v, and there are %v; want %q", err, entries, what)
		}
	}
}

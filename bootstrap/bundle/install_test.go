package bundle

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/bundle/share"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
)

func opened(t *testing.T) *Bundle {
	t.Helper()
	path := filepath.Join(t.TempDir(), "b")
	if err := os.WriteFile(path, pack(t), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestProgramsAreAsTheManifestHasThem(t *testing.T) {
	b := opened(t)
	i := Install{Bundle: b}
	gantry, runc := "/opt/gantry/bin/gantry", "/opt/gantry/bin/runc"
	if got := i.Watch(); !reflect.DeepEqual(got, step.Watch{Files: []string{gantry, runc}}) {
		t.Errorf("it watches %+v", got)
	}
	if got := i.String(); got != "install gantry, runc of bundle 1 in /opt/gantry/bin" {
		t.Errorf("it is to %q", got)
	}
	sum := func(name string) string {
		for _, f := range b.Programs() {
			if f.Name == name {
				return f.SHA256
			}
		}
		t.Fatalf("no %s", name)
		return ""
	}
	for what, tc := range map[string]struct {
		change func(map[string]host.FileInfo)
		want   []string
	}{
		"all are there":        {func(map[string]host.FileInfo) {}, nil},
		"another is there too": {func(m map[string]host.FileInfo) { m["/opt/gantry/bin/x"] = host.FileInfo{} }, nil},
		"nothing is there":     {func(m map[string]host.FileInfo) { clear(m) }, []string{gantry, runc}},
		"one is missing":       {func(m map[string]host.FileInfo) { delete(m, runc) }, []string{runc}},
		"one is damaged":       {func(m map[string]host.FileInfo) { m[gantry] = host.FileInfo{Mode: 0o755, SHA256: "00"} }, []string{gantry}},
		"one is not executable": {func(m map[string]host.FileInfo) { m[gantry] = host.FileInfo{Mode: 0o644, SHA256: sum("gantry")} },
			[]string{gantry}},
		"one is a directory": {func(m map[string]host.FileInfo) { m[gantry] = host.FileInfo{Mode: fs.ModeDir | 0o755} }, []string{gantry}},
	} {
		files := map[string]host.FileInfo{gantry: {Mode: 0o755, SHA256: sum("gantry")}, runc: {Mode: 0o755, SHA256: sum("runc")}}
		tc.change(files)
		seen := step.Seen{Files: files}
		if got := i.Differing(seen); !slices.Equal(got, tc.want) || i.Done(seen) != (len(tc.want) == 0) {
			t.Errorf("%s: differing are %v, done %v, want %v", what, got, i.Done(seen), tc.want)
		}
	}
}

// machine is a host with a disk. What it can have from elsewhere, and how commands
// fail, is a test's to say.
type machine struct {
	host.Host
	files     map[string]string
	installed string           // from where
	fails     map[string]error // by the first argument, or the second of the unpacker
}

func (m *machine) Run(_ context.Context, c host.Command) ([]byte, error) {
	what := c.Argv[0]
	if strings.HasSuffix(what, archive.UnpackerName) {
		if m.files[what] == "" {
			return nil, errors.New("no unpacker")
		}
		what = c.Argv[1]
	}
	if err := m.fails[what]; err != nil {
		return nil, err
	}
	switch what {
	case "-from":
		m.installed = c.Argv[2]
	case "-archive":
		if m.files[c.Argv[2]] == "" {
			return nil, errors.New("no archive")
		}
		if i := slices.Index(c.Argv, "-digest"); i < 0 || len(c.Argv[i+1]) != 64 {
			return nil, errors.New("it does not say which bundle it is")
		}
		m.installed = "the archive"
	case "rm":
		for _, path := range c.Argv[2:] {
			delete(m.files, path)
		}
	}
	return nil, nil
}

func (m *machine) Upload(_ context.Context, path string, r io.Reader, _ fs.FileMode, progress func(int64)) error {
	if err := m.fails["upload"]; err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if progress != nil {
		progress(int64(len(data)))
	}
	m.files[path] = string(data)
	return nil
}

// source is another host, which serves at an address.
type source struct {
	address string
	failed  []error
}

func (s *source) Address() string             { return s.address }
func (s *source) Failed(_ host.Host, e error) { s.failed = append(s.failed, e) }

func TestFromWhereABundleIsInstalled(t *testing.T) {
	b := opened(t)
	fetch, disk := &host.CommandError{Status: share.ExitFetch}, &host.CommandError{Status: 1}
	lost := errors.New("the connection is lost")
	const there = "10.0.0.1:10261"
	for what, tc := range map[string]struct {
		from      *source
		keep      bool
		fails     map[string]error
		installed string
		failed    int // how often the source is told
		err       error
		left      int // files on the host
	}{
		"from nobody":                        {installed: "the archive"},
		"from who does not serve":            {from: &source{}, installed: "the archive"},
		"from another":                       {from: &source{address: there}, installed: there},
		"to be handed on":                    {from: &source{address: there}, keep: true, installed: "the archive", left: 2},
		"to be handed on, from nobody":       {keep: true, installed: "the archive", left: 2},
		"from another, which failed":         {from: &source{address: there}, fails: map[string]error{"-from": fetch}, installed: "the archive", failed: 1},
		"from another, with a full disk":     {from: &source{address: there}, fails: map[string]error{"-from": disk}, err: disk, left: 1},
		"from another, and it is gone":       {from: &source{address: there}, fails: map[string]error{"-from": lost}, err: lost, left: 1},
		"to a disk without room":             {fails: map[string]error{"-archive": disk}, err: disk, left: 2},
		"to a disk that cannot be written":   {fails: map[string]error{"upload": disk}, err: disk},
		"to where no directory can be made":  {fails: map[string]error{"mkdir": disk}, err: disk},
		"and what is left cannot be removed": {fails: map[string]error{"rm": disk}, installed: "the archive", err: disk, left: 2},
	} {
		m := &machine{files: map[string]string{}, fails: tc.fails}
		i := Install{Bundle: b, Keep: tc.keep}
		if tc.from != nil {
			i.From = tc.from
		}
		err := i.Apply(t.Context(), m, step.Seen{})
		if !errors.Is(err, tc.err) || m.installed != tc.installed || len(m.files) != tc.left {
			t.Errorf("%s: %v, installed from %q, %d files left; want %v, %q, %d", what, err, m.installed, len(m.files), tc.err, tc.installed, tc.left)
		}
		if tc.from != nil && len(tc.from.failed) != tc.failed {
			t.Errorf("%s: the source is told of %v", what, tc.from.failed)
		}
	}
}

func TestProgressIsOfTheArchive(t *testing.T) {
	b := opened(t)
	info, err := os.Stat(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	var sent, total int64
	i := Install{Bundle: b, Progress: func(s, of int64) { sent, total = s, of }}
	if err := i.Apply(t.Context(), &machine{files: map[string]string{}}, step.Seen{}); err != nil {
		t.Fatal(err)
	}
	if sent != info.Size() || total != info.Size() {
		t.Errorf("%d of %d sent, want %d", sent, total, info.Size())
	}
	b.Path += ".none"
	if err := i.Apply(t.Context(), &machine{files: map[string]string{}}, step.Seen{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an archive that is gone: %v", err)
	}
}

func TestAServerHandsOnWhatItKept(t *testing.T) {
	b := opened(t)
	c := b.Serve("10.0.0.1:10261")
	want := []string{"/var/lib/gantry/bootstrap/gantry-unpack", "-serve", "10.0.0.1:10261", "-archive", "/var/lib/gantry/bootstrap/bundle.tar.zst", "-digest", b.Digest()}
	if !slices.Equal(c.Argv, want) || !c.Lasting {
		t.Errorf("%v, lasting %v", c.Argv, c.Lasting)
	}
}

func TestWhatIsOpened(t *testing.T) {
	good := opened(t)
	data, err := os.ReadFile(good.Path)
	if err != nil {
		t.Fatal(err)
	}
	bare := t.TempDir()
	if err := os.WriteFile(filepath.Join(bare, archive.UnpackerName), []byte("u"), 0o755); err != nil {
		t.Fatal(err)
	}
	var empty bytes.Buffer
	if _, err := archive.Pack(&empty, bare, archive.Manifest{Version: "1"}); err != nil {
		t.Fatal(err)
	}
	lying := bytes.NewBuffer(nil)
	if err := forge(lying, "a lie"); err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		data   []byte
		beside string
		err    string
	}{
		"alone":                      {data, "", ""},
		"with what fits":             {data, `{"archiveSHA256":"` + good.SHA256 + `"}`, ""},
		"with another's":             {data, `{"archiveSHA256":"00"}`, "copy or build it anew"},
		"with what says nothing":     {data, `{}`, "copy or build it anew"},
		"with what cannot be read":   {data, `{`, "bundle: "},
		"without programs":           {empty.Bytes(), "", "holds no programs"},
		"with a forged unpacker":     {lying.Bytes(), "", "gantry-unpack: its SHA-256 is"},
		"with nothing in it":         {nil, "", "bundle "},
		"cut before it says what is": {data[:20], "", "bundle "},
	} {
		path := filepath.Join(t.TempDir(), "b")
		if err := os.WriteFile(path, tc.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if tc.beside != "" {
			if err := os.WriteFile(BesidePath(path), []byte(tc.beside), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		b, err := Open(path)
		if tc.err == "" {
			if err != nil || b.SHA256 != good.SHA256 || b.Digest() != good.Digest() || b.Path != path {
				t.Errorf("%s: %+v %v", what, b, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v, want %q", what, err, tc.err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "make bundle") {
		t.Errorf("none: %v", err)
	}
}

// forge writes a bundle whose unpacker is not the one of its manifest.
func forge(w io.Writer, unpacker string) error {
	m := archive.Manifest{Files: []archive.File{{Name: archive.UnpackerName, SHA256: strings.Repeat("00", 32), Size: int64(len(unpacker)), Mode: 0o755}}}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(w)
	if err != nil {
		return err
	}
	t := tar.NewWriter(z)
	for _, member := range []struct{ name, data string }{{archive.ManifestName, string(data)}, {archive.UnpackerName, unpacker}} {
		if err := t.WriteHeader(&tar.Header{Name: member.name, Size: int64(len(member.data)), Mode: 0o755}); err != nil {
			return err
		}
		if _, err := io.WriteString(t, member.data); err != nil {
			return err
		}
	}
	return errors.Join(t.Close(), z.Close())
}

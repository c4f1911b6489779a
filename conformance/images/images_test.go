package images

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// sources are small stand-ins for what images are made from.
func sources(t *testing.T) Sources {
	t.Helper()
	dir := t.TempDir()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	const text = "#!/bin/sh\nprintf 'busybox\\nls\\nsh\\n'\n"
	for _, h := range []tar.Header{
		{Name: "./usr/bin/busybox", Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(text))},
		{Name: "./usr/bin/bash-static", Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(text))},
		{Name: "./etc/passwd", Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(text))},
		{Name: "./etc/group", Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(text))},
		{Name: "./dev/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := Sources{Root: filepath.Join(dir, "root.tar"), Programs: dir, Module: dir, Pause: filepath.Join(dir, "pause")}
	write(t, s.Root, b.Bytes())
	for _, f := range []string{
		"pause", "agnhost", "sample-apiserver", "server", "nonewprivs", "resource-consumer", "consume-cpu", "shell", "regression-issue-74839",
		"test/images/agnhost/porter/localhost.crt", "test/images/agnhost/porter/localhost.key",
		"test/images/kitten/html/kitten.jpg", "test/images/kitten/html/data.json",
		"test/images/nautilus/html/nautilus.jpg", "test/images/nautilus/html/data.json",
	} {
		write(t, filepath.Join(dir, f), []byte("this is "+f))
	}
	return s
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents are the files of an image as a container would see them: links by target.
func contents(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	flat := mutate.Extract(img)
	defer flat.Close()
	out := map[string]string{}
	for r := tar.NewReader(flat); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Clean(h.Name)] = string(data) + h.Linkname
	}
}

func TestImages(t *testing.T) {
	made, err := Build(context.Background(), sources(t))
	if err != nil {
		t.Fatal(err)
	}
	box := contents(t, made[e2e+"busybox:1.37.0-2"])
	if box["bin/ls"] != "busybox" || box["bin/sh"] != "this is shell" || box["bin/bash"] == "" || box["bin/busybox"] == "" {
		t.Errorf("busybox is a link per applet, with a shell of its own: %v", box)
	}
	agnhost := contents(t, made[e2e+"agnhost:2.66.1"])
	if agnhost["agnhost"] != "this is agnhost" || agnhost["agnhost-2"] != "agnhost" || agnhost["usr/bin/busybox"] == "" {
		t.Errorf("agnhost has its program beside the root file system: %v", agnhost)
	}
	if _, device := agnhost["dev/null"]; device {
		t.Error("a device node is in the image")
	}
	config, err := made["pause:3.10.2"].ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; config.OS != "linux" || config.Architecture != "amd64" || len(c.Entrypoint) != 2 || c.User != "65535:65535" {
		t.Errorf("pause is %+v", config)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	s := sources(t)
	if err := os.Remove(filepath.Join(s.Programs, "consume-cpu")); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(context.Background(), s); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an image without its program was made: %v", err)
	}
}

func TestServe(t *testing.T) {
	made, err := Build(context.Background(), sources(t))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop, err := Serve(context.Background(), ln, made)
	if err != nil {
		t.Fatal(err)
	}
	defer stop() //nolint:errcheck // of a test
	ref, err := name.ParseReference(ln.Addr().String()+"/"+e2e+"kitten:1.8", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents(t, img); got["kitten.jpg"] != "this is test/images/kitten/html/kitten.jpg" {
		t.Errorf("pulled %v", got)
	}
}

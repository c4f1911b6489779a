package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one of a layer: with data, or a link where target is set, or a directory
// where both are empty.
type file struct {
	name   string
	mode   int64
	data   []byte
	target string
}

// layer holds files, in this order.
func layer(files ...file) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), Typeflag: tar.TypeReg}
		switch {
		case f.target != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.target
		case f.data == nil:
			h.Typeflag, h.Name = tar.TypeDir, f.name+"/"
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("layer: %s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("layer: %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("layer: %w", err)
	}
	return static.NewLayer(b.Bytes(), types.OCIUncompressedLayer), nil
}

// root is a root file system: the layer of it, and some of its files.
type root struct {
	layer v1.Layer
	files map[string][]byte
}

// readRoot reads an archive of a root file system. Files are found by their last
// elements: whether /bin is a link to /usr/bin differs by release. Device nodes are
// left out: a runtime makes its own.
func readRoot(archive string, wanted ...string) (root, error) {
	in, err := os.Open(archive)
	if err != nil {
		return root{}, err
	}
	defer in.Close()
	r := root{files: map[string][]byte{}}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for reader := tar.NewReader(in); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return root{}, fmt.Errorf("%s: %w", archive, err)
		}
		if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
			continue
		}
		data, err := io.ReadAll(reader)
		if err != nil {
			return root{}, fmt.Errorf("%s: %s: %w", archive, h.Name, err)
		}
		for _, name := range wanted {
			if h.Typeflag == tar.TypeReg && strings.HasSuffix(path.Clean("/"+h.Name), "/"+name) && r.files[name] == nil {
				r.files[name] = data
			}
		}
		if err := w.WriteHeader(h); err != nil {
			return root{}, fmt.Errorf("%s: %s: %w", archive, h.Name, err)
		}
		if _, err := w.Write(data); err != nil {
			return root{}, fmt.Errorf("%s: %s: %w", archive, h.Name, err)
		}
	}
	for _, name := range wanted {
		if r.files[name] == nil {
			return root{}, fmt.Errorf("%s has no file %s", archive, name)
		}
	}
	if err := w.Close(); err != nil {
		return root{}, fmt.Errorf("%s: %w", archive, err)
	}
	r.layer = static.NewLayer(b.Bytes(), types.OCIUncompressedLayer)
	return r, nil
}

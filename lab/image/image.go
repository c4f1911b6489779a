// Package image makes a container image of one static program, without a
// registry or a container engine: for the demo, the tests and the benchmarks.
// It imports nothing of ours.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path"
)

// Write writes an archive that `gantry image import` (or docker load) takes: one
// layer with the program at /name, which is its entry point. ref is the image's
// name with tag. The same input gives the same bytes.
func Write(w io.Writer, ref, name string, program []byte) error {
	return WriteWith(w, ref, name, program, Options{})
}

// Options are what an image may have besides.
type Options struct {
	// User runs the program, root where it is empty.
	User string
	// Links are further names of the program, in the same directory.
	Links []string
}

// WriteWith does as Write, with options.
func WriteWith(w io.Writer, ref, name string, program []byte, o Options) error {
	layer, err := layer(name, program, o.Links)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux",
		"config": map[string]any{"User": o.User, "Entrypoint": []string{"/" + name}, "Env": []string{"PATH=/"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return err
	}
	configName := digest(config)[len("sha256:"):] + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{ref}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	tw := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{{configName, config}, {"layer.tar", layer}, {"manifest.json", manifest}} {
		if err := add(tw, f.name, 0o644, f.data); err != nil {
			return err
		}
	}
	return tw.Close()
}

// layer holds the program and the directories that a runtime mounts over.
func layer(name string, program []byte, links []string) ([]byte, error) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, dir := range []string{"dev", "etc", "proc", "sys", "tmp"} {
		if err := tw.WriteHeader(&tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	if err := add(tw, path.Base(name), 0o755, program); err != nil {
		return nil, err
	}
	for _, link := range links {
		if err := tw.WriteHeader(&tar.Header{Name: link, Typeflag: tar.TypeSymlink, Linkname: path.Base(name), Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func add(tw *tar.Writer, name string, mode int64, data []byte) error {
	if err := tw.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := tw.Write(data)
	return err
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

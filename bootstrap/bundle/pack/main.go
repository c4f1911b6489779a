// Command pack makes the bundle from a directory of programs, and the JSON file
// beside it that says what is in it. make bundle runs it.
package main

import (
	"bufio"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"aead.dev/minisign"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

// module is ours, whose version is not in its programs.
const module = "github.com/gantry-run/gantry"

func main() {
	dir := flag.String("dir", "dist/bundle", "directory with the programs")
	out := flag.String("out", "dist/gantry-bundle-linux-amd64.tar.zst", "the bundle to write")
	version := flag.String("version", "0.0.0-dev", "version of Gantry")
	platform := flag.String("platform", "linux/amd64", "GOOS/GOARCH of the programs")
	key := flag.String("key", "", "minisign's private key that signs the bundle, whose password is in MINISIGN_PASSWORD; empty signs nothing")
	flag.Parse()
	if err := pack(*dir, *out, *version, *platform, *key); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(dir, out, version, platform, key string) error {
	components, err := versions(dir, version)
	if err != nil {
		return err
	}
	f, err := os.Create(out + ".new")
	if err != nil {
		return err
	}
	defer os.Remove(out + ".new")
	sum := sha256.New()
	buf := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	m, err := archive.Pack(buf, dir, archive.Manifest{Version: version, Platform: platform, Components: components})
	if err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	beside, err := json.MarshalIndent(bundle.Beside{Manifest: m, ArchiveSHA256: hex.EncodeToString(sum.Sum(nil))}, "", "  ")
	if err != nil {
		return err
	}
	// A signature is of one archive: that of an earlier one goes.
	if err := os.Remove(bundle.SignaturePath(out)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(bundle.BesidePath(out), append(beside, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.Rename(out+".new", out); err != nil || key == "" {
		return err
	}
	return sign(out, key, fmt.Sprintf("gantry %s %s", version, platform))
}

// sign writes the signature beside the archive. The comment is signed too.
func sign(path, keyFile, comment string) error {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("the key that signs the bundle: %w", err)
	}
	var key minisign.PrivateKey
	if minisign.IsEncrypted(text) {
		key, err = minisign.DecryptKey(os.Getenv("MINISIGN_PASSWORD"), text)
	} else {
		err = key.UnmarshalText(text)
	}
	if err != nil {
		return fmt.Errorf("the key that signs the bundle, %s (its password is taken from MINISIGN_PASSWORD): %w", keyFile, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content := minisign.NewReader(f)
	if _, err := io.Copy(io.Discard, content); err != nil {
		return err
	}
	untrusted := fmt.Sprintf("signature by key ID %016X", key.ID())
	return os.WriteFile(bundle.SignaturePath(path), content.SignWithComments(key, comment, untrusted), 0o644)
}

// versions reads from each Go program which version of its module it is built of.
func versions(dir, ours string) (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, p := range paths {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			continue // not a Go program
		}
		name := filepath.Base(p)
		out[name] = info.Main.Version
		if info.Main.Path == module {
			out[name] = ours
		}
		for _, d := range info.Deps {
			// A tool of another module is built with that module as a dependency.
			if len(d.Path) <= len(info.Path) && info.Path[:len(d.Path)] == d.Path {
				out[name] = d.Version
			}
		}
		out["go"] = info.GoVersion
	}
	return out, nil
}

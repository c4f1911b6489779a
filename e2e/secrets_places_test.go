//go:build lab

package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// toldTerraform checks that Terraform's own log tells every step that log_dir does.
func toldTerraform(where map[string][]byte) error {
	steps := 0
	for place, data := range where {
		if !strings.HasPrefix(place, "log/") || !strings.HasSuffix(place, ".jsonl") {
			continue
		}
		for line := range bytes.Lines(data) {
			var e struct{ Host, Step, State, Took string }
			if err := json.Unmarshal(line, &e); err != nil {
				return fmt.Errorf("%s: %w: %s", place, err, line)
			}
			if e.Host == "" || e.Step == "" {
				continue
			}
			steps++
			if want := fmt.Sprintf("%s: %s %s", e.Host, e.Step, e.State); !bytes.Contains(where["trace.log"], []byte(want)) {
				return fmt.Errorf("Terraform's log does not tell %q, which %s does", want, place)
			}
		}
	}
	if steps == 0 {
		return errors.New("log_dir tells of no step")
	}
	return nil
}

// giveUser has the unprivileged user of the hosts log in by a password too, and
// its sudo ask for it, once: it waits for seconds after each wrong one.
func giveUser(ctx context.Context, l *lab.Lab, password string, hosts ...string) error {
	for _, n := range hosts {
		script := "chpasswd && printf 'Defaults:%s passwd_tries=1\\n%s ALL=(ALL) ALL\\n' " + lab.User + " " + lab.User + " >/etc/sudoers.d/" + lab.User
		if _, err := ssh(ctx, l, n, []byte(lab.User+":"+password+"\n"), script); err != nil {
			return err
		}
	}
	return nil
}

// collect finds a host's private keys and tokens, and what is public of them.
func collect(ctx context.Context, l *lab.Lab, name string, secrets map[string][]byte, public *[][]byte) error {
	h, err := l.Host(name)
	if err != nil {
		return err
	}
	out, err := h.Run(ctx, `find /etc/gantry /etc/ssh /run/gantry /var/lib/gantry/kubelet /var/lib/gantry/bootstrap -type f -size -64k -print |
		while IFS= read -r f; do echo "$f $(base64 -w0 <"$f")"; done`)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		path, encoded, _ := strings.Cut(strings.TrimSpace(line), " ")
		data, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if before, key, leaf := bytes.Cut(data, []byte("-----BEGIN PRIVATE KEY")); leaf && strings.HasSuffix(path, ".pem") { // a certificate, then its key
			*public = append(*public, before)
			data = append([]byte("-----BEGIN PRIVATE KEY"), key...)
		}
		switch {
		case bytes.Contains(data, []byte(keyMark)), strings.HasPrefix(string(data), "eyJ"):
			secrets[name+":"+path] = data
		case strings.HasSuffix(path, ".crt"), strings.HasSuffix(path, ".pub"):
			*public = append(*public, data)
		}
	}
	return nil
}

// filesBelow reads all files of a workspace but those that are secrets by
// intention; plans are unpacked.
func filesBelow(dir string, out map[string][]byte) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "kubeconfig" || e.Type()&fs.ModeSymlink != 0 {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil || strings.HasPrefix(name, ".terraform/") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out[name] = data
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil //nolint:nilerr // no archive
		}
		for _, part := range z.File {
			r, err := part.Open()
			if err != nil {
				return err
			}
			data, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			out[name+": "+part.Name] = data
		}
		return nil
	})
}

// quitProvider has the provider that works for a workspace end with a dump of all
// its goroutines.
func quitProvider(dir string) error {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return err
	}
	for _, l := range links {
		program, _ := os.Readlink(l) // it may have ended
		cwd, _ := os.Readlink(filepath.Join(filepath.Dir(l), "cwd"))
		if cwd != dir || !strings.HasPrefix(filepath.Base(program), "terraform-provider-gantry") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(l)))
		if err != nil {
			return err
		}
		return syscall.Kill(pid, syscall.SIGQUIT)
	}
	return fmt.Errorf("no provider works in %s", dir)
}

// arguments are those of all processes, this machine's and the lab's, which are
// among them.
type arguments struct {
	pauses  chan chan struct{}
	results chan chan []byte
}

// sampleArguments reads them again and again until the test ends.
func sampleArguments(t *testing.T) *arguments {
	a := &arguments{pauses: make(chan chan struct{}), results: make(chan chan []byte)}
	go func() {
		found := map[string]bool{}
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-t.Context().Done():
				return
			case resume := <-a.pauses:
				<-resume
			case to := <-a.results:
				to <- []byte(strings.Join(slices.Sorted(maps.Keys(found)), "\n"))
			case <-tick.C:
				files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
				for _, file := range files {
					data, _ := os.ReadFile(file) // it may have ended
					found[strings.ReplaceAll(string(data), "\x00", " ")] = true
				}
			}
		}
	}()
	return a
}

// pause looks away until what it returns is called.
func (a *arguments) pause() (resume func()) {
	c := make(chan struct{})
	a.pauses <- c
	return func() { close(c) }
}

// seen returns all that were, one process in a line.
func (a *arguments) seen() []byte {
	c := make(chan []byte)
	a.results <- c
	return <-c
}

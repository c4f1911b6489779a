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
	"github.com/gantry-run/gantry/runtime/config"
)

// secretConfig hands the provider every kind of credential, by values that
// terraform itself keeps nowhere.
const secretConfig = `
provider "gantry" {
  ssh = {
    user          = var.ssh.user
    private_key   = var.secret.key
    passphrase    = var.secret.passphrase
    password      = var.secret.password
    sudo_password = var.secret.password
  }
}
`

const secretVariable = `
variable "secret" {
  type      = object({ key = string, passphrase = string, password = string })
  ephemeral = true
}
`

// TestSecretsStayWhereTheyLive is a life with every kind of credential, and with a
// second master, which is given the cluster's keys that the provider read from the
// first. What it leaves outside the servers, and in their journals, holds none of the
// secrets that are on them or were given to the provider.
func TestSecretsStayWhereTheyLive(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-secrets", []string{"master-1", "master-2"}, []string{"worker-1"}, nil)
	step := stepper(t)
	w := f.Workspace
	w.User = lab.User
	secrets := map[string][]byte{"SSH password": []byte("Zq7" + fmt.Sprintf("%x", time.Now().UnixNano()) + "wX"), "SSH passphrase": []byte("mirror-lantern-orchid-42")}
	var public [][]byte
	var trace []byte // of the runs, and what they printed
	plans := 0
	args := sampleArguments(t)

	step("servers whose sudo asks for a password, a key with a passphrase", func(ctx context.Context) error {
		key := filepath.Join(w.Dir, "..", "key")
		if err := giveUser(ctx, f.Lab, string(secrets["SSH password"]), f.Nodes()...); err != nil {
			return err
		}
		data, err := os.ReadFile(f.Lab.KeyFile())
		if err != nil {
			return err
		}
		secrets["SSH key"] = data
		if err := os.WriteFile(key, data, 0o600); err != nil {
			return err
		}
		// Not seen by who reads arguments: ssh-keygen has no other way to be given one.
		pause := args.pause()
		_, err = command(ctx, "", nil, nil, "ssh-keygen", "-q", "-p", "-N", string(secrets["SSH passphrase"]), "-f", key)
		pause()
		if err != nil {
			return err
		}
		encrypted, err := os.ReadFile(key)
		if err != nil {
			return err
		}
		secrets["encrypted SSH key"] = encrypted
		w.Env = []string{"TF_LOG=TRACE", "TF_LOG_PATH=" + filepath.Join(w.Dir, "trace.log"),
			fmt.Sprintf("TF_VAR_secret={key=%q,passphrase=%q,password=%q}", encrypted, secrets["SSH passphrase"], secrets["SSH password"])}
		return errors.Join(
			os.WriteFile(filepath.Join(w.Dir, "secret.tf"), []byte(secretVariable), 0o600),
			os.WriteFile(filepath.Join(w.Dir, "secret_override.tf"), []byte(secretConfig), 0o600))
	})
	run := func(args ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			out, err := w.run(ctx, nil, append(args, "-input=false", "-no-color")...)
			trace = append(trace, out...)
			return err
		}
	}
	plan := func(ctx context.Context) error {
		plans++
		file := fmt.Sprintf("plan-%d", plans)
		if err := run("plan", "-out="+file)(ctx); err != nil {
			return err
		}
		out, err := w.run(ctx, nil, "show", "-json", file)
		trace = append(trace, out...)
		return err
	}
	step("plan a create", plan)
	step("the provider crashes while it holds the cluster's keys", func(ctx context.Context) error {
		out, err := w.DisturbApply(ctx, "master-1", "credentials", "began", func(*os.Process) error { return quitProvider(w.Dir) })
		trace = append(trace, out...)
		if err != nil {
			return err
		}
		dump, err := os.ReadFile(filepath.Join(w.Dir, "trace.log")) // where terraform writes what a provider says
		if err == nil && !(bytes.Contains(dump, []byte("SIGQUIT")) && bytes.Contains(dump, []byte("bootstrap.(*Engine).CreateCluster("))) {
			err = fmt.Errorf("it left no dump:\n%s", out)
		}
		return err
	})
	worker, err := f.Lab.Host("worker-1")
	if err != nil {
		t.Fatal(err)
	}
	binaries := filepath.Dir(config.Binary("gantry"))
	step("a step fails on a server, and all that it said is told", func(ctx context.Context) error {
		if _, err := worker.Run(ctx, fmt.Sprintf("mkdir -p %[1]s && mount --bind %[1]s %[1]s && mount -o remount,bind,ro %[1]s", binaries)); err != nil {
			return err
		}
		if err := run("apply", "-auto-approve")(ctx); err != nil {
			return err
		}
		if !bytes.Contains(trace, []byte("ead-only file system")) {
			return errors.New("terraform printed nothing of the failure")
		}
		return nil
	})
	step("apply", func(ctx context.Context) error {
		if _, err := worker.Run(ctx, "umount "+binaries); err != nil {
			return err
		}
		if err := run("apply", "-auto-approve")(ctx); err != nil {
			return err
		}
		return f.Apply(ctx) // opens the cluster, and finds nothing more to do
	})
	step("deploy the application", func(ctx context.Context) error {
		secrets["Secret"] = []byte("the-api-has-this-one-9321")
		manifest := "apiVersion: v1\nkind: Secret\nmetadata: {name: hidden}\nstringData: {password: " + string(secrets["Secret"]) + "}\n"
		if err := f.Cluster.Apply(ctx, manifest); err != nil {
			return err
		}
		return f.Cluster.Deploy(ctx, f.Workers...)
	})
	step("plan no change, show the state", func(ctx context.Context) error {
		out, err := w.run(ctx, nil, "show", "-json")
		trace = append(trace, out...)
		return errors.Join(err, plan(ctx))
	})
	step("collect the secrets that exist", func(ctx context.Context) error {
		for _, n := range f.Nodes() {
			if err := collect(ctx, f.Lab, n, secrets, &public); err != nil {
				return err
			}
		}
		data, err := os.ReadFile(f.Cluster.Kubeconfig)
		if err != nil {
			return err
		}
		_, key, _ := strings.Cut(string(data), "client-key-data: ")
		key, _, _ = strings.Cut(key, "\n")
		secrets["admin kubeconfig"], err = base64.StdEncoding.DecodeString(key)
		return err
	})
	step("destroy", run("destroy", "-auto-approve"))
	if len(secrets) < 30 {
		t.Fatalf("only %d secrets were collected: %v", len(secrets), slices.Sorted(maps.Keys(secrets)))
	}
	s := newSearch(secrets, public...)
	places := func(ctx context.Context) (map[string][]byte, error) {
		out := map[string][]byte{"output": trace, "arguments": args.seen()}
		if err := filesBelow(w.Dir, out); err != nil {
			return nil, err
		}
		for _, n := range f.Nodes() {
			h, err := f.Lab.Host(n)
			if err != nil {
				return nil, err
			}
			if out["journal of "+n], err = h.Run(ctx, "journalctl --no-pager -a -o export; cat /var/log/*.log /tmp/* 2>/dev/null; true"); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	step("none of them is found anywhere", func(ctx context.Context) error {
		where, err := places(ctx)
		if err != nil {
			return err
		}
		for _, want := range []string{"terraform.tfstate", "terraform.tfstate.backup", "plan-1: tfplan", "plan-2: tfstate", "trace.log", "log/"} {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(where)), func(p string) bool { return strings.HasPrefix(p, want) }) {
				return fmt.Errorf("%s was not searched, only %v", want, slices.Sorted(maps.Keys(where)))
			}
		}
		for place, want := range map[string]string{"arguments": "sudo", "journal of master-1": "COMMAND=", "trace.log": "[TRACE]"} {
			if !bytes.Contains(where[place], []byte(want)) {
				return fmt.Errorf("%s hold no %q: they are not what they should be", place, want)
			}
		}
		if err := toldTerraform(where); err != nil {
			return err
		}
		size := 0
		for place, data := range where {
			size += len(data)
			if found := s.in(data); len(found) > 0 {
				t.Errorf("%s: found %v", place, found)
			}
		}
		t.Logf("    searched %d places, %.1f MB, for %d secrets", len(where), float64(size)/1e6, len(secrets))
		return nil
	})
	step("and each is found where one is planted", func(ctx context.Context) error {
		key := secrets["master-1:/etc/gantry/pki/ca.key"]
		password := string(secrets["SSH password"])
		state, err := w.State()
		if err != nil {
			return err
		}
		planted := map[string]func() error{
			"terraform.tfstate": func() error {
				return os.WriteFile(filepath.Join(w.Dir, "terraform.tfstate"), append(state, key...), 0o600)
			},
			"log/planted.jsonl": func() error {
				return os.WriteFile(filepath.Join(w.LogDir(), "planted.jsonl"), fmt.Appendf(nil, "{%q:%q}", "key", base64.StdEncoding.EncodeToString(key)), 0o600)
			},
			"output": func() error {
				trace = append(trace, password...)
				return nil
			},
			"plan-planted: tfplan": func() error {
				var b bytes.Buffer
				z := zip.NewWriter(&b)
				part, err := z.Create("tfplan")
				if err != nil {
					return err
				}
				if _, err := part.Write(key); err != nil {
					return err
				}
				return errors.Join(z.Close(), os.WriteFile(filepath.Join(w.Dir, "plan-planted"), b.Bytes(), 0o600))
			},
			"arguments": func() error {
				_, err := ssh(ctx, f.Lab, "worker-1", nil, "sh -c 'sleep 0.3; :' "+password)
				return err
			},
			"journal of worker-1": func() error {
				_, err := ssh(ctx, f.Lab, "worker-1", []byte("password is "+password+"\n"), "systemd-cat; journalctl --sync")
				return err
			},
		}
		for _, plant := range planted {
			if err := plant(); err != nil {
				return err
			}
		}
		where, err := places(ctx)
		if err != nil {
			return err
		}
		for place := range planted {
			if len(s.in(where[place])) == 0 {
				return fmt.Errorf("what was planted in %s was not found", place)
			}
		}
		return nil
	})
}

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

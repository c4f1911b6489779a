//go:build lab

package e2e

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
	step := f.stepper(t)
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
				t.Errorf("%s: a secret was found: %v", place, found)
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
				_, err := ssh(ctx, f.Lab, "worker-1", nil, "sh -c 'sleep 3; :' "+password)
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

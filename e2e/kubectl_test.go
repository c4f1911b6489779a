//go:build lab

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab/image"
)

// boxImage is a busybox with what kubectl needs in a container.
const boxImage = "box.test/box:1"

// boxPrograms are the commands of it that the walk uses.
var boxPrograms = []string{"cat", "echo", "env", "ls", "mkdir", "sh", "sleep", "tar", "test", "true"}

// TestKubectl walks through every command of kubectl, of the minors before and after ours.
func TestKubectl(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-kubectl", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	ctx := testContext(t)
	if err := f.Apply(ctx); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(ctx, f.Nodes()...); err != nil {
		t.Fatal(err)
	}
	if err := f.importBox(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := f.trace(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kubectl-older", "kubectl-newer"} {
		t.Run(name, func(t *testing.T) {
			binary, err := filepath.Abs(filepath.Join("..", "bin", name))
			if err != nil {
				t.Fatal(err)
			}
			w, err := f.newWalker(t.TempDir(), binary)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range walk {
				t.Run(s.name, func(t *testing.T) {
					if err := w.do(ctx, s); err != nil {
						t.Error(err)
					}
				})
			}
			if err := w.walkedAll(ctx); err != nil {
				t.Error(err)
			}
			if err := f.noTrace(ctx, before); err != nil {
				t.Error(err)
			}
		})
	}
}

func (f *Flow) importBox(ctx context.Context) error {
	err := importProgram(ctx, f.Lab, f.Nodes(), boxImage, "busybox", "/bin/busybox", image.Options{Links: boxPrograms})
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w (run make machine-shell)", err)
	}
	return err
}

// stride is a script of bash with kubectl on its PATH, and a pattern of what it prints.
type stride struct{ name, script, prints string }

// walker runs the scripts, one after another, in a directory of its own and with a
// kubeconfig of its own.
type walker struct {
	dir, binary string
	env         []string
	scripts     strings.Builder
}

// walkFiles are in that directory.
var walkFiles = map[string]string{
	"prelude.sh": `set -euo pipefail
# until_ COMMAND... tries it for half a minute.
until_() { for _ in $(seq 150); do "$@" && return; sleep 0.2; done; echo "not in time: $*"; return 1; }
# prints WANT COMMAND... tells whether the command prints that.
prints() { local want=$1; shift; [[ "$("$@" 2>&1)" == *"$want"* ]]; }
# fails COMMAND... wants it to.
fails() { if "$@"; then echo "succeeds: $*"; return 1; fi; }
# first N passes so many bytes on.
first() { head -c "$1"; cat >/dev/null; }
# fetch PORT PATH asks this machine.
fetch() { exec 3<>/dev/tcp/127.0.0.1/$1; printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3; cat <&3; }
`,
	"things.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {app: things}}
data: {word: first}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, labels: {app: things}}
data: {word: second}
`,
	"roles.yaml": `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reconciled, namespace: walk}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
`,
	"k/kustomization.yaml":  "namePrefix: made-\nresources: [cm.yaml]\n",
	"k/cm.yaml":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kustomized}\n",
	"plugins/kubectl-greet": "#!/bin/bash\necho greeted\n",
}

func (f *Flow) newWalker(dir, binary string) (*walker, error) {
	config, err := os.ReadFile(f.Cluster.Kubeconfig)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "walker", Organization: []string{"walkers"}}}, key)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"kubeconfig": string(config), "request.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))}
	for name, text := range walkFiles {
		files[name] = text
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.Symlink(binary, filepath.Join(dir, "plugins", "kubectl")); err != nil {
		return nil, err
	}
	return &walker{dir: dir, binary: binary, env: append(os.Environ(),
		"PATH="+filepath.Join(dir, "plugins")+":"+os.Getenv("PATH"), "KUBECONFIG="+filepath.Join(dir, "kubeconfig"), "HOME="+dir, "BOX="+boxImage, "APP="+AppImage)}, nil
}

// strideTime bounds a script.
const strideTime = 3 * time.Minute

func (w *walker) do(ctx context.Context, s stride) error {
	ctx, cancel := context.WithTimeout(ctx, strideTime)
	defer cancel()
	w.scripts.WriteString(s.script + "\n")
	cmd := exec.CommandContext(ctx, "bash", "-c", ". ./prelude.sh\n"+s.script)
	cmd.Dir, cmd.Env, cmd.WaitDelay = w.dir, w.env, time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", s.script, err, out)
	}
	if !regexp.MustCompile(s.prints).Match(out) {
		return fmt.Errorf("%s: it does not print %s:\n%s", s.script, s.prints, out)
	}
	return nil
}

// walkedAll compares the scripts with the commands that kubectl has, as its completion
// tells them.
func (w *walker) walkedAll(ctx context.Context) error {
	var missing []string
	for _, group := range []string{"", "alpha", "auth", "certificate", "cluster-info", "completion", "config", "create", "create secret", "create service", "kuberc", "plugin", "rollout", "set", "top"} {
		out, err := w.complete(ctx, group)
		if err != nil {
			return err
		}
		for line := range strings.Lines(out) {
			name, about, described := strings.Cut(strings.TrimSpace(line), "\t")
			if !described || strings.HasPrefix(about, "The command") { // a plugin
				continue
			}
			command := strings.TrimSpace(group + " " + name)
			if !regexp.MustCompile(`kubectl ` + regexp.QuoteMeta(command) + `\b`).MatchString(w.scripts.String()) {
				missing = append(missing, command)
			}
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return errors.New("not walked through: " + strings.Join(missing, ", "))
	}
	return nil
}

func (w *walker) complete(ctx context.Context, group string) (string, error) {
	cmd := exec.CommandContext(ctx, w.binary, append(append([]string{"__complete"}, strings.Fields(group)...), "")...)
	cmd.Dir, cmd.Env = w.dir, w.env
	out, err := cmd.Output()
	return string(out), err
}

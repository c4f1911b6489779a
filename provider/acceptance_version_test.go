//go:build acceptance

package provider

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/runtime/client"
)

// packVersion is a bundle of another version, whose programs are other ones.
func packVersion(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"gantry", "containerd", "runc", archive.UnpackerName} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("program "+name+" "+version), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := archive.Pack(&b, dir, archive.Manifest{Version: version, Platform: "linux/amd64"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bundle-"+version+".tar.zst")
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// changes counts what was done to all servers.
func (w *world) changes() int {
	n := 0
	for _, m := range w.servers {
		n += len(m.Changes())
	}
	return n
}

// Nothing goes back to an older version by a slip, also where the bundle is not known
// before the apply.
func TestAccAnOlderBundle(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	rest := clusterHCL + poolHCL(oneWorker)
	block := func(version, more string) string {
		return fmt.Sprintf("provider \"gantry\" {\n  bundle = %q\n  %s\n}\n", packVersion(t, version), more)
	}
	ws.write(w.block() + rest)
	ws.do(nil, "apply", "-auto-approve")
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")
	before := w.changes()

	const said = "Cluster demo: the bundle is version 1.2.2, and newer versions are on m1 (1.2.3)."
	ws.write(block("1.2.2", "") + rest)
	ws.refused(said, "plan")
	ws.refused("set allow_downgrade = true in the provider block", "apply", "-auto-approve")
	made := `
resource "terraform_data" "bundle" { input = "` + packVersion(t, "1.2.2") + `" }
provider "gantry" { bundle = terraform_data.bundle.output }
`
	ws.write(made + rest)
	ws.do([]string{"Plan: 1 to add, 2 to change"}, "plan")
	ws.refused(said, "apply", "-auto-approve")
	if after := w.changes(); after != before {
		t.Errorf("what is refused changed servers: %d changes, before %d", after, before)
	}

	ws.write(block("1.2.2", "allow_downgrade = true") + rest)
	ws.do([]string{"Cluster demo goes back to an older version", "Pool workers: the bundle is version 1.2.2, and newer versions are on w1 (1.2.3).", `"1.2.3" -> "1.2.2"`}, "plan")
	ws.do([]string{"0 added, 2 changed"}, "apply", "-auto-approve")
	ws.write(block("1.2.2", "") + rest)
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")

	// Up again, the pool with its cluster.
	ws.write(block("1.3.0", "") + rest)
	ws.do([]string{"0 added, 2 changed"}, "apply", "-auto-approve")
	ws.write(block("1.2.2", "") + rest)
	ws.do([]string{"2 destroyed"}, "destroy", "-auto-approve", "-refresh=false")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

// What is compared is the version on the servers: after an upgrade that failed, that of the
// ones that it came to; and with a state that is older than they are, theirs all the same.
func TestAccAFailedUpgrade(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	block := func(version string) string {
		return fmt.Sprintf("provider \"gantry\" { bundle = %q }\n", packVersion(t, version))
	}
	rest := clusterHCL + poolHCL(oneWorker)
	ws.write(w.block() + rest)
	ws.do(nil, "apply", "-auto-approve")
	file := filepath.Join(ws.dir, "terraform.tfstate")
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := w.servers["192.0.2.1"]
	starts := m.OnStart
	m.OnStart = func(string) error { return errors.New("it does not start") }
	ws.write(block("1.3.0") + rest)
	ws.refused("it does not start", "apply", "-auto-approve")
	m.OnStart = starts
	const said = "Cluster demo: the bundle is version 1.2.3, and newer versions are on m1 (1.3.0)."
	ws.write(w.block() + rest)
	ws.refused(said, "plan", "-refresh=false")
	ws.refused(said, "plan")
	if err := os.WriteFile(file, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	ws.refused(said, "plan")
}

// A pool whose cluster is in another configuration is not newer than that.
func TestAccAPoolIsNoNewerThanItsCluster(t *testing.T) {
	w := newWorld(t, 2)
	masters, workers := w.workspace(), w.workspace()
	masters.write(w.block() + clusterHCL + "output \"handle\" { value = gantry_cluster.this.handle }\n")
	masters.do(nil, "apply", "-auto-approve")
	masters.do([]string{"No changes."}, "plan", "-detailed-exitcode")
	before := w.changes()

	pool := func(version string) string {
		return fmt.Sprintf("provider \"gantry\" { bundle = %q }\n", packVersion(t, version)) + `
data "terraform_remote_state" "cluster" {
  backend = "local"
  config  = { path = "` + filepath.Join(masters.dir, "terraform.tfstate") + `" }
}
` + strings.Replace(poolHCL(oneWorker), "gantry_cluster.this.handle", "data.terraform_remote_state.cluster.outputs.handle", 1)
	}
	const said = "Pool workers: the bundle is version 1.3.0, and older versions are on masters: m1 (1.2.3)."
	workers.write(pool("1.3.0"))
	workers.refused(said, "plan")
	if after := w.changes(); after != before {
		t.Errorf("what is refused changed servers: %d changes, before %d", after, before)
	}
	w.down["192.0.2.1"] = true
	workers.do([]string{"Warning: Pool workers was not compared with its masters"}, "plan")
	delete(w.down, "192.0.2.1")
	workers.write(pool("1.1.0"))
	workers.do([]string{"Warning: Pool workers is older than its masters"}, "plan")
	workers.write(pool("1.2.4"))
	workers.do([]string{"1 added"}, "apply", "-auto-approve")
	workers.write(pool("1.3.0"))
	workers.refused(said, "plan")
	workers.write(pool("1.2.3"))
	workers.refused("newer versions are on w1 (1.2.4)", "plan")
	workers.write(pool("1.2.4"))
	workers.do([]string{"No changes."}, "plan", "-detailed-exitcode")
}

// The provider's own version is compared with the bundle's before anything is planned; a
// destroy without a refresh, before which nothing is planned, takes any.
func TestAccProviderAndBundle(t *testing.T) {
	w := newWorld(t, 1)
	ws := w.workspace()
	ws.write(w.block() + clusterHCL)
	run := func(version string, args ...string) (string, error) {
		p := embedded(version, func(c *bootstrap.Config) {
			c.Connect, c.NodeTimeout = w.connect, w.nodeTimeout
			c.API = func(client.Options) (kubernetes.Interface, error) { return w.api, nil }
			c.Store = func(string, *pki.Authority, join.Dial, time.Time) (join.Store, error) { return member{}, nil }
		})
		return runIn(t, ws.dir, providerserver.NewProtocol6WithError(p), append(args, "-no-color", "-input=false")...)
	}
	if out, err := run("1.1.9", "plan"); err == nil || !strings.Contains(out, "The bundle is version 1.2.3, and this provider, which is version 1.1.9, does not know what its programs need.") {
		t.Errorf("an older provider: %v: %s", err, out)
	}
	if out, err := run("1.3.0", "plan"); err != nil || !strings.Contains(out, "Warning: The bundle is older than the provider") {
		t.Errorf("a newer provider: %v: %s", err, out)
	}
	if out, err := run("1.2.0", "apply", "-auto-approve"); err != nil || strings.Contains(out, "Warning: The bundle") {
		t.Errorf("another patch: %v: %s", err, out)
	}
	if out, err := run("1.1.9", "destroy", "-auto-approve", "-refresh=false"); err != nil {
		t.Errorf("a destroy by an older provider: %v: %s", err, out)
	}
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

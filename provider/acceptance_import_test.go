//go:build acceptance

package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A state that was lost is made again, and then the configuration says what no
// server could tell.
func TestAccImportAnew(t *testing.T) {
	w := newWorld(t, 3)
	ws := w.workspace()
	dir, write, do := ws.dir, ws.write, ws.do
	changes := func() (n int) {
		for _, m := range w.servers {
			n += len(m.Changes())
		}
		return n
	}
	hcl := w.block() + clusterHCL + poolHCL(`w1 = { address = "192.0.2.2" }, w2 = { address = "192.0.2.3", labels = { disk = "ssd" } }`)
	write(hcl)
	do(nil, "apply", "-auto-approve")
	do(nil, "plan") // which marks the master as known
	before := changes()
	if err := os.Remove(filepath.Join(dir, "terraform.tfstate")); err != nil {
		t.Fatal(err)
	}

	w.down["192.0.2.3"] = true
	// No positional argument may stand before the flags.
	imports := func(wants []string, address, id string) {
		t.Helper()
		out, err := runIn(t, dir, w.provider, "import", "-no-color", "-input=false", address, id)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("importing %s does not say %q: %s", id, want, out)
			}
		}
	}
	imports([]string{"Import successful!"}, "gantry_cluster.this", "192.0.2.1")
	imports([]string{"Import successful!", "Warning: Host w2 could not be reached", "no route to host"}, "gantry_node_pool.workers", "root@192.0.2.1/workers")
	out := do([]string{"0 to add, 1 to change, 0 to destroy", `~ "w2" = {`}, "plan")
	if strings.Contains(out, `~ "w1"`) {
		t.Errorf("a server that was reached is gone to again: %s", out)
	}
	w.down["192.0.2.3"] = false
	// Once it answers, it is seen to be as it should: there is nothing to do.
	do([]string{"0 added, 0 changed"}, "apply", "-auto-approve")
	do([]string{"No changes."}, "plan", "-detailed-exitcode")

	write(strings.Replace(strings.Replace(hcl, `"192.0.2.2" }`, `"192.0.2.2", host_key = "`+keyOf("192.0.2.2")+`" }`, 1),
		`  name    = "demo"`, "  name    = \"demo\"\n  timeouts = { update = \"10m\" }", 1))
	now := changes()
	do([]string{"0 to add, 2 to change, 0 to destroy", `+ host_key = "` + keyOf("192.0.2.2")}, "plan")
	do([]string{"0 added, 2 changed"}, "apply", "-auto-approve")
	do([]string{"No changes."}, "plan", "-detailed-exitcode")
	if got := changes(); got != now {
		t.Errorf("what only state holds changed servers: %d operations after %d", got, now)
	}
	if now != before {
		t.Errorf("the import cost %d changes", now-before)
	}
	do([]string{"2 destroyed"}, "destroy", "-auto-approve")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

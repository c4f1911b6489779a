//go:build acceptance

package provider

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const oneWorker = `w1 = { address = "192.0.2.2" }`

// A cluster that is made anew takes its pools with it: they leave first, and join the
// new one. The plan says so before a server is touched.
func TestAccAClusterIsReplacedWithItsPools(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	hcl := w.block() + clusterHCL + poolHCL(oneWorker)
	elsewhere := strings.Replace(hcl, `  name    = "demo"`, "  name    = \"demo\"\n  network = { pod_cidrs = [\"10.100.0.0/16\"] }", 1)
	ws.write(hcl)
	ws.do(nil, "apply", "-auto-approve")

	ws.write(strings.Replace(elsewhere, `"workers"
  labels`, `"workers"
  removal_limit = 0
  labels`, 1))
	ws.refused("1 of 1 servers would leave the cluster (w1), and removal_limit allows 0", "plan")

	for _, x := range []struct{ hcl, replace string }{{elsewhere, ""}, {elsewhere, "-replace=gantry_cluster.this"}} {
		ws.write(x.hcl)
		args := []string{"plan"}
		if x.replace != "" {
			args = append(args, x.replace)
		}
		out := ws.do([]string{"Plan: 2 to add, 0 to change, 2 to destroy.", "w1 will leave the cluster"}, args...)
		if strings.Contains(out, "would be refused") {
			t.Errorf("the plan warns of what the cluster itself has on its servers: %s", out)
		}
		args[0] = "apply"
		ws.do([]string{"2 added, 0 changed, 2 destroyed"}, append(args, "-auto-approve")...)
		ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")
	}
	ws.do([]string{"2 destroyed"}, "destroy", "-auto-approve")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

// Names and ranges that another resource makes in the same apply.
func TestAccNamesUnknownAtPlan(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	hcl := w.block() + `
variable "n" { default = "one" }
resource "terraform_data" "made" {
  input = { cluster = "demo", pool = "workers", pods = "10.100.0.0/16", workloads = true, label = var.n }
}
resource "gantry_cluster" "this" {
  name    = terraform_data.made.output.cluster
  network = { pod_cidrs = [terraform_data.made.output.pods] }
  masters = { m1 = { address = "192.0.2.1" } }
  workloads_on_masters = terraform_data.made.output.workloads
}
resource "gantry_node_pool" "workers" {
  cluster = gantry_cluster.this.handle
  name    = terraform_data.made.output.pool
  labels  = { made = terraform_data.made.output.label }
  hosts   = {` + oneWorker + `}
}
`
	ws.write(hcl)
	ws.do([]string{"Plan: 3 to add"}, "plan")
	ws.do([]string{"3 added, 0 changed"}, "apply", "-auto-approve")
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")
	ws.do([]string{"3 destroyed"}, "destroy", "-auto-approve")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

// A bundle that another resource makes, and none at all.
func TestAccBundleUnknownAtPlan(t *testing.T) {
	w := newWorld(t, 2)
	t.Setenv("GANTRY_BUNDLE", "")
	ws := w.workspace()
	made := func(what string) string {
		return `
resource "terraform_data" "bundle" { input = { path = "` + w.bundle + `", what = "` + what + `" } }
provider "gantry" { bundle = terraform_data.bundle.output.path }
`
	}
	rest := clusterHCL + poolHCL(oneWorker)
	ws.write(made("first") + rest)
	ws.do([]string{"Plan: 3 to add"}, "plan")
	ws.do([]string{"3 added, 0 changed"}, "apply", "-auto-approve")
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")

	before := len(w.servers["192.0.2.2"].Changes())
	ws.write(made("second") + rest)
	ws.do(nil, "apply", "-auto-approve")
	if after := len(w.servers["192.0.2.2"].Changes()); after != before {
		t.Errorf("a bundle that turns out to be the same changed a server: %v", w.servers["192.0.2.2"].Changes()[before:])
	}
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")

	ws.write("provider \"gantry\" {}\n" + rest)
	ws.refused("No bundle is configured", "plan")
	ws.write(made("second") + rest)
	ws.do([]string{"3 destroyed"}, "destroy", "-auto-approve")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

// A server that was installed anew has another host key. Where the login's policy
// lets it, as the model does, it is installed again, and its new key is in state.
func TestAccAServerIsInstalledAnew(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	ws.write(w.block() + clusterHCL + poolHCL(oneWorker))
	ws.do(nil, "apply", "-auto-approve")
	w.install("another", "192.0.2.2")
	ws.do([]string{"0 to add, 1 to change, 0 to destroy", `~ "w1" = {`}, "plan")
	ws.do([]string{"0 added, 1 changed"}, "apply", "-auto-approve")
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")
	state, err := os.ReadFile(filepath.Join(ws.dir, "terraform.tfstate"))
	if err != nil || !strings.Contains(string(state), keyOfServer("another")) {
		t.Errorf("the new key is not in state (%v): %s", err, state)
	}
}

// An apply over a state of the earlier version, in which ranges and addresses were single
// texts, has nothing to do and touches no server.
func TestAccAStateOfTheEarlierVersion(t *testing.T) {
	w := newWorld(t, 2)
	ws := w.workspace()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	ws.write(w.block() + `
resource "gantry_cluster" "this" {
  name    = "demo"
  network = { pod_cidrs = ["10.100.0.0/16"] }
  masters = { m1 = { address = "192.0.2.1", node_ips = ["192.0.2.1"] } }
}
resource "gantry_kubeconfig_file" "admin" {
  cluster = gantry_cluster.this.handle
  path    = "` + kubeconfig + `"
}
` + poolHCL(oneWorker))
	ws.do(nil, "apply", "-auto-approve")
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode") // which remembers on the master that the cluster is known

	file := filepath.Join(ws.dir, "terraform.tfstate")
	state, err := os.ReadFile(file)
	w.must(err)
	old := string(state)
	for _, x := range []struct{ is, was string }{
		{`"(pod_cidr|service_cidr|node_ip)": null,\s*`, ``},
		{`"(pod_cidr|service_cidr|node_ip)s": \[\s*("[^"]*")\s*\]`, `"$1": $2`}, {`"node_ips": null`, `"node_ip": null`}, {`"schema_version": 1`, `"schema_version": 0`},
	} {
		re := regexp.MustCompile(x.is)
		if !re.MatchString(old) {
			t.Fatalf("the state has no %s: %s", x.is, old)
		}
		old = re.ReplaceAllString(old, x.was)
	}
	w.must(os.WriteFile(file, []byte(old), 0o600))

	before := map[string]int{}
	for address, m := range w.servers {
		before[address] = len(m.Changes())
	}
	ws.do([]string{"No changes."}, "plan", "-detailed-exitcode")
	ws.do([]string{"0 added, 0 changed, 0 destroyed"}, "apply", "-auto-approve")
	for address, m := range w.servers {
		if more := m.Changes()[before[address]:]; len(more) > 0 {
			t.Errorf("%s was changed: %v", address, more)
		}
	}
	ws.do([]string{"3 destroyed"}, "destroy", "-auto-approve")
}

//go:build acceptance

package provider

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/bootstrap/hosttest"
)

// home makes a home directory with what examples find there.
func home(t *testing.T) {
	t.Helper()
	s, err := hosttest.NewSSHD()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"id_ed25519": s.ClientKey, "known_hosts": []byte("10.0.0.11 " + s.HostKey + "\n")} {
		if err := os.WriteFile(filepath.Join(dir, ".ssh", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", dir)
}

// exampleDirs are all directories of examples that hold a configuration.
func exampleDirs(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("../examples", func(path string, d fs.DirEntry, err error) error {
		if dir := filepath.Dir(path); err == nil && filepath.Ext(path) == ".tf" && !slices.Contains(out, dir) && !strings.Contains(path, ".terraform") {
			out = append(out, dir)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// exampleHCL is what an example says. Those of one resource or function get what
// they refer to beside them; a block for the import of what does not exist is of use
// only where it does.
func exampleHCL(t *testing.T, w *world, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if strings.HasPrefix(filepath.Base(f), "import") {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	s := all.String()
	if !strings.Contains(s, `required_providers`) {
		s += "terraform {\n  required_providers {\n    gantry = {\n      source = \"registry.terraform.io/gantry-run/gantry\"\n    }\n  }\n}\n"
	}
	if !strings.Contains(s, `provider "gantry"`) && strings.Contains(s, `"gantry_`) {
		s += w.block()
	}
	if strings.Contains(s, "gantry_cluster.this") && !strings.Contains(s, `resource "gantry_cluster" "this"`) {
		s += clusterHCL
	}
	return s
}

func TestAccExamplesPlan(t *testing.T) {
	home(t)
	seen := 0
	for _, dir := range exampleDirs(t) {
		name, _ := filepath.Rel("../examples", dir)
		seen++
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			// The facts example asks a server while it is planned.
			m := hosttest.NewModel("server-24", "10.0.0.24")
			w.servers[m.Address] = m
			hcl := exampleHCL(t, w, dir)
			args := []string{"plan", "-no-color", "-input=false"}
			values, err := os.ReadFile(filepath.Join(dir, "terraform.tfvars.example"))
			if err == nil {
				file := filepath.Join(t.TempDir(), "example.tfvars")
				if err := os.WriteFile(file, values, 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "-var-file="+file)
			}
			// Where the bundle is, is different on each machine.
			if strings.Contains(hcl, `variable "bundle"`) {
				args = append(args, "-var=bundle="+w.bundle)
			}
			hcl = strings.ReplaceAll(hcl, `"dist/gantry-bundle-linux-amd64.tar.zst"`, `"`+w.bundle+`"`)
			out, err := runTerraform(t, w.provider, hcl, args...)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if want := "Plan: "; !strings.Contains(out, want) && !strings.Contains(out, "Changes to Outputs:") && name != "provider" {
				t.Errorf("nothing is planned: %s", out)
			}
			for _, m := range w.servers {
				if got := m.Changes(); len(got) > 0 {
					t.Errorf("a plan changed %s: %v", m.Title, got)
				}
			}
		})
	}
	if seen < 16 {
		t.Errorf("only %d examples were found", seen)
	}
}

// Addresses that are known only when the machines are made, in the same apply.
func TestAccAddressesUnknownAtPlan(t *testing.T) {
	home(t)
	w := newWorld(t, 3)
	dir := t.TempDir()
	data, err := os.ReadFile("../examples/unknown-addresses/main.tf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(workers string, wants []string, args ...string) {
		t.Helper()
		args = append(args, "-no-color", "-input=false", "-var=bundle="+w.bundle, `-var=machines={masters={m1="192.0.2.1"},workers={`+workers+`}}`)
		out, err := runIn(t, dir, w.provider, args...)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("%v does not say %q: %s", args, want, out)
			}
		}
	}
	one, two := `w1="192.0.2.2"`, `w1="192.0.2.2",w2="192.0.2.3"`
	do(one, []string{`+ masters = { + "m1" = { + address = (known after apply) }`, "Plan: 4 to add"}, "plan")
	do(one, []string{"4 added, 0 changed"}, "apply", "-auto-approve")
	do(one, []string{"No changes."}, "plan", "-detailed-exitcode")
	do(two, []string{"Plan: 1 to add, 1 to change, 0 to destroy."}, "plan")
	do(two, []string{"1 added, 1 changed"}, "apply", "-auto-approve")
	do(two, []string{"No changes."}, "plan", "-detailed-exitcode")
	do(two, []string{"5 destroyed"}, "destroy", "-auto-approve")
	if err := w.bare(); err != nil {
		t.Error(err)
	}
}

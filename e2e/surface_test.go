//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// TestSurface is what an operator does to state and not to servers: a resource is
// renamed, the state is lost, and the cluster is taken up again from a master.
func TestSurface(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-surface", []string{"master-1"}, []string{"worker-1"}, []string{"bare-1"})
	step := f.stepper(t)
	w := f.Workspace
	w.TrustFirst = true
	var before map[string]string

	step("apply", f.Apply)
	step("facts and status tell what is there", f.told)
	step("the kubernetes and helm providers take the kubeconfig", f.otherProviders)
	step("a renamed resource is moved, and nothing is done", f.moved)
	step("the state is lost", func(ctx context.Context) (err error) {
		if before, err = f.Fingerprints(ctx, f.Nodes()...); err != nil {
			return err
		}
		return os.Remove(filepath.Join(w.Dir, "terraform.tfstate"))
	})
	step("cluster and pool are imported, and the plan is empty", f.imported)
	step("no server was touched by it", func(ctx context.Context) error {
		after, err := f.Fingerprints(ctx, f.Nodes()...)
		if err != nil {
			return err
		}
		for n := range before {
			if before[n] != after[n] {
				return fmt.Errorf("host %s was touched:\nbefore\n%s\nafter\n%s", n, before[n], after[n])
			}
		}
		return nil
	})
	step("what was imported can grow, also where the master kept no bundle", func(ctx context.Context) error {
		master, err := f.Lab.Host("master-1")
		if err != nil {
			return err
		}
		if _, err := master.Run(ctx, "rm "+config.BootstrapDir+"/bundle.tar.zst"); err != nil {
			return err
		}
		return errors.Join(f.Grow(ctx, "worker-2"), f.wasSent("change pool", "worker-2", true))
	})
	step("destroy leaves every server clean", f.Down)
}

const told = `
data "gantry_host_facts" "bare" {
  address = %q
  role    = "master"
}

data "gantry_host_facts" "worker" {
  address    = %q
  depends_on = [gantry_node_pool.workers]
}

data "gantry_cluster_status" "now" {
  cluster    = gantry_cluster.this.handle
  depends_on = [gantry_node_pool.workers]
}

locals {
  bare   = data.gantry_host_facts.bare
  worker = data.gantry_host_facts.worker
  now    = data.gantry_cluster_status.now
}

output "told" {
  value = join("\n", [
    "bare: ${local.bare.architecture} ${local.bare.cluster == null} ${length(local.bare.findings)} ${local.bare.host_key}",
    "worker: ${local.worker.cluster.name} ${local.worker.cluster.pool} ${local.worker.cluster.node}",
    "healthy: ${local.now.healthy} ${join(", ", local.now.problems)}",
    "members: ${join(", ", [for name, m in local.now.members : "${name} ${m.role}"])}",
    "nodes: ${join(", ", [for name, n in local.now.nodes : "${name} ${n.ready} ${n.version}"])}",
    "certificates: ${length(local.now.masters["master-1"].certificates)}",
    "quorum: ${provider::gantry::quorum(length(local.now.masters)).majority}",
  ])
}
`

// told asks a bare server, a worker and the cluster.
func (f *Flow) told(ctx context.Context) error {
	bare, err := f.Lab.Host("bare-1")
	if err != nil {
		return err
	}
	worker, err := f.Lab.Host(f.Workers[0])
	if err != nil {
		return err
	}
	if err := f.write("told.tf", fmt.Sprintf(told, bare.Address, worker.Address)); err != nil {
		return err
	}
	if err := f.Workspace.Apply(ctx); err != nil {
		return err
	}
	out, err := f.Workspace.Output(ctx, "told")
	if err != nil {
		return err
	}
	for _, want := range []string{
		"bare: amd64 true 0 " + bare.HostKey, "worker: quickstart workers worker-1", "healthy: true \n", "members: master-1 leader",
		"nodes: master-1 true 0.1.0, worker-1 true 0.1.0", "certificates: 15", "quorum: 1",
	} {
		if !strings.Contains(out+"\n", want) {
			return fmt.Errorf("%q is not in:\n%s", want, out)
		}
	}
	return os.Remove(filepath.Join(f.Workspace.Dir, "told.tf"))
}

// moved renames the pool's resource, as a refactoring of modules would, and plans.
func (f *Flow) moved(ctx context.Context) error {
	const renamed = "gantry_node_pool.machines"
	dir := f.Workspace.Dir
	for _, file := range []string{"main.tf", "outputs.tf"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		text := strings.NewReplacer(pool, renamed, `"gantry_node_pool" "workers"`, `"gantry_node_pool" "machines"`).Replace(string(data))
		if text == string(data) {
			return fmt.Errorf("%s does not mention %s", file, pool)
		}
		if err := f.write(file, text); err != nil {
			return err
		}
		defer os.WriteFile(filepath.Join(dir, file), data, 0o600) //nolint:errcheck // a later step would fail
	}
	if err := f.write("moved.tf", "moved {\n  from = "+pool+"\n  to   = "+renamed+"\n}\n"); err != nil {
		return err
	}
	defer os.Remove(filepath.Join(dir, "moved.tf"))
	return f.Unchanged(ctx)
}

// imported takes the cluster up by the command and the pool by a block, as one does
// after the loss of a state.
func (f *Flow) imported(ctx context.Context) error {
	master, err := f.Lab.Host(f.Masters[0])
	if err != nil {
		return err
	}
	if _, err := f.Workspace.Terraform(ctx, "import", "-input=false", "-no-color", "gantry_cluster.this", "root@"+master.Address); err != nil {
		return err
	}
	block := fmt.Sprintf("import {\n  to = %s\n  id = %q\n}\n", pool, master.Address+"/workers")
	if err := f.write("import.tf", block); err != nil {
		return err
	}
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	if len(changes) != 1 || changes[0].Address != "gantry_kubeconfig_file.admin" || !slices.Equal(changes[0].Actions, []string{"create"}) {
		return fmt.Errorf("the plan should write the kubeconfig and change nothing that is imported: %+v", changes)
	}
	if err := f.Workspace.Apply(ctx); err != nil {
		return err
	}
	if err := f.states(map[string]string{"worker-1": "ready"}); err != nil {
		return err
	}
	_, err = f.Workspace.Terraform(ctx, "plan", "-detailed-exitcode", "-input=false", "-no-color")
	return err
}

func (f *Flow) write(name, text string) error {
	return os.WriteFile(filepath.Join(f.Workspace.Dir, name), []byte(text), 0o600)
}

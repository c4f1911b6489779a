//go:build lab

package e2e

import (
	"slices"
	"testing"

	"github.com/gantry-run/gantry/lab"
)

// TestVirtual makes a virtual machine a worker: a server with a kernel of its own,
// another one than the master's, and with cgroup v2 alone, where the other tests
// have what this machine has.
func TestVirtual(t *testing.T) {
	masters, workers := []string{"master-1"}, []string{"worker-1"}
	f := newFlowOn(t, "quickstart", lab.Options{Name: "e2e-virtual", Hosts: masters, Virtual: workers}, masters, workers)
	step := f.stepper(t)
	step("apply", f.Apply)
	step("the plan is empty", f.Unchanged)
	if err := f.Cluster.ImportImage(t.Context(), workers...); err != nil {
		t.Fatal(err)
	}
	worker, err := f.Lab.Host("worker-1")
	if err != nil {
		t.Fatal(err)
	}
	if kind, err := worker.Run(t.Context(), "stat -f -c %T /sys/fs/cgroup"); err != nil || string(kind) != "cgroup2fs\n" {
		t.Fatalf("/sys/fs/cgroup is a %s: %v", kind, err)
	}
	p := newPods(t, f, 6)
	p.testCases(t, slices.Concat(slices.DeleteFunc(podCases(), func(c podCase) bool {
		return !slices.Contains([]string{"volumes", "api", "dns", "command", "oom", "sidecar", "probes"}, c.name)
	}), isolationCases(), p.userCases(t), p.appArmorCases(t, "worker-1")))
	p.testStories(t, []podStory{
		{"cgroups", cgroups},
		{"containers outlive kubelet and containerd", restarts},
		{"a server that loses power", powerCut},
	})
	step("destroy", f.Workspace.Destroy)
	step("the servers are clean", f.Clean)
}

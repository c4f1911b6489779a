//go:build lab

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// TestPreflight gives an apply servers that cannot become nodes: the plan says
// why, the apply changes nothing on them, and once they are mended they join.
func TestPreflight(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-preflight", []string{"master-1"}, []string{"worker-1"}, nil)
	ctx := t.Context()
	master, err := f.Lab.Host("master-1")
	if err != nil {
		t.Fatal(err)
	}
	worker, err := f.Lab.Host("worker-1")
	if err != nil {
		t.Fatal(err)
	}
	run := func(h *lab.Host, command string) string {
		t.Helper()
		out, err := h.Run(ctx, command)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	terraform := func(wantFailure bool, parts []string, args ...string) {
		t.Helper()
		start := time.Now()
		out, err := f.Workspace.Terraform(ctx, args...)
		if (err != nil) != wantFailure {
			t.Fatalf("terraform %v: %v", args, err)
		}
		if err != nil {
			out += err.Error()
		}
		out = strings.Join(strings.Fields(strings.ReplaceAll(out, "│", " ")), " ")
		for _, want := range parts {
			if !strings.Contains(out, want) {
				t.Errorf("terraform %v lacks %q:\n%s", args, want, out)
			}
		}
		t.Logf("terraform %-10s %5.1f s", args[0], time.Since(start).Seconds())
	}
	// A second sshd holds the port, a small file system that is full is below /opt, and
	// the worker has another pod network and calls itself as the master does.
	// The file is there when it listens.
	const hold = "/usr/sbin/sshd -p %d -o PidFile=/run/hold.pid && until [ -s /run/hold.pid ]; do sleep 0.1; done"
	const release = "p=$(cat /run/hold.pid); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.1; done"
	run(worker, fmt.Sprintf(hold, 10250)+" && mount -t tmpfs -o size=1m tmpfs /opt"+
		" && ip link add vx0 type vxlan id 7 dev host0 dstport 8472 && ip link set vx0 up && hostname master-1")
	run(master, fmt.Sprintf(hold, 6443))
	ofMaster := []string{"Host master-1 fails preflight checks", "port 6443, which the API server needs, is in use"}
	ofWorker := []string{"Host worker-1 fails preflight checks", "port 10250, which the kubelet needs, is in use", "1 MB are free under /opt",
		"UDP port 8472, which the pod network needs, is in use"}

	terraform(false, slices.Concat(ofWorker, ofMaster), "plan", "-input=false", "-no-color")
	terraform(true, append(ofMaster, "Error: Host master-1 cannot become a node", "was not created"), "apply", "-auto-approve", "-input=false", "-no-color")
	for _, h := range []*lab.Host{master, worker} {
		if out := run(h, "ls -d /etc/gantry /var/lib/gantry /opt/gantry 2>/dev/null; true"); out != "" {
			t.Errorf("%s was changed: %s", h.Name, out)
		}
	}

	run(master, release)
	sameName := "it has the hostname master-1 of the cluster's node master-1"
	terraform(false, append(ofWorker, sameName, "Warning: Host worker-1 cannot become a node", "The host is marked pending; the next apply takes it up."), "apply", "-auto-approve", "-input=false", "-no-color")
	if err := f.states(map[string]string{"worker-1": "pending"}); err != nil {
		t.Error(err)
	}
	if out := run(worker, "ls -d /etc/gantry /var/lib/gantry /opt/gantry 2>/dev/null; true"); out != "" {
		t.Errorf("the worker was changed: %s", out)
	}

	terraform(false, append(ofWorker, sameName), "plan", "-input=false", "-no-color")

	run(worker, release+"; umount /opt; ip link del vx0; hostname worker-1")
	if err := f.Apply(ctx); err != nil {
		t.Fatal(err)
	}
	if err := f.states(map[string]string{"worker-1": "ready"}); err != nil {
		t.Error(err)
	}
	if err := f.Unchanged(ctx); err != nil {
		t.Error(err)
	}
	if err := f.Down(ctx); err != nil {
		t.Error(err)
	}
}

//go:build lab

package e2e

import (
	"context"
	"testing"
	"time"
)

// evidenceScript prints what a server knows of its processes, each with lines of its
// own so that none hides the others', of its kernel and of its network.
const evidenceScript = `units=$(systemctl list-units --all --plain --no-legend 'gantry-*' | cut -d' ' -f1)
for u in $units; do echo "-- $u"; journalctl --no-pager -q -o short-precise --no-hostname -n 40 -u $u; done
echo "-- kernel and network"; journalctl --no-pager -q -n 50 -k; journalctl --no-pager -q -n 20 -u systemd-networkd
ip -br addr; ip route
systemctl list-units --all --no-pager 'gantry-*'`

// evidence prints, of a failed run, what the cluster and each server know, and the
// console of a server that cannot be asked.
func (f *Flow) evidence(t *testing.T) {
	if f.Cluster != nil {
		for _, args := range [][]string{{"get", "nodes,pods", "-A", "-o", "wide"}, {"get", "events", "-A", "--sort-by=.lastTimestamp"}} {
			ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
			out, err := f.Cluster.Kubectl(ctx, args...)
			cancel()
			t.Logf("kubectl %v (%v):\n%s", args, err, out)
		}
	}
	for _, h := range f.Lab.Hosts {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		out, err := h.Run(ctx, evidenceScript)
		cancel()
		if err != nil {
			out = append(out, "its console:\n"+h.ConsoleTail()...)
		}
		t.Logf("host %s (%v):\n%s", h.Name, err, out)
	}
}

//go:build lab

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// TestReleases is one cluster of servers that run different distributions, each
// as it comes: Ubuntu's sshd is started by a socket and its network is netplan's.
func TestReleases(t *testing.T) {
	releases := map[string]string{"master-1": "bookworm", "worker-1": "noble", "worker-2": "trixie", "worker-3": "noble"}
	for _, r := range releases {
		if err := lab.Available(t.Context(), r); err != nil {
			t.Skip(err)
		}
	}
	masters, workers := []string{"master-1"}, []string{"worker-1", "worker-2"}
	f := newFlowOn(t, "quickstart", lab.Options{Name: "e2e-releases", Hosts: append(masters, workers...), Releases: releases}, masters, workers)
	f.Workspace.User, f.Workspace.TrustFirst = lab.User, true
	step := f.stepper(t)
	served := soon(f.served)

	step("apply", f.Apply)
	step("every server runs what it should", func(ctx context.Context) error { return f.run(ctx, releases) })
	step("deploy the application", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, f.Workers...) })
	step("it is served on each", served)
	step("a second apply changes nothing and restarts nothing", f.secondApply)
	step("each server's network is set up anew, as an upgrade does", func(ctx context.Context) error { return f.networksAnew(ctx, releases) })
	step("it is served as before", served)
	step("add another Ubuntu", func(ctx context.Context) error { return f.Grow(ctx, "worker-3") })
	step("it takes pods", func(ctx context.Context) error {
		if err := f.Cluster.ImportImage(ctx, "worker-3"); err != nil {
			return err
		}
		if _, err := f.Cluster.Kubectl(ctx, "scale", "deployment/"+app, "--replicas=7"); err != nil {
			return err
		}
		return Eventually(ctx, 20*time.Second, func(ctx context.Context) error { return f.AppReady(ctx, 7) })
	})
	step("it is served on each", served)
	step("nothing is left to plan", f.Unchanged)
	step("destroy leaves every server clean", f.Down)
}

// run checks what the servers themselves say they run, and the cluster of them.
func (f *Flow) run(ctx context.Context, releases map[string]string) error {
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return err
		}
		out, err := h.Run(ctx, `. /etc/os-release; echo "$VERSION_CODENAME $PRETTY_NAME"`)
		if err != nil {
			return err
		}
		codename, name, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		image, err := f.Cluster.Kubectl(ctx, "get", "node", n, "-o", "jsonpath={.status.nodeInfo.osImage}")
		if err != nil {
			return err
		}
		if codename != releases[n] || image != name {
			return fmt.Errorf("host %s runs %s, want %s; its Node says %q, want %q", n, codename, releases[n], image, name)
		}
	}
	return nil
}

// networksAnew starts each server's networkd again: that of Debian 13 removes the
// routes that it does not know. They must be back at once: without them no pod of
// another node is reached.
func (f *Flow) networksAnew(ctx context.Context, releases map[string]string) error {
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return err
		}
		const routes = "ip -4 route show | sort"
		before, err := h.Run(ctx, routes)
		if err != nil {
			return err
		}
		// It goes by what the monitor has printed, and not by times: until it listens, a
		// route of the test's own comes and goes.
		const watch = `log=$(mktemp); ip -4 monitor route >$log & monitor=$!
for i in $(seq 200); do grep -q 203.0.113.9 $log && break; ip route add blackhole 203.0.113.9; ip route del blackhole 203.0.113.9; sleep 0.1; done
systemctl restart systemd-networkd; sleep 2; kill $monitor; cat $log; rm $log`
		removed, err := h.Run(ctx, watch)
		if err != nil {
			return err
		}
		if releases[n] == "trixie" && strings.Count(string(removed), "Deleted blackhole") == strings.Count(string(removed), "Deleted blackhole 203.0.113.9") {
			return fmt.Errorf("host %s: networkd has removed no route of ours, so the test shows nothing:\n%s", n, removed)
		}
		err = answered(func(ctx context.Context) error {
			after, err := h.Run(ctx, routes)
			if err == nil && string(after) != string(before) {
				err = wrongAnswer{fmt.Errorf("routes of host %s before its networkd was started again:\n%s\nand after:\n%s", n, before, after)}
			}
			return err
		})(ctx)
		if err != nil {
			return err
		}
	}
	return nil
}

//go:build lab

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestLife is the demo's story as a test, with the parts between that a viewer
// would not see: a second apply, each process killed, secrets looked for.
func TestLife(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	step := f.stepper(t)
	served := soon(f.served)

	step("apply", f.Apply)
	step("the state holds no secret", f.noSecretInState)
	step("the bundle was sent to the master, and by it to the workers", func(context.Context) error {
		return errors.Join(f.wasSent("create cluster", "master-1", true), f.wasSent("create pool", "worker-1", false), f.wasSent("create pool", "worker-2", false))
	})
	step("every process is healthy and serves metrics", soon(f.healthy))
	step("deploy the application", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, f.Workers...) })
	step("it is served by DNS name, cluster IP and node port", served)
	step("kubectl logs and exec", f.logsAndExec)
	step("a second apply changes nothing and restarts nothing", f.secondApply)
	step("each process is killed once and heals", func(ctx context.Context) error { return f.killEach(ctx, t) })
	step("it is served as before", served)
	step("drift is planned and mended, on that host alone", f.drift)
	step("add a worker", func(ctx context.Context) error { return f.Grow(ctx, "worker-3") })
	step("import the image there", func(ctx context.Context) error { return f.Cluster.ImportImage(ctx, "worker-3") })
	step("remove a worker", func(ctx context.Context) error { return f.Shrink(ctx, "worker-1") })
	step("it is served from the nodes that are left", served)
	step("nothing is left to plan", f.Unchanged)
	step("destroy leaves every server clean", f.Down)
}

// served asks the application by each way to it, from each node.
func (f *Flow) served(ctx context.Context) error {
	if err := f.Cluster.ServedByOwnNode(ctx, f.Workers...); err != nil {
		return err
	}
	if err := f.Cluster.AnswersByClusterIP(ctx, f.Nodes()...); err != nil {
		return err
	}
	return f.Cluster.AnswersByNodePort(ctx, f.Nodes()...)
}

func (f *Flow) logsAndExec(ctx context.Context) error {
	pods, err := f.Cluster.Pods(ctx)
	if err != nil {
		return err
	}
	for _, p := range pods {
		out, err := f.Cluster.Kubectl(ctx, "logs", p.Name)
		if err != nil {
			return err
		}
		if !strings.Contains(out, "serving on :8080\n") {
			return fmt.Errorf("log of %s: %q", p.Name, out)
		}
		out, err = f.Cluster.Kubectl(ctx, "exec", p.Name, "--", "/hello", "get", "http://localhost:8080")
		if err != nil {
			return err
		}
		if !strings.Contains(out, "pod="+p.Name+" ") {
			return fmt.Errorf("exec in %s: %q", p.Name, out)
		}
	}
	if out, err := f.Cluster.Kubectl(ctx, "exec", pods[0].Name, "--", "/hello", "nonsense"); err == nil {
		return fmt.Errorf("a command that fails is reported as a success: %q", out)
	}
	return nil
}

// secondApply applies again: no change, and no process or file is touched.
func (f *Flow) secondApply(ctx context.Context) error {
	if err := f.Unchanged(ctx); err != nil {
		return err
	}
	before, err := f.Fingerprints(ctx, f.Nodes()...)
	if err != nil {
		return err
	}
	pods, err := f.Cluster.Pods(ctx)
	if err != nil {
		return err
	}
	if err := f.Apply(ctx); err != nil {
		return err
	}
	after, err := f.Fingerprints(ctx, f.Nodes()...)
	if err != nil {
		return err
	}
	for n := range before {
		if before[n] != after[n] {
			return fmt.Errorf("host %s was touched:\nbefore\n%s\nafter\n%s", n, before[n], after[n])
		}
	}
	return soon(func(ctx context.Context) error { // a restart of a container would stay to be seen
		again, err := f.Cluster.Pods(ctx)
		if err == nil && !slices.Equal(pods, again) {
			err = fmt.Errorf("pods changed:\nbefore %v\nafter  %v", pods, again)
		}
		return err
	})(ctx)
}

// killEach sends SIGKILL to each process on a master and on a worker. Each must
// come back by itself, the nodes be Ready, and the pods be the same ones, running
// on: a process's death is nobody else's.
func (f *Flow) killEach(ctx context.Context, t *testing.T) error {
	pods, err := f.Cluster.Pods(ctx)
	if err != nil {
		return err
	}
	for _, victim := range []struct {
		host       string
		components []config.Component
	}{
		{f.Masters[0], slices.Concat(config.MasterComponents(), config.WorkerComponents())},
		{f.Workers[0], config.WorkerComponents()},
	} {
		h, err := f.Lab.Host(victim.host)
		if err != nil {
			return err
		}
		for _, c := range victim.components {
			start := time.Now()
			if err := f.killOne(ctx, h, c, pods); err != nil {
				return fmt.Errorf("%s on %s: %w", c, h.Name, err)
			}
			t.Logf("    %-20s on %-10s healed after %5.1f s", c, h.Name, time.Since(start).Seconds())
		}
	}
	return nil
}

func (f *Flow) killOne(ctx context.Context, h *lab.Host, c config.Component, pods []Pod) error {
	pid, err := h.Run(ctx, "systemctl show -p MainPID --value "+c.Unit())
	if err != nil {
		return err
	}
	old := strings.TrimSpace(string(pid))
	if old == "" || old == "0" {
		return fmt.Errorf("does not run")
	}
	if _, err := h.Run(ctx, "kill -9 "+old); err != nil {
		return err
	}
	return Eventually(ctx, 60*time.Second, func(ctx context.Context) error {
		out, err := h.Run(ctx, "systemctl show -p ActiveState,MainPID --value "+c.Unit())
		if err != nil {
			return err
		}
		state := strings.Fields(string(out))
		if !slices.Contains(state, "active") || slices.Contains(state, old) {
			return fmt.Errorf("unit is %v", state)
		}
		if err := f.NodesReady(ctx); err != nil {
			return err
		}
		now, err := f.Cluster.Pods(ctx)
		if err != nil {
			return err
		}
		if !slices.Equal(pods, now) {
			return fmt.Errorf("pods changed:\nbefore %v\nafter  %v", pods, now)
		}
		return nil
	})
}

// healthy asks each process on each host, and looks at a figure of each one's
// own in its metrics.
func (f *Flow) healthy(ctx context.Context) error {
	gantry := config.Binary("gantry")
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return err
		}
		out, err := h.Run(ctx, gantry+" host health")
		if err != nil {
			return err
		}
		components := config.WorkerComponents()
		if slices.Contains(f.Masters, n) {
			components = append(components, config.MasterComponents()...)
		}
		if got := strings.Count(string(out), " ok\n"); got != len(components) {
			return fmt.Errorf("host %s: %d processes are ok, want %d:\n%s", n, got, len(components), out)
		}
		for c, figure := range map[config.Component]string{
			config.Etcd: "etcd_server_has_leader 1", config.ControllerManager: "workqueue_adds_total", config.Scheduler: "rest_client_requests_total",
			config.Kubelet: "rest_client_requests_total", config.Proxy: "gantry_proxy_frontends", config.DNS: "coredns_dns_requests_total",
		} {
			if !slices.Contains(components, c) {
				continue
			}
			out, err := h.Run(ctx, fmt.Sprintf("%s host health %s --path /metrics", gantry, c))
			if err != nil {
				return err
			}
			if !bytes.Contains(out, []byte(figure)) {
				return fmt.Errorf("the metrics of %s on %s have no %s", c, n, figure)
			}
		}
	}
	out, err := f.Cluster.Kubectl(ctx, "get", "--raw", "/metrics")
	if err != nil {
		return err
	}
	if !strings.Contains(out, "apiserver_request_total") {
		return fmt.Errorf("the API server's metrics have no apiserver_request_total")
	}
	return nil
}

// drift stops a process and changes a file on one worker: the plan names the
// host, and the apply mends both and touches no other host.
func (f *Flow) drift(ctx context.Context) error {
	drifted := f.Workers[0]
	others := slices.DeleteFunc(f.Nodes(), func(n string) bool { return n == drifted })
	before, err := f.Fingerprints(ctx, others...)
	if err != nil {
		return err
	}
	h, err := f.Lab.Host(drifted)
	if err != nil {
		return err
	}
	file := config.DNS.ConfigFile()
	if _, err := h.Run(ctx, "systemctl stop "+config.Proxy.Unit()+"; cp "+file+" /root/before; echo '# changed' >> "+file); err != nil {
		return err
	}
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	if len(changes) != 1 || changes[0].Address != pool || !slices.Equal(changes[0].Actions, []string{"update"}) {
		return fmt.Errorf("the plan should update %s alone: %+v", pool, changes)
	}
	was, _ := changes[0].Before["status"].(map[string]any)[drifted].(map[string]any)
	if message, _ := was["message"].(string); !strings.Contains(message, config.Proxy.Unit()) || !strings.Contains(message, file) {
		return fmt.Errorf("the plan does not say what drifted on %s: %v", drifted, was)
	}
	if err := f.Apply(ctx); err != nil {
		return err
	}
	if _, err := h.Run(ctx, "systemctl is-active "+config.Proxy.Unit()+" && cmp "+file+" /root/before && rm /root/before"); err != nil {
		return fmt.Errorf("not mended: %w", err)
	}
	after, err := f.Fingerprints(ctx, others...)
	if err != nil {
		return err
	}
	for n := range before {
		if before[n] != after[n] {
			return fmt.Errorf("host %s was touched though only %s had drifted", n, drifted)
		}
	}
	return f.Unchanged(ctx)
}

var pemKey = regexp.MustCompile(`PRIVATE KEY`)

// noSecretInState looks for every private key and token that exists on the hosts,
// and for anything that looks like one.
func (f *Flow) noSecretInState(ctx context.Context) error {
	state, err := f.Workspace.State()
	if err != nil {
		return err
	}
	if pemKey.Match(state) {
		return fmt.Errorf("the state holds a private key")
	}
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return err
		}
		keys, err := h.Run(ctx, "cd "+config.PKIDir+" && sed -n '/BEGIN.*PRIVATE KEY/,/END.*PRIVATE KEY/p' *.key *.pem; sed -n 's/.*secret: //p' "+config.EncryptionConfigFile+" 2>/dev/null; true")
		if err != nil {
			return err
		}
		secrets := 0
		for line := range strings.Lines(string(keys)) {
			line = strings.TrimSpace(line)
			if len(line) < 40 || strings.HasPrefix(line, "-----") {
				continue
			}
			secrets++
			if bytes.Contains(state, []byte(line)) || bytes.Contains(state, []byte(base64.StdEncoding.EncodeToString([]byte(line))[:40])) {
				return fmt.Errorf("the state holds a key of %s", n)
			}
		}
		if secrets == 0 {
			return fmt.Errorf("found no key on %s to look for", n)
		}
	}
	return nil
}

// wasSent checks whether an operation sent a host the bundle from here.
func (f *Flow) wasSent(operation, host string, want bool) error {
	sent, err := f.Workspace.Sent(operation)
	if err != nil {
		return err
	}
	bundle, err := os.Stat(f.tools.Bundle)
	if err != nil {
		return err
	}
	if got := sent[host]; got == 0 || (got > bundle.Size()) != want {
		return fmt.Errorf("%s: %d bytes were sent to %s, and the bundle has %d; sent from here should be %v", operation, got, host, bundle.Size(), want)
	}
	return nil
}

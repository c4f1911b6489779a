//go:build lab

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestRestore loses all masters with all that was on them. The cluster is made again of
// the snapshot of one, on bare servers, while the pods on the workers run on.
func TestRestore(t *testing.T) {
	f := newFlow(t, "ha", "e2e-restore", []string{"master-1", "master-2", "master-3"}, []string{"worker-1", "worker-2"}, nil)
	step := f.stepper(t)
	var program, saved []byte
	var before map[string]string

	step("apply three masters and two workers", f.Apply)
	step("an application comes up on the workers", func(ctx context.Context) error {
		if err := f.configMaps(ctx, "create", "early", "deleted"); err != nil {
			return err
		}
		return f.Cluster.Deploy(ctx, f.Workers...)
	})
	step("a master is saved, and the file is taken away", func(ctx context.Context) error {
		h, err := f.Lab.Host("master-1")
		if err != nil {
			return err
		}
		if program, err = h.Run(ctx, "cat "+config.Binary("gantry")); err != nil {
			return err
		}
		saved, err = h.Run(ctx, config.Binary("gantry")+" snapshot save /root/saved >&2 && cat /root/saved")
		return err
	})
	step("the store goes on", func(ctx context.Context) error {
		if err := f.configMaps(ctx, "delete", "deleted"); err != nil {
			return err
		}
		return f.configMaps(ctx, "create", "late")
	})
	step("all masters are lost, and bare servers take their places", func(ctx context.Context) (err error) {
		if before, err = f.processes(ctx, f.Workers...); err != nil {
			return err
		}
		for _, m := range f.Masters {
			h, err := f.Lab.Host(m)
			if err != nil {
				return err
			}
			if err := h.PowerCut(ctx); err != nil {
				return err
			}
		}
		for _, m := range f.Masters {
			if err := f.Lab.Replace(ctx, m); err != nil {
				return err
			}
		}
		return soon(func(ctx context.Context) error { return f.Cluster.AnswersByNodePort(ctx, f.Workers...) })(ctx)
	})
	step("one of them is made of the snapshot", func(ctx context.Context) error {
		if _, err := ssh(ctx, f.Lab, "master-1", program, "cat >/root/gantry && chmod 755 /root/gantry"); err != nil {
			return err
		}
		if _, err := ssh(ctx, f.Lab, "master-1", saved, "cat >/root/saved"); err != nil {
			return err
		}
		var units []string
		for _, c := range config.MasterComponents() {
			units = append(units, c.Unit())
		}
		_, err := ssh(ctx, f.Lab, "master-1", nil, "/root/gantry snapshot restore /root/saved && systemctl daemon-reload && systemctl enable --now "+strings.Join(units, " "))
		return err
	})
	step("the workers have found it", func(ctx context.Context) error {
		f.Cluster = f.Cluster.Via(clusterName, "master-1")
		restored := time.Now()
		return Eventually(ctx, 40*time.Second, func(ctx context.Context) error { return f.workersSpeak(ctx, restored) })
	})
	step("apply makes the masters whole", func(ctx context.Context) error {
		if err := f.Apply(ctx); err != nil {
			return err
		}
		return Eventually(ctx, 20*time.Second, f.mastersServe)
	})
	step("what the snapshot had is there, and nothing of after it", func(ctx context.Context) error {
		out, err := f.Cluster.Kubectl(ctx, "get", "configmaps", "-o", "name")
		if err != nil {
			return err
		}
		got := strings.Fields(out)
		for name, want := range map[string]bool{"early": true, "deleted": true, "late": false} {
			if slices.Contains(got, "configmap/"+name) != want {
				return fmt.Errorf("after the restore there are %v", got)
			}
		}
		return nil
	})
	step("the pods on the workers ran on", func(ctx context.Context) error {
		if err := soon(func(ctx context.Context) error { return f.AppReady(ctx, 4) })(ctx); err != nil {
			return err
		}
		after, err := f.processes(ctx, f.Workers...)
		if err != nil {
			return err
		}
		if !maps.Equal(before, after) {
			return fmt.Errorf("the application's processes were %v and are %v", before, after)
		}
		return soon(func(ctx context.Context) error { return f.Cluster.AnswersByClusterIP(ctx, f.Nodes()...) })(ctx)
	})
	step("nothing is left to plan", f.Unchanged)
	step("destroy leaves every server clean", f.Down)
}

// TestLostMember is a member of etcd that comes back with less than it had: empty, older
// than its membership, or as of an older image of its whole disk. It does not start, says
// so wherever somebody looks, and the next apply replaces it.
func TestLostMember(t *testing.T) {
	f := newFlow(t, "ha", "e2e-member", []string{"master-1", "master-2", "master-3"}, []string{"worker-1"}, nil)
	step := f.stepper(t)
	step("apply three masters and a worker", f.Apply)

	const stop, start = "systemctl stop gantry-etcd && cd " + config.StateDir + " && ", " && systemctl start --no-block gantry-etcd"
	for i, c := range []struct {
		name, master string
		old, lose    string // scripts: before something is written, and after it
		why          string
	}{
		{"an empty directory", "master-2", "true", stop + "find etcd -mindepth 1 -delete" + start, "is empty, but this server is member"},
		{"an older directory", "master-3", stop + "cp -a etcd /root/old" + start, stop + "rm -r etcd && mv /root/old etcd" + start, "older than the membership"},
		{"an older disk", "master-1", stop + "mkdir /root/disk && cp -a etcd etcd-member /root/disk" + start,
			stop + "rm -r etcd etcd-member && mv /root/disk/* . && rmdir /root/disk" + start, "the other members know of this one at entry"},
	} {
		h, err := f.Lab.Host(c.master)
		if err != nil {
			t.Fatal(err)
		}
		f.Cluster = f.Cluster.Via(clusterName, without(f.Masters, c.master)[0])
		name := fmt.Sprintf("written-%d", i)
		step(c.name+": the store goes on", func(ctx context.Context) error {
			if _, err := h.Run(ctx, c.old); err != nil {
				return err
			}
			if err := Eventually(ctx, 20*time.Second, f.mastersServe); err != nil {
				return err
			}
			if err := f.configMaps(ctx, "create", name); err != nil {
				return err
			}
			// A member leaves its record with its peers when it starts.
			if _, err := h.Run(ctx, "systemctl restart gantry-etcd"); err != nil {
				return err
			}
			return Eventually(ctx, 20*time.Second, f.mastersServe)
		})
		step(c.name+": the member does not start, and says why", func(ctx context.Context) error {
			if _, err := h.Run(ctx, c.lose); err != nil {
				return err
			}
			return Eventually(ctx, 30*time.Second, func(ctx context.Context) error { return f.memberRefused(ctx, h, c.why) })
		})
		step(c.name+": the next apply replaces it", func(ctx context.Context) error {
			if err := f.Apply(ctx); err != nil {
				return err
			}
			if err := Eventually(ctx, 20*time.Second, f.mastersServe); err != nil {
				return err
			}
			return soon(func(ctx context.Context) error {
				_, err := f.Cluster.Via(clusterName, c.master).Kubectl(ctx, "get", "configmap", name)
				return err
			})(ctx)
		})
		step(c.name+": nothing is left to plan", f.Unchanged)
	}
	step("destroy leaves every server clean", f.Down)
}

// memberRefused checks that a server's journal, the status of the cluster on each master
// (which asks the member's /readyz) and the plan say why its member of etcd does not start.
func (f *Flow) memberRefused(ctx context.Context, h *lab.Host, why string) error {
	log, err := h.Run(ctx, "journalctl --no-pager -q -o cat -u gantry-etcd -n 20")
	if err != nil {
		return err
	}
	var told []string
	for _, m := range f.Masters {
		other, err := f.Lab.Host(m)
		if err != nil {
			return err
		}
		s, err := statusOn(ctx, other)
		if err != nil {
			return err
		}
		for _, p := range slices.Concat(s.Store, s.Masters) {
			if p.Name == h.Name && strings.Contains(p.Problem, why) {
				told = append(told, m)
				break
			}
		}
	}
	if !slices.Equal(told, f.Masters) {
		return fmt.Errorf("only on %v gantry cluster status says why the member of %s does not start", told, h.Name)
	}
	plan, err := f.Workspace.Terraform(ctx, "plan", "-input=false", "-no-color")
	if err != nil {
		return err
	}
	for where, text := range map[string]string{"the journal": string(log), "the plan": plan} {
		if err := says(text, why); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

// configMaps creates or deletes ConfigMaps.
func (f *Flow) configMaps(ctx context.Context, do string, names ...string) error {
	for _, n := range names {
		if _, err := f.Cluster.Kubectl(ctx, do, "configmap", n); err != nil {
			return err
		}
	}
	return nil
}

// processes are the application's, by host: which, and since when.
func (f *Flow) processes(ctx context.Context, hosts ...string) (map[string]string, error) {
	out := map[string]string{}
	for _, n := range hosts {
		h, err := f.Lab.Host(n)
		if err != nil {
			return nil, err
		}
		found, err := h.Run(ctx, "ps -C hello -o pid=,lstart= | sort")
		if err != nil {
			return nil, err
		}
		out[n] = string(found)
	}
	return out, nil
}

// workersSpeak checks that the workers are Ready, and have said so since a time.
func (f *Flow) workersSpeak(ctx context.Context, since time.Time) error {
	for _, w := range f.Workers {
		ready, err := f.Cluster.Kubectl(ctx, "get", "node", w, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		if err != nil {
			return err
		}
		renewed, err := f.Cluster.Kubectl(ctx, "get", "lease", w, "-n", "kube-node-lease", "-o", "jsonpath={.spec.renewTime}")
		if err != nil {
			return err
		}
		at, err := time.Parse(time.RFC3339, renewed)
		if err != nil {
			return err
		}
		if ready != "True" || at.Before(since) {
			return fmt.Errorf("worker %s is Ready: %s, and spoke last at %s", w, ready, renewed)
		}
	}
	return nil
}

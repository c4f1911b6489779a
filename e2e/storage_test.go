//go:build lab

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const storageObjects = workloadsNamespace + `---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: w}
spec:
  replicas: 3
  serviceName: db
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
      containers: [{name: c, image: IMAGE, args: [sleep], volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: scratch, namespace: w, labels: {app: scratch}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: IMAGE, args: [sleep], volumeMounts: [{name: s, mountPath: /s, subPath: below}]}]
  volumes: [{name: s, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 64Mi}}}}}}]
`

// storage are the stories of volumes that outlive pods, on servers with nothing but what
// every cluster has.
type storage struct{ workloads }

// TestStorage: the claims of a StatefulSet are bound on the first day, their data lives
// through what happens to pods, kubelets and servers, and nothing of them is left.
func TestStorage(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-storage", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(t.Context(), f.Workers...); err != nil {
		t.Fatal(err)
	}
	s := storage{workloads{f}}
	t.Cleanup(func() {
		if t.Failed() {
			s.show(t)
		}
	})
	step := f.stepper(t)
	step("a set's claims are bound", s.bound)
	step("their data outlives the pods", s.podsDeleted)
	step("kubelets are killed", s.kubeletsKilled)
	step("a server loses power", s.powerLost)
	step("a claim grows", s.grows)
	step("a server stays with its volumes", s.stays)
	step("nothing is left", s.removed)
}

func (s storage) ready(ctx context.Context) error {
	return s.become(ctx, 90*time.Second, "pods -l app=db", `{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}`, "db-0=True", "db-1=True", "db-2=True")
}

// holds says whether each pod still has what was written to its volume.
func (s storage) holds(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return soon(func(ctx context.Context) error {
		for i := range 3 {
			out, err := s.kubectl(ctx, "exec", fmt.Sprintf("db-%d", i), "--", "/hello", "cat", "/data/f")
			if want := fmt.Sprintf("of %d", i); err != nil || strings.TrimSpace(out) != want {
				return fmt.Errorf("the volume of db-%d holds %q, %v", i, out, err)
			}
		}
		return nil
	})(ctx)
}

func (s storage) bound(ctx context.Context) error {
	if err := s.apply(ctx, storageObjects); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := s.become(ctx, 30*time.Second, "pods -l app=scratch", "{.status.phase}", "Running"); err != nil {
		return err
	}
	for i := range 3 {
		if out, err := s.kubectl(ctx, "exec", fmt.Sprintf("db-%d", i), "--", "/hello", "write", "/data/f", fmt.Sprintf("of %d", i)); err != nil {
			return fmt.Errorf("write to the volume of db-%d: %w\n%s", i, err, out)
		}
	}
	out, err := s.kubectl(ctx, "get", "pvc,pv,sc")
	if err != nil {
		return err
	}
	for _, want := range []string{"local (default)", "local.gantry.run", "WaitForFirstConsumer", "w/data-db-0", "w/scratch-s"} {
		if !strings.Contains(out, want) {
			return fmt.Errorf("kubectl get pvc,pv,sc has no %q:\n%s", want, out)
		}
	}
	return s.holds(ctx)
}

func (s storage) podsDeleted(ctx context.Context) error {
	if err := s.run(ctx, "delete pods -l app=db"); err != nil {
		return err
	}
	return s.holds(ctx)
}

// kubeletsKilled: pods and mounts stay as they are.
func (s storage) kubeletsKilled(ctx context.Context) error {
	before, err := s.values(ctx, "pods", "{.metadata.uid}/{.status.containerStatuses[0].containerID}")
	if err != nil {
		return err
	}
	for range 3 {
		if err := s.onWorkers(ctx, "systemctl kill -s KILL gantry-kubelet"); err != nil {
			return err
		}
		// A node stays Ready for a while without its kubelet, which no command reaches a pod without.
		if err := Eventually(ctx, 60*time.Second, s.holds); err != nil {
			return err
		}
	}
	after, err := s.values(ctx, "pods", "{.metadata.uid}/{.status.containerStatuses[0].containerID}")
	if err == nil && !slices.Equal(before, after) {
		err = fmt.Errorf("the containers were %q and are %q", before, after)
	}
	return err
}

func (s storage) onWorkers(ctx context.Context, command string) error {
	for _, name := range s.Workers {
		h, err := s.Lab.Host(name)
		if err != nil {
			return err
		}
		if out, err := h.Run(ctx, command); err != nil {
			return fmt.Errorf("%s on %s: %w\n%s", command, name, err, out)
		}
	}
	return nil
}

func (s storage) powerLost(ctx context.Context) error {
	at, err := s.kubectl(ctx, "get", "pod", "db-0", "-o", "jsonpath={.spec.nodeName}")
	if err != nil {
		return err
	}
	h, err := s.Lab.Host(strings.TrimSpace(at))
	if err != nil {
		return err
	}
	// What the pod itself did not sync may be lost, and here is not what is tested.
	if _, err := h.Run(ctx, "sync"); err != nil {
		return err
	}
	if err := h.PowerCut(ctx); err != nil {
		return err
	}
	if err := h.Boot(ctx); err != nil {
		return err
	}
	if err := Eventually(ctx, 90*time.Second, s.NodesReady); err != nil {
		return err
	}
	return Eventually(ctx, 60*time.Second, s.holds)
}

func (s storage) grows(ctx context.Context) error {
	if _, err := s.kubectl(ctx, "patch", "pvc", "data-db-0", "-p", `{"spec":{"resources":{"requests":{"storage":"96Mi"}}}}`); err != nil {
		return err
	}
	return s.become(ctx, 20*time.Second, "pvc -l app=db", "{.metadata.name}={.status.capacity.storage}", "data-db-0=96Mi", "data-db-1=64Mi", "data-db-2=64Mi")
}

// stays: a plan that takes out a server names what would go with it, and is refused.
func (s storage) stays(ctx context.Context) error {
	at, err := s.kubectl(ctx, "get", "pod", "db-0", "-o", "jsonpath={.spec.nodeName}")
	if err != nil {
		return err
	}
	node := strings.TrimSpace(at)
	rest := slices.DeleteFunc(slices.Clone(s.Workers), func(n string) bool { return n == node })
	if err := s.Workspace.SetHosts(s.Lab, s.Masters, rest); err != nil {
		return err
	}
	out, err := s.Workspace.Terraform(ctx, "plan", "-input=false", "-no-color")
	if err == nil {
		return fmt.Errorf("the plan is not refused:\n%s", out)
	}
	said := strings.Join(strings.Fields(strings.NewReplacer("│", "", "╷", "", "╵", "").Replace(out+err.Error())), " ")
	for _, want := range []string{"The data of volumes would be lost", "claim w/data-db-0, used by pod w/db-0", "set allow_volume_loss = true"} {
		if !strings.Contains(said, want) {
			return fmt.Errorf("the refusal has no %q:\n%s", want, said)
		}
	}
	return s.Workspace.SetHosts(s.Lab, s.Masters, s.Workers)
}

// removed: with their claims, volumes and directories go; a claim goes no earlier than who
// uses it.
func (s storage) removed(ctx context.Context) error {
	if err := s.run(ctx, "delete pvc data-db-2 --wait=false"); err != nil {
		return err
	}
	if err := s.holds(ctx); err != nil {
		return fmt.Errorf("a claim that is used went: %w", err)
	}
	if err := s.run(ctx, "delete sts db", "delete pod scratch", "delete pvc -l app=db --wait=false"); err != nil {
		return err
	}
	if err := s.become(ctx, 60*time.Second, "pvc,pv", "{.metadata.name}"); err != nil {
		return err
	}
	return Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		return s.onWorkers(ctx, `test -z "$(ls -A /var/lib/gantry/volumes 2>/dev/null)" && ! grep -q /volumes/claim/ /proc/self/mountinfo`)
	})
}

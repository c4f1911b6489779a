//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const claimedObjects = workloadsNamespace + `---
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: test}
spec: {selectors: [{cel: {expression: 'device.driver == "test.example.com"'}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: one, namespace: w}
spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: test}}]}}}
`

// claimingPod has a claim of a template.
func claimingPod(name string) string {
	return fmt.Sprintf(`---
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: w}
spec:
  terminationGracePeriodSeconds: 1
  resourceClaims: [{name: d, resourceClaimTemplateName: one}]
  containers: [{name: c, image: IMAGE, args: [sleep], resources: {claims: [{name: d}]}}]
`, name)
}

// devices are the stories of claims of devices, on a node whose driver has one.
type devices struct{ workloads }

// TestDevices: a claim is made and allocated, its pod sees the device, another waits until it
// is given back, and nothing is prepared any more at the end, whatever became of the kubelet.
func TestDevices(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-devices", []string{"master-1"}, []string{"worker-1"}, nil)
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(t.Context(), f.Workers...); err != nil {
		t.Fatal(err)
	}
	d := devices{workloads{f}}
	t.Cleanup(func() {
		if t.Failed() {
			d.show(t)
		}
	})
	step := f.stepper(t)
	step("a driver registers", d.registered)
	step("a pod has a device, and another waits", d.given)
	step("the kubelet is killed", d.kubeletKilled)
	step("the device is given to the next", d.next)
	step("the driver goes", d.gone)
}

// onWorker runs a command on the node with the devices.
func (d devices) onWorker(ctx context.Context, script string) (string, error) {
	return ssh(ctx, d.Lab, d.Workers[0], nil, script)
}

func (d devices) registered(ctx context.Context) error {
	for path, file := range map[string]string{"/run/dradriver": "../bin/dradriver", "/run/dra.kubeconfig": d.Cluster.Kubeconfig} {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := ssh(ctx, d.Lab, d.Workers[0], data, "cat >"+path+" && chmod 0700 "+path); err != nil {
			return err
		}
	}
	if _, err := d.onWorker(ctx, "systemd-run --unit dradriver /run/dradriver /run/dra.kubeconfig test.example.com "+d.Workers[0]+" x"); err != nil {
		return err
	}
	if err := d.apply(ctx, claimedObjects); err != nil {
		return err
	}
	return d.become(ctx, 30*time.Second, "resourceslices", "{.spec.driver}/{.spec.nodeName}/{.spec.devices[*].name}", "test.example.com/"+d.Workers[0]+"/x")
}

func (d devices) given(ctx context.Context) error {
	if err := d.apply(ctx, claimingPod("first")); err != nil {
		return err
	}
	if err := d.become(ctx, 30*time.Second, "pods --field-selector=metadata.name=first", "{.status.phase}", "Running"); err != nil {
		return err
	}
	if err := d.sees(ctx, "first"); err != nil {
		return err
	}
	if err := d.apply(ctx, claimingPod("second")); err != nil {
		return err
	}
	return d.become(ctx, 30*time.Second, "pods --field-selector=metadata.name=second", `{.status.phase}/{.status.conditions[?(@.type=="PodScheduled")].reason}`, "Pending/Unschedulable")
}

// sees says whether a pod has the device.
func (d devices) sees(ctx context.Context, pod string) error {
	out, err := d.onWorker(ctx, "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c '^DEVICE=x$'")
	if err != nil || strings.TrimSpace(out) != "1" {
		return fmt.Errorf("%s containers see the device of pod %s: %w", strings.TrimSpace(out), pod, err)
	}
	return nil
}

// kubeletKilled: the pod keeps its device, and its driver is not asked again.
func (d devices) kubeletKilled(ctx context.Context) error {
	if _, err := d.onWorker(ctx, "systemctl kill -s KILL gantry-kubelet"); err != nil {
		return err
	}
	if err := d.become(ctx, 60*time.Second, "resourceslices", "{.spec.devices[*].name}", "x"); err != nil {
		return err
	}
	if err := d.sees(ctx, "first"); err != nil {
		return err
	}
	return d.asked(ctx, 1, 0)
}

// asked says whether the driver was asked so many times to prepare and to unprepare.
func (d devices) asked(ctx context.Context, prepared, unprepared int) error {
	return Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := d.onWorker(ctx, "journalctl -u dradriver -o cat --no-pager")
		if err != nil {
			return err
		}
		lines := strings.Split(out, "\n")
		is := func(prefix string) (n int) {
			for _, l := range lines {
				if strings.HasPrefix(l, prefix) {
					n++
				}
			}
			return n
		}
		if is("prepare ") != prepared || is("unprepare ") != unprepared {
			return fmt.Errorf("the driver was asked %d times to prepare and %d times to unprepare, not %d and %d:\n%s", is("prepare "), is("unprepare "), prepared, unprepared, out)
		}
		return nil
	})
}

func (d devices) next(ctx context.Context) error {
	if err := d.run(ctx, "delete pod first"); err != nil {
		return err
	}
	if err := d.become(ctx, 30*time.Second, "pods --field-selector=metadata.name=second", "{.status.phase}", "Running"); err != nil {
		return err
	}
	if err := d.sees(ctx, "second"); err != nil {
		return err
	}
	if err := d.asked(ctx, 2, 1); err != nil {
		return err
	}
	if err := d.run(ctx, "delete pod second"); err != nil {
		return err
	}
	if err := d.asked(ctx, 2, 2); err != nil {
		return err
	}
	if err := d.become(ctx, 30*time.Second, "resourceclaims", "{.metadata.name}"); err != nil {
		return err
	}
	out, err := d.onWorker(ctx, "ls /var/run/cdi")
	if err != nil || strings.TrimSpace(out) != "" {
		return fmt.Errorf("left prepared is %q: %w", out, err)
	}
	return nil
}

// gone: what a driver had is taken out of the API when it does not come back.
func (d devices) gone(ctx context.Context) error {
	if _, err := d.onWorker(ctx, "systemctl stop dradriver"); err != nil {
		return err
	}
	return d.become(ctx, 60*time.Second, "resourceslices", "{.metadata.name}")
}

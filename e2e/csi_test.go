//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/lab/image"
)

const (
	driverImage = "csi.test/driver:1"
	driverName  = "test.csi.gantry.run"
)

// driverObjects are what a CSI driver's manifests have beside its sidecars: its object and
// classes, and a plugin on each node that registers itself. Volumes are where the sidecars
// run, on worker-1: that worker-2 has no room for them the scheduler is told.
const driverObjects = workloadsNamespace + `---
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: test.csi.gantry.run}
spec: {attachRequired: true, podInfoOnMount: true, storageCapacity: true, fsGroupPolicy: File, volumeLifecycleModes: [Persistent, Ephemeral], tokenRequests: [{audience: vault}], requiresRepublish: true}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: driven}
provisioner: test.csi.gantry.run
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: driven-now}
provisioner: test.csi.gantry.run
volumeBindingMode: Immediate
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata: {name: driven}
driver: test.csi.gantry.run
deletionPolicy: Delete
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: driver, namespace: w}
spec:
  selector: {matchLabels: {app: driver}}
  template:
    metadata: {labels: {app: driver}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: driver
        image: csi.test/driver:1
        args: [--node=$(NODE), --register=/registration/test-reg.sock, --endpoint=/var/lib/kubelet/plugins/test/csi.sock, --limit=3, --capacity=268435456]
        env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
        securityContext: {privileged: true}
        volumeMounts:
        - {name: socket, mountPath: /csi}
        - {name: registration, mountPath: /registration}
        - {name: data, mountPath: /data}
        - {name: pods, mountPath: /var/lib/kubelet/pods, mountPropagation: Bidirectional}
        - {name: plugins, mountPath: /var/lib/kubelet/plugins, mountPropagation: Bidirectional}
        - {name: dev, mountPath: /dev}
      volumes:
      - {name: socket, hostPath: {path: /var/lib/kubelet/plugins/test, type: DirectoryOrCreate}}
      - {name: registration, hostPath: {path: /var/lib/kubelet/plugins_registry, type: Directory}}
      - {name: data, hostPath: {path: /var/lib/csi-test, type: DirectoryOrCreate}}
      - {name: pods, hostPath: {path: /var/lib/kubelet/pods, type: Directory}}
      - {name: plugins, hostPath: {path: /var/lib/kubelet/plugins, type: Directory}}
      - {name: dev, hostPath: {path: /dev}}
`

// drivenObjects are pods with volumes of the driver: a claim, a device and one of their own.
const drivenObjects = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: w}
spec: {storageClassName: driven, accessModes: [ReadWriteOncePod], resources: {requests: {storage: 16Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: user, namespace: w, labels: {app: user}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
  containers:
  - {name: c, image: IMAGE, args: [sleep], volumeMounts: [{name: data, mountPath: /data, subPath: below}, {name: own, mountPath: /own}]}
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: data}}
  - {name: own, csi: {driver: test.csi.gantry.run, readOnly: true}}
`

const deviceObjects = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, namespace: w}
spec: {storageClassName: driven, volumeMode: Block, accessModes: [ReadWriteOnce], resources: {requests: {storage: 4Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: raw, namespace: w, labels: {app: raw}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: IMAGE, args: [sleep], volumeDevices: [{name: disk, devicePath: /dev/disk}]}]
  volumes: [{name: disk, persistentVolumeClaim: {claimName: disk}}]
`

// driven are the stories of volumes of a CSI driver.
type driven struct{ storage }

// TestCSI: the manifests of a driver and of the public sidecars apply, it registers, and its
// volumes are provisioned where there is room, attached, mounted, grown, copied and taken
// away, whatever happens to the kubelet and to the sidecars meanwhile.
func TestCSI(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-csi", []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err := f.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Cluster.ImportImage(t.Context(), f.Workers...); err != nil {
		t.Fatal(err)
	}
	s := driven{storage{workloads{f}}}
	if err := s.importDriver(t); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.show(t)
			s.showSidecars(t)
		}
	})
	step := f.stepper(t)
	step("the sidecars run", s.sidecars)
	step("the driver registers", s.registers)
	step("the scheduler is told of the room", s.room)
	step("a claim is bound before any pod", s.now)
	step("volumes are mounted", s.mounted)
	step("a device", s.device)
	step("the kubelet is killed while it mounts", s.killedWhileMounting)
	step("the sidecars' leaders fall", s.leadersFall)
	step("a claim grows", s.grows)
	step("a snapshot, what is restored of it, and a clone", s.copied)
	step("nothing is left", s.removed)
	step("the driver goes", s.unregisters)
}

// is waits until a JSON path of one object gives the wanted text.
func (s driven) is(ctx context.Context, limit time.Duration, what, path, want string) error {
	return Eventually(ctx, limit, func(ctx context.Context) error {
		out, err := s.kubectl(ctx, append(append([]string{"get"}, strings.Fields(what)...), "-o", "jsonpath="+path)...)
		if err == nil && strings.TrimSpace(out) != want {
			err = fmt.Errorf("%s of %s is %q, want %q", path, what, out, want)
		}
		return err
	})
}

// importDriver builds the driver and brings it to the workers, with the sidecars.
func (s driven) importDriver(t *testing.T) error {
	program := filepath.Join(t.TempDir(), "csidriver")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", program, "./csidriver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the driver: %w\n%s", err, out)
	}
	if err := s.importProgram(t.Context(), program, driverImage, s.Workers...); err != nil {
		return err
	}
	return s.importSidecars(t.Context())
}

// importProgram brings a static program to hosts, as an image.
func (s driven) importProgram(ctx context.Context, program, ref string, hosts ...string) error {
	return importProgram(ctx, s.Lab, hosts, ref, filepath.Base(program), program, image.Options{})
}

func (s driven) registers(ctx context.Context) error {
	if err := s.apply(ctx, driverObjects); err != nil {
		return err
	}
	if err := s.is(ctx, 60*time.Second, "csinode worker-1", `{.spec.drivers[?(@.name=="`+driverName+`")].nodeID}/{.spec.drivers[?(@.name=="`+driverName+`")].allocatable.count}`, "worker-1/3"); err != nil {
		return err
	}
	return s.is(ctx, 30*time.Second, "node worker-1", `{.metadata.labels.topology\.test\.csi\.gantry\.run/node}{.metadata.annotations.csi\.volume\.kubernetes\.io/nodeid}`, `worker-1{"`+driverName+`":"worker-1"}`)
}

func (s driven) running(ctx context.Context, name string) error {
	return s.is(ctx, 60*time.Second, "pod "+name, `{.status.conditions[?(@.type=="Ready")].status}`, "True")
}

// reads says whether a file of a pod holds something.
func (s driven) reads(ctx context.Context, pod, file, want string) error {
	out, err := s.kubectl(ctx, "exec", pod, "--", "/hello", "cat", file)
	if err != nil || strings.TrimSpace(out) != want {
		return fmt.Errorf("%s of %s holds %q, %v; want %q", file, pod, out, err, want)
	}
	return nil
}

func (s driven) mounted(ctx context.Context) error {
	if err := s.apply(ctx, drivenObjects); err != nil {
		return err
	}
	if err := s.running(ctx, "user"); err != nil {
		return err
	}
	if out, err := s.kubectl(ctx, "exec", "user", "--", "/hello", "write", "/data/f", "kept"); err != nil {
		return fmt.Errorf("the group cannot write: %w\n%s", err, out)
	}
	if err := s.reads(ctx, "user", "/own/pod", "w/user"); err != nil {
		return err
	}
	if _, err := s.kubectl(ctx, "exec", "user", "--", "/hello", "write", "/own/f", "x"); err == nil {
		return fmt.Errorf("what is read-only is written")
	}
	out, err := s.kubectl(ctx, "get", "node", "worker-1", "-o", "jsonpath={.status.volumesAttached[0].name}={.status.volumesInUse[0]}")
	if one, two, _ := strings.Cut(out, "="); err != nil || one != two || !strings.HasPrefix(one, "kubernetes.io/csi/"+driverName+"^") {
		return fmt.Errorf("the node has attached and in use %q, %v", out, err)
	}
	if err := s.become(ctx, 10*time.Second, "volumeattachments", "{.spec.attacher}/{.spec.nodeName}/{.status.attached}", driverName+"/worker-1/true"); err != nil {
		return err
	}
	if err := s.run(ctx, "delete pod user"); err != nil {
		return err
	}
	if err := s.apply(ctx, drivenObjects); err != nil {
		return err
	}
	if err := s.running(ctx, "user"); err != nil {
		return err
	}
	return s.reads(ctx, "user", "/data/f", "kept")
}

func (s driven) device(ctx context.Context) error {
	if err := s.apply(ctx, deviceObjects); err != nil {
		return err
	}
	if err := s.running(ctx, "raw"); err != nil {
		return err
	}
	if out, err := s.kubectl(ctx, "exec", "raw", "--", "/hello", "write", "/dev/disk", "block"); err != nil {
		return fmt.Errorf("write to the device: %w\n%s", err, out)
	}
	return s.run(ctx, "delete pod raw", "delete pvc disk")
}

// killedWhileMounting: the driver takes its time, and the kubelet is killed meanwhile.
func (s driven) killedWhileMounting(ctx context.Context) error {
	h, err := s.Lab.Host("worker-1")
	if err != nil {
		return err
	}
	for range 2 {
		if err := s.run(ctx, "delete pod user"); err != nil {
			return err
		}
		if _, err := h.Run(ctx, "echo 2 >/var/lib/csi-test/delay"); err != nil {
			return err
		}
		if err := s.apply(ctx, drivenObjects); err != nil {
			return err
		}
		for range 3 { // while it stages, while it publishes, and where it has got to then
			time.Sleep(1500 * time.Millisecond)
			if _, err := h.Run(ctx, "systemctl kill -s KILL gantry-kubelet"); err != nil {
				return err
			}
		}
		if _, err := h.Run(ctx, "rm /var/lib/csi-test/delay"); err != nil {
			return err
		}
		if err := s.running(ctx, "user"); err != nil {
			return err
		}
		if err := Eventually(ctx, 30*time.Second, func(ctx context.Context) error { return s.reads(ctx, "user", "/data/f", "kept") }); err != nil {
			return err
		}
	}
	return nil
}

func (s driven) grows(ctx context.Context) error {
	if _, err := s.kubectl(ctx, "patch", "pvc", "data", "-p", `{"spec":{"resources":{"requests":{"storage":"32Mi"}}}}`); err != nil {
		return err
	}
	return s.is(ctx, 90*time.Second, "pvc data", "{.status.capacity.storage}/{.status.conditions[*].type}/{.status.allocatedResourceStatuses}", "32Mi/Unused/") // no step of growing is left
}

// removed: nothing of a volume is left once its pod and its claim are gone.
func (s driven) removed(ctx context.Context) error {
	if err := s.run(ctx, "delete pod user", "delete pods restored cloned", "delete volumesnapshot data", "delete pvc data restored cloned --wait=false"); err != nil {
		return err
	}
	if err := s.become(ctx, 60*time.Second, "pvc,pv,volumeattachments,volumesnapshots,volumesnapshotcontents", "{.metadata.name}"); err != nil {
		return err
	}
	if err := s.is(ctx, 30*time.Second, "node worker-1", "{.status.volumesAttached}{.status.volumesInUse}", ""); err != nil {
		return err
	}
	return Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		if left, err := lab.LoopDevices(s.Lab); err != nil || len(left) > 0 {
			return fmt.Errorf("loop devices have %q, %v", left, err)
		}
		return s.onWorkers(ctx, `test -z "$(find /var/lib/kubelet/pods /var/lib/gantry/kubelet/csi /var/lib/csi-test/volumes /var/lib/csi-test/snapshots -mindepth 1 2>/dev/null)" && `+
			`! grep -q 'globalmount\|kubernetes.io~csi\|volumeDevices' /proc/self/mountinfo`)
	})
}

func (s driven) unregisters(ctx context.Context) error {
	if err := s.run(ctx, "delete ds driver"); err != nil {
		return err
	}
	return s.become(ctx, 60*time.Second, "csinodes", `{.metadata.name}={.spec.drivers[*].name}`, "master-1=local.gantry.run", "worker-1=local.gantry.run", "worker-2=local.gantry.run")
}

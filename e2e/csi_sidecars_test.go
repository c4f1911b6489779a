//go:build lab

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// sidecar is one of the public programs that stand between the API and a driver.
type sidecar struct {
	name, module string
	// rbac is where in its module the manifest is that says what it may do.
	rbac string
	args string
}

const snapshotter = "github.com/kubernetes-csi/external-snapshotter/v8"

func publicSidecars() []sidecar {
	return []sidecar{
		{"csi-provisioner", "github.com/kubernetes-csi/external-provisioner/v6", "deploy/kubernetes/rbac.yaml", "--enable-capacity, --capacity-ownerref-level=2, --capacity-poll-interval=5s, --extra-create-metadata"},
		{"csi-attacher", "github.com/kubernetes-csi/external-attacher/v4", "deploy/kubernetes/rbac.yaml", ""},
		{"csi-resizer", "github.com/kubernetes-csi/external-resizer/v2", "deploy/kubernetes/rbac.yaml", ""},
		{"csi-snapshotter", snapshotter, "deploy/kubernetes/csi-snapshotter/rbac-csi-snapshotter.yaml", ""},
	}
}

// sidecarObject is as in the sidecars' own manifests, beside a driver that is not in the pod.
const sidecarObject = `apiVersion: apps/v1
kind: Deployment
metadata: {name: SIDECAR, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: SIDECAR}}
  template:
    metadata: {labels: {app: SIDECAR, sidecar-of: test.csi.gantry.run}}
    spec:
      terminationGracePeriodSeconds: 1
      serviceAccountName: SIDECAR
      nodeSelector: {kubernetes.io/hostname: worker-1}
      containers:
      - name: sidecar
        image: csi.test/SIDECAR:1
        args: [--v=4, --csi-address=$(ADDRESS), --leader-election, --leader-election-lease-duration=15s, --leader-election-renew-deadline=12s, --leader-election-retry-period=1s, "--http-endpoint=:8080", ARGS]
        env:
        - {name: ADDRESS, value: /csi/csi.sock}
        - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        ports: [{containerPort: 8080, name: http-endpoint, protocol: TCP}]
        livenessProbe: {failureThreshold: 3, httpGet: {path: /healthz/leader-election, port: http-endpoint}, initialDelaySeconds: 10, timeoutSeconds: 10, periodSeconds: 20}
        volumeMounts: [{name: socket, mountPath: /csi}]
      volumes: [{name: socket, hostPath: {path: /var/lib/kubelet/plugins/test, type: DirectoryOrCreate}}]
`

// sidecarModules holds what the sidecars are built from; make builds them to sidecarPrograms.
const (
	sidecarModules  = "../tools/csi"
	sidecarPrograms = "../bin/csi"
)

// inModule is the path of a file of a module of the sidecars.
func inModule(ctx context.Context, module, file string) (string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	list.Dir = sidecarModules
	out, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), file), nil
}

// snapshotController is the manifest of that, and the image that it names.
func snapshotController(ctx context.Context) (path, ref string, err error) {
	if path, err = inModule(ctx, snapshotter, "deploy/kubernetes/snapshot-controller/setup-snapshot-controller.yaml"); err != nil {
		return "", "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", err
	}
	named := regexp.MustCompile(`image: (\S+)`).FindSubmatch(text)
	if named == nil {
		return "", "", fmt.Errorf("%s names no image", path)
	}
	return path, string(named[1]), nil
}

func (s driven) importSidecars(ctx context.Context) error {
	for _, c := range publicSidecars() {
		if err := s.importProgram(ctx, filepath.Join(sidecarPrograms, c.name), "csi.test/"+c.name+":1", "worker-1"); err != nil {
			return err
		}
	}
	_, ref, err := snapshotController(ctx)
	if err != nil {
		return err
	}
	return s.importProgram(ctx, filepath.Join(sidecarPrograms, "snapshot-controller"), ref, s.Workers...)
}

// sidecars applies what the modules have as it is: custom resources, what each may do, the
// snapshot controller; and the sidecars.
func (s driven) sidecars(ctx context.Context) error {
	controller, _, err := snapshotController(ctx)
	if err != nil {
		return err
	}
	rbac, err := inModule(ctx, snapshotter, "deploy/kubernetes/snapshot-controller/rbac-snapshot-controller.yaml")
	if err != nil {
		return err
	}
	var files []string
	for _, kind := range []string{"volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots"} {
		f, err := inModule(ctx, "github.com/kubernetes-csi/external-snapshotter/client/v8", "config/crd/snapshot.storage.k8s.io_"+kind+".yaml")
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	files = append(files, rbac, controller)
	var objects strings.Builder
	for _, c := range publicSidecars() {
		f, err := inModule(ctx, c.module, c.rbac)
		if err != nil {
			return err
		}
		files = append(files, f)
		objects.WriteString("---\n" + strings.NewReplacer("SIDECAR", c.name, "ARGS", c.args).Replace(sidecarObject))
	}
	for _, f := range files {
		if _, err := s.Cluster.Kubectl(ctx, "apply", "-f", f); err != nil {
			return err
		}
	}
	if _, err := s.Cluster.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=90s", "crd", "--all"); err != nil {
		return err
	}
	return s.apply(ctx, objects.String())
}

func (s driven) showSidecars(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"}, {"get", "csistoragecapacities,leases,volumesnapshotcontents,volumeattachments,pv", "-A", "-o", "wide"},
		{"logs", "-l", "sidecar-of=" + driverName, "--prefix", "--tail=60"}, {"-n", "w", "logs", "-l", "app=driver", "--prefix", "--tail=60"},
		{"-n", "kube-system", "logs", "-l", "app.kubernetes.io/name=snapshot-controller", "--prefix", "--tail=40"},
	} {
		out, err := s.Cluster.Kubectl(ctx, args...)
		t.Logf("%v\n%s\n%v", args, out, err)
	}
}

const bigObjects = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: big, namespace: w}
spec: {storageClassName: driven, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: big, namespace: w, labels: {app: big}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: IMAGE, args: [sleep], volumeMounts: [{name: big, mountPath: /data}]}]
  volumes: [{name: big, persistentVolumeClaim: {claimName: big}}]
`

// room: the provisioner publishes what the driver says of each node, and no pod is put
// where its claim does not fit.
func (s driven) room(ctx context.Context) error {
	err := Eventually(ctx, 60*time.Second, func(ctx context.Context) error {
		out, err := s.Cluster.Kubectl(ctx, "get", "csistoragecapacities", "-o", `jsonpath={range .items[*]}{.storageClassName} {.nodeTopology.matchLabels.topology\.test\.csi\.gantry\.run/node} {.capacity}{"\n"}{end}`)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		slices.Sort(lines)
		if want := []string{"driven worker-1 256Mi", "driven worker-2 0"}; err == nil && !slices.Equal(lines, want) {
			err = fmt.Errorf("the capacities are %q, want %q", lines, want)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := s.apply(ctx, bigObjects); err != nil {
		return err
	}
	err = Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := s.kubectl(ctx, "get", "pod", "big", "-o", `jsonpath={.status.conditions[?(@.type=="PodScheduled")].message}`)
		if err == nil && !strings.Contains(out, "2 node(s) did not have enough free storage") {
			err = fmt.Errorf("of a claim that fits nowhere is said %q", out)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.run(ctx, "delete pod big", "delete pvc big")
}

const nowObjects = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: now, namespace: w}
spec: {storageClassName: driven-now, accessModes: [ReadWriteOnce], resources: {requests: {storage: 4Mi}}}
`

// now is a claim of a class that waits for no pod.
func (s driven) now(ctx context.Context) error {
	if err := s.apply(ctx, nowObjects); err != nil {
		return err
	}
	if err := s.is(ctx, 30*time.Second, "pvc now", "{.status.phase}", "Bound"); err != nil {
		return err
	}
	path := `{.spec.csi.driver} {.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]} {.metadata.annotations.pv\.kubernetes\.io/provisioned-by}`
	out, err := s.kubectl(ctx, "get", "pv", "-o", `jsonpath={range .items[?(@.spec.claimRef.name=="now")]}`+path+"{end}")
	if want := driverName + " worker-1 " + driverName; err != nil || strings.TrimSpace(out) != want {
		return fmt.Errorf("the volume is %q, %v; want %q", out, err, want)
	}
	if err := s.run(ctx, "delete pvc now"); err != nil {
		return err
	}
	return s.become(ctx, 30*time.Second, "pv", "{.metadata.name}")
}

// leadersFall: whoever leads is deleted, and the other does its work.
func (s driven) leadersFall(ctx context.Context) error {
	leaders := func(ctx context.Context) (map[string]string, error) {
		out, err := s.Cluster.Kubectl(ctx, "get", "leases", "-o", `jsonpath={range .items[*]}{.metadata.name} {.spec.holderIdentity}{"\n"}{end}`)
		found := map[string]string{}
		for line := range strings.Lines(out) {
			if f := strings.Fields(line); len(f) == 2 {
				found[f[0]] = f[1]
			}
		}
		if err == nil && len(found) != len(publicSidecars()) {
			err = fmt.Errorf("not all sidecars have a leader: %q", out)
		}
		return found, err
	}
	before, err := leaders(ctx)
	if err != nil {
		return err
	}
	for _, pod := range before {
		if _, err := s.Cluster.Kubectl(ctx, "delete", "pod", pod, "--wait=false"); err != nil {
			return err
		}
	}
	return Eventually(ctx, 60*time.Second, func(ctx context.Context) error {
		after, err := leaders(ctx)
		for lease, pod := range before {
			if err == nil && after[lease] == pod {
				err = fmt.Errorf("%s is still held by %s", lease, pod)
			}
		}
		return err
	})
}

const snapshotObjects = `
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: data, namespace: w}
spec: {volumeSnapshotClassName: driven, source: {persistentVolumeClaimName: data}}
`

// copyObjects are a claim that is filled from another object, and a pod that reads it.
const copyObjects = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: NAME, namespace: w}
spec:
  storageClassName: driven
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 32Mi}}
  dataSource: SOURCE
---
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: w, labels: {app: NAME}}
spec:
  terminationGracePeriodSeconds: 1
  securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
  containers: [{name: c, image: IMAGE, args: [sleep], volumeMounts: [{name: data, mountPath: /data, subPath: below}]}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: NAME}}]
`

// copied: what a snapshot restores is what was, and what a clone has is what is.
func (s driven) copied(ctx context.Context) error {
	if err := s.apply(ctx, snapshotObjects); err != nil {
		return err
	}
	if err := s.is(ctx, 60*time.Second, "volumesnapshot data", "{.status.readyToUse} {.status.restoreSize}", "true 32Mi"); err != nil {
		return err
	}
	if out, err := s.kubectl(ctx, "exec", "user", "--", "/hello", "write", "/data/f", "changed"); err != nil {
		return fmt.Errorf("write after the snapshot: %w\n%s", err, out)
	}
	for _, c := range []struct{ name, source, want string }{
		{"restored", "{apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: data}", "kept"},
		{"cloned", "{kind: PersistentVolumeClaim, name: data}", "changed"},
	} {
		if err := s.apply(ctx, strings.NewReplacer("NAME", c.name, "SOURCE", c.source).Replace(copyObjects)); err != nil {
			return err
		}
		if err := s.running(ctx, c.name); err != nil {
			return err
		}
		if err := s.reads(ctx, c.name, "/data/f", c.want); err != nil {
			return err
		}
	}
	return nil
}

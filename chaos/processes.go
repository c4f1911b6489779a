package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/chaos/judge"
	"github.com/gantry-run/gantry/examples/hello/manifest"
)

// processes looks at the machine's own list of processes: it has those of every
// host of the lab, whatever the network between them does.
type processes struct {
	lab  string
	r    *recorder
	last map[string][]judge.Process
}

// scanPeriod is below the time in which a pod's process could be started in vain.
const scanPeriod = 250 * time.Millisecond

func (p *processes) run(ctx context.Context) {
	for ctx.Err() == nil {
		now := p.scan()
		for identity, found := range now {
			if len(found) > 1 { // not that one ended while the other was looked at
				found = both(found, p.scan()[identity])
				now[identity] = found
			}
			if !reflect.DeepEqual(found, p.last[identity]) {
				p.r.add(judge.Line{Alive: &judge.Alive{At: p.r.now(), Identity: identity, Processes: found}})
			}
		}
		for identity := range p.last {
			if len(now[identity]) == 0 {
				p.r.add(judge.Line{Alive: &judge.Alive{At: p.r.now(), Identity: identity}})
			}
		}
		p.last = now
		select {
		case <-ctx.Done():
		case <-time.After(scanPeriod):
		}
	}
}

func both(a, b []judge.Process) []judge.Process {
	var out []judge.Process
	for _, x := range a {
		for _, y := range b {
			if x == y {
				out = append(out, x)
			}
		}
	}
	return out
}

// scan finds the processes of the lab's StatefulSets by identity.
func (p *processes) scan() map[string][]judge.Process {
	out := map[string][]judge.Process{}
	files, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, f := range files {
		if comm, err := os.ReadFile(f); err != nil || string(comm) != "hello\n" {
			continue
		}
		dir := filepath.Dir(f)
		environment, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			continue // it has ended
		}
		env := map[string]string{}
		for v := range strings.SplitSeq(string(environment), "\x00") {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
		if env["CHAOS_LAB"] != p.lab || env["CHAOS_IDENTITY"] == "" {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		out[env["CHAOS_IDENTITY"]] = append(out[env["CHAOS_IDENTITY"]], judge.Process{Host: env["NODE_NAME"], Pod: env["POD_UID"], PID: pid})
	}
	return out
}

// Names of what runs in the cluster.
const (
	application = manifest.Name
	replicas    = manifest.Replicas
	identities  = 3
)

// workloads are the manifests of what runs all the time: the application and its
// Service, and the StatefulSet, in a namespace of their own.
func workloads(lab string) (string, error) {
	hello, err := manifest.Hello(soonElsewhere)
	return ownNamespace + "---\n" + hello + "---\n" + fmt.Sprintf(statefulSet, identities, lab), err
}

// soonElsewhere makes the application one that wants to be elsewhere soon when a node is
// lost, with its replicas on all nodes.
func soonElsewhere(d *appsv1.Deployment, s *corev1.Service) {
	d.Namespace, s.Namespace = namespace, namespace
	pods := &d.Spec.Template.Spec
	pods.TerminationGracePeriodSeconds = ptr.To[int64](2)
	pods.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: d.Spec.Selector,
	}}
	for _, lost := range []string{corev1.TaintNodeUnreachable, corev1.TaintNodeNotReady} {
		pods.Tolerations = append(pods.Tolerations, corev1.Toleration{
			Key: lost, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](15),
		})
	}
	pods.Containers[0].Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: apiresource.MustParse("20m"), corev1.ResourceMemory: apiresource.MustParse("16Mi"),
	}}
}

const ownNamespace = `apiVersion: v1
kind: Namespace
metadata:
  name: chaos
`

const statefulSet = `apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: db
  namespace: chaos
spec:
  replicas: %d
  podManagementPolicy: Parallel
  serviceName: db
  selector:
    matchLabels: {app: db}
  template:
    metadata:
      labels: {app: db}
    spec:
      terminationGracePeriodSeconds: 2
      tolerations:
      - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 20}
      - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 20}
      containers:
      - name: db
        image: demo.gantry.run/hello:1
        imagePullPolicy: IfNotPresent
        args: [sleep]
        env:
        - {name: CHAOS_LAB, value: %q}
        - name: CHAOS_IDENTITY
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        - name: POD_UID
          valueFrom: {fieldRef: {fieldPath: metadata.uid}}
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
`

// jobManifest is a Job whose completions are counted; it is gone some time after its end.
func jobManifest(round int) map[string]any {
	container := map[string]any{"name": "job", "image": manifest.Image, "imagePullPolicy": "IfNotPresent", "args": []string{"sleep", "1500ms"}}
	return map[string]any{
		"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": fmt.Sprintf("count-%d", round)},
		"spec": map[string]any{
			"completions": 12, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 1000, "ttlSecondsAfterFinished": 60,
			"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never", "containers": []any{container}}},
		},
	}
}

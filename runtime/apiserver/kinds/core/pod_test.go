package core

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

func TestPodStatusColumn(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	deleted := metav1.NewTime(now)
	const running = `{name: a, ready: true, restartCount: 0, state: {running: {}}}`
	tests := []struct {
		name, spec, status      string
		deleted                 bool
		ready, reason, restarts string
	}{
		{"pending", `containers: [{name: a}]`, `phase: Pending`, false, "0/1", "Pending", "0"},
		{"running", `containers: [{name: a}]`, `{phase: Running, containerStatuses: [` + running + `]}`, false, "1/1", "Running", "0"},
		{"waiting", `containers: [{name: a}]`, `{phase: Pending, containerStatuses: [{name: a, state: {waiting: {reason: ImagePullBackOff}}}]}`, false, "0/1", "ImagePullBackOff", "0"},
		{"restarted", `containers: [{name: a}]`, `{phase: Running, containerStatuses: [{name: a, ready: true, restartCount: 3, state: {running: {}},
			lastState: {terminated: {finishedAt: "2026-01-01T11:58:00Z"}}}]}`, false, "1/1", "Running", "3 (2m ago)"},
		{"exit code", `containers: [{name: a}]`, `{phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 3}}}]}`, false, "0/1", "ExitCode:3", "0"},
		{"signal", `containers: [{name: a}]`, `{phase: Failed, containerStatuses: [{name: a, state: {terminated: {exitCode: 137, signal: 9}}}]}`, false, "0/1", "Signal:9", "0"},
		{"one of two completed", `containers: [{name: a}, {name: b}]`, `{phase: Running, containerStatuses: [{name: b, state: {terminated: {reason: Completed}}}, ` + running + `],
			conditions: [{type: Ready, status: "True"}]}`, false, "1/2", "Running", "0"},
		{"one of two completed, not ready", `containers: [{name: a}, {name: b}]`, `{phase: Running, containerStatuses: [{name: b, state: {terminated: {reason: Completed}}}, ` + running + `]}`, false, "1/2", "NotReady", "0"},
		{"init progress", `{containers: [{name: a}], initContainers: [{name: i}, {name: j}]}`, `{phase: Pending, initContainerStatuses:
			[{name: i, state: {terminated: {exitCode: 0}}}, {name: j, state: {running: {}}}]}`, false, "0/1", "Init:1/2", "0"},
		{"init error", `{containers: [{name: a}], initContainers: [{name: i}]}`, `{phase: Pending, initContainerStatuses:
			[{name: i, restartCount: 2, state: {waiting: {reason: CrashLoopBackOff}}}]}`, false, "0/1", "Init:CrashLoopBackOff", "2"},
		{"sidecar", `{containers: [{name: a}], initContainers: [{name: s, restartPolicy: Always}]}`, `{phase: Running, initContainerStatuses:
			[{name: s, ready: true, started: true, restartCount: 1, state: {running: {}}}], containerStatuses: [` + running + `]}`, false, "2/2", "Running", "1"},
		{"evicted", `containers: [{name: a}]`, `{phase: Failed, reason: Evicted}`, false, "0/1", "Evicted", "0"},
		{"gated", `containers: [{name: a}]`, `{phase: Pending, conditions: [{type: PodScheduled, status: "False", reason: SchedulingGated}]}`, false, "0/1", "SchedulingGated", "0"},
		{"terminating", `containers: [{name: a}]`, `{phase: Running, containerStatuses: [` + running + `]}`, true, "1/1", "Terminating", "0"},
		{"deleted but done", `containers: [{name: a}]`, `{phase: Succeeded, containerStatuses: [{name: a, state: {terminated: {reason: Completed}}}]}`, true, "0/1", "Completed", "0"},
		{"node lost", `containers: [{name: a}]`, `{phase: Running, reason: NodeLost}`, true, "0/1", "Unknown", "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &corev1.Pod{}
			parse(t, tt.spec, &p.Spec)
			parse(t, tt.status, &p.Status)
			p.CreationTimestamp = metav1.NewTime(now.Add(-time.Hour))
			if tt.deleted {
				p.DeletionTimestamp = &deleted
			}
			c := podCells(p, now)
			if c[1] != tt.ready || c[2] != tt.reason || c[3] != tt.restarts || c[4] != "60m" {
				t.Errorf("ready %v, status %v, restarts %v, age %v", c[1], c[2], c[3], c[4])
			}
		})
	}
}

func parse(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(strings.ReplaceAll(text, "\t", "  ")), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestPodDefaults(t *testing.T) {
	p := &corev1.Pod{}
	parse(t, `
containers:
- name: web
  image: nginx:1.27
  ports: [{name: http, containerPort: 80}]
  env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
  resources: {requests: {cpu: 100m}, limits: {cpu: 200m}}
  readinessProbe: {httpGet: {port: http}}
`, &p.Spec)
	pod().Default(p)
	c := p.Spec.Containers[0]
	for what, ok := range map[string]bool{
		"restart policy":  p.Spec.RestartPolicy == corev1.RestartPolicyAlways,
		"grace":           *p.Spec.TerminationGracePeriodSeconds == 30,
		"scheduler":       p.Spec.SchedulerName == "default-scheduler",
		"service links":   *p.Spec.EnableServiceLinks,
		"pull policy":     c.ImagePullPolicy == corev1.PullIfNotPresent,
		"port protocol":   c.Ports[0].Protocol == corev1.ProtocolTCP,
		"field version":   c.Env[0].ValueFrom.FieldRef.APIVersion == "v1",
		"probe period":    c.ReadinessProbe.PeriodSeconds == 10 && c.ReadinessProbe.FailureThreshold == 3,
		"probe scheme":    c.ReadinessProbe.HTTPGet.Scheme == corev1.URISchemeHTTP,
		"message path":    c.TerminationMessagePath == "/dev/termination-log",
		"request is kept": c.Resources.Requests.Cpu().String() == "100m",
	} {
		if !ok {
			t.Errorf("%s not as documented", what)
		}
	}
	for image, want := range map[string]corev1.PullPolicy{
		"nginx": corev1.PullAlways, "nginx:latest": corev1.PullAlways, "nginx:1": corev1.PullIfNotPresent,
		"reg:5000/nginx": corev1.PullAlways, "reg:5000/nginx:1": corev1.PullIfNotPresent, "nginx@sha256:ab": corev1.PullIfNotPresent,
	} {
		if got := pullPolicy(image); got != want {
			t.Errorf("%s: %s", image, got)
		}
	}
}

func TestNewPodIsPending(t *testing.T) {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"}}
	parse(t, `{schedulingGates: [{name: a}], containers: [{name: a, resources: {limits: {cpu: 1, memory: 1Gi}}}]}`, &p.Spec)
	defaultPod(p)
	preparePod(p)
	if s := p.Status; s.Phase != corev1.PodPending || s.PodIP != "" || s.QOSClass != corev1.PodQOSGuaranteed ||
		len(s.Conditions) != 1 || s.Conditions[0].Reason != corev1.PodReasonSchedulingGated {
		t.Errorf("%+v", s)
	}
}

func TestPodGracePeriod(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	for _, tt := range []struct {
		node  string
		phase corev1.PodPhase
		wish  *int64
		want  int64
	}{
		{"", corev1.PodPending, n(20), 0}, {"a", corev1.PodSucceeded, n(20), 0},
		{"a", corev1.PodRunning, nil, 30}, {"a", corev1.PodRunning, n(0), 0},
		{"a", corev1.PodRunning, n(7), 7}, {"a", corev1.PodRunning, n(-1), 1},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: tt.node}, Status: corev1.PodStatus{Phase: tt.phase}}
		if got, ok := podGracePeriod(p, tt.wish); !ok || got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}

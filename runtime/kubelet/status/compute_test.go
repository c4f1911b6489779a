package status

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
	"github.com/gantry-run/gantry/runtime/pod"
)

var now = time.Unix(1_800_000_000, 0)

// exit is how a container is: it runs, it has ended, or it is not there.
type exit int32

const (
	runs   exit = -1
	absent exit = -2
)

func testPod(policy corev1.RestartPolicy, init []string, main ...string) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy}}
	p.Name, p.Namespace, p.UID, p.Generation = "p", "default", "uid", 3
	for _, n := range init {
		c := corev1.Container{Name: n, Image: "i"}
		if n[0] == 's' {
			c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways) // a sidecar
		}
		p.Spec.InitContainers = append(p.Spec.InitContainers, c)
	}
	for _, n := range main {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: n, Image: "i"})
	}
	return p
}

// viewOf is a pod whose containers, in the order of the spec, are as said.
func viewOf(p *corev1.Pod, states ...exit) plan.View {
	v := plan.View{
		Pod: p, Sandbox: "s", Now: now, Containers: map[string]*container.Container{}, Previous: map[string]*container.Container{},
		Failures: map[string]plan.Failure{}, Health: map[string]container.Health{},
	}
	i := 0
	for _, c := range pod.Containers(&p.Spec, pod.AllContainers) {
		if i >= len(states) || states[i] == absent {
			i++
			continue
		}
		have := &container.Container{
			ID: c.Name + "-id", Name: c.Name, Sandbox: "s", Image: c.Image, ImageID: "i@sha", SpecHash: container.SpecHash(c), StartedAt: now.Add(-time.Minute),
		}
		if states[i] == runs {
			v.Health[have.ID] = container.Health{Started: true, Ready: true}
		} else {
			have.State, have.Exit = container.StateExited, &container.Exit{Code: int32(states[i]), At: now}
		}
		v.Containers[c.Name] = have
		i++
	}
	return v
}

const (
	always    = corev1.RestartPolicyAlways
	onFailure = corev1.RestartPolicyOnFailure
	never     = corev1.RestartPolicyNever
)

func TestPhase(t *testing.T) {
	for _, c := range []struct {
		name   string
		pod    *corev1.Pod
		states []exit
		want   corev1.PodPhase
	}{
		{"nothing yet", testPod(always, nil, "a"), nil, corev1.PodPending},
		{"one of two", testPod(always, nil, "a", "b"), []exit{runs}, corev1.PodPending},
		{"all run", testPod(always, nil, "a", "b"), []exit{runs, runs}, corev1.PodRunning},
		{"an init container runs", testPod(always, []string{"i"}, "a"), []exit{runs}, corev1.PodPending},
		{"an init container failed", testPod(never, []string{"i"}, "a"), []exit{1}, corev1.PodFailed},
		{"it will be tried again", testPod(onFailure, []string{"i"}, "a"), []exit{1}, corev1.PodPending},
		{"init done", testPod(always, []string{"i"}, "a"), []exit{0, runs}, corev1.PodRunning},
		{"all ended well", testPod(never, nil, "a", "b"), []exit{0, 0}, corev1.PodSucceeded},
		{"one failed", testPod(never, nil, "a", "b"), []exit{0, 3}, corev1.PodFailed},
		{"one still runs", testPod(never, nil, "a", "b"), []exit{1, runs}, corev1.PodRunning},
		{"one crashes", testPod(always, nil, "a", "b"), []exit{1, runs}, corev1.PodRunning},
		{"ended well, on failure", testPod(onFailure, nil, "a"), []exit{0}, corev1.PodSucceeded},
		{"failed, on failure", testPod(onFailure, nil, "a"), []exit{1}, corev1.PodRunning},
		{"the sidecar still runs", testPod(never, []string{"s"}, "a"), []exit{runs, 0}, corev1.PodRunning},
		{"the sidecar was ended", testPod(never, []string{"s"}, "a"), []exit{143, 0}, corev1.PodSucceeded},
		{"beside a failure", testPod(never, []string{"s"}, "a"), []exit{0, 1}, corev1.PodFailed},
	} {
		if got := Compute(viewOf(c.pod, c.states...), Facts{}).Phase; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestADeletedPodHasEnded: whatever its restart policy, one that a finalizer keeps must
// not look as if it ran.
func TestADeletedPodHasEnded(t *testing.T) {
	for _, policy := range []corev1.RestartPolicy{always, onFailure, never} {
		for code, want := range map[exit]corev1.PodPhase{0: corev1.PodSucceeded, 143: corev1.PodFailed, absent: corev1.PodFailed} {
			s := Compute(viewOf(testPod(policy, nil, "a"), code), Facts{Terminated: true})
			if s.Phase != want || (code != absent && s.ContainerStatuses[0].State.Terminated == nil) {
				t.Errorf("%s, after exit %d: %s, %+v", policy, code, s.Phase, s.ContainerStatuses[0].State)
			}
		}
	}
}

// TestAFailedPodWaitsForNothing: what a deadline ended is not about to start.
func TestAFailedPodWaitsForNothing(t *testing.T) {
	s := Compute(viewOf(testPod(always, nil, "a"), 143), Facts{Failed: &Failure{Reason: "DeadlineExceeded", Message: "too long"}})
	if s.Phase != corev1.PodFailed || s.Reason != "DeadlineExceeded" || s.Message != "too long" || s.ContainerStatuses[0].State.Terminated == nil ||
		pod.Condition(&s, corev1.DisruptionTarget) != nil {
		t.Errorf("%+v", s)
	}
}

// TestAFailureIsToldAtTheEnd: whoever sees a failed pod may start another in its place, so
// nothing of it runs any more.
func TestAFailureIsToldAtTheEnd(t *testing.T) {
	failed := Facts{Failed: &Failure{Reason: "Evicted", Message: "too much", Disruption: "short"}}
	for _, c := range []struct {
		states []exit
		want   string
	}{
		{[]exit{runs, runs}, "Running  false"},
		{[]exit{0, runs}, "Running  false"},
		{[]exit{0, 0}, "Failed Evicted true"},
	} {
		s := Compute(viewOf(testPod(always, nil, "a", "b"), c.states...), failed)
		if got := fmt.Sprint(s.Phase, " ", s.Reason, " ", pod.Condition(&s, corev1.DisruptionTarget) != nil); got != c.want {
			t.Errorf("%v: %q, want %q", c.states, got, c.want)
		}
	}
}

// TestQOSOfThePodAsAWhole: the API server gave the class by the pod's own resources, and
// takes no other one.
func TestQOSOfThePodAsAWhole(t *testing.T) {
	p := testPod(always, nil, "a", "b")
	l := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("48Mi")}
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: l, Limits: l}
	if got := Compute(viewOf(p, runs, runs), Facts{}).QOSClass; got != corev1.PodQOSGuaranteed {
		t.Errorf("class %s", got)
	}
	p.Status.QOSClass = corev1.PodQOSBurstable
	if got := Compute(viewOf(p, runs, runs), Facts{}).QOSClass; got != corev1.PodQOSBurstable {
		t.Errorf("the class that it was given became %s", got)
	}
}

func TestAddresses(t *testing.T) {
	start := metav1.NewTime(now)
	s := Compute(viewOf(testPod(always, nil, "a"), runs), Facts{HostIPs: addr.MustIPs("1.1.1.1"), PodIPs: addr.MustIPs("2.2.2.2"), StartTime: start})
	if s.HostIP != "1.1.1.1" || s.HostIPs[0].IP != "1.1.1.1" || s.PodIP != "2.2.2.2" || s.PodIPs[0].IP != "2.2.2.2" || !s.StartTime.Equal(&start) || s.ObservedGeneration != 3 {
		t.Errorf("%+v", s)
	}
	p := testPod(always, nil, "a")
	p.Status.PodIP = "2.2.2.2" // of a pod whose sandbox is not made yet
	if s := Compute(viewOf(p), Facts{}); s.PodIP != "2.2.2.2" {
		t.Errorf("the address is lost: %+v", s)
	}
}

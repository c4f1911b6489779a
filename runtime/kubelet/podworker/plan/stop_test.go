package plan

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func TestToStop(t *testing.T) {
	p := testPod(corev1.RestartPolicyAlways, []string{"s1", "init", "s2"}, "b", "a")
	for _, i := range []int{0, 2} {
		p.Spec.InitContainers[i].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	}
	now := time.Unix(1_800_000_000, 0)
	over, notYet := now, now.Add(time.Millisecond)
	always := p.DeepCopy()
	for i := range always.Spec.Containers {
		always.Spec.Containers[i].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	}
	for _, c := range []struct {
		pod      *corev1.Pod
		deadline time.Time
		running  string
		want     string
	}{
		{p, time.Time{}, "", ""},
		{p, time.Time{}, "s1 s2 a b", "a b"},
		{p, time.Time{}, "s1 s2 b", "b"},
		{p, time.Time{}, "s1 init s2", "init"},
		{p, time.Time{}, "s1 unknown", "unknown"}, // of another version of the spec
		{p, time.Time{}, "s1 s2", "s2"},
		{p, time.Time{}, "s1", "s1"},
		{p, over, "s1 s2 a", "a"},
		{p, over, "s1 s2", "s2 s1"}, // the grace is over: nobody waits for another one
		{p, notYet, "s1 s2", "s2"},
		{always, time.Time{}, "s1 a", "a"}, // a main container that restarts as a sidecar does is none
	} {
		v := View{Pod: c.pod, Now: now, Deadline: c.deadline, Containers: map[string]*container.Container{"done": {Name: "done", State: container.StateExited}}}
		for _, name := range strings.Fields(c.running) {
			v.Containers[name] = &container.Container{Name: name}
		}
		var got []string
		for _, have := range ToStop(v) {
			got = append(got, have.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("of %s: %v, want %s", c.running, got, c.want)
		}
	}
}

func TestGrace(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "plain"}, {Name: "live"}, {Name: "start"}}}}
	probe := func(seconds int64) *corev1.Probe { return &corev1.Probe{TerminationGracePeriodSeconds: &seconds} }
	p.Spec.Containers[1].LivenessProbe, p.Spec.Containers[1].StartupProbe = probe(3), probe(4)
	p.Spec.Containers[2].LivenessProbe, p.Spec.Containers[2].StartupProbe = &corev1.Probe{}, probe(4)
	check := func(want time.Duration, kills map[string]time.Duration) {
		t.Helper()
		if got := Grace(p); got != want {
			t.Errorf("grace %s, want %s", got, want)
		}
		for name, want := range kills {
			if got := KillGrace(p, name); got != want {
				t.Errorf("of %s alone %s, want %s", name, got, want)
			}
		}
	}
	check(30*time.Second, map[string]time.Duration{"plain": 30 * time.Second, "live": 3 * time.Second, "start": 4 * time.Second, "none": 30 * time.Second})
	p.Spec.TerminationGracePeriodSeconds = ptr.To[int64](7)
	check(7*time.Second, map[string]time.Duration{"plain": 7 * time.Second, "live": 3 * time.Second})
	p.DeletionGracePeriodSeconds = ptr.To[int64](0)
	check(0, map[string]time.Duration{"plain": 0})
}

// TestStopGrace: of a pod that is to be gone by the 10th second.
func TestStopGrace(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	if got := StopGrace(time.Time{}, 5*time.Second, now); got != 5*time.Second {
		t.Errorf("of a pod that was not deleted %s", got)
	}
	deadline := now.Add(10 * time.Second)
	for at, want := range map[time.Duration]time.Duration{
		-time.Second: 10 * time.Second, 0: 10 * time.Second, 5 * time.Second: 5 * time.Second, 10 * time.Second: time.Second, time.Minute: time.Second,
	} {
		if got := StopGrace(deadline, 10*time.Second, now.Add(at)); got != want {
			t.Errorf("after %s: %s, want %s", at, got, want)
		}
	}
	if got := StopGrace(deadline, 0, now); got != 0 {
		t.Errorf("without a grace %s", got)
	}
}

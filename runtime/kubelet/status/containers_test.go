package status

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker/plan"
)

// word is a container's state in one word: running, a reason of waiting, or a reason of
// its end.
func word(s corev1.ContainerStatus) string {
	switch {
	case s.State.Running != nil:
		return "running"
	case s.State.Waiting != nil:
		return "waits:" + s.State.Waiting.Reason
	case s.State.Terminated != nil:
		return "ended:" + s.State.Terminated.Reason
	}
	return "nothing"
}

func words(s corev1.PodStatus) string {
	var out []string
	for _, list := range [][]corev1.ContainerStatus{s.InitContainerStatuses, s.ContainerStatuses, s.EphemeralContainerStatuses} {
		for _, c := range list {
			w := word(c)
			if c.Ready {
				w += "+"
			}
			out = append(out, w)
		}
	}
	return strings.Join(out, " ")
}

// TestContainerStates: a + stands for ready.
func TestContainerStates(t *testing.T) {
	debug := testPod(always, nil, "a")
	debug.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d"}}}
	for _, c := range []struct {
		name   string
		pod    *corev1.Pod
		states []exit
		want   string
	}{
		{"nothing yet", testPod(always, nil, "a"), nil, "waits:ContainerCreating"},
		{"before init", testPod(always, []string{"i"}, "a"), nil, "waits:PodInitializing waits:PodInitializing"},
		{"init runs", testPod(always, []string{"i"}, "a"), []exit{runs}, "running waits:PodInitializing"},
		{"init done", testPod(always, []string{"i"}, "a"), []exit{0}, "ended:Completed+ waits:ContainerCreating"},
		{"init failed", testPod(always, []string{"i"}, "a"), []exit{1}, "waits:PodInitializing waits:PodInitializing"},
		{"init failed for good", testPod(never, []string{"i"}, "a"), []exit{1}, "ended:Error waits:PodInitializing"},
		{"a sidecar runs", testPod(always, []string{"s"}, "a"), []exit{runs, runs}, "running+ running+"},
		{"a sidecar ended", testPod(never, []string{"s"}, "a"), []exit{0, runs}, "waits:PodInitializing running+"},
		{"ended, and comes again", testPod(always, nil, "a"), []exit{0}, "waits:ContainerCreating"},
		{"ended for good", testPod(never, nil, "a", "b"), []exit{2, runs}, "ended:Error running+"},
		{"ended well", testPod(onFailure, nil, "a", "b"), []exit{0, runs}, "ended:Completed running+"},
		{"an ephemeral one runs", debug, []exit{runs, runs}, "running+ running+"},
		{"an ephemeral one ended", debug, []exit{runs, 1}, "running+ ended:Error"},
		{"an ephemeral one is to come", debug, []exit{runs}, "running+ waits:ContainerCreating"},
	} {
		if got := words(Compute(viewOf(c.pod, c.states...), Facts{})); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestReasonsOfAnEnd(t *testing.T) {
	for want, e := range map[string]container.Exit{
		"Completed": {}, "Error": {Code: 1}, "OOMKilled": {Code: 137, OOMKilled: true}, "Unknown": {Code: 255, Reason: container.ReasonUnknown, OOMKilled: true},
	} {
		v := viewOf(testPod(never, nil, "a"), 0)
		e.At, e.Message, e.Signal = now, "m", 9
		v.Containers["a"].Exit = &e
		got := Compute(v, Facts{}).ContainerStatuses[0].State.Terminated
		if got.Reason != want || got.ExitCode != e.Code || got.Message != "m" || got.Signal != 9 || got.ContainerID != "containerd://a-id" ||
			!got.FinishedAt.Time.Equal(now) || !got.StartedAt.Time.Equal(now.Add(-time.Minute)) {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}

func TestACrashingContainerSaysSo(t *testing.T) {
	v := viewOf(testPod(always, nil, "a"), 7)
	v.Containers["a"].Restarts, v.Containers["a"].Backoff = 3, 40*time.Second
	s := Compute(v, Facts{}).ContainerStatuses[0]
	if w := s.State.Waiting; w == nil || w.Reason != "CrashLoopBackOff" || w.Message != "back-off 40s restarting failed container=a pod=p_default(uid)" || s.RestartCount != 3 {
		t.Errorf("state %+v with %d restarts", s.State, s.RestartCount)
	}
	if last := s.LastTerminationState.Terminated; last == nil || last.ExitCode != 7 || last.Reason != "Error" {
		t.Errorf("last state %+v", last)
	}
	v.Now = now.Add(40 * time.Second)
	if got := words(Compute(v, Facts{})); got != "waits:ContainerCreating" {
		t.Errorf("when the back-off is over: %s", got)
	}
	v.Failures["a"] = plan.Failure{Reason: "ErrImagePull", Message: "no"}
	if got := Compute(v, Facts{}).ContainerStatuses[0].State.Waiting; got.Reason != "ErrImagePull" || got.Message != "no" {
		t.Errorf("when its image is not there: %+v", got)
	}
}

func TestTheLastIncarnationIsShown(t *testing.T) {
	v := viewOf(testPod(always, nil, "a"), runs)
	v.Previous["a"] = &container.Container{ID: "old", Exit: &container.Exit{Code: 4, At: now}}
	s := Compute(v, Facts{}).ContainerStatuses[0]
	if s.LastTerminationState.Terminated.ExitCode != 4 || s.ImageID != "i@sha" || s.ContainerID != "containerd://a-id" || !*s.Started {
		t.Errorf("%+v", s)
	}
}

func TestVolumeMounts(t *testing.T) {
	p := testPod(always, nil, "a")
	mode := func(m corev1.RecursiveReadOnlyMode) *corev1.RecursiveReadOnlyMode { return &m }
	p.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{
		{Name: "rw", MountPath: "/rw"}, {Name: "ro", MountPath: "/ro", ReadOnly: true},
		{Name: "all", MountPath: "/all", ReadOnly: true, RecursiveReadOnly: mode(corev1.RecursiveReadOnlyEnabled)},
		{Name: "maybe", MountPath: "/maybe", ReadOnly: true, RecursiveReadOnly: mode(corev1.RecursiveReadOnlyIfPossible)},
		{Name: "no", MountPath: "/no", ReadOnly: true, RecursiveReadOnly: mode(corev1.RecursiveReadOnlyDisabled)},
	}
	for can, want := range map[bool]string{true: "rw ro:Disabled all:Enabled maybe:Enabled no:Disabled", false: "rw ro:Disabled all:Disabled maybe:Disabled no:Disabled"} {
		var out []string
		for _, m := range Compute(viewOf(p), Facts{RecursiveReadOnly: can}).ContainerStatuses[0].VolumeMounts {
			w := m.Name
			if m.RecursiveReadOnly != nil {
				w += ":" + string(*m.RecursiveReadOnly)
			}
			if m.MountPath != "/"+m.Name || m.ReadOnly != (m.RecursiveReadOnly != nil) {
				t.Errorf("%+v", m)
			}
			out = append(out, w)
		}
		if got := strings.Join(out, " "); got != want {
			t.Errorf("possible %v: %s, want %s", can, got, want)
		}
	}
}

// TestDevices: of main containers only, also before they run.
func TestDevices(t *testing.T) {
	health := map[string][]corev1.ResourceStatus{"a": {{Name: "example.com/dev"}}, "i": {{Name: "example.com/dev"}}}
	s := Compute(viewOf(testPod(always, []string{"i"}, "a", "b")), Facts{Devices: health})
	if len(s.ContainerStatuses[0].AllocatedResourcesStatus) != 1 || s.ContainerStatuses[1].AllocatedResourcesStatus != nil || s.InitContainerStatuses[0].AllocatedResourcesStatus != nil {
		t.Errorf("%+v", s)
	}
}

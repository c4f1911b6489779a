package plan

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func restartsAllOn(c *corev1.Container, codes ...int32) {
	c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyNever)
	c.RestartPolicyRules = []corev1.ContainerRestartRule{{
		Action:    corev1.ContainerRestartRuleActionRestartAllContainers,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: codes},
	}}
}

// TestRestartAll: the others are ended, and all begin anew in order, also what has done its
// work and what is never started again by itself.
func TestRestartAll(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, []string{"init", "side"}, "done", "main", "source")
	pod.Spec.InitContainers[1].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	restartsAllOn(&pod.Spec.Containers[2], 42)
	m := newModel(t, pod)
	m.code["init"], m.lasts["init"] = 0, 2*time.Second
	m.code["done"], m.lasts["done"] = 0, time.Second
	m.code["source"], m.lasts["source"] = 42, 10*time.Second
	m.run(13 * time.Second)
	if want := "[init@0 side@2 done@2 main@2 source@2 init@12]"; fmt.Sprint(m.starts) != want {
		t.Fatalf("started %s, want %s", m.starts, want)
	}
	for name, want := range map[string]int32{"init": 1, "side": 0, "main": 0} {
		if c := m.v.Containers[name]; c.Restarts != want || name != "init" && c.State != container.StateExited {
			t.Errorf("%s: %+v", name, c)
		}
	}
	// The second time it waits as a container does that ends again and again.
	m.starts = nil
	m.run(40 * time.Second)
	if want := "[side@14 done@14 main@14 source@14 init@34 side@36 done@36 main@36 source@36]"; fmt.Sprint(m.starts) != want {
		t.Errorf("started %s, want %s", m.starts, want)
	}
	m.code["source"] = 0
	d := m.run(time.Hour)
	if d.Finished || m.v.Containers["main"].Restarts != 2 || m.v.Containers["source"].State != container.StateExited {
		t.Errorf("after an end that is no reason: %+v", d)
	}
}

// TestAnInitContainerRestartsAll, too.
func TestAnInitContainerRestartsAll(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, []string{"side", "init"}, "main")
	pod.Spec.InitContainers[0].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
	restartsAllOn(&pod.Spec.InitContainers[1], 42)
	m := newModel(t, pod)
	m.code["init"], m.lasts["init"] = 42, time.Second
	m.run(1500 * time.Millisecond)
	m.code["init"] = 0
	d := m.run(time.Hour)
	if want := "[side@0 init@0 side@1 init@1 main@2]"; fmt.Sprint(m.starts) != want || d.Finished {
		t.Errorf("started %s, want %s; %+v", m.starts, want, d)
	}
}

// TestRestartAllEndsAtOnce, and says so until nothing runs.
func TestRestartAllEndsAtOnce(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, nil, "main", "source")
	restartsAllOn(&pod.Spec.Containers[1], 42)
	m := newModel(t, pod)
	m.run(time.Second)
	m.end(m.v.Containers["source"], 42)
	d := Decide(m.v)
	if !d.RestartingAll || !d.Initialized || d.Reset || len(d.Start) != 0 || len(d.Kill) != 1 || !d.Kill[0].AtOnce || d.Kill[0].Container.Name != "main" {
		t.Errorf("%+v", d)
	}
	m.end(m.v.Containers["main"], 137)
	if d = Decide(m.v); !d.RestartingAll || !d.Reset || len(d.Kill)+len(d.Start) != 0 {
		t.Errorf("when nothing runs: %+v", d)
	}
	m.v.Sandbox = "s2" // the server started again: what had failed is begun anew by its policies
	if d = Decide(m.v); d.RestartingAll {
		t.Errorf("in another sandbox: %+v", d)
	}
}

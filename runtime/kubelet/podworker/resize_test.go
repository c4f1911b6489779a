package podworker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/containertest"
	"github.com/gantry-run/gantry/runtime/pod"
)

// resize is a write to pods/resize.
func (n *node) resize(cpu, memory string) {
	n.api.edit(func(p *corev1.Pod) *corev1.Pod {
		p.Generation++
		p.Spec.Containers[0].Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}, Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)},
		}
		return p
	})
}

// resized tells of the first container what was given, what it has, and the conditions.
func (n *node) resized() string {
	s := n.api.current().Status
	c := s.ContainerStatuses[0]
	out := fmt.Sprintf("given %s has %s/%s", c.AllocatedResources.Cpu(), c.Resources.Requests.Cpu(), c.Resources.Limits.Memory())
	for _, t := range []corev1.PodConditionType{corev1.PodResizePending, corev1.PodResizeInProgress} {
		if c := pod.Condition(&s, t); c != nil {
			out += fmt.Sprintf(" %s=%s:%s@%d", t, c.Status, c.Reason, c.ObservedGeneration)
		}
	}
	return out
}

func sized(names ...string) *corev1.Pod {
	p := testPod(corev1.RestartPolicyAlways, names...)
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}, Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
	}
	return p
}

// TestAResizeIsGivenAndTold: in place, with what the container has in the status.
func TestAResizeIsGivenAndTold(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(sized("a"))
		pass(time.Minute)
		n.want("before", n.resized(), "given 1 has 1/1Gi")
		n.resize("2", "2Gi")
		pass(time.Second)
		n.want("after", n.resized(), "given 2 has 2/2Gi")
		if n.events.count("ResizeStarted") != 1 || n.events.count("ResizeCompleted") != 1 || n.api.current().Status.ObservedGeneration != 2 {
			t.Errorf("events %v, %+v", n.events.all, n.api.current().Status)
		}
	})
}

// TestAResizeWaitsForRoom: what runs goes on with what it was given, also over a restart
// of the kubelet, until there is room or the wish is taken back.
func TestAResizeWaitsForRoom(t *testing.T) {
	for name, end := range map[string]func(n *node){
		"room": func(n *node) {
			n.reject = nil
			n.workers.admission.retry(n.t.Context()) // another pod went
		},
		"the next wish has room": func(n *node) { n.reject = nil; n.resize("2", "2Gi") },
	} {
		t.Run(name, func(t *testing.T) {
			scenario(t, func(t *testing.T, n *node) {
				n.api.create(sized("a"))
				pass(time.Minute)
				n.reject = &admit.Rejection{Reason: "OutOfcpu", Message: "full"}
				n.resize("2", "2Gi")
				pass(time.Second)
				const waits = "given 1 has 1/1Gi PodResizePending=True:Deferred@2"
				n.want("without room", n.resized(), waits)
				n.restart()
				pass(time.Second)
				n.want("after a restart", n.resized(), waits)
				if got := n.onlyAdmitted().Spec.Containers[0].Resources.Requests.Cpu().String(); got != "1" {
					t.Errorf("it counts with %s", got)
				}
				end(n)
				pass(time.Second)
				n.want("in the end", n.resized(), "given 2 has 2/2Gi")
			})
		})
	}
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(sized("a"))
		pass(time.Minute)
		n.reject = &admit.Rejection{Message: "full"}
		n.resize("2", "2Gi")
		pass(time.Second)
		n.resize("1", "1Gi")
		pass(time.Second)
		n.want("taken back", n.resized(), "given 1 has 1/1Gi")
	})
}

// TestAResizeWhileTheKubeletIsAway is decided about when it is back.
func TestAResizeWhileTheKubeletIsAway(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(sized("a"))
		pass(time.Minute)
		n.stop()
		n.resize("2", "2Gi")
		n.reject = &admit.Rejection{Message: "full"}
		n.start()
		pass(time.Second)
		n.want("without room", n.resized(), "given 1 has 1/1Gi PodResizePending=True:Deferred@2")
	})
}

// TestMemoryInUseIsNotTakenAway: the limit stays until the usage is below the new one.
func TestMemoryInUseIsNotTakenAway(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(sized("a"))
		pass(time.Minute)
		n.held.use(600 << 20)
		n.resize("1", "512Mi")
		pass(25 * time.Second)
		n.want("in use", n.resized(), "given 1 has 1/1Gi PodResizeInProgress=True:Error@2")
		message := pod.Condition(&n.api.current().Status, corev1.PodResizeInProgress).Message
		if !strings.Contains(message, `attempting to set container "a" memory limit (536870912) below current usage (629145600)`) || n.events.count("ResizeError") != 1 {
			t.Errorf("%s; %d events", message, n.events.count("ResizeError"))
		}
		if got := n.onlyAdmitted().Spec.Containers[0].Resources.Limits.Memory().String(); got != "512Mi" {
			t.Errorf("it counts with %s", got)
		}
		n.held.use(0)
		pass(10 * time.Second)
		n.want("when it is free", n.resized(), "given 1 has 1/512Mi")
	})
}

// TestMoreMemoryIsGiven, whatever is in use.
func TestMoreMemoryIsGiven(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(sized("a"))
		pass(time.Minute)
		n.held.use(3 << 30)
		n.resize("1", "2Gi")
		pass(time.Second)
		n.want("it is set", n.resized(), "given 1 has 1/2Gi")
	})
}

// TestAResizeByARestart: the new incarnation has what was given, and is no back-off.
func TestAResizeByARestart(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := sized("a")
		p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: corev1.ResourceMemory, RestartPolicy: corev1.RestartContainer}}
		p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure // its end, with 0, would be the pod's
		n.api.create(p)
		pass(time.Minute)
		began := time.Now()
		n.resize("1", "2Gi")
		pass(time.Second)
		n.want("by a restart", n.happened(began), "a#0:terminated@0 a#0:exited@0 a#1:started@0")
		n.want("after it", n.resized(), "given 1 has 1/2Gi")
		n.want("the pod", string(n.phase()), "Running")
	})
}

// TestAPodOfARoundIsAdopted: after all containers were restarted, a kubelet that starts
// finds those that run, and nothing of it is begun again.
func TestAPodOfARoundIsAdopted(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyNever, "i", "a", "b")
		p.Spec.Containers[1].RestartPolicy = ptr.To(corev1.ContainerRestartPolicyNever)
		p.Spec.Containers[1].RestartPolicyRules = []corev1.ContainerRestartRule{{Action: corev1.ContainerRestartRuleActionRestartAllContainers,
			ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{42}}}}
		n.rt.Program("i", containertest.Program{Lasts: time.Second})
		n.api.create(p)
		pass(time.Minute)
		began := time.Now()
		n.rt.Exit(n.newest("b").ID, 42)
		pass(time.Minute)
		const want = "b#0:exited@0 a#0:terminated@0 a#0:exited@0 i#1:started@0 i#1:exited@1 a#1:started@1 b#1:started@1"
		n.want("all begin anew", n.happened(began), want)
		if c := pod.Condition(&n.api.current().Status, corev1.AllContainersRestarting); c == nil || c.Status != corev1.ConditionFalse || n.phase() != corev1.PodRunning {
			t.Errorf("%s, %+v", n.phase(), c)
		}
		n.restart()
		pass(time.Minute)
		n.want("after a restart", n.happened(began), want)
	})
}

// onlyAdmitted is the pod that was admitted, with what it takes of the node.
func (n *node) onlyAdmitted() *corev1.Pod {
	n.t.Helper()
	pods := slices.Collect(maps.Keys(n.workers.admission.admitted(nil)))
	if len(pods) != 1 {
		n.t.Fatalf("%d pods were admitted", len(pods))
	}
	return pods[0]
}

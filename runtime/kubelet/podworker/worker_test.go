package podworker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containertest"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// testPod has containers by name: i… init containers, s… sidecars, others main ones.
func testPod(policy corev1.RestartPolicy, names ...string) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: policy, TerminationGracePeriodSeconds: ptr.To[int64](30)}}
	p.Name, p.Namespace, p.UID, p.Generation = "p", "ns", "uid", 1
	p.Status.Phase = corev1.PodPending
	for _, n := range names {
		c := corev1.Container{Name: n, Image: "i"}
		switch n[0] {
		case 's':
			c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
			fallthrough
		case 'i':
			p.Spec.InitContainers = append(p.Spec.InitContainers, c)
		default:
			p.Spec.Containers = append(p.Spec.Containers, c)
		}
	}
	return p
}

// scenario runs a test on a clock of its own, with a node whose kubelet runs.
func scenario(t *testing.T, test func(t *testing.T, n *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		n.start()
		defer func() {
			n.stop()
			for _, v := range n.rt.Violations() {
				t.Error(v)
			}
		}()
		test(t, n)
	})
}

// pass lets time pass, until everything has settled.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// happened are the events of containers since a moment, as name#restarts:kind@seconds.
func (n *node) happened(since time.Time, kinds ...containertest.Kind) string {
	var out []string
	for _, e := range n.rt.Events() {
		if e.At.Before(since) || len(kinds) > 0 && !slices.Contains(kinds, e.Kind) {
			continue
		}
		what := string(e.Kind)
		if e.Kind == containertest.Signaled {
			what = e.Signal.String()
		}
		out = append(out, fmt.Sprintf("%s#%d:%s@%d", e.Container.Name, e.Container.Restarts, what, int(e.At.Sub(since).Seconds())))
	}
	return strings.Join(out, " ")
}

func (n *node) want(what, got, want string) {
	n.t.Helper()
	if got != want {
		n.t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}

// newest is the newest incarnation of a container in the runtime.
func (n *node) newest(name string) container.Container {
	all, err := n.rt.List(n.t.Context(), "")
	if err != nil {
		n.t.Fatal(err)
	}
	out := container.Container{Restarts: -1}
	for _, c := range all {
		if c.Name == name && c.Restarts > out.Restarts {
			out = c
		}
	}
	return out
}

func (n *node) phase() corev1.PodPhase {
	if p := n.api.current(); p != nil {
		return p.Status.Phase
	}
	return "gone"
}

func (n *node) nothingLeft() {
	n.t.Helper()
	all, err := n.rt.List(n.t.Context(), "")
	if err != nil {
		n.t.Fatal(err)
	}
	if left := n.held.left(); len(all) > 0 || len(left) > 0 {
		n.t.Errorf("left are %d containers and %v", len(all), left)
	}
	if dirs, err := n.layout.UIDs(); err != nil || len(dirs) > 0 || len(n.workers.workers) > 0 {
		n.t.Errorf("left are %d workers, directories %v, %v", len(n.workers.workers), dirs, err)
	}
}

func TestAPodFromStartToEnd(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		began := time.Now()
		n.rt.Program("i1", containertest.Program{Lasts: 2 * time.Second})
		n.rt.Program("i2", containertest.Program{Lasts: 3 * time.Second})
		n.api.create(testPod(corev1.RestartPolicyAlways, "i1", "s1", "i2", "a", "b"))
		pass(time.Minute)
		n.want("the start", n.happened(began, containertest.Started), "i1#0:started@0 s1#0:started@2 i2#0:started@2 a#0:started@5 b#0:started@5")
		p := n.api.current()
		if n.phase() != corev1.PodRunning || p.Status.PodIP != "10.0.0.7" || p.Status.HostIP != "192.0.2.1" {
			t.Errorf("status %+v", p.Status)
		}
		if !n.workers.Running("uid", n.newest("a").ID) || n.workers.Running("uid", n.newest("i1").ID) || n.workers.Running("other", "x") {
			t.Error("what runs is not known")
		}
		deleted := time.Now()
		n.rt.Program("a", containertest.Program{Stops: 4 * time.Second})
		n.api.remove(30 * time.Second)
		pass(time.Minute)
		n.want("the end", n.happened(deleted, containertest.Exited), "b#0:exited@0 a#0:exited@4 s1#0:exited@4")
		n.want("phase", string(n.phase()), "gone")
		n.nothingLeft()
	})
}

func TestAPodOfTheHostsNetworkHasItsAddress(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyAlways, "a")
		p.Spec.HostNetwork = true
		n.api.create(p)
		pass(time.Second)
		if s := n.api.current().Status; s.PodIP != "192.0.2.1" || n.held.get("network", "uid") != "" {
			t.Errorf("status %+v", s)
		}
	})
}

func TestSidecarsEndInReverseOrder(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		for _, s := range []string{"s1", "s2", "s3"} {
			n.rt.Program(s, containertest.Program{Stops: 2 * time.Second})
		}
		n.rt.Program("job", containertest.Program{Lasts: 5 * time.Second})
		began := time.Now()
		n.api.create(testPod(corev1.RestartPolicyNever, "s1", "s2", "s3", "job"))
		pass(time.Minute)
		n.want("the end", n.happened(began, containertest.Signaled), "s3#0:terminated@5 s2#0:terminated@7 s1#0:terminated@9")
		n.want("phase", string(n.phase()), "Succeeded")
		if left := n.held.left(); len(left) > 0 {
			t.Errorf("a pod that has ended holds %v", left)
		}
	})
}

func TestTheGraceIsKept(t *testing.T) {
	for _, c := range []struct {
		grace time.Duration
		want  string
	}{
		{0, "a#0:terminated@0 a#0:killed@2 a#0:exited@2"},
		{10 * time.Second, "a#0:terminated@0 a#0:killed@10 a#0:exited@10"},
	} {
		scenario(t, func(t *testing.T, n *node) {
			n.rt.Program("a", containertest.Program{Stops: -1})
			n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
			pass(time.Minute)
			deleted := time.Now()
			n.api.remove(c.grace)
			pass(time.Minute)
			n.want(c.grace.String(), n.happened(deleted, containertest.Signaled, containertest.Exited), c.want)
			n.nothingLeft()
		})
	}
}

// TestAGraceCanBeShortened: by a second deletion, or because the API has forgotten the pod.
func TestAGraceCanBeShortened(t *testing.T) {
	for name, again := range map[string]func(n *node){
		"deleted again": func(n *node) { n.api.remove(time.Second) },
		"forced":        func(n *node) { n.api.edit(func(*corev1.Pod) *corev1.Pod { return nil }) },
	} {
		scenario(t, func(t *testing.T, n *node) {
			n.rt.Program("a", containertest.Program{Stops: -1})
			n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
			pass(time.Minute)
			deleted := time.Now()
			n.api.remove(30 * time.Second)
			pass(5 * time.Second)
			again(n)
			pass(time.Minute)
			n.want(name, n.happened(deleted, containertest.Signaled), "a#0:terminated@0 a#0:killed@6")
			n.nothingLeft()
		})
	}
}

// TestAHookThatTakesTheWholeGrace: the container is told to end all the same, and has two
// seconds more.
func TestAHookThatTakesTheWholeGrace(t *testing.T) {
	for _, c := range []struct {
		hook time.Duration
		want string
	}{
		{2 * time.Second, "a#0:terminated@2 a#0:killed@6"}, {time.Minute, "a#0:terminated@6 a#0:killed@8"},
	} {
		scenario(t, func(t *testing.T, n *node) {
			n.hooks = c.hook
			n.rt.Program("a", containertest.Program{Stops: -1})
			p := testPod(corev1.RestartPolicyAlways, "a")
			p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
			n.api.create(p)
			pass(time.Minute)
			deleted := time.Now()
			n.api.remove(6 * time.Second)
			pass(time.Minute)
			n.want(c.hook.String(), n.happened(deleted, containertest.Signaled), c.want)
		})
	}
}

func TestAContainerWhosePostStartHookFailsIsKilled(t *testing.T) {
	for hookErr, want := range map[error]string{
		nil: "a#0:started@0", errors.New("no"): "a#0:started@0 a#0:terminated@2 a#0:exited@2",
	} {
		scenario(t, func(t *testing.T, n *node) {
			p := testPod(corev1.RestartPolicyNever, "a")
			p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}
			n.hooks, n.hookErr = 2*time.Second, hookErr
			began := time.Now()
			n.api.create(p)
			pass(time.Minute)
			n.want(fmt.Sprint(hookErr), n.happened(began), want)
		})
	}
}

func TestActiveDeadline(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyAlways, "a")
		p.Spec.ActiveDeadlineSeconds = ptr.To[int64](20)
		began := time.Now()
		n.api.create(p)
		pass(time.Minute)
		n.want("events", n.happened(began), "a#0:started@0 a#0:terminated@20 a#0:exited@20")
		if s := n.api.current().Status; s.Phase != corev1.PodFailed || s.Reason != "DeadlineExceeded" {
			t.Errorf("status %+v", s)
		}
		if n.events.count("DeadlineExceeded") != 1 {
			t.Error("the deadline is not recorded once")
		}
	})
}

// TestAPodGivesWay: it ends with its grace, as failed, and whoever waits for its room is
// woken when nothing of it runs.
func TestAPodGivesWay(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.Program("a", containertest.Program{Stops: 4 * time.Second})
		p := testPod(corev1.RestartPolicyAlways, "a")
		p.Generation = 3
		n.api.create(p)
		pass(time.Minute)
		began, w := time.Now(), n.workers.worker("uid")
		critical := &mailbox{wakeC: make(chan struct{}, 1)}
		w.yieldTo(critical)
		pass(3 * time.Second)
		if len(critical.wakeC) != 0 || hasVacated(&w.mailbox) {
			t.Error("who waits is woken before its end")
		}
		pass(time.Minute)
		n.want("events", n.happened(began), "a#0:terminated@0 a#0:exited@4")
		if len(critical.wakeC) != 1 || !hasVacated(&w.mailbox) {
			t.Error("who waits is not woken")
		}
		s := n.api.current().Status
		if s.Phase != corev1.PodFailed || s.Reason != "Preempting" || s.Message != "Preempted in order to admit critical pod" {
			t.Errorf("status %+v", s)
		}
		if c := pod.Condition(&s, corev1.DisruptionTarget); c == nil || c.Status != corev1.ConditionTrue || c.Reason != corev1.PodReasonTerminationByKubelet || c.ObservedGeneration != 3 {
			t.Errorf("condition %+v", c)
		}
		if n.events.count("Preempting") != 1 {
			t.Error("it is not recorded once")
		}
	})
}

// TestEviction: an evicted pod ends at once, however long its grace, as failed for that
// reason and no other; also one that was being ended already.
func TestEviction(t *testing.T) {
	const grace = 30 * time.Second
	short := status.Failure{Reason: evicted, Message: "too much", Disruption: "the node is short"}
	for _, c := range []struct {
		name   string
		first  func(n *node) // half a minute before
		ends   string        // after the eviction
		reason string
	}{
		{"running", func(*node) {}, "a#0:terminated@0 a#0:killed@2 a#0:exited@2 a#0:removed@2", "Evicted"},
		{"told before", func(n *node) { n.workers.Evict("uid", short) }, "", "Evicted"},
		{"being deleted", func(n *node) {
			n.api.edit(func(p *corev1.Pod) *corev1.Pod {
				p.DeletionTimestamp, p.DeletionGracePeriodSeconds = ptr.To(metav1.NewTime(time.Now().Add(2*time.Minute))), ptr.To[int64](120)
				p.Finalizers = []string{"stays"}
				return p
			})
		}, "a#0:killed@1 a#0:exited@1 a#0:removed@1", "Evicted"},
		{"over its deadline", func(n *node) {
			n.api.edit(func(p *corev1.Pod) *corev1.Pod {
				p.Spec.ActiveDeadlineSeconds = ptr.To[int64](1)
				return p
			})
		}, "a#0:killed@1 a#0:exited@1", "DeadlineExceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			scenario(t, func(t *testing.T, n *node) {
				n.rt.Program("a", containertest.Program{Stops: time.Hour})
				p := testPod(corev1.RestartPolicyAlways, "a")
				p.Generation, p.Spec.TerminationGracePeriodSeconds = 3, ptr.To[int64](120)
				n.api.create(p)
				pass(time.Minute)
				c.first(n)
				pass(grace)
				began := time.Now()
				n.workers.Evict("uid", short)
				n.workers.Evict("uid", status.Failure{Reason: "Later"})
				n.workers.Evict("of no pod", short)
				pass(time.Minute)
				n.want("events", n.happened(began), c.ends)
				s := n.api.current().Status
				if s.Phase != corev1.PodFailed || s.Reason != c.reason {
					t.Errorf("%s for %q: %s", s.Phase, s.Reason, s.Message)
				}
				if ended := s.ContainerStatuses[0].State.Terminated; ended == nil {
					t.Errorf("its containers are %+v", s.ContainerStatuses)
				}
				disrupted := pod.Condition(&s, corev1.DisruptionTarget)
				if want := c.reason == "Evicted"; (disrupted != nil) != want || n.events.count("Evicted") != map[bool]int{true: 1}[want] {
					t.Errorf("condition %+v, %d events", disrupted, n.events.count("Evicted"))
				}
			})
		})
	}
}

// TestACriticalPodWaitsForItsRoom: it starts once those that give way have ended, or have
// gone with their workers.
func TestACriticalPodWaitsForItsRoom(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		pass(time.Second)
		n.judge = func(a admit.Attributes) {
			if n.reject = nil; len(a.Others) > 0 {
				n.reject = &admit.Rejection{Reason: "OutOfpods"}
			}
		}
		n.workers.admission.allocatable = has(corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)})
		other := &mailbox{wakeC: make(chan struct{}, 1), pod: testPod(corev1.RestartPolicyAlways, "b"), admitted: true}
		n.workers.admission.add(other)
		began := time.Now()
		p := testPod(corev1.RestartPolicyAlways, "a")
		p.Spec.Priority = ptr.To[int32](2_000_000_000)
		n.api.create(p)
		pass(10 * time.Second)
		n.want("before", n.happened(began), "")
		if !other.yielding() || n.phase() == corev1.PodFailed {
			t.Errorf("yields %v, phase %s", other.yielding(), n.phase())
		}
		other.vacate()
		pass(10 * time.Second)
		n.want("after", n.happened(began), "a#0:started@10")
	})
}

func TestAnUnhealthyContainerIsReplaced(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyAlways, "a")
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{TerminationGracePeriodSeconds: ptr.To[int64](3)}
		n.rt.Program("a", containertest.Program{Stops: -1})
		n.api.create(p)
		pass(time.Minute)
		began := time.Now()
		n.health.set(n.newest("a").ID, container.Health{Started: true, Unhealthy: "liveness probe"})
		pass(time.Minute)
		n.want("events", n.happened(began), "a#0:terminated@0 a#0:killed@3 a#0:exited@3 a#1:started@3")
		if n.events.count("Killing") != 1 {
			t.Errorf("events %v", n.events.all)
		}
	})
}

// TestOldIncarnationsGo: the newest and the one before it stay, for their logs.
func TestOldIncarnationsGo(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.Program("a", containertest.Program{Lasts: time.Second, Code: 1})
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(2 * time.Minute)
		all, err := n.rt.List(t.Context(), "uid")
		if err != nil || len(all) != 2 {
			t.Errorf("%d incarnations are kept, %v", len(all), err)
		}
		if got := n.events.count("BackOff"); got != 4 { // from the third incarnation on
			t.Errorf("%d back-offs are recorded", got)
		}
	})
}

// TestAnEphemeralContainerRunsOnce: and decides nothing.
func TestAnEphemeralContainerRunsOnce(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		began := time.Now()
		n.rt.Program("debug", containertest.Program{Lasts: 5 * time.Second, Code: 1})
		n.api.edit(func(p *corev1.Pod) *corev1.Pod {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "i"}}}
			return p
		})
		pass(time.Minute)
		n.want("events", n.happened(began), "debug#0:started@0 debug#0:exited@5")
		if s := n.api.current().Status; s.Phase != corev1.PodRunning || s.EphemeralContainerStatuses[0].State.Terminated.ExitCode != 1 {
			t.Errorf("status %+v", s)
		}
	})
}

func TestSignalNames(t *testing.T) {
	for name, want := range map[string]syscall.Signal{"SIGQUIT": syscall.SIGQUIT, "quit": syscall.SIGQUIT, "3": syscall.SIGQUIT, "64": 64, "65": 0, "0": 0, "-1": 0, "what": 0, "": 0} {
		if got, ok := signalByName(name); ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %v, %v", name, got, ok)
		}
	}
}

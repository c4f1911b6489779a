package podworker

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containertest"
)

// TestProcessesOutliveTheKubelet: a restart changes nothing, and what ended meanwhile is
// seen.
func TestProcessesOutliveTheKubelet(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.Program("i1", containertest.Program{Lasts: time.Second})
		n.api.create(testPod(corev1.RestartPolicyAlways, "i1", "s1", "a", "b"))
		pass(time.Minute)
		before := time.Now()
		writes := n.api.version
		n.restart()
		pass(time.Minute)
		n.want("a restart", n.happened(before), "")
		if n.api.version != writes {
			t.Errorf("%d status updates for a restart", n.api.version-writes)
		}
		n.stop()
		n.rt.Exit(n.newest("a").ID, 3)
		pass(time.Minute)
		again := time.Now()
		n.start()
		pass(time.Minute)
		n.want("an exit meanwhile", n.happened(again), "a#1:started@0")
		if s := n.api.current().Status.ContainerStatuses[0]; s.RestartCount != 1 || s.LastTerminationState.Terminated.ExitCode != 3 {
			t.Errorf("status %+v", s)
		}
	})
}

// TestTheNetworkComesUpAfterTheKubelet: a pod that runs stays as it was reported.
func TestTheNetworkComesUpAfterTheKubelet(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.Program("i1", containertest.Program{Lasts: time.Second})
		n.api.create(testPod(corev1.RestartPolicyAlways, "i1", "s1", "a"))
		pass(time.Minute)
		n.stop()
		writes, again := n.api.version, time.Now()
		n.held.set("ready", &n.held.fails, errors.New("the node has no pod CIDR yet"))
		n.start()
		pass(adoptGrace - time.Second)
		if n.api.version != writes || n.events.count("NetworkNotReady") > 0 {
			t.Errorf("%d status updates while the network is away, events %v", n.api.version-writes, n.events.all)
		}
		pass(5 * time.Second)
		if said := n.events.count("NetworkNotReady"); n.api.version != writes || said < 1 || said > 3 {
			t.Errorf("%d status updates while the network stays away, said %d times", n.api.version-writes, said)
		}
		n.held.set("ready", &n.held.fails, nil)
		pass(time.Minute)
		n.want("then", n.happened(again), "")
		if n.api.version != writes {
			t.Errorf("%d status updates in all", n.api.version-writes)
		}
	})
}

// TestAPodThatCannotBeTakenOver: it is reported as it is: what runs is as ready as it was
// known to be, and what ends is seen.
func TestAPodThatCannotBeTakenOver(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.Program("i1", containertest.Program{Lasts: time.Second})
		n.api.create(testPod(corev1.RestartPolicyAlways, "i1", "a", "b"))
		pass(time.Minute)
		n.stop()
		n.held.set("volumes", &n.held.fails, errors.New("the Secret is gone"))
		n.start()
		pass(time.Minute)
		if s := n.api.current().Status; s.Phase != corev1.PodRunning || !s.ContainerStatuses[0].Ready || !s.ContainerStatuses[1].Ready {
			t.Errorf("after a restart: %s, %+v", s.Phase, s.ContainerStatuses)
		}
		n.rt.Exit(n.newest("a").ID, 3)
		pass(time.Minute)
		s := n.api.current().Status
		if last := s.ContainerStatuses[0].LastTerminationState.Terminated; s.ContainerStatuses[0].Ready || last == nil || last.ExitCode != 3 {
			t.Errorf("the one that ended: %+v", s.ContainerStatuses[0])
		}
		if s.Phase != corev1.PodRunning || !s.ContainerStatuses[1].Ready {
			t.Errorf("the other one: %s, %+v", s.Phase, s.ContainerStatuses[1])
		}
		n.held.set("volumes", &n.held.fails, nil)
		pass(time.Minute)
		if s := n.api.current().Status; s.ContainerStatuses[0].RestartCount != 1 || !s.ContainerStatuses[0].Ready {
			t.Errorf("once it can be: %+v", s.ContainerStatuses[0])
		}
	})
}

// TestAMainContainerThatAlwaysRestartsIsStopped with its pod: the policy alone makes no
// sidecar of it.
func TestAMainContainerThatAlwaysRestartsIsStopped(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyNever, "a")
		always := corev1.ContainerRestartPolicyAlways
		p.Spec.Containers[0].RestartPolicy = &always
		n.api.create(p)
		pass(time.Minute)
		n.api.remove(time.Second)
		pass(time.Minute)
		n.nothingLeft()
	})
}

// TestAPodThatWentMeanwhile: whatever it left is removed by the next kubelet.
func TestAPodThatWentMeanwhile(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		n.stop()
		n.api.edit(func(*corev1.Pod) *corev1.Pod { return nil })
		if err := n.held.make("network", "older", ""); err != nil { // of a pod without any other trace
			t.Fatal(err)
		}
		n.start()
		pass(time.Minute)
		n.nothingLeft()
	})
}

// TestTheRemainsOfAPodAreTriedAgain: who holds a volume of a pod that went while the kubelet
// was away, a driver that is not there yet, say, lets go of it later.
func TestTheRemainsOfAPodAreTriedAgain(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		n.stop()
		n.api.edit(func(*corev1.Pod) *corev1.Pod { return nil })
		n.held.set("volumes", &n.held.busy, errors.New("no such driver"))
		n.start()
		pass(2 * time.Minute)
		if dirs, err := n.layout.UIDs(); err != nil || len(dirs) != 1 {
			t.Errorf("directories %v, %v", dirs, err)
		}
		n.held.set("volumes", &n.held.busy, nil)
		pass(time.Minute)
		n.nothingLeft()
	})
}

func TestTheRuntimeIsAway(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.SetAway(true)
		n.restart()
		n.api.create(testPod(corev1.RestartPolicyAlways, "a", "b"))
		pass(time.Minute)
		n.want("phase", string(n.phase()), "Pending")
		n.rt.SetAway(false)
		back := time.Now()
		pass(time.Minute)
		n.want("the start", n.happened(back), "a#0:started@0 b#0:started@0")
		b := n.newest("b").ID
		n.rt.SetAway(true)
		pass(time.Second)
		n.rt.Exit(b, 1)
		pass(time.Minute)
		n.rt.SetAway(false)
		back = time.Now()
		pass(time.Minute)
		n.want("after an exit that nobody saw", n.happened(back), "b#1:started@0")
		if n.events.count("Failed") != 0 {
			t.Error("the pod is blamed for it")
		}
	})
}

func TestAStartThatFails(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		broken := errors.New("no such command")
		for range 4 {
			n.rt.Fail(containertest.Fault{Op: "Start", Err: broken})
		}
		began := time.Now()
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(5 * time.Second)
		if w := n.api.current().Status.ContainerStatuses[0].State.Waiting; w == nil || w.Reason != "RunContainerError" || w.Message != "no such command" {
			t.Errorf("it waits for %+v", w)
		}
		pass(5 * time.Minute)
		n.want("tries", n.happened(began), "a#0:started@150") // after 10, 20, 40 and 80 s
	})
}

// TestAStartThatNobodyKnowsOf: the runtime went away in the middle, and the container runs.
func TestAStartThatNobodyKnowsOf(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.rt.Fail(containertest.Fault{Op: "Start", Err: container.ErrUnavailable, Done: true})
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(500 * time.Millisecond)
		n.api.remove(0)
		pass(time.Minute)
		n.nothingLeft()
	})
}

func TestARejectedPod(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.reject = &admit.Rejection{Reason: "OutOfcpu", Message: "too much"}
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		if s := n.api.current().Status; s.Phase != corev1.PodFailed || s.Reason != "OutOfcpu" || s.Message != "Pod was rejected: too much" || len(s.ContainerStatuses) > 0 {
			t.Errorf("status %+v", s)
		}
		if told := n.events.count("OutOfcpu"); told != 1 {
			t.Errorf("it is told %d times why", told)
		}
		if len(n.rt.Events()) > 0 || len(n.workers.admission.admitted(nil)) > 0 {
			t.Error("it was started, or counts")
		}
		n.api.remove(0)
		pass(time.Minute)
		n.nothingLeft()
	})
}

// TestAnAdmittedPodIsNotJudgedAgain: a kubelet that restarts finds it running.
func TestAnAdmittedPodIsNotJudgedAgain(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		if got := n.workers.admission.admitted(nil); len(got) != 1 {
			t.Errorf("%d pods count", len(got))
		}
		n.reject = &admit.Rejection{Reason: "NodeAffinity"}
		n.restart()
		pass(time.Minute)
		n.want("phase", string(n.phase()), "Running")
	})
}

// TestAResizeTouchesNoProcess: the cgroup is changed, in place.
func TestAResizeTouchesNoProcess(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "s1", "a"))
		pass(time.Minute)
		began := time.Now()
		n.rt.Fail(containertest.Fault{Op: "UpdateResources", Err: errors.New("busy")})
		limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
		n.api.edit(func(p *corev1.Pod) *corev1.Pod { p.Spec.Containers[0].Resources.Limits = limits; return p })
		pass(time.Minute)
		n.want("a resize", n.happened(began), "a#0:resized@1")
		n.restart()
		pass(time.Minute)
		n.want("after a restart", n.happened(began), "a#0:resized@1")
		began = time.Now()
		n.api.edit(func(p *corev1.Pod) *corev1.Pod { p.Spec.InitContainers[0].Resources.Limits = limits; return p })
		pass(time.Minute)
		n.want("of a sidecar", n.happened(began), "s1#0:resized@0")
	})
}

// TestAContainerOfAnEarlierVersion, which did not record its resources, stays as it is.
func TestAContainerOfAnEarlierVersion(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		if err := n.rt.UpdateResources(t.Context(), n.newest("a").ID, container.Resources{}, container.Compute{}); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		began := time.Now()
		n.restart()
		pass(time.Minute)
		n.want("after the upgrade", n.happened(began), "")
	})
}

func TestAnotherImageStartsAnew(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		began := time.Now()
		n.api.edit(func(p *corev1.Pod) *corev1.Pod { p.Spec.Containers[0].Image = "j"; return p })
		pass(time.Minute)
		n.want("events", n.happened(began), "a#0:terminated@0 a#0:exited@0 a#1:started@0")
	})
}

// TestAFinalizerKeepsAPod: it has ended all the same, and says so once.
func TestAFinalizerKeepsAPod(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		p := testPod(corev1.RestartPolicyAlways, "a")
		p.Finalizers = []string{"example.org/keep"}
		n.api.create(p)
		pass(time.Minute)
		n.api.remove(time.Second)
		pass(time.Minute)
		n.want("phase", string(n.phase()), "Succeeded")
		n.nothingLeft()
		n.api.edit(func(*corev1.Pod) *corev1.Pod { return nil })
		pass(time.Minute)
		n.nothingLeft()
	})
}

// TestWhatCannotBeGivenBackIsTriedAgain: the pod stays in the API until all of it is gone.
func TestWhatCannotBeGivenBackIsTriedAgain(t *testing.T) {
	for _, kind := range []string{"network", "sandbox", "volumes", "cgroup"} {
		scenario(t, func(t *testing.T, n *node) {
			n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
			pass(time.Minute)
			n.held.set(kind, &n.held.busy, errors.New("busy"))
			n.api.remove(0)
			pass(time.Minute)
			n.want(kind+" is busy", string(n.phase()), "Running")
			n.held.set(kind, &n.held.busy, nil)
			pass(2 * time.Second)
			n.want(kind+" is free", string(n.phase()), "gone")
			n.nothingLeft()
		})
	}
}

// TestWhatIsBusyIsTold: who uses a volume can end that, if the pod says so.
func TestWhatIsBusyIsTold(t *testing.T) {
	for name, end := range map[string]func(*node){
		"deleted": func(n *node) { n.api.remove(0) },
		"ended":   func(n *node) { n.rt.Exit(n.newest("a").ID, 0) },
	} {
		scenario(t, func(t *testing.T, n *node) {
			n.api.create(testPod(corev1.RestartPolicyNever, "a"))
			pass(time.Minute)
			n.held.set("volumes", &n.held.busy, errors.New("unmount /v: device or resource busy"))
			end(n)
			for _, d := range []struct {
				pass time.Duration
				want int
			}{{time.Second, 1}, {9 * time.Second, 3}, {5 * time.Minute, 7}, {time.Hour, 19}} {
				pass(d.pass)
				if told := n.events.count("FailedKillPod"); told < d.want-1 || told > d.want+1 {
					t.Errorf("%s: told %d times after another %s of tries, want about %d", name, told, d.pass, d.want)
				}
			}
			n.held.set("volumes", &n.held.busy, errors.New("unmount /w: device or resource busy"))
			before := n.events.count("FailedKillPod")
			if pass(2 * time.Second); n.events.count("FailedKillPod") != before+1 {
				t.Errorf("%s: another reason is told %d times at once", name, n.events.count("FailedKillPod")-before)
			}
			n.held.set("volumes", &n.held.busy, nil)
			pass(2 * time.Second)
			told := n.events.count("FailedKillPod")
			pass(time.Minute)
			if n.events.count("FailedKillPod") != told || len(n.held.left()) > 0 {
				t.Errorf("%s: once it is free it is told %d times more, left are %v", name, n.events.count("FailedKillPod")-told, n.held.left())
			}
		})
	}
}

// TestALostSandboxGoesWithWhatRunsInIt: its namespaces vanish while its containers run on,
// which must end before there are others (the model tells two at once). A kubelet that was
// away meanwhile does no other.
func TestALostSandboxGoesWithWhatRunsInIt(t *testing.T) {
	for name, notice := range map[string]func(*node){
		"while the kubelet runs": func(n *node) {
			n.api.edit(func(p *corev1.Pod) *corev1.Pod { p.Labels = map[string]string{"a": "b"}; return p })
		},
		"while it is away": func(n *node) { n.restart() },
	} {
		scenario(t, func(t *testing.T, n *node) {
			n.rt.Program("a", containertest.Program{Stops: 3 * time.Second})
			n.api.create(testPod(corev1.RestartPolicyAlways, "s1", "a"))
			pass(time.Minute)
			if err := n.held.drop("sandbox", "uid"); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			notice(n)
			pass(time.Second)
			if net := n.held.get("network", "uid"); net == "" {
				t.Errorf("%s: the address is given back while it is used", name)
			}
			pass(time.Minute)
			n.want(name, n.happened(began, containertest.Exited, containertest.Started), "a#0:exited@3 s1#0:exited@3 s1#1:started@3 a#1:started@3")
			if n.events.count("SandboxChanged") != 1 || n.held.get("sandbox", "uid") != "s2" || n.held.get("network", "uid") == "" {
				t.Errorf("%s: events %v, sandbox %s", name, n.events.all, n.held.get("sandbox", "uid"))
			}
			n.api.remove(0)
			pass(time.Minute)
			n.nothingLeft()
		})
	}
}

// TestWhatCannotBeMadeIsTriedAgain: and the reason is recorded.
func TestWhatCannotBeMadeIsTriedAgain(t *testing.T) {
	for kind, reason := range map[string]string{"network": "FailedCreatePodSandBox", "sandbox": "FailedCreatePodSandBox", "volumes": "FailedMount", "cgroup": "FailedCreatePodSandBox"} {
		scenario(t, func(t *testing.T, n *node) {
			n.held.set(kind, &n.held.fails, errors.New("full"))
			n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
			pass(10 * time.Second)
			if len(n.rt.Events()) > 0 || n.events.count(reason) < 2 {
				t.Errorf("without %s: %v, events %v", kind, n.happened(time.Time{}), n.events.all)
			}
			n.held.set(kind, &n.held.fails, nil)
			pass(2 * time.Second)
			n.want("then", string(n.phase()), "Running")
		})
	}
}

// TestTheOldPodOfANameIsFinished while the new one begins.
func TestTheOldPodOfANameIsFinished(t *testing.T) {
	scenario(t, func(t *testing.T, n *node) {
		n.api.create(testPod(corev1.RestartPolicyAlways, "a"))
		pass(time.Minute)
		old := n.api.current()
		next := testPod(corev1.RestartPolicyAlways, "a")
		next.UID = "uid2"
		n.workers.DeletePod(old)
		n.api.create(next)
		pass(time.Minute)
		all, err := n.rt.List(t.Context(), "")
		if err != nil || len(all) != 1 || all[0].Pod.UID != "uid2" {
			t.Errorf("containers %+v, %v", all, err)
		}
		if got := strings.Join(n.held.left(), ", "); got != "cgroup of uid2, network of uid2, sandbox of uid2, volumes of uid2" {
			t.Errorf("held are %s", got)
		}
	})
}

package podworker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
)

// nothing keeps nothing.
type nothing struct{}

func (nothing) Load(string) (r allocation.Resources, ok bool) { return r, false }
func (nothing) Save(string, allocation.Resources) error       { return nil }

func noCapacity() corev1.ResourceList { return nil }

func has(list corev1.ResourceList) func() corev1.ResourceList {
	return func() corev1.ResourceList { return list }
}

// noDevices are the devices of pods that have none.
type noDevices struct{}

func (noDevices) Health(string) map[string][]corev1.ResourceStatus { return nil }
func (noDevices) Release(string)                                   {}

func (noDevices) Prepare(context.Context, *corev1.Pod) error { return nil }
func (noDevices) Unprepare(context.Context, string) error    { return nil }

// atMost admits that many pods.
type atMost int

func (n atMost) Admit(_ context.Context, a admit.Attributes) *admit.Rejection {
	if len(a.Others) >= int(n) {
		return &admit.Rejection{Reason: "Full"}
	}
	return nil
}

// TestPodsAreAdmittedOneAfterAnother: however many come at once, no more than fit are
// admitted; those that have ended, or went, make room.
func TestPodsAreAdmittedOneAfterAnother(t *testing.T) {
	a := &admission{alone: admit.Chain{}, beside: atMost(3), kept: nothing{}, allocatable: noCapacity, pods: map[*mailbox]bool{}}
	boxes := make([]*mailbox, 20)
	var wg sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for i := range boxes {
		p := &corev1.Pod{}
		p.Name = fmt.Sprint(i)
		boxes[i] = &mailbox{pod: p, wakeC: make(chan struct{}, 1)}
		a.add(boxes[i])
	}
	for _, m := range boxes {
		wg.Go(func() {
			if _, r := a.admit(t.Context(), m, m.pod); r == nil {
				mu.Lock()
				defer mu.Unlock()
				in++
			}
		})
	}
	wg.Wait()
	if in != 3 || len(a.admitted(nil)) != 3 {
		t.Errorf("%d were admitted, %d count", in, len(a.admitted(nil)))
	}
	left := slices.Collect(maps.Keys(a.admitted(nil)))
	for _, m := range boxes {
		switch p, _ := m.admittedPod(); p {
		case left[0]:
			ended := p.DeepCopy()
			ended.Status.Phase = corev1.PodSucceeded
			m.update(ended, false)
		case left[1]:
			a.remove(m)
		}
	}
	if got := a.admitted(nil); len(got) != 1 || got[left[2]] == nil {
		t.Errorf("%d count after one ended and one went", len(got))
	}
}

// asksTheAPI answers when it is told to.
type asksTheAPI chan struct{}

func (c asksTheAPI) Admit(_ context.Context, a admit.Attributes) *admit.Rejection {
	if a.Pod.Name == "slow" {
		<-c
		return &admit.Rejection{Reason: "Late"}
	}
	return nil
}

// TestASlowAPIHoldsUpNobodyElse: a pod about which the API is asked waits alone.
func TestASlowAPIHoldsUpNobodyElse(t *testing.T) {
	api := make(asksTheAPI)
	a := &admission{alone: api, beside: atMost(3), kept: nothing{}, allocatable: noCapacity, pods: map[*mailbox]bool{}}
	box := func(name string) *mailbox {
		p := &corev1.Pod{}
		p.Name = name
		m := &mailbox{pod: p, wakeC: make(chan struct{}, 1)}
		a.add(m)
		return m
	}
	slow, answer := box("slow"), make(chan *admit.Rejection)
	go func() {
		_, r := a.admit(t.Context(), slow, slow.pod)
		answer <- r
	}()
	quick := box("quick")
	if _, r := a.admit(t.Context(), quick, quick.pod); r != nil {
		t.Errorf("%+v", r)
	}
	close(api)
	if r := <-answer; r == nil || r.Reason != "Late" {
		t.Errorf("%+v", r)
	}
	if got := a.admitted(nil); len(got) != 1 || got[quick.pod] != quick {
		t.Errorf("admitted are %d", len(got))
	}
}

// TestANewPodFindsAllThatRunAdmitted: when a kubelet comes back, a pod that was bound
// meanwhile is judged beside every pod that runs, whichever is known first.
func TestANewPodFindsAllThatRunAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t)
		var pods []*corev1.Pod
		for i := range 8 {
			p := testPod(corev1.RestartPolicyAlways, "a")
			p.Name, p.UID = fmt.Sprint("p", i), types.UID(fmt.Sprint("uid-", i))
			if i > 0 { // the first is new
				p.Status.StartTime = &metav1.Time{Time: time.Now()}
			}
			pods = append(pods, p)
		}
		judged := make(chan int, len(pods))
		n.judge = func(a admit.Attributes) { judged <- len(a.Others) }
		n.start()
		defer n.stop()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		n.workers.Adopt(ctx, pods, nil)
		synctest.Wait()
		if len(judged) != 1 {
			t.Fatalf("%d pods are judged", len(judged))
		}
		if others := <-judged; others != len(pods)-1 {
			t.Errorf("it is judged beside %d pods, want %d", others, len(pods)-1)
		}
	})
}

// TestOthersGiveWayToCriticalPods: it is admitted in their place, and woken as each of
// them ends; they are chosen once, and others find no room for two.
func TestOthersGiveWayToCriticalPods(t *testing.T) {
	a := &admission{alone: admit.Chain{}, beside: admit.Chain{admit.PodCount{}, admit.NodeResources{}}, kept: nothing{}, pods: map[*mailbox]bool{}, allocatable: has(corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourcePods: resource.MustParse("9"),
	})}
	admitted := func(name, cpu string, priority int32) (m *mailbox, yielding []*mailbox, r *admit.Rejection) {
		p := &corev1.Pod{Spec: corev1.PodSpec{Priority: &priority, Containers: []corev1.Container{{
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}},
		}}}}
		p.Name, p.UID = name, types.UID(name)
		m = &mailbox{pod: p, wakeC: make(chan struct{}, 1)}
		a.add(m)
		yielding, r = a.admit(t.Context(), m, p)
		return m, yielding, r
	}
	woken := func(m *mailbox) bool {
		select {
		case <-m.wakeC:
			return true
		default:
			return false
		}
	}
	const high = 2_000_000_000
	one, _, _ := admitted("one", "1", 0)
	two, _, _ := admitted("two", "1", 0)
	if _, _, r := admitted("usual", "1", high-1); r == nil || r.Reason != "OutOfcpu" {
		t.Fatalf("%+v", r)
	}
	interrupted := false
	one.interrupt = func() { interrupted = true }
	m, yielding, r := admitted("critical", "2", high)
	if r != nil || len(yielding) != 2 || !one.yielding() || !two.yielding() || !woken(one) || !woken(two) || !interrupted {
		t.Fatalf("%+v, %d give way", r, len(yielding))
	}
	if got := a.admitted(nil); len(got) != 1 || got[m.pod] != m {
		t.Errorf("%d count", len(got))
	}
	if _, yielding, r := admitted("equal", "1", high); r == nil || r.Reason != "UnexpectedAdmissionError" || len(yielding) != 0 ||
		!strings.HasPrefix(r.Message, "Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: ") {
		t.Errorf("%+v", r)
	}
	for _, v := range yielding {
		if woken(m) || hasVacated(v) {
			t.Error("it is woken too early")
		}
		v.vacate()
		if !woken(m) || !hasVacated(v) {
			t.Error("it is not woken")
		}
	}
	a.alone = admit.Chain{never{}}
	if _, yielding, r := admitted("elsewhere", "1", high+1); r == nil || r.Reason != "Never" || len(yielding) != 0 || m.yielding() {
		t.Errorf("a pod that does not belong here: %+v", r)
	}
	a.alone, a.beside = admit.Chain{}, admit.Chain{admit.PodCount{}, admit.NodeResources{}, never{}}
	if _, yielding, r := admitted("not even in their place", "2", high+1); r == nil || r.Reason != "Never" || len(yielding) != 0 || m.yielding() {
		t.Errorf("a pod that lacks more than room: %+v", r)
	}
	a.beside = never{}
	if _, yielding, r := admitted("other", "0", high+1); r == nil || r.Reason != "Never" || len(yielding) != 0 || m.yielding() {
		t.Errorf("one that has room: %+v", r)
	}
}

type never struct{}

func (never) Admit(context.Context, admit.Attributes) *admit.Rejection {
	return &admit.Rejection{Reason: "Never"}
}

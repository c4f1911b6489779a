package podworker

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
)

// nothing keeps nothing.
type nothing struct{}

func (nothing) Load(string) (r allocation.Resources, ok bool) { return r, false }
func (nothing) Save(string, allocation.Resources) error       { return nil }

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
	a := &admission{alone: admit.Chain{}, beside: atMost(3), kept: nothing{}, pods: map[*mailbox]bool{}}
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
			if a.admit(t.Context(), m, m.pod) == nil {
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
	left := a.admitted(nil)
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
	if got := a.admitted(nil); len(got) != 1 || got[0] != left[2] {
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
	a := &admission{alone: api, beside: atMost(3), kept: nothing{}, pods: map[*mailbox]bool{}}
	box := func(name string) *mailbox {
		p := &corev1.Pod{}
		p.Name = name
		m := &mailbox{pod: p, wakeC: make(chan struct{}, 1)}
		a.add(m)
		return m
	}
	slow, answer := box("slow"), make(chan *admit.Rejection)
	go func() { answer <- a.admit(t.Context(), slow, slow.pod) }()
	quick := box("quick")
	if r := a.admit(t.Context(), quick, quick.pod); r != nil {
		t.Errorf("%+v", r)
	}
	close(api)
	if r := <-answer; r == nil || r.Reason != "Late" {
		t.Errorf("%+v", r)
	}
	if got := a.admitted(nil); len(got) != 1 || got[0] != quick.pod {
		t.Errorf("admitted are %d", len(got))
	}
}

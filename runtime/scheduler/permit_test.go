package scheduler

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// TestWaitingPods: each plugin has its own time, and the first answer is the one.
func TestWaitingPods(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(wp *waitingPod) // while it waits
		want string               // "": it is allowed
		by   string
		at   time.Duration
	}{
		{"nobody allows it", func(*waitingPod) {}, "no permission within 1s", "A", time.Second},
		{"all allow it", func(wp *waitingPod) { wp.allow("B"); wp.allow("A") }, "", "", 0},
		{"the first allows it, the second never", func(wp *waitingPod) { wp.allow("A") }, "no permission within 10s", "B", 10 * time.Second},
		{"the first allows it, the second late", func(wp *waitingPod) {
			wp.allow("A")
			time.Sleep(9 * time.Second)
			wp.allow("B")
		}, "", "", 9 * time.Second},
		{"the second allows it only", func(wp *waitingPod) { wp.allow("B") }, "no permission within 1s", "A", time.Second},
		{"refused", func(wp *waitingPod) { wp.reject("B", "no") }, "no", "B", 0},
		{"allowed at the last moment", func(wp *waitingPod) {
			wp.allow("B")
			time.Sleep(time.Second - 1)
			wp.allow("A")
		}, "", "", time.Second - 1},
		{"allowed, then refused", func(wp *waitingPod) {
			wp.allow("A")
			wp.allow("B")
			if wp.reject("B", "no") {
				t.Error("two answers were taken")
			}
		}, "", "", 0},
		{"refused, then allowed", func(wp *waitingPod) {
			if !wp.reject("B", "no") {
				t.Error("the refusal was not taken")
			}
			wp.allow("A")
			wp.allow("B")
		}, "no", "B", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var all waitingPods
				p := &core.PodInfo{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "p"}}}
				wp := all.add(p, map[string]time.Duration{"A": time.Second, "B": 10 * time.Second})
				if all.get("p") != wp {
					t.Fatal("it does not wait")
				}
				begun := time.Now()
				result := make(chan *framework.Status, 1)
				go func() { result <- wp.wait(t.Context(), clock.RealClock{}) }()
				tc.do(wp)
				status := <-result
				if status.Message() != tc.want || status.IsSuccess() != (tc.want == "") || status != nil && status.Plugin() != tc.by {
					t.Errorf("%v, want %q by %q", status, tc.want, tc.by)
				}
				if at := time.Since(begun); at != tc.at {
					t.Errorf("after %v", at)
				}
				if all.get("p") != nil {
					t.Error("it still waits")
				}
			})
		})
	}
}

// TestAllowedAsItsTimeEnds: whichever comes first is the answer, and both sides have it.
func TestAllowedAsItsTimeEnds(t *testing.T) {
	var all waitingPods
	wp := all.add(&core.PodInfo{Pod: &corev1.Pod{}}, map[string]time.Duration{"A": time.Second})
	wp.allow("A")
	wp.expire("A", time.Second)
	if status := wp.wait(t.Context(), clock.RealClock{}); !status.IsSuccess() {
		t.Errorf("it was allowed, and is told %q", status.Message())
	}
}

func TestWaitingEndsWithTheLoop(t *testing.T) {
	var all waitingPods
	wp := all.add(&core.PodInfo{Pod: &corev1.Pod{}}, map[string]time.Duration{"A": time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status := wp.wait(ctx, clock.RealClock{}); !status.IsError() {
		t.Errorf("%v", status)
	}
}

// TestTheFirstOfThoseWhoseTimeEndsTogether is the first by name.
func TestTheFirstOfThoseWhoseTimeEndsTogether(t *testing.T) {
	pending := map[string]time.Duration{}
	for c := 'A'; c <= 'Z'; c++ {
		pending[string(c)] = time.Second
	}
	var all waitingPods
	if plugin, timeout := all.add(&core.PodInfo{Pod: &corev1.Pod{}}, pending).next(); plugin != "A" || timeout != time.Second {
		t.Errorf("%s after %v", plugin, timeout)
	}
}

// gang binds pods only once two of them have a node.
type gang struct {
	*world
	timeout time.Duration
}

func (*gang) Name() string { return "Gang" }

func (g *gang) Permit(_ context.Context, _ core.State, p *core.PodInfo, _ string) (*framework.Status, time.Duration) {
	for _, other := range []types.UID{"a", "b"} {
		if wp := g.waiting.get(other); wp != nil && other != p.Pod.UID {
			wp.allow(g.Name())
			return nil, 0
		}
	}
	return framework.NewStatus(framework.Wait), g.timeout
}

func TestPermitMakesPodsWait(t *testing.T) {
	g := &gang{timeout: time.Minute}
	w := newWorld(t, core.WeightedPlugin{Plugin: g, Weight: 1})
	g.world = w
	w.setNode(nil, node("n", "2"))
	a := w.create("a", "1", 1)
	w.cycles()
	w.expect()
	if w.waiting.get("a") == nil || !w.cache.isAssumed("a") {
		t.Fatal("it does not wait on its node")
	}
	w.setPod(a, a)
	w.create("b", "1", 0)
	w.schedule()
	w.expect("a on n", "b on n")
	if w.waiting.get("a") != nil || len(w.slots) != 0 {
		t.Error("it still waits")
	}
}

func TestPermitIsRefusedOrTooLate(t *testing.T) {
	for name, end := range map[string]func(*world){
		"refused": func(w *world) { w.waiting.get("a").reject("Gang", "no") },
		"too late": func(w *world) {
			for !w.clk.HasWaiters() {
				time.Sleep(time.Millisecond)
			}
			w.clk.Step(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := &gang{timeout: time.Minute}
			w := newWorld(t, core.WeightedPlugin{Plugin: g, Weight: 1})
			g.world = w
			w.setNode(nil, node("n", "1"))
			w.create("a", "1", 0)
			w.cycles()
			end(w)
			w.wg.Wait()
			w.expect()
			if qp := w.queue.pods["a"]; qp == nil || !slices.Equal(qp.rejectedBy, []string{"Gang"}) || w.cache.isAssumed("a") || w.waiting.get("a") != nil {
				t.Errorf("%+v", qp)
			}
		})
	}
}

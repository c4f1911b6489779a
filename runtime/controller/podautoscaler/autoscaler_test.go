package podautoscaler

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"
)

const (
	gotScale   = "AbleToScale=True SucceededGetScale: the HPA controller was able to get the target's current scale"
	cpuFound   = "ScalingActive=True ValidMetricFound: the HPA was able to successfully calculate a replica count from cpu resource utilization (percentage of request)"
	notByMe    = "ScaledToZero=False NotScaledToZero: the HPA controller did not scale the workload to zero"
	statusOnly = "update horizontalpodautoscalers/status web"
)

func rescaledTo(n string) string {
	return "AbleToScale=True SucceededRescale: the HPA controller was able to update the target scale to " + n
}

func TestATargetIsScaled(t *testing.T) {
	w := newWorld(t, autoscaled(1, 9), 3, "rrr", &readings{pods: used(300, 500, 700)})
	h := w.step(t, "web")
	if w.target.want != 5 || w.target.version != 8 {
		t.Errorf("the target is asked for %d replicas", w.target.want)
	}
	noonTime := v1Time(noon)
	want := autoscalingv2.HorizontalPodAutoscalerStatus{
		ObservedGeneration: ptr.To[int64](3), LastScaleTime: &noonTime, CurrentReplicas: 3, DesiredReplicas: 5,
		CurrentMetrics: []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
			Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: ptr.To[int32](50), AverageValue: resource.NewMilliQuantity(500, resource.DecimalSI)},
		}}},
	}
	got := *h.Status.DeepCopy()
	got.Conditions = nil
	if got.String() != want.String() {
		t.Errorf("status %s, want %s", got.String(), want.String())
	}
	if says := said(h); !slices.Equal(says, []string{rescaledTo("5"), cpuFound, inRange, notByMe}) {
		t.Errorf("conditions %q", says)
	}
	for _, c := range h.Status.Conditions {
		if !c.LastTransitionTime.Equal(&noonTime) {
			t.Errorf("%s since %s", c.Type, c.LastTransitionTime)
		}
	}
	if told := w.Told(); !slices.Equal(told, []string{"Normal SuccessfulRescale New size: 5; reason: cpu resource utilization (percentage of request) above target"}) {
		t.Errorf("events %q", told)
	}
	if wrote := w.Writes(); !slices.Equal(wrote, []string{statusOnly}) {
		t.Errorf("wrote %q", wrote)
	}
	if want := []string{"resource cpu  d app=web"}; !slices.Equal(w.says.asked, want) {
		t.Errorf("asked %q, want %q", w.says.asked, want)
	}
}

// settled waits until the cache has what was written.
func (w *world) settled(t *testing.T, h *hpa) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if c, err := w.hpas.HorizontalPodAutoscalers("d").Get(h.Name); err == nil && c.Status.String() == h.Status.String() {
			return
		}
	}
	t.Fatal("the cache does not get what was written")
}

func TestATargetThatIsRightIsLeft(t *testing.T) {
	w := newWorld(t, autoscaled(1, 9), 3, "rrr", &readings{pods: used(300, 300, 300)})
	h := w.step(t, "web")
	if w.target.version != 7 || h.Status.LastScaleTime != nil || h.Status.CurrentReplicas != 3 || h.Status.DesiredReplicas != 3 {
		t.Errorf("version %d, status %+v", w.target.version, h.Status)
	}
	if says := said(h); !slices.Equal(says, []string{readyToScale, cpuFound, inRange}) {
		t.Errorf("conditions %q", says)
	}
	w.settled(t, h)
	w.Clock.SetTime(noon.Add(syncPeriod))
	if w.step(t, "web"); len(w.Writes()) != 1 || len(w.Told()) != 0 {
		t.Errorf("what is as it was is written again: %q", w.Writes())
	}
}

func TestWhatGoesWrongIsTold(t *testing.T) {
	const active = "ScalingActive=False "
	const noMetrics = "failed to get cpu utilization: unable to get metrics for resource cpu: nobody answers"
	for name, tt := range map[string]struct {
		change func(*world)
		h      func(*hpa)
		want   int32 // of the target
		says   []string
		told   []string
		status autoscalingv2.HorizontalPodAutoscalerStatus
	}{
		"no such kind": {h: func(h *hpa) { h.Spec.ScaleTargetRef.Kind = "Rollout" }, want: 3,
			says: []string{`AbleToScale=False FailedGetScale: the HPA controller was unable to get the target's current scale: no matches for apps/, Resource=Rollout`},
			told: []string{`Warning FailedGetScale no matches for apps/, Resource=Rollout`}},
		"no version": {h: func(h *hpa) { h.Spec.ScaleTargetRef.APIVersion = "a/b/c" }, want: 3,
			says: []string{"AbleToScale=False FailedGetScale: the HPA controller was unable to get the target's current scale: unexpected GroupVersion string: a/b/c"},
			told: []string{"Warning FailedGetScale unexpected GroupVersion string: a/b/c"}},
		"no such object": {h: func(h *hpa) { h.Spec.ScaleTargetRef.Name = "other" }, want: 3,
			says: []string{`AbleToScale=False FailedGetScale: the HPA controller was unable to get the target's current scale: deployments.apps "other" not found`},
			told: []string{`Warning FailedGetScale deployments.apps "other" not found`}},
		"no selector": {change: func(w *world) { w.target.selector = "" }, want: 3, status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3},
			says: []string{gotScale, active + "InvalidSelector: the HPA target's scale is missing a selector"},
			told: []string{"Warning SelectorRequired selector is required", "Warning FailedComputeMetricsReplicas selector is required"}},
		"no metrics": {change: func(w *world) { w.says.err = errors.New("nobody answers") }, want: 3,
			status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3, CurrentMetrics: make([]autoscalingv2.MetricStatus, 1)},
			says:   []string{gotScale, active + "FailedGetResourceMetric: the HPA was unable to compute the replica count: " + noMetrics},
			told: []string{"Warning FailedGetResourceMetric " + noMetrics,
				"Warning FailedComputeMetricsReplicas invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: " + noMetrics}},
		"a target that cannot be written": {change: func(w *world) { w.target.refuse = errors.New("no") }, want: 3,
			status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3, CurrentMetrics: []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType}}},
			says:   []string{"AbleToScale=False FailedUpdateScale: the HPA controller was unable to update the target scale: no", cpuFound, inRange},
			told:   []string{"Warning FailedRescale New size: 5; reason: cpu resource utilization (percentage of request) above target; error: no"}},
		"a status that cannot be written": {change: func(w *world) {
			w.API.PrependReactor("update", "horizontalpodautoscalers", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("full") })
		}, want: 5,
			told: []string{"Normal SuccessfulRescale New size: 5; reason: cpu resource utilization (percentage of request) above target",
				"Warning FailedUpdateStatus write the status of HorizontalPodAutoscaler d/web: full"}},
		"a target that changes meanwhile": {change: func(w *world) { w.target.meanwhile = func() { w.target.version++ } }, want: 5,
			status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3, DesiredReplicas: 5, CurrentMetrics: []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType}}},
			says:   []string{rescaledTo("5"), cpuFound, inRange, notByMe},
			told:   []string{"Normal SuccessfulRescale New size: 5; reason: cpu resource utilization (percentage of request) above target"}},
		"a target that goes meanwhile": {change: func(w *world) { w.target.meanwhile = func() { w.target.name = "gone" } }, want: 3,
			status: autoscalingv2.HorizontalPodAutoscalerStatus{CurrentReplicas: 3, CurrentMetrics: []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType}}},
			says:   []string{`AbleToScale=False FailedUpdateScale: the HPA controller was unable to update the target scale: deployments.apps "web" not found`, cpuFound, inRange},
			told:   []string{`Warning FailedRescale New size: 5; reason: cpu resource utilization (percentage of request) above target; error: deployments.apps "web" not found`}},
	} {
		t.Run(name, func(t *testing.T) {
			h := autoscaled(1, 9)
			if tt.h != nil {
				tt.h(h)
			}
			w := newWorld(t, h, 3, "rrr", &readings{pods: used(300, 500, 700)})
			if tt.change != nil {
				tt.change(w)
			}
			now := w.step(t, "web")
			if w.target.want != tt.want {
				t.Errorf("the target is asked for %d, want %d", w.target.want, tt.want)
			}
			if says := said(now); !slices.Equal(says, tt.says) {
				t.Errorf("conditions %q, want %q", says, tt.says)
			}
			if told := w.Told(); !slices.Equal(told, tt.told) {
				t.Errorf("events %q, want %q", told, tt.told)
			}
			s := now.Status
			if s.CurrentReplicas != tt.status.CurrentReplicas || s.DesiredReplicas != tt.status.DesiredReplicas || len(s.CurrentMetrics) != len(tt.status.CurrentMetrics) ||
				len(s.CurrentMetrics) > 0 && s.CurrentMetrics[0].Type != tt.status.CurrentMetrics[0].Type {
				t.Errorf("status %+v, want %+v", s, tt.status)
			}
			// Of a target that is not known nothing was observed.
			if known := tt.status.CurrentReplicas != 0; known != (s.ObservedGeneration != nil) {
				t.Errorf("observed generation %v", s.ObservedGeneration)
			}
		})
	}
}

// TestADesiredSizeStays: what could not be done does not take away what the status says is
// desired.
func TestADesiredSizeStays(t *testing.T) {
	h := autoscaled(1, 9)
	h.Status.DesiredReplicas = 4
	w := newWorld(t, h, 3, "rrr", &readings{pods: used(300, 500, 700), err: errors.New("nobody answers")})
	if now := w.step(t, "web"); now.Status.DesiredReplicas != 4 {
		t.Errorf("no metrics: %d", now.Status.DesiredReplicas)
	}
	w = newWorld(t, h, 3, "rrr", &readings{pods: used(300, 500, 700)})
	w.target.refuse = errors.New("no")
	if now := w.step(t, "web"); now.Status.DesiredReplicas != 4 {
		t.Errorf("not written: %d", now.Status.DesiredReplicas)
	}
}

// TestPodsAreOfOneTarget: as long as two select the same pods, neither is scaled.
func TestPodsAreOfOneTarget(t *testing.T) {
	other := autoscaled(1, 9)
	other.Name, other.UID = "also", "v"
	w := newWorld(t, autoscaled(1, 9), 3, "rrr", &readings{pods: used(300, 500, 700)}, other)
	w.step(t, "web") // it does not know of the other yet
	w.Told()
	w.target.want = 3
	const both = "pods by selector app=web are controlled by more than one HPA (e.g. [d/also d/web])"
	for _, name := range []string{"also", "web"} {
		h := w.step(t, name)
		if says := said(h); w.target.want != 3 || !slices.Contains(says, "ScalingActive=False AmbiguousSelector: "+both) {
			t.Errorf("%s: %d, %q", name, w.target.want, says)
		}
		if told := w.Told(); !slices.Equal(told, []string{"Warning AmbiguousSelector " + both, "Warning FailedComputeMetricsReplicas " + both}) {
			t.Errorf("%s: events %q", name, told)
		}
		w.settled(t, h)
	}
	if err := w.API.AutoscalingV2().HorizontalPodAutoscalers("d").Delete(t.Context(), "also", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if _, err := w.hpas.HorizontalPodAutoscalers("d").Get("also"); err != nil {
			break
		}
	}
	key := types.NamespacedName{Namespace: "d", Name: "also"}
	if again, err := w.reconcile(t.Context(), key); again != 0 || err != nil || w.histories[key] != nil {
		t.Errorf("one that is gone: again in %s, %v", again, err)
	}
	if w.step(t, "web"); w.target.want != 5 {
		t.Errorf("the one that is left: %d", w.target.want)
	}
}

func TestAnUnreadableSelector(t *testing.T) {
	w := newWorld(t, autoscaled(1, 9), 3, "rrr", &readings{pods: used(300, 500, 700)})
	w.target.selector = "a in b"
	h := w.step(t, "web")
	const start = "couldn't convert selector into a corresponding internal selector object: "
	c := conditions().Find(h.Status.Conditions, autoscalingv2.ScalingActive)
	if c == nil || c.Status != corev1.ConditionFalse || c.Reason != "InvalidSelector" || !strings.HasPrefix(c.Message, start) {
		t.Errorf("condition %+v", c)
	}
	if told := w.Told(); len(told) != 2 || !strings.HasPrefix(told[0], "Warning InvalidSelector "+start) || w.target.want != 3 {
		t.Errorf("events %q", told)
	}
}

// TestToZeroAndBack: what the controller left nothing of, it brings back; what somebody else
// did, it leaves.
func TestToZeroAndBack(t *testing.T) {
	h := autoscaled(0, 9)
	h.Spec.Metrics = []autoscalingv2.MetricSpec{queueOf("10")}
	w := newWorld(t, h, 1, "r", &readings{})
	past := w.history(types.NamespacedName{Namespace: "d", Name: "web"})
	step := func(value int64, after time.Duration, want int32, condition string) {
		t.Helper()
		w.says.value, w.target.there = value, w.target.want
		w.Clock.Step(after)
		h := w.step(t, "web")
		if w.target.want != want || !slices.ContainsFunc(said(h), func(s string) bool { return strings.HasPrefix(s, condition) }) {
			t.Errorf("%d: %d replicas, %q", value, w.target.want, said(h))
		}
		w.settled(t, h)
	}
	step(0, 0, 1, "AbleToScale=True ScaleDownStabilized")
	step(0, downscaleStabilization+time.Second, 0, "ScaledToZero=True ScaledToZero")
	step(0, syncPeriod, 0, "ScalingActive=True")
	step(25000, syncPeriod, 3, "ScaledToZero=False")
	if w.target.want = 0; len(past.recommendations) == 0 {
		t.Error("nothing is remembered")
	}
	step(25000, syncPeriod, 0, "ScalingActive=False ScalingDisabled")
}

// TestBoundsNeedNoMetrics: a target that is out of them comes back whatever is asked of it.
func TestBoundsNeedNoMetrics(t *testing.T) {
	for name, tt := range map[string]struct{ replicas, want int32 }{"above": {12, 9}, "below": {1, 2}} {
		w := newWorld(t, autoscaled(2, 9), tt.replicas, "r", &readings{err: errors.New("nobody answers")})
		h := w.step(t, "web")
		if w.target.want != tt.want || len(w.says.asked) != 0 || h.Status.DesiredReplicas != tt.want || h.Status.CurrentReplicas != tt.replicas || h.Status.LastScaleTime == nil {
			t.Errorf("%s: %d, asked %q, status %+v", name, w.target.want, w.says.asked, h.Status)
		}
	}
}

// TestChangesAreRemembered: by the policies of a behavior, and by nothing else.
func TestChangesAreRemembered(t *testing.T) {
	h := autoscaled(1, 90)
	h.Spec.Behavior = &behavior{ScaleUp: selected(most, podsPolicy(1, 60)), ScaleDown: selected(most, podsPolicy(1, 60))}
	w := newWorld(t, h, 3, "rrr", &readings{pods: used(900, 900, 900)})
	for i, want := range []int32{4, 4, 4, 4, 5} { // one in a minute
		now := w.step(t, "web")
		if w.target.want != want {
			t.Errorf("after %d periods %d, want %d", i, w.target.want, want)
		}
		w.settled(t, now)
		w.Clock.Step(syncPeriod)
	}
}

func TestWhatIsToleratedMayBeSaid(t *testing.T) {
	h := autoscaled(1, 9)
	if got := toleranceOf(h); got != tenth() {
		t.Errorf("%+v", got)
	}
	h.Spec.Behavior = &behavior{ScaleUp: &rules{Tolerance: ptr.To(resource.MustParse("0.05"))}, ScaleDown: &rules{}}
	if got := toleranceOf(h); got != (tolerance{down: 0.1, up: 0.05}) {
		t.Errorf("up: %+v", got)
	}
	h.Spec.Behavior = &behavior{ScaleDown: &rules{Tolerance: ptr.To(resource.MustParse("500m"))}}
	if got := toleranceOf(h); got != (tolerance{down: 0.5, up: 0.1}) {
		t.Errorf("down: %+v", got)
	}
}

// TestWhatIsNewIsSeenAtOnce: a status that was written is no news; another spec is.
func TestWhatIsNewIsSeenAtOnce(t *testing.T) {
	w := newWorld(t, autoscaled(1, 9), 3, "rrr", &readings{pods: used(300, 300, 300)})
	queued := func() []types.NamespacedName { return w.loop.TakeQueued() }
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if len(queued()) > 0 {
			break
		}
	}
	h := w.step(t, "web")
	w.settled(t, h)
	if got := queued(); len(got) != 0 {
		t.Errorf("a status is news: %v", got)
	}
	h.Generation++
	if _, err := w.API.AutoscalingV2().HorizontalPodAutoscalers("d").Update(t.Context(), h, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if got := queued(); len(got) == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("another spec is no news")
		}
	}
}

// TestACacheThatIsBehindIsWaitedFor: nothing is decided by a status that is older than the
// one that was written.
func TestACacheThatIsBehindIsWaitedFor(t *testing.T) {
	h := autoscaled(1, 9)
	h.ResourceVersion = "5"
	w := newWorld(t, h, 3, "rrr", &readings{pods: used(300, 500, 700)})
	newer := autoscaled(1, 9)
	newer.ResourceVersion = "999"
	w.written.Wrote(newer)
	if again, err := w.reconcile(t.Context(), types.NamespacedName{Namespace: "d", Name: "web"}); again != cacheLag || err != nil || w.target.want != 3 {
		t.Errorf("again in %s, %v; %d", again, err, w.target.want)
	}
}

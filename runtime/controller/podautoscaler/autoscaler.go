package podautoscaler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/expectations"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const (
	// syncPeriod is how often each target's metrics are looked at.
	syncPeriod = 15 * time.Second
	// cacheLag is how long one waits for the cache to have what was just written.
	cacheLag = time.Second
	// defaultTolerance is the share by which usage may miss its target.
	defaultTolerance = 0.1
)

// autoscaler reconciles HorizontalPodAutoscalers.
type autoscaler struct {
	client    kubernetes.Interface
	hpas      autoscalinglisters.HorizontalPodAutoscalerLister
	pods      corelisters.PodLister
	targets   targets
	source    source
	events    record.EventRecorder
	clock     clock.PassiveClock
	log       *slog.Logger
	written   expectations.Writes
	selectors selectors
	loop      *reconcile.Loop[types.NamespacedName]

	mu        sync.Mutex
	histories map[types.NamespacedName]*history
}

// watch makes the loop, which an informer's events feed. Each object comes again after a
// period; what is new of it, at once.
func (a *autoscaler) watch(hpas cache.SharedIndexInformer, synced cache.InformerSynced) {
	a.hpas = autoscalinglisters.NewHorizontalPodAutoscalerLister(hpas.GetIndexer())
	seen := func(h *hpa) { a.loop.Add(reconcile.Key(h)) }
	a.loop = reconcile.New("podautoscaler", a.log, a.reconcile, synced, client.Watch(hpas, seen, func(old, h *hpa) {
		if old.Generation != h.Generation {
			seen(h)
		}
	}, func(h *hpa) {
		a.written.Forget(h.UID)
		seen(h)
	}))
}

func (a *autoscaler) reconcile(ctx context.Context, key types.NamespacedName) (time.Duration, error) {
	h, err := reconcile.Get(a.hpas.HorizontalPodAutoscalers(key.Namespace), "HorizontalPodAutoscaler "+key.String(), key.Name)
	if err != nil {
		return 0, err
	}
	if h == nil {
		a.forget(key)
		return 0, nil
	}
	if !a.written.Seen(h) {
		return cacheLag, nil
	}
	before := h.Status.DeepCopy()
	err = a.sync(ctx, h, a.history(key), metav1.NewTime(a.clock.Now()))
	made, failed := reconcile.WriteStatus(ctx, a.client.AutoscalingV2().HorizontalPodAutoscalers(key.Namespace), "HorizontalPodAutoscaler", h, before, &h.Status)
	switch {
	case failed != nil:
		a.events.Event(h, corev1.EventTypeWarning, "FailedUpdateStatus", failed.Error())
	case made != h:
		a.written.Wrote(made)
	}
	// Not sooner than otherwise: no metric is newer then.
	if err = errors.Join(err, failed); err != nil {
		a.log.Warn("not all could be done for a target, will retry", "horizontalPodAutoscaler", key.String(), "error", err)
	}
	return syncPeriod, nil
}

// sync gives the target the size that its metrics ask for, and says so in h's status.
func (a *autoscaler) sync(ctx context.Context, h *hpa, past *history, now metav1.Time) error {
	ref := h.Spec.ScaleTargetRef
	reference := fmt.Sprintf("%s/%s/%s", ref.Kind, h.Namespace, ref.Name)
	scale, resource, err := a.targets.get(ctx, h.Namespace, ref)
	if err != nil {
		a.events.Event(h, corev1.EventTypeWarning, "FailedGetScale", err.Error())
		set(h, autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedGetScale", fmt.Sprintf("the HPA controller was unable to get the target's current scale: %v", err), now)
		return fmt.Errorf("read the scale of %s: %w", reference, err)
	}
	set(h, autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededGetScale", "the HPA controller was able to get the target's current scale", now)
	current := scale.Spec.Replicas
	past.begin(current, now.Time)

	var by advice
	p, known := planWithoutMetrics(h, current, now)
	if !known {
		if by = a.ask(ctx, h, scale, now); !by.usable {
			observe(h, current, h.Status.DesiredReplicas, by.metrics)
			a.events.Event(h, corev1.EventTypeWarning, "FailedComputeMetricsReplicas", by.err.Error())
			return fmt.Errorf("compute the replicas of %s: %w", reference, by.err)
		}
		p = planByMetrics(h, past, current, by, now)
	}
	if !p.rescale {
		observe(h, current, current, by.metrics)
		return by.err
	}
	if err := a.targets.set(ctx, h.Namespace, resource, scale, p.replicas); err != nil {
		a.events.Eventf(h, corev1.EventTypeWarning, "FailedRescale", "New size: %d; reason: %s; error: %v", p.replicas, p.reason, err)
		set(h, autoscalingv2.AbleToScale, corev1.ConditionFalse, "FailedUpdateScale", fmt.Sprintf("the HPA controller was unable to update the target scale: %v", err), now)
		observe(h, current, h.Status.DesiredReplicas, by.metrics)
		return fmt.Errorf("scale %s to %d: %w", reference, p.replicas, err)
	}
	a.log.Info("rescaled", "target", reference, "from", current, "to", p.replicas, "reason", p.reason)
	a.events.Eventf(h, corev1.EventTypeNormal, "SuccessfulRescale", "New size: %d; reason: %s", p.replicas, p.reason)
	set(h, autoscalingv2.AbleToScale, corev1.ConditionTrue, "SucceededRescale", fmt.Sprintf("the HPA controller was able to update the target scale to %d", p.replicas), now)
	past.did(h.Spec.Behavior, current, p.replicas, now.Time)
	markZero(h, current, p.replicas, now)
	observe(h, current, p.replicas, by.metrics)
	h.Status.LastScaleTime = &now
	return by.err
}

// ask asks all metrics of a target.
func (a *autoscaler) ask(ctx context.Context, h *hpa, scale *autoscalingv1.Scale, now metav1.Time) advice {
	selector, pods, err := a.selected(h, scale.Status.Selector, now)
	if err != nil {
		return advice{err: err}
	}
	p := proposer{
		calculator: calculator{current: scale.Spec.Replicas, there: scale.Status.Replicas, tolerance: toleranceOf(h), pods: pods, now: now.Time},
		source:     a.source, namespace: h.Namespace, selector: selector,
	}
	proposals := make([]proposal, len(h.Spec.Metrics))
	for i := range h.Spec.Metrics {
		proposals[i] = p.propose(ctx, &h.Spec.Metrics[i])
		if f := proposals[i].failure; f != nil {
			a.events.Event(h, corev1.EventTypeWarning, f.reason, f.cause.Error())
		}
	}
	return weigh(h, scale.Spec.Replicas, proposals, now)
}

// selected returns the pods that a target's scale selects, none of which another
// HorizontalPodAutoscaler's may select too.
func (a *autoscaler) selected(h *hpa, text string, now metav1.Time) (labels.Selector, []*corev1.Pod, error) {
	refuse := func(event, reason, what, message string) error {
		a.events.Event(h, corev1.EventTypeWarning, event, what)
		set(h, autoscalingv2.ScalingActive, corev1.ConditionFalse, reason, message, now)
		return errors.New(what)
	}
	if text == "" {
		return nil, nil, refuse("SelectorRequired", "InvalidSelector", "selector is required", "the HPA target's scale is missing a selector")
	}
	selector, err := labels.Parse(text)
	if err != nil {
		what := fmt.Sprintf("couldn't convert selector into a corresponding internal selector object: %v", err)
		return nil, nil, refuse("InvalidSelector", "InvalidSelector", what, what)
	}
	a.selectors.put(reconcile.Key(h), selector)
	pods, err := a.pods.Pods(h.Namespace).List(selector)
	if err != nil {
		return nil, nil, fmt.Errorf("list the pods that %q selects: %w", text, err)
	}
	if others := a.selectors.selecting(h.Namespace, pods); len(others) > 1 {
		what := fmt.Sprintf("pods by selector %s are controlled by more than one HPA (e.g. %v)", text, others[:2])
		return nil, nil, refuse("AmbiguousSelector", "AmbiguousSelector", what, what)
	}
	return selector, pods, nil
}

func toleranceOf(h *hpa) tolerance {
	t := tolerance{defaultTolerance, defaultTolerance}
	if b := h.Spec.Behavior; b != nil {
		if b.ScaleDown != nil && b.ScaleDown.Tolerance != nil {
			t.down = b.ScaleDown.Tolerance.AsApproximateFloat64()
		}
		if b.ScaleUp != nil && b.ScaleUp.Tolerance != nil {
			t.up = b.ScaleUp.Tolerance.AsApproximateFloat64()
		}
	}
	return t
}

// history is only its key's reconciliation's to change.
func (a *autoscaler) history(key types.NamespacedName) *history {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.histories[key] == nil {
		a.histories[key] = &history{}
	}
	return a.histories[key]
}

func (a *autoscaler) forget(key types.NamespacedName) {
	a.selectors.forget(key)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.histories, key)
}

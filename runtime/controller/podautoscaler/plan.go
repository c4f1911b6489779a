package podautoscaler

import (
	"fmt"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// plan is what becomes of a target: how many replicas, whether that is a change, and why.
type plan struct {
	replicas int32
	rescale  bool
	reason   string
}

const belowMin = "Current number of replicas below Spec.MinReplicas"

func minReplicas(h *hpa) int32 { return ptr.Deref(h.Spec.MinReplicas, 1) }

// planWithoutMetrics plans for a target whose size says enough: out of bounds, or switched
// off by somebody else. It returns false where metrics must say.
func planWithoutMetrics(h *hpa, current int32, now metav1.Time) (plan, bool) {
	least := minReplicas(h)
	switch {
	case current == 0:
		if scaledToZero(h) && (least != 0 || wakes(h)) {
			return plan{}, false
		}
		set(h, autoscalingv2.ScalingActive, corev1.ConditionFalse, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero", now)
		return plan{}, true
	case current > h.Spec.MaxReplicas:
		return plan{h.Spec.MaxReplicas, true, "Current number of replicas above Spec.MaxReplicas"}, true
	case current < least:
		return plan{least, true, belowMin}, true
	}
	return plan{}, false
}

// scaledToZero says whether it was this controller that left nothing of the target.
func scaledToZero(h *hpa) bool {
	return conditions().IsTrue(h.Status.Conditions, autoscalingv2.ScaledToZero)
}

// wakes says whether a metric is there without pods.
func wakes(h *hpa) bool {
	return slices.ContainsFunc(h.Spec.Metrics, func(m autoscalingv2.MetricSpec) bool {
		return m.Type == autoscalingv2.ObjectMetricSourceType || m.Type == autoscalingv2.ExternalMetricSourceType
	})
}

// markZero says whether it was by this change that nothing is left of the target: only then
// may the controller bring it back.
func markZero(h *hpa, from, to int32, now metav1.Time) {
	if from > 0 && to == 0 && minReplicas(h) == 0 && wakes(h) {
		set(h, autoscalingv2.ScaledToZero, corev1.ConditionTrue, "ScaledToZero", "the HPA controller scaled the workload to zero", now)
		return
	}
	set(h, autoscalingv2.ScaledToZero, corev1.ConditionFalse, "NotScaledToZero", "the HPA controller did not scale the workload to zero", now)
}

// advice is what all metrics say together: how many replicas the most demanding of them asks
// for. err is about those that say nothing, and then usable tells whether the others are
// enough to go by.
type advice struct {
	replicas int32
	metric   string
	metrics  []autoscalingv2.MetricStatus
	err      error
	usable   bool
}

// proposal is what one metric says, or why it does not.
type proposal struct {
	replicas int32
	metric   string // in conditions and events
	status   autoscalingv2.MetricStatus
	failure  *failure
}

// failure has a reason for the condition and the event, which tell the cause; err is all.
type failure struct {
	reason     string
	cause, err error
}

// weigh takes the largest of the proposals. While one is missing, the target is not made
// smaller: that one might have asked for more.
func weigh(h *hpa, current int32, proposals []proposal, now metav1.Time) advice {
	a := advice{metrics: make([]autoscalingv2.MetricStatus, len(proposals))}
	var failed *failure
	failures := 0
	for i, p := range proposals {
		if p.failure != nil {
			if failures++; failed == nil {
				failed = p.failure
			}
			continue
		}
		a.metrics[i] = p.status
		if a.replicas == 0 || p.replicas > a.replicas {
			a.replicas, a.metric = p.replicas, p.metric
		}
	}
	if failed != nil {
		a.err = fmt.Errorf("invalid metrics (%d invalid out of %d), first error is: %w", failures, len(proposals), failed.err)
	}
	if failed != nil && (failures == len(proposals) || a.replicas < current) {
		set(h, autoscalingv2.ScalingActive, corev1.ConditionFalse, failed.reason, fmt.Sprintf("the HPA was unable to compute the replica count: %v", failed.cause), now)
		return a
	}
	a.usable = true
	set(h, autoscalingv2.ScalingActive, corev1.ConditionTrue, "ValidMetricFound", "the HPA was able to successfully calculate a replica count from "+a.metric, now)
	return a
}

// planByMetrics plans what metrics advise, as far as stabilization, bounds and policies let it.
func planByMetrics(h *hpa, past *history, current int32, a advice, now metav1.Time) plan {
	desired, least := a.replicas, minReplicas(h)
	p := plan{}
	switch {
	case desired > current:
		p.reason = a.metric + " above target"
	case desired < current:
		p.reason = "All metrics below target"
	}
	l, stable := limited{}, int32(0)
	up, down := "recent recommendations were lower than current one, applying the lowest recent recommendation",
		"recent recommendations were higher than current one, applying the highest recent recommendation"
	if b := h.Spec.Behavior; b == nil {
		stable = past.highest(desired, now.Time)
		l = bound(h, current, stable)
	} else {
		stable = past.stabilize(b, current, desired, now.Time)
		l = pace(h, past, current, stable, now)
	}
	switch {
	case stable == desired:
		set(h, autoscalingv2.AbleToScale, corev1.ConditionTrue, "ReadyForNewScale", "recommended size matches current size", now)
	case h.Spec.Behavior != nil && desired >= current:
		set(h, autoscalingv2.AbleToScale, corev1.ConditionTrue, "ScaleUpStabilized", up, now)
	default:
		set(h, autoscalingv2.AbleToScale, corev1.ConditionTrue, "ScaleDownStabilized", down, now)
	}
	set(h, autoscalingv2.ScalingLimited, isTrue(l.replicas != stable), l.reason, l.message, now)
	p.replicas = l.replicas
	if current == 0 && p.replicas < least { // the least is more than what was left when it went
		p.replicas = least
		if p.reason == "" {
			p.reason = belowMin
		}
	}
	p.rescale = p.replicas != current
	return p
}

// limited is a size, and why it is not more or less.
type limited struct {
	replicas        int32
	reason, message string
}

func withinRange(n int32) limited {
	return limited{n, "DesiredWithinRange", "the desired count is within the acceptable range"}
}

func tooMany(n int32) limited {
	return limited{n, "TooManyReplicas", "the desired replica count is more than the maximum replica count"}
}

func tooFew(n int32) limited {
	return limited{n, "TooFewReplicas", "the desired replica count is less than the minimum replica count"}
}

func tooFast(n int32) limited {
	return limited{n, "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"}
}

// bound keeps a size between the bounds. Without a behavior a target at most doubles at
// once, or becomes 4.
func bound(h *hpa, current, desired int32) limited {
	fastest := ceil(max(2*float64(current), 4))
	switch least := minReplicas(h); {
	case desired < least:
		return tooFew(least)
	case desired > fastest && fastest < h.Spec.MaxReplicas:
		return tooFast(fastest)
	case desired > h.Spec.MaxReplicas:
		return tooMany(h.Spec.MaxReplicas)
	}
	return withinRange(desired)
}

// pace keeps a size between the bounds and within what the behavior's policies allow.
func pace(h *hpa, past *history, current, desired int32, now metav1.Time) limited {
	b, most, least := h.Spec.Behavior, h.Spec.MaxReplicas, minReplicas(h)
	switch {
	case desired > current:
		limit := past.upLimit(b.ScaleUp, current, now.Time)
		switch {
		case desired <= min(limit, most):
		case limit < most:
			return tooFast(limit)
		default:
			return tooMany(most)
		}
	case desired < current:
		limit := past.downLimit(b.ScaleDown, current, now.Time)
		switch {
		case desired >= max(limit, least):
		case limit > least:
			return limited{limit, "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"}
		default:
			return tooFew(least)
		}
	}
	return withinRange(desired)
}

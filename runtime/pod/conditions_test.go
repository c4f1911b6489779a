package pod

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestIsAvailable(t *testing.T) {
	ready := func(status corev1.ConditionStatus, since time.Time) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodInitialized, Status: corev1.ConditionTrue},
			{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(since)},
		}}}
	}
	for name, c := range map[string]struct {
		pod     *corev1.Pod
		seconds int32
		want    bool
		wait    time.Duration
	}{
		"no condition":       {&corev1.Pod{}, 0, false, 0},
		"not ready":          {ready(corev1.ConditionFalse, now.Add(-time.Hour)), 0, false, 0},
		"ready":              {ready(corev1.ConditionTrue, now), 0, true, 0},
		"ready too shortly":  {ready(corev1.ConditionTrue, now.Add(-9*time.Second)), 10, false, time.Second},
		"ready just enough":  {ready(corev1.ConditionTrue, now.Add(-10*time.Second)), 10, true, 0},
		"ready long enough":  {ready(corev1.ConditionTrue, now.Add(-11*time.Second)), 10, true, 0},
		"ready since nobody": {ready(corev1.ConditionTrue, time.Time{}), 10, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got, wait := IsAvailable(c.pod, c.seconds, now); got != c.want || wait != c.wait {
				t.Errorf("%v, wait %s", got, wait)
			}
		})
	}
}

func TestIsActive(t *testing.T) {
	gone := metav1.NewTime(now)
	for _, c := range []struct {
		phase            corev1.PodPhase
		deleted          *metav1.Time
		terminal, active bool
	}{
		{corev1.PodPending, nil, false, true}, {corev1.PodRunning, nil, false, true}, {corev1.PodUnknown, nil, false, true},
		{corev1.PodRunning, &gone, false, false}, {corev1.PodSucceeded, nil, true, false}, {corev1.PodFailed, nil, true, false},
	} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: c.deleted}, Status: corev1.PodStatus{Phase: c.phase}}
		if IsTerminal(p) != c.terminal || IsActive(p) != c.active {
			t.Errorf("%s, deleted %v: terminal %v, active %v", c.phase, c.deleted, IsTerminal(p), IsActive(p))
		}
	}
}

func TestSetCondition(t *testing.T) {
	before, later := metav1.NewTime(now), metav1.NewTime(now.Add(time.Minute))
	base := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, Reason: "A", Message: "m", LastTransitionTime: before, LastProbeTime: before, ObservedGeneration: 3}
	with := func(edit func(*corev1.PodCondition)) corev1.PodCondition { c := base; edit(&c); return c }
	for name, c := range map[string]struct {
		set     corev1.PodCondition
		changed bool
		at      metav1.Time
	}{
		"the same":           {with(func(c *corev1.PodCondition) { c.LastTransitionTime = later }), false, before},
		"another reason":     {with(func(c *corev1.PodCondition) { c.Reason = "B" }), true, before},
		"another message":    {with(func(c *corev1.PodCondition) { c.Message = "n" }), true, before},
		"another status":     {with(func(c *corev1.PodCondition) { c.Status = corev1.ConditionFalse }), true, later},
		"a newer generation": {with(func(c *corev1.PodCondition) { c.ObservedGeneration, c.Reason = 4, "B" }), true, before},
		"no generation":      {with(func(c *corev1.PodCondition) { c.ObservedGeneration, c.Reason = 0, "B" }), true, before},
		"another type":       {corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}, true, later},
	} {
		t.Run(name, func(t *testing.T) {
			s := corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled}, base}}
			if got := SetCondition(&s, c.set, later); got != c.changed {
				t.Errorf("changed: %v", got)
			}
			got := Condition(&s, c.set.Type)
			if got.Status != c.set.Status || got.Reason != c.set.Reason || got.Message != c.set.Message || got.LastTransitionTime != c.at {
				t.Errorf("now %+v", got)
			}
			generation := c.set.ObservedGeneration
			if !c.changed || generation == 0 {
				generation = 3
			}
			if c.set.Type == base.Type && (got.LastProbeTime != before || got.ObservedGeneration != generation) {
				t.Errorf("probe time or generation is lost: %+v", got)
			}
		})
	}
}

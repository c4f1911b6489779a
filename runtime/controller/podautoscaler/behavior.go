package podautoscaler

import (
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// downscaleStabilization is for how long the highest recommendation holds, unless the
// behavior says.
const downscaleStabilization = 5 * time.Minute

// history is what was recommended for a target and done to it, for as long as windows and
// policies look back.
type history struct {
	recommendations []moment // numbers of replicas
	ups, downs      []moment // by how many they changed
}

type moment struct {
	replicas int32
	at       time.Time
}

// begin takes the size at which a target is met first for what was recommended.
func (p *history) begin(current int32, now time.Time) {
	if p.recommendations == nil {
		p.recommendations = []moment{{current, now}}
	}
}

// did notes a change that policies may look back at.
func (p *history) did(b *autoscalingv2.HorizontalPodAutoscalerBehavior, from, to int32, now time.Time) {
	switch {
	case b == nil:
	case to > from:
		p.ups = append(since(p.ups, now.Add(-longest(b.ScaleUp))), moment{to - from, now})
	default:
		p.downs = append(since(p.downs, now.Add(-longest(b.ScaleDown))), moment{from - to, now})
	}
}

// since drops what was before.
func since(all []moment, start time.Time) []moment {
	return slices.DeleteFunc(all, func(m moment) bool { return m.at.Before(start) })
}

// longest is how far a direction's policies look back.
func longest(r *autoscalingv2.HPAScalingRules) time.Duration {
	var d time.Duration
	for _, p := range policies(r) {
		d = max(d, seconds(p.PeriodSeconds))
	}
	return d
}

func policies(r *autoscalingv2.HPAScalingRules) []autoscalingv2.HPAScalingPolicy {
	if r == nil {
		return nil
	}
	return r.Policies
}

func seconds(n int32) time.Duration { return time.Duration(n) * time.Second }

// highest notes a recommendation and returns the highest of the default window.
func (p *history) highest(desired int32, now time.Time) int32 {
	p.recommendations = append(since(p.recommendations, now.Add(-downscaleStabilization)), moment{desired, now})
	out := desired
	for _, r := range p.recommendations {
		out = max(out, r.replicas)
	}
	return out
}

// stabilize notes a recommendation and returns the size nearest to the current one that is
// no less than the lowest of the window for growth, and no more than the highest of that for
// shrinking.
func (p *history) stabilize(b *autoscalingv2.HorizontalPodAutoscalerBehavior, current, desired int32, now time.Time) int32 {
	up, down := window(b.ScaleUp, 0), window(b.ScaleDown, downscaleStabilization)
	lowest, highest := desired, desired
	for _, r := range p.recommendations {
		if r.at.After(now.Add(-up)) {
			lowest = min(lowest, r.replicas)
		}
		if r.at.After(now.Add(-down)) {
			highest = max(highest, r.replicas)
		}
	}
	p.recommendations = append(since(p.recommendations, now.Add(-max(up, down))), moment{desired, now})
	return min(max(current, lowest), highest)
}

func window(r *autoscalingv2.HPAScalingRules, otherwise time.Duration) time.Duration {
	if r == nil || r.StabilizationWindowSeconds == nil {
		return otherwise
	}
	return seconds(*r.StabilizationWindowSeconds)
}

// upLimit is the most that the policies allow, not less than there is.
func (p *history) upLimit(r *autoscalingv2.HPAScalingRules, current int32, now time.Time) int32 {
	return max(current, p.limit(r, current, now, func(policy autoscalingv2.HPAScalingPolicy, start float64) int32 {
		if policy.Type == autoscalingv2.PodsScalingPolicy {
			return ceil(start + float64(policy.Value))
		}
		// Rounded up, or few pods would never become more.
		return ceil(start * (1 + float64(policy.Value)/100))
	}, slices.Max, slices.Min))
}

// downLimit is the least that the policies allow, not more than there is.
func (p *history) downLimit(r *autoscalingv2.HPAScalingRules, current int32, now time.Time) int32 {
	return min(current, p.limit(r, current, now, func(policy autoscalingv2.HPAScalingPolicy, start float64) int32 {
		if policy.Type == autoscalingv2.PodsScalingPolicy {
			return int32(start - float64(policy.Value))
		}
		return int32(start * (1 - float64(policy.Value)/100))
	}, slices.Min, slices.Max))
}

// limit is what the selected one of the policies allows. Each goes by the size at the start
// of its period; furthest and nearest find the largest and the smallest change.
func (p *history) limit(r *autoscalingv2.HPAScalingRules, current int32, now time.Time,
	allows func(policy autoscalingv2.HPAScalingPolicy, start float64) int32, furthest, nearest func([]int32) int32,
) int32 {
	var limits []int32
	for _, policy := range policies(r) {
		start := now.Add(-seconds(policy.PeriodSeconds))
		limits = append(limits, allows(policy, float64(current)-after(p.ups, start)+after(p.downs, start)))
	}
	switch {
	case len(limits) == 0:
		return current
	case r.SelectPolicy == nil || *r.SelectPolicy == autoscalingv2.MaxChangePolicySelect:
		return furthest(limits)
	case *r.SelectPolicy == autoscalingv2.MinChangePolicySelect:
		return nearest(limits)
	}
	return current // disabled
}

// after adds up what was done after a time.
func after(all []moment, start time.Time) float64 {
	n := 0.0
	for _, m := range all {
		if m.at.After(start) {
			n += float64(m.replicas)
		}
	}
	return n
}

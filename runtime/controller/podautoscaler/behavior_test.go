package podautoscaler

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/utils/ptr"
)

type (
	rules    = autoscalingv2.HPAScalingRules
	policy   = autoscalingv2.HPAScalingPolicy
	behavior = autoscalingv2.HorizontalPodAutoscalerBehavior
)

func podsPolicy(n, seconds int32) policy {
	return policy{Type: autoscalingv2.PodsScalingPolicy, Value: n, PeriodSeconds: seconds}
}

func percentPolicy(n, seconds int32) policy {
	return policy{Type: autoscalingv2.PercentScalingPolicy, Value: n, PeriodSeconds: seconds}
}

func selected(how autoscalingv2.ScalingPolicySelect, of ...policy) *rules {
	return &rules{SelectPolicy: &how, Policies: of}
}

const (
	most     = autoscalingv2.MaxChangePolicySelect
	least    = autoscalingv2.MinChangePolicySelect
	disabled = autoscalingv2.DisabledPolicySelect
)

// before is by how much a size changed, so many seconds before noon.
func before(pairs ...int32) []moment {
	var out []moment
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, moment{pairs[i], noon.Add(-seconds(pairs[i+1]))})
	}
	return out
}

func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		rules      *rules
		current    int32
		ups, downs []moment
		up, down   int32
	}{
		"pods":                          {selected(most, podsPolicy(4, 60)), 10, nil, nil, 14, 6},
		"percent":                       {selected(most, percentPolicy(50, 60)), 10, nil, nil, 15, 5},
		"percent, rounded":              {selected(most, percentPolicy(15, 60)), 10, nil, nil, 12, 8},
		"percent of little":             {selected(most, percentPolicy(1, 60)), 3, nil, nil, 4, 2},
		"all of it":                     {selected(most, percentPolicy(100, 60)), 10, nil, nil, 20, 0},
		"the larger change, of pods":    {selected(most, podsPolicy(7, 60), percentPolicy(50, 60)), 10, nil, nil, 17, 3},
		"the larger change, of percent": {selected(most, podsPolicy(4, 60), percentPolicy(50, 60)), 10, nil, nil, 15, 5},
		"the smaller change":            {selected(least, podsPolicy(4, 60), percentPolicy(50, 60)), 10, nil, nil, 14, 6},
		"the smaller, of percent":       {selected(least, podsPolicy(7, 60), percentPolicy(50, 60)), 10, nil, nil, 15, 5},
		"none":                          {selected(disabled, podsPolicy(4, 60)), 10, nil, nil, 10, 10},
		"the larger unless it says":     {&rules{Policies: []policy{podsPolicy(4, 60), podsPolicy(6, 60)}}, 10, nil, nil, 16, 4},
		"without policies":              {selected(most), 10, nil, nil, 10, 10},
		"without rules":                 {nil, 10, nil, nil, 10, 10},
		"some was added":                {selected(most, podsPolicy(4, 60)), 10, before(3, 59), nil, 11, 3},
		"long ago":                      {selected(most, podsPolicy(4, 60)), 10, before(3, 60), nil, 14, 6},
		"all was added":                 {selected(most, podsPolicy(4, 60)), 10, before(2, 1, 2, 30), nil, 10, 2},
		"more was added":                {selected(most, podsPolicy(4, 60)), 10, before(6, 1), nil, 10, 0},
		"some was taken":                {selected(most, podsPolicy(4, 60)), 10, nil, before(3, 59), 17, 9},
		"more was taken":                {selected(most, podsPolicy(4, 60)), 10, nil, before(6, 1), 20, 10},
		"each by its own period":        {selected(least, podsPolicy(4, 60), podsPolicy(6, 120)), 10, before(3, 90), nil, 13, 6},
		"percent of what there was":     {selected(most, percentPolicy(50, 60)), 12, before(4, 1), nil, 12, 4},
		"percent of more":               {selected(most, percentPolicy(50, 60)), 6, nil, before(2, 1), 12, 4},
	} {
		p := &history{ups: tt.ups, downs: tt.downs}
		if up, down := p.upLimit(tt.rules, tt.current, noon), p.downLimit(tt.rules, tt.current, noon); up != tt.up || down != tt.down {
			t.Errorf("%s: up to %d and down to %d, want %d and %d", name, up, down, tt.up, tt.down)
		}
	}
}

func TestStabilize(t *testing.T) {
	for name, tt := range map[string]struct {
		up, down         *int32 // windows
		recommended      []moment
		current, desired int32
		want             int32
	}{
		"up at once":                       {nil, nil, before(2, 10), 3, 9, 9},
		"down after five minutes":          {nil, nil, before(8, 299), 9, 3, 8},
		"not longer":                       {nil, nil, before(8, 300), 9, 3, 3},
		"never above the current":          {nil, nil, before(20, 10), 9, 3, 9},
		"up to the lowest":                 {ptr.To[int32](60), nil, before(5, 59, 2, 60), 3, 9, 5},
		"never below the current":          {ptr.To[int32](60), nil, before(1, 10), 3, 9, 3},
		"down by a window of its own":      {nil, ptr.To[int32](60), before(8, 59, 9, 60), 9, 3, 8},
		"down at once":                     {nil, ptr.To[int32](0), before(8, 1), 9, 3, 3},
		"between both":                     {ptr.To[int32](60), ptr.To[int32](60), before(4, 10, 8, 20), 6, 5, 6},
		"it stays where it is recommended": {nil, nil, nil, 5, 5, 5},
	} {
		p := &history{recommendations: tt.recommended}
		b := &behavior{ScaleUp: &rules{StabilizationWindowSeconds: tt.up}, ScaleDown: &rules{StabilizationWindowSeconds: tt.down}}
		if got := p.stabilize(b, tt.current, tt.desired, noon); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
		if last := p.recommendations[len(p.recommendations)-1]; last != (moment{tt.desired, noon}) {
			t.Errorf("%s: remembered is %+v, not what was recommended", name, last)
		}
	}
	p := &history{recommendations: before(8, 299)}
	if got := p.stabilize(&behavior{}, 9, 3, noon); got != 8 {
		t.Errorf("without rules: %d", got)
	}
}

func TestTheHighestOfFiveMinutes(t *testing.T) {
	p := &history{}
	p.begin(7, noon.Add(-6*time.Minute))
	p.begin(9, noon.Add(-6*time.Minute)) // it has begun
	for _, tt := range []struct {
		desired int32
		at      time.Duration
		want    int32
	}{{3, -5*time.Minute - time.Second, 7}, {4, -4 * time.Minute, 7}, {2, -time.Minute, 7}, {2, -59 * time.Second, 4}, {6, -time.Second, 6}, {1, 0, 6}, {1, 5*time.Minute - time.Second, 6}, {1, 5 * time.Minute, 1}} {
		if got := p.highest(tt.desired, noon.Add(tt.at)); got != tt.want {
			t.Errorf("%d, %s after noon: %d, want %d", tt.desired, tt.at, got, tt.want)
		}
	}
	if len(p.recommendations) > 3 {
		t.Errorf("what is too old is remembered: %+v", p.recommendations)
	}
}

// TestStabilizationIsOfTheWindows compares with what looks at everything that was ever
// recommended.
func TestStabilizationIsOfTheWindows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		up, down := rnd.Int32N(120), rnd.Int32N(120)
		b := &behavior{ScaleUp: &rules{StabilizationWindowSeconds: &up}, ScaleDown: &rules{StabilizationWindowSeconds: &down}}
		p, all, now := &history{}, []moment{}, noon
		for range 60 {
			now = now.Add(seconds(1 + rnd.Int32N(20)))
			current, desired := rnd.Int32N(20), rnd.Int32N(20)
			lowest, highest := desired, desired
			for _, m := range all {
				if now.Sub(m.at) < seconds(up) {
					lowest = min(lowest, m.replicas)
				}
				if now.Sub(m.at) < seconds(down) {
					highest = max(highest, m.replicas)
				}
			}
			all = append(all, moment{desired, now})
			want := current
			if want < lowest {
				want = lowest
			}
			if want > highest {
				want = highest
			}
			if got := p.stabilize(b, current, desired, now); got != want {
				t.Fatalf("windows of %d s and %d s: %d from %d for %d, want %d", up, down, got, current, desired, want)
			}
		}
		if oldest := p.recommendations[0].at; now.Sub(oldest) > seconds(max(up, down)) {
			t.Fatalf("remembered for %s", now.Sub(oldest))
		}
	}
}

// TestNoPolicyIsExceeded runs targets for a while: with the smallest change selected, in no
// period does a size change by more than each policy allows of what it was at its start.
func TestNoPolicyIsExceeded(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	changes := 0
	for range 300 {
		some := func() *rules {
			r := selected(least)
			for range 1 + rnd.IntN(3) {
				p := podsPolicy(1+rnd.Int32N(6), 15*(1+rnd.Int32N(6)))
				if rnd.IntN(2) == 0 {
					p = percentPolicy(1+rnd.Int32N(120), p.PeriodSeconds)
				}
				r.Policies = append(r.Policies, p)
			}
			r.StabilizationWindowSeconds = ptr.To[int32](0)
			return r
		}
		h := autoscaled(0, 100)
		h.Spec.Behavior = &behavior{ScaleUp: some(), ScaleDown: some()}
		p, size, now := &history{}, 1+rnd.Int32N(20), noon
		sizes := []moment{{size, now}}
		// was is the size right after a time.
		was := func(at time.Time) int32 {
			i := slices.IndexFunc(sizes, func(m moment) bool { return m.at.After(at) })
			if i < 0 {
				i = len(sizes)
			}
			return sizes[max(0, i-1)].replicas
		}
		for range 60 {
			now = now.Add(syncPeriod)
			desired := rnd.Int32N(60)
			got := pace(h, p, size, desired, v1Time(now))
			if got.replicas == size {
				continue
			}
			changes++
			for _, policy := range h.Spec.Behavior.ScaleUp.Policies {
				start := was(now.Add(-seconds(policy.PeriodSeconds)))
				if allowed := allowedUp(policy, start); got.replicas > size && got.replicas > allowed {
					t.Fatalf("%+v: from %d by way of %d to %d", policy, start, size, got.replicas)
				}
			}
			for _, policy := range h.Spec.Behavior.ScaleDown.Policies {
				start := was(now.Add(-seconds(policy.PeriodSeconds)))
				if allowed := allowedDown(policy, start); got.replicas < size && got.replicas < allowed {
					t.Fatalf("%+v: from %d by way of %d to %d", policy, start, size, got.replicas)
				}
			}
			p.did(h.Spec.Behavior, size, got.replicas, now)
			size = got.replicas
			sizes = append(sizes, moment{size, now})
		}
		if len(p.ups) > 7 || len(p.downs) > 7 {
			t.Fatalf("remembered are %d and %d changes", len(p.ups), len(p.downs))
		}
	}
	if changes < 1000 {
		t.Errorf("only %d changes", changes)
	}
}

func allowedUp(p policy, start int32) int32 {
	if p.Type == autoscalingv2.PodsScalingPolicy {
		return start + p.Value
	}
	return ceil(float64(start) * (1 + float64(p.Value)/100))
}

func allowedDown(p policy, start int32) int32 {
	if p.Type == autoscalingv2.PodsScalingPolicy {
		return start - p.Value
	}
	return int32(float64(start) * (1 - float64(p.Value)/100))
}

func TestWhatWasDone(t *testing.T) {
	b := &behavior{ScaleUp: selected(most, podsPolicy(1, 60), podsPolicy(1, 120)), ScaleDown: selected(most, podsPolicy(1, 30))}
	p := &history{ups: before(1, 121, 2, 120), downs: before(3, 31, 4, 30)}
	p.did(nil, 1, 9, noon)
	if len(p.ups) != 2 || len(p.downs) != 2 {
		t.Errorf("without a behavior nobody looks back: %+v", p)
	}
	p.did(b, 5, 8, noon)
	p.did(b, 8, 2, noon)
	if want := append(before(2, 120), moment{3, noon}); !slices.Equal(p.ups, want) {
		t.Errorf("ups %+v, want %+v", p.ups, want)
	}
	if want := append(before(4, 30), moment{6, noon}); !slices.Equal(p.downs, want) {
		t.Errorf("downs %+v, want %+v", p.downs, want)
	}
}

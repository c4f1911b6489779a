package podautoscaler

import (
	"errors"
	"maps"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// tolerance is by how much usage may miss its target and nothing is changed, as a share of
// the target.
type tolerance struct{ down, up float64 }

// covers says whether usage, as a share of its target, is near enough.
func (t tolerance) covers(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// calculator is what replicas are calculated from, whatever the metric.
type calculator struct {
	current   int32 // how many are asked for
	there     int32 // how many there are
	tolerance tolerance
	pods      []*corev1.Pod // of the target
	now       time.Time
}

var (
	errNoPods    = errors.New("no pods returned by selector while calculating replica count")
	errNoSamples = errors.New("did not receive metrics for targeted pods (pods might be unready)")
	errNoRequest = errors.New("no metrics returned matched known pods")
)

// byUtilization is how many replicas it takes for pods to use target percent of what they
// request. percent is what they use, and average what one of them does, in thousandths.
func (c calculator) byUtilization(seen samples, name corev1.ResourceName, container string, target int32) (replicas, percent int32, average int64, err error) {
	g, counted, err := c.group(seen, name)
	if err != nil {
		return 0, 0, 0, err
	}
	requested, err := requests(c.pods, container, name)
	if err != nil {
		return 0, 0, 0, err
	}
	percent, average, ok := utilization(counted, requested)
	if !ok {
		return 0, 0, 0, errNoRequest
	}
	ratio := func(s samples) float64 {
		percent, _, _ := utilization(s, requested)
		return float64(percent) / float64(target)
	}
	// With a target above what is requested, that is what a pod may well use.
	full := func(name string) int64 { return requested[name] * int64(max(100, target)) / 100 }
	return c.replicas(g, counted, ratio, full), percent, average, nil
}

// byAverage is how many replicas it takes for pods to use target each, in thousandths. The
// metric is a resource's, or none's ("") where name is empty.
func (c calculator) byAverage(seen samples, name corev1.ResourceName, target int64) (replicas int32, average int64, err error) {
	g, counted, err := c.group(seen, name)
	if err != nil {
		return 0, 0, err
	}
	ratio := func(s samples) float64 { return float64(mean(s)) / float64(target) }
	return c.replicas(g, counted, ratio, func(string) int64 { return target }), mean(counted), nil
}

// byValue is how many replicas it takes for a value that all of them bring about to be
// target, if it goes with their number. From none, it is how often target is in the value.
func (c calculator) byValue(value, target int64) (int32, error) {
	ratio := float64(value) / float64(target)
	switch {
	case c.current == 0:
		return ceil(ratio), nil
	case c.tolerance.covers(ratio):
		return c.current, nil
	case len(c.pods) == 0:
		return 0, errNoPods
	}
	return ceil(ratio * float64(countReady(c.pods))), nil
}

// byShare is how many replicas it takes for each to have target of a value. average is what
// each has of it now.
func (c calculator) byShare(value, target int64) (replicas int32, average int64) {
	replicas = c.there
	if !c.tolerance.covers(float64(value) / (float64(target) * float64(c.there))) {
		replicas = ceil(float64(value) / float64(target))
	}
	if c.there == 0 || value == math.MaxInt64 { // all of it, or more than can be counted
		return replicas, value
	}
	return replicas, int64(math.Ceil(float64(value) / float64(c.there)))
}

// group divides the pods, and returns the samples that count for themselves.
func (c calculator) group(seen samples, name corev1.ResourceName) (groups, samples, error) {
	if len(c.pods) == 0 {
		return groups{}, nil, errNoPods
	}
	g := groupPods(c.pods, seen, name, c.now)
	counted := g.of(seen)
	if len(counted) == 0 {
		return groups{}, nil, errNoSamples
	}
	return g, counted, nil
}

// replicas is how many it takes by the ratio of what samples say and what is wanted. What
// pods without a sample use is taken for what holds the change back: nothing where it is
// more, as much as they should (full) where it is less. So is that of pods that are not
// ready, where it is more. A change that is no longer one then, or another way, is not made.
func (c calculator) replicas(g groups, counted samples, ratio func(samples) float64, full func(pod string) int64) int32 {
	alone := ratio(counted)
	more, less := alone > 1, alone < 1
	if len(g.missing) == 0 && (len(g.unready) == 0 || !more) {
		if c.tolerance.covers(alone) {
			return c.current
		}
		return ceil(alone * float64(g.ready))
	}
	all := maps.Clone(counted)
	for _, name := range g.missing {
		switch {
		case more:
			all[name] = sample{}
		case less:
			all[name] = sample{value: full(name)}
		}
	}
	if more {
		for _, name := range g.unready {
			all[name] = sample{}
		}
	}
	together := ratio(all)
	if c.tolerance.covers(together) || less && together > 1 || more && together < 1 {
		return c.current
	}
	n := ceil(together * float64(len(all)))
	if together < 1 && n > c.current || together > 1 && n < c.current {
		return c.current
	}
	return n
}

// utilization is how much of what they request pods use, in percent, and how much one of
// them does; false where none of them requests anything.
func utilization(s samples, requested map[string]int64) (percent int32, average int64, ok bool) {
	var used, all, n int64
	for name, one := range s {
		if r, known := requested[name]; known {
			used, all, n = used+one.value, all+r, n+1
		}
	}
	if all == 0 {
		return 0, 0, false
	}
	return int32(used * 100 / all), used / n, true
}

// mean is what samples, of which there is at least one, say on average.
func mean(s samples) int64 {
	sum := int64(0)
	for _, one := range s {
		sum += one.value
	}
	return sum / int64(len(s))
}

// sum adds values up; what is more than can be counted is as much as can be.
func sum(values []int64) int64 {
	total := int64(0)
	for _, v := range values {
		if v > 0 && total > math.MaxInt64-v {
			return math.MaxInt64
		}
		total += v
	}
	return total
}

// ceil rounds up to a number of replicas.
func ceil(x float64) int32 { return int32(math.Ceil(min(max(x, 0), math.MaxInt32))) }

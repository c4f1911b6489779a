package podautoscaler

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// noon is when calculations are made.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// podsOf are pods p0, p1 … that request 1 of cpu and memory, by a letter each:
//
//	r has long been ready     p is pending     f has failed     d is deleted
//	u was never ready         w was ready once and is not now
func podsOf(states string) []*corev1.Pod {
	var out []*corev1.Pod
	for i, state := range states {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i), Namespace: "d", Labels: map[string]string{"app": "web"}}}
		one := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1")}
		p.Spec.Containers = []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{Requests: one}}}
		started := ago(time.Hour)
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &started}
		ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(50 * time.Minute)}
		switch state {
		case 'r':
		case 'p':
			p.Status.Phase = corev1.PodPending
		case 'f':
			p.Status.Phase = corev1.PodFailed
		case 'd':
			p.DeletionTimestamp = &started
		case 'u':
			ready.Status, ready.LastTransitionTime = corev1.ConditionFalse, ago(time.Hour-10*time.Second)
		case 'w':
			ready.Status = corev1.ConditionFalse
		default:
			panic(state)
		}
		p.Status.Conditions = []corev1.PodCondition{ready}
		out = append(out, p)
	}
	return out
}

// none is a pod of which there is no sample.
const none = -1

// used are samples of pods p0, p1 …
func used(values ...int64) samples {
	out := samples{}
	for i, v := range values {
		if v != none {
			out[fmt.Sprint("p", i)] = sample{value: v, at: noon, window: time.Minute}
		}
	}
	return out
}

func tenth() tolerance { return tolerance{0.1, 0.1} }

func TestByUtilization(t *testing.T) {
	for name, tt := range map[string]struct {
		current int32
		pods    string
		used    samples
		target  int32
		of      corev1.ResourceName // cpu
		want    int32
		percent int32
		average int64
		failure error
	}{
		"more":                                 {current: 3, pods: "rrr", used: used(300, 500, 700), target: 30, want: 5, percent: 50, average: 500},
		"less":                                 {current: 3, pods: "rrr", used: used(100, 200, 300), target: 30, want: 2, percent: 20, average: 200},
		"rounded up":                           {current: 3, pods: "rrr", used: used(340, 340, 340), target: 30, want: 4, percent: 34, average: 340},
		"as much as is tolerated":              {current: 3, pods: "rrr", used: used(330, 330, 330), target: 30, want: 3, percent: 33, average: 330},
		"as little as is tolerated":            {current: 20, pods: "rrr", used: used(270, 270, 270), target: 30, want: 20, percent: 27, average: 270},
		"less than that":                       {current: 20, pods: "rrr", used: used(260, 260, 260), target: 30, want: 3, percent: 26, average: 260},
		"of the ready, not of the current":     {current: 9, pods: "rr", used: used(600, 600), target: 30, want: 4, percent: 60, average: 600},
		"ended pods count for nothing":         {current: 2, pods: "rrfd", used: used(600, 600, 5000, 5000), target: 30, want: 4, percent: 60, average: 600},
		"more, one is not ready":               {current: 3, pods: "urr", used: used(300, 500, 700), target: 30, want: 4, percent: 60, average: 600},
		"more, one was ready":                  {current: 3, pods: "wrr", used: used(300, 500, 700), target: 30, want: 5, percent: 50, average: 500},
		"more memory, one is not ready":        {current: 3, pods: "urr", used: used(300, 500, 700), of: corev1.ResourceMemory, target: 30, want: 5, percent: 50, average: 500},
		"more memory, one is pending":          {current: 3, pods: "prr", used: used(none, 600, 600), of: corev1.ResourceMemory, target: 30, want: 4, percent: 60, average: 600},
		"more, a pending one with a sample":    {current: 3, pods: "prr", used: used(9000, 600, 600), target: 30, want: 4, percent: 60, average: 600},
		"less, one is not ready":               {current: 3, pods: "urr", used: used(900, 100, 100), target: 50, want: 1, percent: 10, average: 100},
		"enough, one is not ready":             {current: 3, pods: "urr", used: used(300, 310, 310), target: 30, want: 3, percent: 31, average: 310},
		"more, one is not known":               {current: 3, pods: "rrr", used: used(900, 900, none), target: 30, want: 6, percent: 90, average: 900},
		"more, but not with who is not known":  {current: 3, pods: "rrr", used: used(900, none, none), target: 30, want: 3, percent: 90, average: 900},
		"more, less with who is not known":     {current: 3, pods: "rrr", used: used(400, none, none), target: 30, want: 3, percent: 40, average: 400},
		"less, one is not known":               {current: 4, pods: "rrrr", used: used(100, 100, 100, none), target: 50, want: 3, percent: 10, average: 100},
		"less, more with who is not known":     {current: 2, pods: "rr", used: used(40, none), target: 40, want: 2, percent: 4, average: 40},
		"less of more than is requested":       {current: 4, pods: "rrrr", used: used(100, 100, 100, none), target: 200, want: 2, percent: 10, average: 100},
		"just right, one is not known":         {current: 2, pods: "rr", used: used(500, none), target: 50, want: 2, percent: 50, average: 500},
		"less, but more than is asked for":     {current: 1, pods: "rrrr", used: used(100, 100, 100, none), target: 50, want: 1, percent: 10, average: 100},
		"more, but less than is asked for":     {current: 10, pods: "rrr", used: used(900, 900, none), target: 30, want: 10, percent: 90, average: 900},
		"more, not ready and not known":        {current: 4, pods: "urrr", used: used(500, 900, 900, none), target: 30, want: 6, percent: 90, average: 900},
		"less, not ready and not known":        {current: 5, pods: "urrrr", used: used(500, 100, 100, 100, none), target: 50, want: 3, percent: 10, average: 100},
		"a stranger's sample is not of theirs": {current: 2, pods: "rr", used: used(600, 600, 9000), target: 30, want: 4, percent: 60, average: 600},
		"nobody":                               {current: 2, used: used(600), target: 30, failure: errNoPods},
		"nobody is known":                      {current: 2, pods: "rr", used: used(), target: 30, failure: errNoSamples},
		"nobody is ready":                      {current: 2, pods: "pu", used: used(500, 500), target: 30, failure: errNoSamples},
		"strangers only":                       {current: 1, pods: "r", used: samples{"x": {value: 100}}, target: 30, failure: errNoRequest},
	} {
		t.Run(name, func(t *testing.T) {
			of := tt.of
			if of == "" {
				of = corev1.ResourceCPU
			}
			c := calculator{current: tt.current, tolerance: tenth(), pods: podsOf(tt.pods), now: noon}
			got, percent, average, err := c.byUtilization(tt.used, of, "", tt.target)
			if got != tt.want || percent != tt.percent || average != tt.average || !errors.Is(err, tt.failure) {
				t.Errorf("%d at %d%% (%d each), %v; want %d at %d%% (%d each), %v", got, percent, average, err, tt.want, tt.percent, tt.average, tt.failure)
			}
		})
	}
}

func TestByAverage(t *testing.T) {
	for name, tt := range map[string]struct {
		current int32
		pods    string
		used    samples
		want    int32
		average int64
		failure error
	}{
		"more":                             {3, "rrr", used(3000, 5000, 7000), 5, 5000, nil},
		"less":                             {3, "rrr", used(1000, 2000, 3000), 2, 2000, nil},
		"enough":                           {3, "rrr", used(3200, 3200, 3200), 3, 3200, nil},
		"more, one is pending":             {3, "rrp", used(6000, 6000, none), 4, 6000, nil},
		"any may be unready":               {3, "urr", used(3000, 5000, 7000), 5, 5000, nil},
		"more, one is not known":           {3, "rrr", used(9000, 9000, none), 6, 9000, nil},
		"more, less with who is not known": {3, "rrr", used(4000, none, none), 3, 4000, nil},
		"less, one is not known":           {4, "rrrr", used(600, 600, 600, none), 2, 600, nil},
		"less, one takes what it should":   {4, "rrrr", used(1500, 1500, none, none), 3, 1500, nil},
		"ended ones":                       {2, "rrfd", used(6000, 6000, 9000, 9000), 4, 6000, nil},
		"nobody":                           {2, "", used(6000), 0, 0, errNoPods},
		"nobody is known":                  {2, "rr", used(), 0, 0, errNoSamples},
	} {
		c := calculator{current: tt.current, tolerance: tenth(), pods: podsOf(tt.pods), now: noon}
		got, average, err := c.byAverage(tt.used, "", 3000)
		if got != tt.want || average != tt.average || !errors.Is(err, tt.failure) {
			t.Errorf("%s: %d (%d each), %v; want %d (%d each), %v", name, got, average, err, tt.want, tt.average, tt.failure)
		}
	}
	// Of CPU, what pods use that start does not count.
	c := calculator{current: 3, tolerance: tenth(), pods: podsOf("urr"), now: noon}
	if got, average, err := c.byAverage(used(3000, 5000, 7000), corev1.ResourceCPU, 3000); got != 4 || average != 6000 || err != nil {
		t.Errorf("of CPU: %d (%d each), %v", got, average, err)
	}
}

// TestAChangeIsNotTurned: whatever is not known of pods holds a change back, and never makes
// it another way; usage that is just right changes nothing.
func TestAChangeIsNotTurned(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	held := 0
	for range 20000 {
		states, values := make([]byte, 1+rnd.IntN(8)), []int64{}
		for i := range states {
			states[i] = "rrrrpufd"[rnd.IntN(8)]
			values = append(values, []int64{none, rnd.Int64N(200), rnd.Int64N(2000)}[rnd.IntN(3)])
		}
		target := 1 + rnd.Int32N(150)
		c := calculator{current: 1 + rnd.Int32N(10), tolerance: tenth(), pods: podsOf(string(states)), now: noon}
		got, percent, _, err := c.byUtilization(used(values...), corev1.ResourceCPU, "", target)
		if err != nil {
			continue
		}
		g := groupPods(c.pods, used(values...), corev1.ResourceCPU, noon)
		all := len(g.missing) == 0 && (len(g.unready) == 0 || percent <= target)
		switch {
		case percent == target && got != c.current:
			t.Fatalf("%s %v: %d%% is just right and makes %d of %d", states, values, target, got, c.current)
		case all:
			if want := ceil(float64(percent) / float64(target) * float64(g.ready)); got != want && got != c.current {
				t.Fatalf("%s %v at %d%%: %d, want %d", states, values, target, got, want)
			}
		case percent > target && got < c.current, percent < target && got > c.current:
			t.Fatalf("%s %v: %d%% where %d%% are wanted makes %d of %d", states, values, percent, target, got, c.current)
		default:
			held++
			// Never more than it would be without those that hold it back.
			alone := float64(percent) / float64(target) * float64(len(states))
			if percent > target && float64(got) > max(math.Ceil(alone), float64(c.current)) {
				t.Fatalf("%s %v: %d%% where %d%% are wanted makes %d of %d", states, values, percent, target, got, c.current)
			}
		}
	}
	if held < 1000 {
		t.Errorf("only %d were held back", held)
	}
}

func TestByValue(t *testing.T) {
	for name, tt := range map[string]struct {
		current       int32
		pods          string
		value, target int64
		want          int32
		failure       error
	}{
		"more":                      {3, "rrr", 20, 12, 5, nil},
		"less":                      {3, "rrr", 6, 12, 2, nil},
		"enough":                    {9, "rrr", 13, 12, 9, nil},
		"of those that are ready":   {9, "rrwpfu", 24, 12, 4, nil},
		"of none, some":             {0, "", 25, 12, 3, nil},
		"of none, a little":         {0, "", 1, 12, 1, nil},
		"of none, none":             {0, "", 0, 12, 0, nil},
		"of none, what is near one": {0, "", 13, 12, 2, nil},
		"nothing":                   {3, "rrr", 0, 12, 0, nil},
		"more than there can be":    {3, "rrr", math.MaxInt64, 1, math.MaxInt32, nil},
		"nobody":                    {3, "", 20, 12, 0, errNoPods},
		"nobody, and enough":        {3, "", 12, 12, 3, nil},
	} {
		c := calculator{current: tt.current, there: 77, tolerance: tenth(), pods: podsOf(tt.pods), now: noon}
		got, err := c.byValue(tt.value, tt.target)
		if got != tt.want || !errors.Is(err, tt.failure) {
			t.Errorf("%s: %d, %v; want %d", name, got, err, tt.want)
		}
	}
	pending := podsOf("rr")
	pending[0].Status.Phase = corev1.PodPending // ready, as its condition still says
	if got, err := (calculator{current: 2, tolerance: tenth(), pods: pending}).byValue(30, 10); got != 3 || err != nil {
		t.Errorf("of one that runs: %d, %v", got, err)
	}
}

func TestByShare(t *testing.T) {
	for name, tt := range map[string]struct {
		there         int32
		value, target int64
		want          int32
		average       int64
	}{
		"more":                   {3, 50000, 10000, 5, 16667},
		"less":                   {5, 21000, 10000, 3, 4200},
		"enough":                 {3, 32999, 10000, 3, 11000},
		"too much":               {3, 33100, 10000, 4, 11034},
		"nothing":                {3, 0, 10000, 0, 0},
		"of none, some":          {0, 25000, 10000, 3, 25000},
		"of none, none":          {0, 0, 10000, 0, 0},
		"more than can be told":  {3, math.MaxInt64, 10000, math.MaxInt32, math.MaxInt64},
		"more than there can be": {2, math.MaxInt64 / 2, 1, math.MaxInt32, 1 << 61},
	} {
		c := calculator{current: 77, there: tt.there, tolerance: tenth()}
		if got, average := c.byShare(tt.value, tt.target); got != tt.want || average != tt.average {
			t.Errorf("%s: %d (%d each), want %d (%d each)", name, got, average, tt.want, tt.average)
		}
	}
}

func TestTolerances(t *testing.T) {
	c := calculator{current: 3, pods: podsOf("rrr"), now: noon}
	for _, tt := range []struct {
		tolerance tolerance
		value     int64
		want      int32
	}{
		{tolerance{0.2, 0.05}, 104, 3}, {tolerance{0.2, 0.05}, 106, 4}, {tolerance{0.2, 0.05}, 80, 3}, {tolerance{0.5, 0.05}, 60, 3}, {tolerance{0.2, 0.05}, 60, 2},
		{tolerance{}, 100, 3}, {tolerance{}, 101, 4}, {tolerance{0, 0.5}, 66, 2},
	} {
		c.tolerance = tt.tolerance
		if got, err := c.byValue(tt.value, 100); got != tt.want || err != nil {
			t.Errorf("%+v, %d: %d, %v, want %d", tt.tolerance, tt.value, got, err, tt.want)
		}
	}
}

func TestSum(t *testing.T) {
	for _, tt := range []struct {
		values []int64
		want   int64
	}{{nil, 0}, {[]int64{1, 2, 3}, 6}, {[]int64{5, -7}, -2}, {[]int64{math.MaxInt64, 1}, math.MaxInt64}, {[]int64{math.MaxInt64 - 1, 1, 0}, math.MaxInt64}, {[]int64{math.MaxInt64 - 1, 2, -9}, math.MaxInt64}} {
		if got := sum(tt.values); got != tt.want {
			t.Errorf("%v: %d", tt.values, got)
		}
	}
}

// TestWhoseSamplesCount: pods that start are left out, until they have been ready for the
// whole of a sample.
func TestWhoseSamplesCount(t *testing.T) {
	const unready, ready = corev1.ConditionFalse, corev1.ConditionTrue
	for name, tt := range map[string]struct {
		started, since time.Duration // ago
		status         corev1.ConditionStatus
		window         time.Duration
		sampled        time.Duration // ago
		starts         bool
	}{
		"long ready":                               {time.Hour, 50 * time.Minute, ready, time.Minute, 0, false},
		"new and ready for a sample":               {2 * time.Minute, time.Minute, ready, time.Minute, 0, false},
		"new and ready for less":                   {2 * time.Minute, 59 * time.Second, ready, time.Minute, 0, true},
		"new, with an old sample":                  {4 * time.Minute, 2 * time.Minute, ready, time.Minute, 61 * time.Second, true},
		"new and not ready":                        {4 * time.Minute, 3 * time.Minute, unready, time.Second, 0, true},
		"at the end of its beginning":              {5 * time.Minute, time.Second, ready, time.Minute, 0, false},
		"just before":                              {5*time.Minute - time.Second, time.Second, ready, time.Minute, 0, true},
		"never ready":                              {time.Hour, time.Hour, unready, time.Minute, 0, true},
		"ready for less than the delay":            {time.Hour, time.Hour - 29*time.Second, unready, time.Minute, 0, true},
		"ready for as long as the delay":           {time.Hour, time.Hour - 30*time.Second, unready, time.Minute, 0, false},
		"was ready":                                {time.Hour, time.Minute, unready, time.Minute, 0, false},
		"old, and ready within the delay at first": {time.Hour, time.Hour - 10*time.Second, ready, time.Minute, 0, false},
	} {
		started := ago(tt.started)
		p := &corev1.Pod{Status: corev1.PodStatus{StartTime: &started, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: tt.status, LastTransitionTime: ago(tt.since)}}}}
		if got := starts(p, sample{at: noon.Add(-tt.sampled), window: tt.window}, noon); got != tt.starts {
			t.Errorf("%s: %v", name, got)
		}
	}
	p := podsOf("r")[0]
	p.Status.StartTime = nil
	if !starts(p, sample{at: noon}, noon) {
		t.Error("one that has not started")
	}
	p = podsOf("r")[0]
	p.Status.Conditions[0].Type = corev1.ContainersReady
	if !starts(p, sample{at: noon}, noon) {
		t.Error("one of which it is not known whether it is ready")
	}
}

func TestRequests(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	of := func(name, cpu string) corev1.Container {
		c := corev1.Container{Name: name}
		if cpu != "" {
			c.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
		}
		return c
	}
	sidecar := func(c corev1.Container) corev1.Container { c.RestartPolicy = &always; return c }
	pod := func(init []corev1.Container, main ...corev1.Container) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{InitContainers: init, Containers: main}}
	}
	whole := func(p *corev1.Pod, name corev1.ResourceName, q string) *corev1.Pod {
		p.Spec.Resources = &corev1.ResourceRequirements{Requests: corev1.ResourceList{name: resource.MustParse(q)}}
		return p
	}
	init := []corev1.Container{of("setup", ""), sidecar(of("proxy", "50m"))}
	for name, tt := range map[string]struct {
		pod       *corev1.Pod
		container string
		want      int64
		failure   string
	}{
		"all":                          {pod(nil, of("a", "100m"), of("b", "20m")), "", 120, ""},
		"one":                          {pod(nil, of("a", "100m"), of("b", "20m")), "b", 20, ""},
		"sidecars too":                 {pod(init, of("a", "100m")), "", 150, ""},
		"a sidecar":                    {pod(init, of("a", "")), "proxy", 50, ""},
		"one that only starts":         {pod(init, of("a", "100m")), "setup", 0, "container setup not found in Pod p"},
		"nobody's":                     {pod(nil, of("a", "100m")), "z", 0, "container z not found in Pod p"},
		"without one":                  {pod(nil, of("a", "100m"), of("b", "")), "", 0, "missing request for cpu in container b of Pod p"},
		"the first without":            {pod([]corev1.Container{sidecar(of("s", ""))}, of("a", "")), "", 0, "missing request for cpu in container a of Pod p"},
		"a sidecar without":            {pod([]corev1.Container{sidecar(of("s", ""))}, of("a", "1")), "", 0, "missing request for cpu in container s of Pod p"},
		"others without":               {pod(nil, of("a", "100m"), of("b", "")), "a", 100, ""},
		"the named one without":        {pod(nil, of("a", "100m"), of("b", "")), "b", 0, "missing request for cpu in container b of Pod p"},
		"the pod's own":                {whole(pod(nil, of("a", "100m")), corev1.ResourceCPU, "2"), "", 2000, ""},
		"a container before the pod":   {whole(pod(nil, of("a", "100m")), corev1.ResourceCPU, "2"), "a", 100, ""},
		"the pod's, of another":        {whole(pod(nil, of("a", "")), corev1.ResourceMemory, "2"), "", 0, "missing pod-level request for cpu in Pod p"},
		"the pod's, and a container's": {whole(pod(nil, of("a", "100m")), corev1.ResourceMemory, "2"), "", 100, ""},
	} {
		got, err := requests([]*corev1.Pod{tt.pod}, tt.container, corev1.ResourceCPU)
		if got["p"] != tt.want || (err == nil) != (tt.failure == "") || err != nil && !strings.Contains(err.Error(), tt.failure) {
			t.Errorf("%s: %v, %v; want %d, %s", name, got, err, tt.want, tt.failure)
		}
	}
}

package podautoscaler

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func v1Time(t time.Time) metav1.Time { return metav1.NewTime(t) }

// autoscaled scales Deployment web in namespace d by CPU.
func autoscaled(least, most int32, more ...autoscalingv2.MetricSpec) *hpa {
	h := &hpa{ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: "web", UID: "u", Generation: 3}}
	h.Spec = autoscalingv2.HorizontalPodAutoscalerSpec{
		MinReplicas: &least, MaxReplicas: most,
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		Metrics:        append([]autoscalingv2.MetricSpec{cpuOf(30)}, more...),
	}
	return h
}

func cpuOf(percent int32) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
		Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &percent},
	}}
}

func queueOf(each string) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: "queue"},
		Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: ptr.To(resource.MustParse(each))},
	}}
}

func rateOf(value string) autoscalingv2.MetricSpec {
	return autoscalingv2.MetricSpec{Type: autoscalingv2.ObjectMetricSourceType, Object: &autoscalingv2.ObjectMetricSource{
		DescribedObject: autoscalingv2.CrossVersionObjectReference{Kind: "Service", Name: "s"}, Metric: autoscalingv2.MetricIdentifier{Name: "rate"},
		Target: autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: ptr.To(resource.MustParse(value))},
	}}
}

// zeroed is scaled to nothing, by the controller where it says so.
func zeroed(h *hpa, status corev1.ConditionStatus) *hpa {
	set(h, autoscalingv2.ScaledToZero, status, "R", "", v1Time(noon))
	return h
}

func said(h *hpa) []string {
	var out []string
	for _, c := range h.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return out
}

const isDisabled = "ScalingActive=False ScalingDisabled: scaling is disabled since the replica count of the target is zero"

func TestPlanWithoutMetrics(t *testing.T) {
	above, below := "Current number of replicas above Spec.MaxReplicas", "Current number of replicas below Spec.MinReplicas"
	unbounded := autoscaled(1, 5)
	unbounded.Spec.MinReplicas = nil
	for name, tt := range map[string]struct {
		h       *hpa
		current int32
		want    plan
		known   bool
		off     bool
	}{
		"within":                             {autoscaled(2, 5), 3, plan{}, false, false},
		"the least":                          {autoscaled(2, 5), 2, plan{}, false, false},
		"the most":                           {autoscaled(2, 5), 5, plan{}, false, false},
		"above":                              {autoscaled(2, 5), 6, plan{5, true, above}, true, false},
		"below":                              {autoscaled(2, 5), 1, plan{2, true, below}, true, false},
		"one, which is the least":            {unbounded, 1, plan{}, false, false},
		"switched off":                       {autoscaled(2, 5), 0, plan{}, true, true},
		"switched off, though zero may be":   {autoscaled(0, 5, queueOf("1")), 0, plan{}, true, true},
		"switched off since":                 {zeroed(autoscaled(0, 5, queueOf("1")), corev1.ConditionFalse), 0, plan{}, true, true},
		"scaled to zero":                     {zeroed(autoscaled(0, 5, queueOf("1")), corev1.ConditionTrue), 0, plan{}, false, false},
		"scaled to zero, by an object":       {zeroed(autoscaled(0, 5, rateOf("1")), corev1.ConditionTrue), 0, plan{}, false, false},
		"scaled to zero, by what is no more": {zeroed(autoscaled(0, 5), corev1.ConditionTrue), 0, plan{}, true, true},
		"scaled to zero, one is the least":   {zeroed(autoscaled(1, 5), corev1.ConditionTrue), 0, plan{}, false, false},
	} {
		got, known := planWithoutMetrics(tt.h, tt.current, v1Time(noon))
		if got != tt.want || known != tt.known || slices.Contains(said(tt.h), isDisabled) != tt.off {
			t.Errorf("%s: %+v, %v, %q", name, got, known, said(tt.h))
		}
	}
}

func TestMarkZero(t *testing.T) {
	const yes, no = "ScaledToZero=True ScaledToZero: the HPA controller scaled the workload to zero", "ScaledToZero=False NotScaledToZero: the HPA controller did not scale the workload to zero"
	for name, tt := range map[string]struct {
		h        *hpa
		from, to int32
		want     string
	}{
		"to zero":                    {autoscaled(0, 5, queueOf("1")), 1, 0, yes},
		"to zero, by an object":      {autoscaled(0, 5, rateOf("1")), 3, 0, yes},
		"to one":                     {autoscaled(0, 5, queueOf("1")), 2, 1, no},
		"from zero":                  {zeroed(autoscaled(0, 5, queueOf("1")), corev1.ConditionTrue), 0, 2, no},
		"what may not be zero":       {autoscaled(1, 5, queueOf("1")), 1, 0, no},
		"by what goes with the pods": {autoscaled(0, 5), 1, 0, no},
	} {
		if markZero(tt.h, tt.from, tt.to, v1Time(noon)); !slices.Equal(said(tt.h), []string{tt.want}) {
			t.Errorf("%s: %q", name, said(tt.h))
		}
	}
}

func TestWeigh(t *testing.T) {
	ok := func(n int32, name string) proposal {
		return proposal{replicas: n, metric: name, status: autoscalingv2.MetricStatus{Type: autoscalingv2.MetricSourceType(name)}}
	}
	bad := func(reason string) proposal {
		return proposal{failure: &failure{reason, errors.New("no " + reason), errors.New("all of no " + reason)}}
	}
	const valid = "ScalingActive=True ValidMetricFound: the HPA was able to successfully calculate a replica count from "
	const unable = "ScalingActive=False R1: the HPA was unable to compute the replica count: no R1"
	for name, tt := range map[string]struct {
		of       []proposal
		replicas int32
		usable   bool
		failure  string
		says     string
	}{
		"one":                         {[]proposal{ok(5, "a")}, 5, true, "", valid + "a"},
		"the largest":                 {[]proposal{ok(2, "a"), ok(5, "b"), ok(3, "c")}, 5, true, "", valid + "b"},
		"the first of equals":         {[]proposal{ok(5, "a"), ok(5, "b")}, 5, true, "", valid + "a"},
		"none":                        {[]proposal{ok(0, "a")}, 0, true, "", valid + "a"},
		"more than none":              {[]proposal{ok(0, "a"), ok(1, "b")}, 1, true, "", valid + "b"},
		"all fail":                    {[]proposal{bad("R1"), bad("R2")}, 0, false, "invalid metrics (2 invalid out of 2), first error is: all of no R1", unable},
		"one fails, others want more": {[]proposal{bad("R1"), ok(5, "b")}, 5, true, "invalid metrics (1 invalid out of 2), first error is: all of no R1", valid + "b"},
		"one fails, others want less": {[]proposal{ok(3, "a"), bad("R1")}, 3, false, "invalid metrics (1 invalid out of 2), first error is: all of no R1", unable},
		"one fails, others the same":  {[]proposal{ok(4, "a"), bad("R1")}, 4, true, "invalid metrics (1 invalid out of 2), first error is: all of no R1", valid + "a"},
		"two fail":                    {[]proposal{bad("R1"), ok(6, "b"), bad("R2")}, 6, true, "invalid metrics (2 invalid out of 3), first error is: all of no R1", valid + "b"},
	} {
		h := autoscaled(1, 9)
		a := weigh(h, 4, tt.of, v1Time(noon))
		failure := ""
		if a.err != nil {
			failure = a.err.Error()
		}
		if a.replicas != tt.replicas || a.usable != tt.usable || failure != tt.failure || !slices.Equal(said(h), []string{tt.says}) {
			t.Errorf("%s: %+v, %q", name, a, said(h))
		}
		for i, p := range tt.of {
			if len(a.metrics) != len(tt.of) || a.metrics[i].Type != p.status.Type {
				t.Errorf("%s: metrics %+v", name, a.metrics)
			}
		}
	}
}

const (
	readyToScale = "AbleToScale=True ReadyForNewScale: recommended size matches current size"
	downStable   = "AbleToScale=True ScaleDownStabilized: recent recommendations were higher than current one, applying the highest recent recommendation"
	upStable     = "AbleToScale=True ScaleUpStabilized: recent recommendations were lower than current one, applying the lowest recent recommendation"
	inRange      = "ScalingLimited=False DesiredWithinRange: the desired count is within the acceptable range"
	isTooMany    = "ScalingLimited=True TooManyReplicas: the desired replica count is more than the maximum replica count"
	isTooFew     = "ScalingLimited=True TooFewReplicas: the desired replica count is less than the minimum replica count"
	isTooFast    = "ScalingLimited=True ScaleUpLimit: the desired replica count is increasing faster than the maximum scale rate"
	isTooFastDn  = "ScalingLimited=True ScaleDownLimit: the desired replica count is decreasing faster than the maximum scale rate"
)

func TestPlanByMetrics(t *testing.T) {
	paced := &behavior{
		ScaleUp:   &rules{StabilizationWindowSeconds: ptr.To[int32](60), SelectPolicy: ptr.To(most), Policies: []policy{podsPolicy(3, 60)}},
		ScaleDown: &rules{StabilizationWindowSeconds: ptr.To[int32](60), SelectPolicy: ptr.To(most), Policies: []policy{podsPolicy(2, 60)}},
	}
	for name, tt := range map[string]struct {
		least, most      int32
		behavior         *behavior
		past             history
		current, desired int32
		want             plan
		says             []string
	}{
		"more":                          {2, 20, nil, history{}, 5, 9, plan{9, true, "m above target"}, []string{readyToScale, inRange}},
		"less":                          {2, 20, nil, history{}, 5, 3, plan{3, true, "All metrics below target"}, []string{readyToScale, inRange}},
		"the same":                      {2, 20, nil, history{}, 5, 5, plan{5, false, ""}, []string{readyToScale, inRange}},
		"the least":                     {2, 20, nil, history{}, 5, 2, plan{2, true, "All metrics below target"}, []string{readyToScale, inRange}},
		"less than the least":           {2, 20, nil, history{}, 5, 1, plan{2, true, "All metrics below target"}, []string{readyToScale, isTooFew}},
		"the most":                      {2, 8, nil, history{}, 5, 8, plan{8, true, "m above target"}, []string{readyToScale, inRange}},
		"more than the most":            {2, 8, nil, history{}, 5, 9, plan{8, true, "m above target"}, []string{readyToScale, isTooMany}},
		"twice":                         {2, 20, nil, history{}, 5, 10, plan{10, true, "m above target"}, []string{readyToScale, inRange}},
		"more than twice":               {2, 20, nil, history{}, 5, 11, plan{10, true, "m above target"}, []string{readyToScale, isTooFast}},
		"more than twice, and the most": {2, 10, nil, history{}, 5, 11, plan{10, true, "m above target"}, []string{readyToScale, isTooMany}},
		"four, of one":                  {1, 20, nil, history{}, 1, 5, plan{4, true, "m above target"}, []string{readyToScale, isTooFast}},
		"it was more":                   {2, 20, nil, history{recommendations: before(4, 100)}, 5, 3, plan{4, true, "All metrics below target"}, []string{downStable, inRange}},
		"it was as much":                {2, 20, nil, history{recommendations: before(5, 100)}, 5, 3, plan{5, false, "All metrics below target"}, []string{downStable, inRange}},
		"it was more than there is":     {2, 20, nil, history{recommendations: before(7, 100)}, 5, 5, plan{7, true, ""}, []string{downStable, inRange}},
		"as fast as may be":             {2, 20, paced, history{}, 5, 8, plan{8, true, "m above target"}, []string{readyToScale, inRange}},
		"too fast":                      {2, 20, paced, history{}, 5, 9, plan{8, true, "m above target"}, []string{readyToScale, isTooFast}},
		"too fast, and the most":        {2, 8, paced, history{}, 5, 9, plan{8, true, "m above target"}, []string{readyToScale, isTooMany}},
		"too many":                      {2, 7, paced, history{}, 5, 9, plan{7, true, "m above target"}, []string{readyToScale, isTooMany}},
		"fast enough":                   {2, 20, paced, history{ups: before(3, 30)}, 5, 9, plan{5, false, "m above target"}, []string{readyToScale, isTooFast}},
		"down":                          {2, 20, paced, history{}, 5, 3, plan{3, true, "All metrics below target"}, []string{readyToScale, inRange}},
		"down too fast":                 {2, 20, paced, history{}, 5, 2, plan{3, true, "All metrics below target"}, []string{readyToScale, isTooFastDn}},
		"down to the least":             {3, 20, paced, history{}, 5, 2, plan{3, true, "All metrics below target"}, []string{readyToScale, isTooFew}},
		"down to less than the least":   {4, 20, paced, history{}, 5, 2, plan{4, true, "All metrics below target"}, []string{readyToScale, isTooFew}},
		"down fast enough":              {2, 20, paced, history{downs: before(2, 30)}, 5, 2, plan{5, false, "All metrics below target"}, []string{readyToScale, isTooFastDn}},
		"up, it was less":               {2, 20, paced, history{recommendations: before(6, 30)}, 5, 8, plan{6, true, "m above target"}, []string{upStable, inRange}},
		"down, it was more":             {2, 20, paced, history{recommendations: before(4, 30)}, 5, 2, plan{4, true, "All metrics below target"}, []string{downStable, inRange}},
		"the same, it was less":         {2, 20, paced, history{recommendations: before(4, 30)}, 5, 5, plan{5, false, ""}, []string{readyToScale, inRange}},
		"to zero":                       {0, 20, nil, history{}, 1, 0, plan{0, true, "All metrics below target"}, []string{readyToScale, inRange}},
		"from zero":                     {0, 20, nil, history{}, 0, 3, plan{3, true, "m above target"}, []string{readyToScale, inRange}},
		"from zero too fast":            {0, 20, nil, history{}, 0, 9, plan{4, true, "m above target"}, []string{readyToScale, isTooFast}},
		"from zero to the least":        {6, 20, nil, history{}, 0, 9, plan{6, true, "m above target"}, []string{readyToScale, isTooFast}},
		"nothing, one is the least":     {1, 20, paced, history{}, 0, 0, plan{1, true, belowMin}, []string{readyToScale, inRange}},
		"nothing":                       {0, 20, paced, history{}, 0, 0, plan{0, false, ""}, []string{readyToScale, inRange}},
	} {
		h := autoscaled(tt.least, tt.most)
		h.Spec.Behavior = tt.behavior
		got := planByMetrics(h, &tt.past, tt.current, advice{replicas: tt.desired, metric: "m", usable: true}, v1Time(noon))
		if got != tt.want || !slices.Equal(said(h), tt.says) {
			t.Errorf("%s: %+v, %q; want %+v, %q", name, got, said(h), tt.want, tt.says)
		}
	}
}

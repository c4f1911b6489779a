package admission

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	clocktesting "k8s.io/utils/clock/testing"
)

// amounts reads "cpu=1 memory=64Mi".
func amounts(t *testing.T, s string) corev1.ResourceList {
	t.Helper()
	var out corev1.ResourceList
	for _, f := range strings.Fields(s) {
		name, q, _ := strings.Cut(f, "=")
		if out == nil {
			out = corev1.ResourceList{}
		}
		out[corev1.ResourceName(name)] = resource.MustParse(q)
	}
	return out
}

func takes(t *testing.T, requests, limits string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: amounts(t, requests), Limits: amounts(t, limits)}
}

func limitRange(name string, items ...corev1.LimitRangeItem) *corev1.LimitRange {
	return &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Spec: corev1.LimitRangeSpec{Limits: items}}
}

func ranger(list ...*corev1.LimitRange) *LimitRanger {
	return &LimitRanger{Limits: func(_ context.Context, ns string) ([]*corev1.LimitRange, error) {
		if ns != "team" {
			return nil, nil
		}
		return list, nil
	}}
}

func TestLimitRangerDefaults(t *testing.T) {
	item := func(request, limit string) corev1.LimitRangeItem {
		return corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, DefaultRequest: amounts(t, request), Default: amounts(t, limit)}
	}
	p := pod(corev1.PodSpec{
		Containers: []corev1.Container{
			{Name: "none"},
			{Name: "some", Resources: takes(t, "cpu=50m", "memory=32Mi")},
			{Name: "all", Resources: takes(t, "cpu=1 memory=1", "cpu=1 memory=1 example.com/gpu=1")},
		},
		InitContainers: []corev1.Container{{Name: "first", Resources: takes(t, "memory=1Mi", "")}},
	})
	r := ranger(
		limitRange("b", item("cpu=7", "example.com/gpu=1")),
		limitRange("a", item("cpu=20m memory=16Mi", "cpu=200m memory=64Mi"), corev1.LimitRangeItem{Type: corev1.LimitTypePod, Max: amounts(t, "cpu=9")}),
	)
	if err := r.Admit(t.Context(), creation(t, p), nil); err != nil {
		t.Fatal(err)
	}
	want := pod(corev1.PodSpec{
		Containers: []corev1.Container{
			{Name: "none", Resources: takes(t, "cpu=20m memory=16Mi", "cpu=200m memory=64Mi example.com/gpu=1")},
			{Name: "some", Resources: takes(t, "cpu=50m memory=16Mi", "cpu=200m memory=32Mi example.com/gpu=1")},
			{Name: "all", Resources: takes(t, "cpu=1 memory=1", "cpu=1 memory=1 example.com/gpu=1")},
		},
		InitContainers: []corev1.Container{{Name: "first", Resources: takes(t, "cpu=20m memory=1Mi", "cpu=200m memory=64Mi example.com/gpu=1")}},
	})
	if !reflect.DeepEqual(p.Spec, want.Spec) {
		t.Errorf("%+v", p.Spec)
	}
	// The last range that gave something is the one told of, as upstream has it.
	if got := p.Annotations[limitRangerAnnotation]; got != "LimitRanger plugin set: example.com/gpu limit for container none; example.com/gpu limit for container some; example.com/gpu limit for init container first" {
		t.Error(got)
	}
	one := pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}})
	if err := ranger(limitRange("a", item("memory=1 cpu=1", "cpu=2"))).Admit(t.Context(), creation(t, one), nil); err != nil {
		t.Fatal(err)
	}
	if got := one.Annotations[limitRangerAnnotation]; got != "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c" {
		t.Error(got)
	}
	untouched := pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}})
	if err := ranger().Admit(t.Context(), creation(t, untouched), nil); err != nil || !reflect.DeepEqual(untouched, pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}})) {
		t.Errorf("%v %+v", err, untouched)
	}
}

func TestLimitRangerBounds(t *testing.T) {
	type bounds = corev1.LimitRangeItem
	container := func(min, max, ratio string) bounds {
		return bounds{Type: corev1.LimitTypeContainer, Min: amounts(t, min), Max: amounts(t, max), MaxLimitRequestRatio: amounts(t, ratio)}
	}
	whole := func(b bounds) bounds { b.Type = corev1.LimitTypePod; return b }
	one := func(requests, limits string) corev1.PodSpec {
		return corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: takes(t, requests, limits)}}}
	}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := one("cpu=1", "cpu=1")
	sidecar.InitContainers = []corev1.Container{{Name: "s", RestartPolicy: &always, Resources: takes(t, "cpu=1", "cpu=1")}}
	first := one("cpu=1", "cpu=1")
	first.InitContainers = []corev1.Container{{Name: "i", Resources: takes(t, "cpu=1", "cpu=3")}}
	own := one("", "")
	requirements := takes(t, "cpu=2", "cpu=2")
	own.Resources = &requirements
	overhead := one("cpu=1", "cpu=1")
	overhead.Overhead = amounts(t, "cpu=5")
	tests := []struct {
		name string
		item bounds
		spec corev1.PodSpec
		want string // the reason, "" for none
	}{
		{"at the minimum", container("cpu=100m", "", ""), one("cpu=100m", ""), ""},
		{"below the minimum", container("cpu=100m", "", ""), one("cpu=99m", ""), "minimum cpu usage per Container is 100m, but request is 99m"},
		{"no request", container("cpu=100m", "", ""), one("", ""), "minimum cpu usage per Container is 100m.  No request is specified"},
		{"a limit below the minimum", container("cpu=100m", "", ""), one("cpu=100m", "cpu=99m"), "minimum cpu usage per Container is 100m, but limit is 99m"},
		{"at the maximum", container("", "cpu=1", ""), one("cpu=1", "cpu=1"), ""},
		{"a limit above the maximum", container("", "cpu=1", ""), one("", "cpu=1001m"), "maximum cpu usage per Container is 1, but limit is 1001m"},
		{"a request above the maximum", container("", "cpu=1", ""), one("cpu=2", "cpu=1"), "maximum cpu usage per Container is 1, but request is 2"},
		{"no limit", container("", "cpu=1", ""), one("cpu=1", ""), "maximum cpu usage per Container is 1.  No limit is specified"},
		{"large numbers", container("", "memory=16Ei", ""), one("", "memory=16Ei"), ""},
		{"an init container", container("", "cpu=2", ""), first, "maximum cpu usage per Container is 2, but limit is 3"},
		{"at the ratio", container("", "", "cpu=1500m"), one("cpu=200m", "cpu=300m"), ""},
		{"above the ratio", container("", "", "cpu=1500m"), one("cpu=200m", "cpu=301m"), "cpu max limit to request ratio per Container is 1500m, but provided ratio is 1.505000"},
		{"no request for the ratio", container("", "", "cpu=2"), one("", "cpu=1"), "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"},
		{"no limit for the ratio", container("", "", "cpu=2"), one("cpu=1", ""), "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0"},
		{"all reasons, by name", container("", "memory=1 cpu=1", ""), one("", ""), "[maximum cpu usage per Container is 1.  No limit is specified, maximum memory usage per Container is 1.  No limit is specified]"},
		{"a pod within", whole(container("cpu=1", "cpu=2", "cpu=1")), sidecar, ""},
		{"a pod with its sidecar", whole(container("", "cpu=1500m", "")), sidecar, "maximum cpu usage per Pod is 1500m, but limit is 2"},
		{"a pod at its first step", whole(container("", "cpu=2", "")), first, "maximum cpu usage per Pod is 2, but limit is 3"},
		{"a pod with resources of its own", whole(container("", "cpu=1", "")), own, "maximum cpu usage per Pod is 1, but limit is 2"},
		{"without overhead", whole(container("", "cpu=1", "")), overhead, ""},
		{"claims are no pods", bounds{Type: corev1.LimitTypePersistentVolumeClaim, Min: amounts(t, "storage=1")}, one("", ""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, ranger(limitRange("l", tt.item)).Validate(t.Context(), creation(t, pod(tt.spec)), nil), tt.want)
		})
	}
}

// refused fails the test unless a plugin forbids with just this reason.
func refused(t *testing.T, err error, why string) {
	t.Helper()
	switch {
	case why == "" && err != nil:
		t.Error(err)
	case why != "" && (outcomeOf(err) != forbidden || !strings.HasSuffix(err.Error(), "forbidden: "+why)):
		t.Errorf("%v\nwant: %s", err, why)
	}
}

func TestLimitRangerClaims(t *testing.T) {
	claim := func(size string) *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "c"},
			Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{Requests: amounts(t, size)}}}
	}
	r := ranger(limitRange("l", corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Min: amounts(t, "storage=1Gi"), Max: amounts(t, "storage=2Gi")},
		corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: amounts(t, "cpu=1")}))
	for size, why := range map[string]string{
		"storage=1Gi":    "",
		"storage=2Gi":    "",
		"storage=1023Mi": "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1023Mi",
		"storage=3Gi":    "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi",
		"": "[minimum storage usage per PersistentVolumeClaim is 1Gi.  No request is specified, " +
			"maximum storage usage per PersistentVolumeClaim is 2Gi.  No request is specified]",
	} {
		w := write{resource: "persistentvolumeclaims", obj: claim(size)}
		refused(t, r.Validate(t.Context(), w.attributes(t), nil), why)
		w.op, w.old = admission.Update, claim("storage=1Gi")
		refused(t, r.Validate(t.Context(), w.attributes(t), nil), why)
	}
}

// What cannot change what is limited is not looked at.
func TestLimitRangerWrites(t *testing.T) {
	r := ranger(limitRange("l", corev1.LimitRangeItem{Type: corev1.LimitTypeContainer, Min: amounts(t, "cpu=1")},
		corev1.LimitRangeItem{Type: corev1.LimitTypePersistentVolumeClaim, Min: amounts(t, "storage=1")}))
	p := pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}})
	leaving := p.DeepCopy()
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team"}}
	tests := []struct {
		name string
		write
		want outcome
	}{
		{"a new pod", write{resource: "pods", obj: p}, forbidden},
		{"of another namespace", write{resource: "pods", namespace: "other", obj: p}, allowed},
		{"a pod's update", write{op: admission.Update, resource: "pods", obj: p, old: p}, allowed},
		{"a resize", write{op: admission.Update, resource: "pods", subresource: "resize", obj: p, old: p}, forbidden},
		{"of a pod on its way out", write{op: admission.Update, resource: "pods", subresource: "resize", obj: p, old: leaving}, allowed},
		{"a status", write{op: admission.Update, resource: "pods", subresource: "status", obj: p, old: p}, allowed},
		{"a binding", write{resource: "pods", subresource: "binding", obj: &corev1.Binding{}}, allowed},
		{"a claim", write{resource: "persistentvolumeclaims", obj: claim}, forbidden},
		{"a claim's status", write{op: admission.Update, resource: "persistentvolumeclaims", subresource: "status", obj: claim, old: claim}, allowed},
		{"a template", write{resource: "podtemplates", obj: &corev1.PodTemplate{}}, allowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := outcomeOf(r.Validate(t.Context(), tt.attributes(t), nil)); got != tt.want {
				t.Error(got)
			}
		})
	}
	away := &LimitRanger{Limits: func(context.Context, string) ([]*corev1.LimitRange, error) { return nil, errAway }}
	if err := away.Admit(t.Context(), creation(t, p), nil); outcomeOf(err) != forbidden {
		t.Error(err)
	}
	if err := away.Validate(t.Context(), creation(t, p), nil); outcomeOf(err) != forbidden {
		t.Error(err)
	}
}

func TestLimitRanges(t *testing.T) {
	var cached, stored []*corev1.LimitRange
	var failure error
	synced, asked, endless := true, 0, false
	c := clocktesting.NewFakePassiveClock(time.Unix(1000, 0))
	l := NewLimitRanges(func(string) ([]*corev1.LimitRange, error) { return cached, nil }, func() bool { return synced },
		func(ctx context.Context, ns string) ([]*corev1.LimitRange, error) {
			asked++
			_, ends := ctx.Deadline()
			endless = synced && !ends
			return stored, failure
		}, c)
	of := func(what string, wantAsked int, want ...*corev1.LimitRange) {
		t.Helper()
		got, err := l.Of(t.Context(), "team")
		if !errors.Is(err, failure) || !slices.Equal(got, want) || asked != wantAsked || endless {
			t.Errorf("%s: %v %v, asked %d times, without end: %t", what, got, err, asked, endless)
		}
	}
	a := limitRange("a")
	failure = errAway
	of("no answer", 1)
	failure = nil
	of("none, asked anew", 2)
	of("none, remembered", 2)
	c.SetTime(c.Now().Add(emptyFor - 1))
	of("still", 2)
	stored = append(stored, a)
	c.SetTime(c.Now().Add(1))
	of("no longer", 3, a)
	of("what was found is remembered too", 3, a)
	cached = append(cached, a)
	of("cached", 3, a)
	synced, cached = false, nil
	of("a cache that is not filled", 4, a)
	of("is never believed", 5, a)
}

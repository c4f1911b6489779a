package registry

import (
	"fmt"
	"strings"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	schedulingv1alpha3 "k8s.io/api/scheduling/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func TestServedVersions(t *testing.T) {
	a := func(group, version string, more ...string) kind.Kind {
		k := kind.Kind{GVK: schema.GroupVersionKind{Group: group, Version: version, Kind: "K"}}
		for _, m := range more {
			k.Versions = append(k.Versions, kind.Version{Name: m})
		}
		return k
	}
	got := fmt.Sprint(servedVersions([]kind.Kind{a("b", "v2", "v1"), a("a", "v1"), a("b", "v1"), a("b", "v3")}))
	if got != "[[b/v2 b/v1 b/v3] [a/v1]]" {
		t.Error(got)
	}
}

// What is stored is found under the name of the hub, whatever else is in its group.
func TestHub(t *testing.T) {
	scheme, err := NewScheme(append(kinds.Table(), kind.Kind{GVK: schedulingv1alpha3.SchemeGroupVersion.WithKind("PodGroup"), Resource: "podgroups"}))
	if err != nil {
		t.Fatal(err)
	}
	for gk, want := range map[string]runtime.Object{
		"Pod": &corev1.Pod{}, "PodList": &corev1.PodList{}, "PodLogOptions": &corev1.PodLogOptions{}, "Binding": &corev1.Binding{},
		"Event.events.k8s.io": &corev1.Event{}, "EventList.events.k8s.io": &corev1.EventList{},
		"HorizontalPodAutoscaler.autoscaling": &autoscalingv2.HorizontalPodAutoscaler{}, "Scale.autoscaling": &autoscalingv1.Scale{},
		"PriorityClass.scheduling.k8s.io": &schedulingv1.PriorityClass{}, "PodGroup.scheduling.k8s.io": &schedulingv1alpha3.PodGroup{},
	} {
		obj, err := scheme.New(schema.ParseGroupKind(gk).WithVersion(runtime.APIVersionInternal))
		if err != nil || fmt.Sprintf("%T", obj) != fmt.Sprintf("%T", want) {
			t.Errorf("%s: %v, %T", gk, err, obj)
		}
	}
	if scheme.Recognizes(schema.GroupVersionKind{Version: runtime.APIVersionInternal, Kind: "ListOptions"}) {
		t.Error("the options of requests belong to no group")
	}
}

func TestListsAreConverted(t *testing.T) {
	scheme, err := NewScheme(kinds.Table())
	if err != nil {
		t.Fatal(err)
	}
	remaining := int64(4)
	in := &corev1.EventList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "c", RemainingItemCount: &remaining}, Items: []corev1.Event{{Message: "a"}, {Message: "b"}}}
	obj, err := scheme.ConvertToVersion(in, eventsv1.SchemeGroupVersion)
	if err != nil {
		t.Fatal(err)
	}
	out := obj.(*eventsv1.EventList)
	if len(out.Items) != 2 || out.Items[1].Note != "b" || out.ResourceVersion != "9" || out.Continue != "c" || *out.RemainingItemCount != 4 {
		t.Errorf("%+v", out)
	}
	if obj, err = scheme.ConvertToVersion(&corev1.EventList{}, eventsv1.SchemeGroupVersion); err != nil || obj.(*eventsv1.EventList).Items == nil {
		t.Errorf("an empty list has items all the same: %v, %+v", err, obj)
	}
}

func TestSelectableFields(t *testing.T) {
	scheme, err := NewScheme(kinds.Table())
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		gvk   schema.GroupVersionKind
		field string
		known bool
	}{
		{corev1.SchemeGroupVersion.WithKind("Pod"), "spec.nodeName", true},
		{corev1.SchemeGroupVersion.WithKind("Pod"), "spec.other", false},
		{corev1.SchemeGroupVersion.WithKind("Node"), "metadata.namespace", false},
		{corev1.SchemeGroupVersion.WithKind("Node"), "spec.unschedulable", true},
		{corev1.SchemeGroupVersion.WithKind("ConfigMap"), "metadata.name", true},
		{corev1.SchemeGroupVersion.WithKind("Event"), "involvedObject.name", true},
		{corev1.SchemeGroupVersion.WithKind("Event"), "regarding.name", false},
		{eventsv1.SchemeGroupVersion.WithKind("Event"), "involvedObject.name", false},
		{eventsv1.SchemeGroupVersion.WithKind("Event"), "regarding.name", true},
		{eventsv1.SchemeGroupVersion.WithKind("Event"), "metadata.namespace", true},
		{autoscalingv1.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), "metadata.namespace", true},
		{autoscalingv1.SchemeGroupVersion.WithKind("HorizontalPodAutoscaler"), "spec.maxReplicas", false},
	} {
		if _, _, err := scheme.ConvertFieldLabel(tt.gvk, tt.field, "x"); (err == nil) != tt.known {
			t.Errorf("%s of %s: %v", tt.field, tt.gvk, err)
		}
	}
}

// Times that default to now are there once an object is decoded.
func TestDefaultTimes(t *testing.T) {
	scheme, err := NewScheme(kinds.Table())
	if err != nil {
		t.Fatal(err)
	}
	rule := &resourcev1.DeviceTaintRule{}
	scheme.Default(rule)
	if at := rule.Spec.Taint.TimeAdded; at == nil || at.Nanosecond() != 0 {
		t.Errorf("added at %v", at)
	}
}

func TestSchemeRefusesUnknownTypes(t *testing.T) {
	for name, k := range map[string]kind.Kind{
		"kind":    {GVK: schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Nothing"}},
		"version": {GVK: corev1.SchemeGroupVersion.WithKind("Pod"), Versions: []kind.Version{{Name: "v9"}}},
		"alias":   {GVK: eventsv1.SchemeGroupVersion.WithKind("Event"), Alias: &kind.Alias{Of: schema.GroupVersionKind{Version: "v1", Kind: "Nothing"}}},
	} {
		if _, err := NewScheme([]kind.Kind{k}); err == nil {
			t.Errorf("an unknown %s is taken", name)
		}
	}
}

// Events of one storage are held to the rules of the group that they come by.
func TestAliasRules(t *testing.T) {
	core := strategyOf(t, &corev1.Event{})
	owner := &Store{Store: nil, kind: core.kind, strategy: core}
	var row kind.Kind
	for _, k := range kinds.Table() {
		if k.GVK == eventsv1.SchemeGroupVersion.WithKind("Event") {
			row = k
		}
	}
	rules := owner.aliasRules(row, func() runtime.Object { return &eventsv1.Event{} })
	bare := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "default"}}
	fields := func(errs field.ErrorList) string {
		var out []string
		for _, e := range errs {
			out = append(out, e.Field)
		}
		return strings.Join(out, " ")
	}
	if got := fields(core.kind.ErrorsOnCreate(t.Context(), bare)); got != "" {
		t.Errorf("in the core group: %s", got)
	}
	if got := fields(rules.ErrorsOnCreate(t.Context(), bare)); got != "eventTime type" {
		t.Errorf("in its own: %s", got)
	}
	changed := bare.DeepCopy()
	changed.Message = "other"
	if got := fields(rules.ValidateUpdate(changed, bare)); got != "message" {
		t.Errorf("update: %s", got)
	}
	if rules.GVK.Group != eventsv1.GroupName || rules.TTL != core.kind.TTL || rules.Resource != "events" {
		t.Errorf("%+v", rules.GVK)
	}
}

func TestBinderNamesWhatIsMissing(t *testing.T) {
	if _, err := NewBinder(&Stores{}, Collaborators{}); err == nil || !strings.Contains(err.Error(), "the kinds table lacks Pod") {
		t.Errorf("got %v", err)
	}
	b, k := &Binder{}, kind.Kind{Storage: "cloud"}
	if _, err := b.objects(nil, k); err == nil {
		t.Error("an unknown storage is bound")
	}
	if _, err := b.subresource(nil, kind.Subresource{Served: "song"}); err == nil {
		t.Error("an unknown subresource is bound")
	}
	if _, err := b.Bind(kind.Kind{Resource: "riddles", Review: "riddle"}); err == nil {
		t.Error("an unknown review is bound")
	}
}

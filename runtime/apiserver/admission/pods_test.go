package admission

import (
	"context"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

// classes are the priority classes that exist. One that is nil cannot be read.
type classes []*schedulingv1.PriorityClass

func (c classes) get(_ context.Context, name string) (*schedulingv1.PriorityClass, error) {
	for _, class := range c {
		if class == nil {
			return nil, errAway
		}
		if class.Name == name {
			return class, nil
		}
	}
	return nil, apierrors.NewNotFound(schedulingv1.Resource("priorityclasses"), name)
}

func (c classes) fallback(context.Context) (*schedulingv1.PriorityClass, error) {
	for _, class := range c {
		if class == nil {
			return nil, errAway
		}
		if class.GlobalDefault {
			return class, nil
		}
	}
	return nil, nil
}

func class(name string, value int32, byDefault bool, policy *corev1.PreemptionPolicy) *schedulingv1.PriorityClass {
	return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, GlobalDefault: byDefault, PreemptionPolicy: policy}
}

func TestPriority(t *testing.T) {
	never, lower := ptr.To(corev1.PreemptNever), ptr.To(corev1.PreemptLowerPriority)
	some := classes{class("high", 1000, false, nil), class("patient", 500, false, never), class("low", -10, false, lower)}
	withDefault := append(slices.Clone(some), class("usual", 7, true, never))
	tests := []struct {
		name    string
		classes classes
		spec    corev1.PodSpec
		want    outcome
		class   string
		value   int32
		policy  corev1.PreemptionPolicy
	}{
		{"no class at all", nil, corev1.PodSpec{}, allowed, "", 0, corev1.PreemptLowerPriority},
		{"none, and no default", some, corev1.PodSpec{}, allowed, "", 0, corev1.PreemptLowerPriority},
		{"none, and a default", withDefault, corev1.PodSpec{}, allowed, "usual", 7, corev1.PreemptNever},
		{"one", withDefault, corev1.PodSpec{PriorityClassName: "high"}, allowed, "high", 1000, corev1.PreemptLowerPriority},
		{"one that does not preempt", some, corev1.PodSpec{PriorityClassName: "patient"}, allowed, "patient", 500, corev1.PreemptNever},
		{"one that says it preempts", some, corev1.PodSpec{PriorityClassName: "low"}, allowed, "low", -10, corev1.PreemptLowerPriority},
		{"one that is not there", some, corev1.PodSpec{PriorityClassName: "gone"}, forbidden, "", 0, ""},
		{"one that cannot be read", classes{nil}, corev1.PodSpec{PriorityClassName: "high"}, broken, "", 0, ""},
		{"a default that cannot be read", classes{nil}, corev1.PodSpec{}, broken, "", 0, ""},

		{"the number too", some, corev1.PodSpec{PriorityClassName: "high", Priority: ptr.To[int32](1000)}, allowed, "high", 1000, corev1.PreemptLowerPriority},
		{"another number", some, corev1.PodSpec{PriorityClassName: "high", Priority: ptr.To[int32](1001)}, forbidden, "", 0, ""},
		{"a number without a class", some, corev1.PodSpec{Priority: ptr.To[int32](5)}, forbidden, "", 0, ""},
		{"the number of no class", some, corev1.PodSpec{Priority: ptr.To[int32](0)}, allowed, "", 0, corev1.PreemptLowerPriority},
		{"the number of the default", withDefault, corev1.PodSpec{Priority: ptr.To[int32](7)}, allowed, "usual", 7, corev1.PreemptNever},
		{"zero beside a default", withDefault, corev1.PodSpec{Priority: ptr.To[int32](0)}, forbidden, "", 0, ""},

		{"the policy too", some, corev1.PodSpec{PriorityClassName: "patient", PreemptionPolicy: never}, allowed, "patient", 500, corev1.PreemptNever},
		{"another policy", some, corev1.PodSpec{PriorityClassName: "patient", PreemptionPolicy: lower}, forbidden, "", 0, ""},
		{"the policy of no class", some, corev1.PodSpec{PreemptionPolicy: lower}, allowed, "", 0, corev1.PreemptLowerPriority},
		{"another policy without a class", some, corev1.PodSpec{PreemptionPolicy: never}, forbidden, "", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := pod(*tt.spec.DeepCopy())
			err := (&Priority{Class: tt.classes.get, Default: tt.classes.fallback}).Admit(t.Context(), creation(t, p), nil)
			if got := outcomeOf(err); got != tt.want {
				t.Fatalf("%s: %v", got, err)
			}
			if err != nil {
				return
			}
			if s := p.Spec; s.PriorityClassName != tt.class || s.Priority == nil || *s.Priority != tt.value || s.PreemptionPolicy == nil || *s.PreemptionPolicy != tt.policy {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestPriorityLooksAtNewPodsOnly(t *testing.T) {
	plugin := &Priority{Class: classes{}.get, Default: classes{}.fallback}
	p := pod(corev1.PodSpec{PriorityClassName: "gone"})
	for _, w := range []write{{op: admission.Update, resource: "pods", obj: p, old: p}, {resource: "pods", subresource: "eviction", obj: p}, {resource: "configmaps", obj: &corev1.ConfigMap{}}} {
		if err := plugin.Admit(t.Context(), w.attributes(t), nil); err != nil || p.Spec.Priority != nil {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestOneDefaultPriority(t *testing.T) {
	usual := class("usual", 7, true, nil)
	tests := []struct {
		name    string
		classes classes
		obj     runtime.Object
		want    outcome
	}{
		{"the first", classes{class("high", 1000, false, nil)}, class("new", 1, true, nil), allowed},
		{"a second", classes{usual}, class("new", 1, true, nil), forbidden},
		{"itself", classes{usual}, class("usual", 8, true, nil), allowed},
		{"one more that is none", classes{usual}, class("new", 1, false, nil), allowed},
		{"none asks for none", classes{nil}, class("new", 1, false, nil), allowed},
		{"the others cannot be read", classes{nil}, class("new", 1, true, nil), broken},
		{"something else", classes{nil}, pod(corev1.PodSpec{}), allowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := write{group: schedulingv1.GroupName, resource: "priorityclasses", obj: tt.obj}
			err := (&Priority{Class: tt.classes.get, Default: tt.classes.fallback}).Validate(t.Context(), w.attributes(t), nil)
			if got := outcomeOf(err); got != tt.want {
				t.Errorf("%s: %v", got, err)
			}
		})
	}
}

func TestDefaultTolerations(t *testing.T) {
	const notReady, unreachable = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
	given := func(key string) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](300)}
	}
	tests := []struct {
		name  string
		has   []corev1.Toleration
		added []string
	}{
		{"none", nil, []string{notReady, unreachable}},
		{"of something else", []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}, []string{notReady, unreachable}},
		{"of the one", []corev1.Toleration{{Key: notReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}, []string{unreachable}},
		{"of the other", []corev1.Toleration{{Key: unreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr.To[int64](5)}}, []string{notReady}},
		{"of both, after another", []corev1.Toleration{{Key: "gpu"}, {Key: unreachable, Effect: corev1.TaintEffectNoExecute}, {Key: notReady, Effect: corev1.TaintEffectNoExecute}}, nil},
		{"of every effect", []corev1.Toleration{{Key: notReady, Operator: corev1.TolerationOpExists}}, []string{unreachable}},
		{"of another effect", []corev1.Toleration{{Key: notReady, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}, []string{notReady, unreachable}},
		{"of everything", []corev1.Toleration{{Operator: corev1.TolerationOpExists}}, nil},
		{"of everything that evicts", []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}, nil},
		{"of everything that does not", []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}}, []string{notReady, unreachable}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := pod(corev1.PodSpec{Tolerations: slices.Clone(tt.has)})
			if err := (DefaultTolerations{}).Admit(t.Context(), creation(t, p), nil); err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(tt.has)
			for _, key := range tt.added {
				want = append(want, given(key))
			}
			if !reflect.DeepEqual(p.Spec.Tolerations, want) {
				t.Errorf("%+v", p.Spec.Tolerations)
			}
		})
	}
	p := pod(corev1.PodSpec{})
	if err := (DefaultTolerations{}).Admit(t.Context(), write{resource: "pods", subresource: "eviction", obj: p}.attributes(t), nil); err != nil || p.Spec.Tolerations != nil {
		t.Errorf("a subresource: %v, %+v", err, p.Spec.Tolerations)
	}
}

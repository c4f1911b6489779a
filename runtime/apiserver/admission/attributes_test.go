package admission

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
)

// write is a request as the chain shows it to a plugin.
type write struct {
	op                           admission.Operation // a creation, unless set
	group, resource, subresource string
	namespace                    string // the object's, unless set
	obj, old                     runtime.Object
	user                         user.Info
}

func (w write) attributes(t *testing.T) admission.Attributes {
	t.Helper()
	if w.op == "" {
		w.op = admission.Create
	}
	name := ""
	if m, err := meta.Accessor(w.obj); err == nil {
		name = m.GetName()
		if w.namespace == "" {
			w.namespace = m.GetNamespace()
		}
	}
	gv := schema.GroupVersion{Group: w.group, Version: "v1"}
	return admission.NewAttributesRecord(w.obj, w.old, gv.WithKind("Kind"), w.namespace, name, gv.WithResource(w.resource), w.subresource, w.op, nil, false, w.user)
}

// pod is team/p.
func pod(spec corev1.PodSpec) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "p"}, Spec: spec}
}

func creation(t *testing.T, p *corev1.Pod) admission.Attributes {
	t.Helper()
	return write{resource: "pods", obj: p}.attributes(t)
}

// outcome says how a plugin decided.
type outcome string

const (
	allowed   outcome = "allowed"
	forbidden outcome = "forbidden"
	broken    outcome = "broken" // the plugin could not decide
)

func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return allowed
	case apierrors.IsForbidden(err):
		return forbidden
	case apierrors.IsInternalError(err):
		return broken
	}
	return outcome(err.Error())
}

var errAway = errors.New("no answer")

// handled fails the test unless the plugin looks at just these operations.
func handled(t *testing.T, plugin admission.Interface, ops ...admission.Operation) {
	t.Helper()
	want := map[admission.Operation]bool{}
	for _, op := range ops {
		want[op] = true
	}
	for _, op := range []admission.Operation{admission.Create, admission.Update, admission.Delete, admission.Connect} {
		if plugin.Handles(op) != want[op] {
			t.Errorf("%s: %v", op, !want[op])
		}
	}
}

func TestHandles(t *testing.T) {
	handled(t, &ServiceAccount{}, admission.Create, admission.Update)
	handled(t, DefaultTolerations{}, admission.Create, admission.Update)
	handled(t, &Priority{}, admission.Create, admission.Update)
	handled(t, &LimitRanger{}, admission.Create, admission.Update)
	handled(t, &PodSecurity{}, admission.Create, admission.Update)
	handled(t, &RuntimeClass{}, admission.Create)
	handled(t, TaintNodesByCondition{}, admission.Create)
	handled(t, &DefaultStorageClass{}, admission.Create)
	handled(t, &DefaultIngressClass{}, admission.Create)
	handled(t, &PersistentVolumeClaimResize{}, admission.Update)
	handled(t, &PodTopologyLabels{}, admission.Create)
	handled(t, &EventRateLimit{}, admission.Create, admission.Update)
	handled(t, DenyServiceExternalIPs{}, admission.Create, admission.Update)
}

// Only the creation of a pod itself is that of a new pod.
func TestNewPod(t *testing.T) {
	tests := []struct {
		name  string
		write write
		want  bool
	}{
		{"a pod", write{resource: "pods", obj: pod(corev1.PodSpec{})}, true},
		{"an update", write{op: admission.Update, resource: "pods", obj: pod(corev1.PodSpec{}), old: pod(corev1.PodSpec{})}, false},
		{"a subresource", write{resource: "pods", subresource: "binding", obj: pod(corev1.PodSpec{})}, false},
		{"another resource", write{resource: "podtemplates", obj: pod(corev1.PodSpec{})}, false},
		{"another group", write{group: "metrics.k8s.io", resource: "pods", obj: pod(corev1.PodSpec{})}, false},
		{"another kind", write{resource: "pods", obj: &corev1.Binding{}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, ok := newPod(tt.write.attributes(t))
			if ok != tt.want || ok && p != tt.write.obj {
				t.Errorf("%v", ok)
			}
		})
	}
}

package nodestatus

import (
	"reflect"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestTheNodeOwnsItsLease(t *testing.T) {
	r, _ := newReporter(fake.NewClientset())
	l := &coordinationv1.Lease{}
	if err := r.own(t.Context(), l); err == nil || len(l.OwnerReferences) > 0 {
		t.Errorf("without a Node: %v, %v", err, l.OwnerReferences)
	}
	r, _ = newReporter(fake.NewClientset(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u"}}))
	want := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "u"}}
	if err := r.own(t.Context(), l); err != nil || !reflect.DeepEqual(l.OwnerReferences, want) {
		t.Errorf("%v, %v, want %v", err, l.OwnerReferences, want)
	}
	had := []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "before"}}
	l.OwnerReferences = had
	if err := r.own(t.Context(), l); err != nil || !reflect.DeepEqual(l.OwnerReferences, had) {
		t.Errorf("the owner that it has is changed: %v, %v", err, l.OwnerReferences)
	}
}

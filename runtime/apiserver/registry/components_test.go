package registry

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func TestComponentStatuses(t *testing.T) {
	answer := func(healthy bool, message string) func(context.Context) (bool, string) {
		return func(context.Context) (bool, string) { return healthy, message }
	}
	all := NewComponentStatuses(kind.Kind{GVK: corev1.SchemeGroupVersion.WithKind("ComponentStatus"), Resource: "componentstatuses"}, []Component{
		{"scheduler", answer(true, "ok")}, {"etcd-0", answer(false, "connection refused")},
	})
	one := func(name string) *corev1.ComponentStatus {
		t.Helper()
		obj, err := all.Get(t.Context(), name, &metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*corev1.ComponentStatus)
	}
	if c := one("scheduler").Conditions; len(c) != 1 || c[0].Type != corev1.ComponentHealthy || c[0].Status != corev1.ConditionTrue || c[0].Message != "ok" {
		t.Errorf("the scheduler is well: %+v", c)
	}
	if c := one("etcd-0"); c.Name != "etcd-0" || c.Conditions[0].Status != corev1.ConditionFalse || c.Conditions[0].Message != "connection refused" {
		t.Errorf("etcd is not: %+v", c)
	}
	if _, err := all.Get(t.Context(), "dns", nil); !apierrors.IsNotFound(err) {
		t.Errorf("there is no such component: %v", err)
	}
	for name, tc := range map[string]struct {
		options *metainternalversion.ListOptions
		want    []string
	}{
		"all":                      {nil, []string{"scheduler", "etcd-0"}},
		"by name":                  {&metainternalversion.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "etcd-0")}, []string{"etcd-0"}},
		"by label, which none has": {&metainternalversion.ListOptions{LabelSelector: labels.SelectorFromSet(labels.Set{"a": "b"})}, nil},
		"without a label":          {&metainternalversion.ListOptions{LabelSelector: labels.Everything()}, []string{"scheduler", "etcd-0"}},
	} {
		obj, err := all.List(t.Context(), tc.options)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range obj.(*corev1.ComponentStatusList).Items {
			got = append(got, c.Name)
		}
		if len(got) != len(tc.want) || len(got) > 0 && got[0] != tc.want[0] {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

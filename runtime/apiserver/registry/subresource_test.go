package registry

import (
	"context"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

func TestStatusUpdateKeepsTheRest(t *testing.T) {
	old := budget(3, 1, 2, map[string]string{"a": "b"})
	obj := budget(3, 5, 9, map[string]string{"c": "d"})
	s := statusStrategy{strategyOf(t, old)}
	s.PrepareForUpdate(t.Context(), obj, old)
	if obj.Spec.MinAvailable.IntVal != 1 || obj.Status.CurrentHealthy != 9 || obj.Labels["c"] != "d" || obj.Generation != 3 {
		t.Errorf("%+v", obj)
	}
	if s.AllowCreateOnUpdate(t.Context()) || s.WarningsOnUpdate(t.Context(), obj, old) != nil {
		t.Error("a status write creates or warns")
	}
	obj.Status.CurrentHealthy = -1
	if errs := s.ValidateUpdate(t.Context(), obj, old); len(errs) != 1 || errs[0].Field != "status.currentHealthy" {
		t.Errorf("%v", errs)
	}
	if errs := s.strategy.ValidateUpdate(t.Context(), obj, old); len(errs) != 0 {
		t.Errorf("a write to the object is not one to status: %v", errs)
	}
}

func TestApprovalWritesConditionsOnly(t *testing.T) {
	old := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{Username: "ann"}, Status: certificatesv1.CertificateSigningRequestStatus{Certificate: []byte("c")}}
	obj := old.DeepCopy()
	obj.Spec.Username, obj.Status.Certificate = "eve", []byte("d")
	obj.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	approvalStrategy{strategy: strategyOf(t, old)}.PrepareForUpdate(t.Context(), obj, old)
	if obj.Spec.Username != "ann" || string(obj.Status.Certificate) != "c" || len(obj.Status.Conditions) != 1 {
		t.Errorf("%+v", obj)
	}
}

func TestFinalizeWritesFinalizersOnly(t *testing.T) {
	old := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating}}
	obj := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive}}
	s := finalizeStrategy{strategyOf(t, old)}
	s.PrepareForUpdate(t.Context(), obj, old)
	if len(obj.Spec.Finalizers) != 0 || obj.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("%+v", obj)
	}
	obj.Spec.Finalizers = []corev1.FinalizerName{"/"}
	if errs := s.ValidateUpdate(t.Context(), obj, old); len(errs) == 0 {
		t.Error("a bad finalizer is taken")
	}
	// Any other write leaves them alone.
	strategyOf(t, old).PrepareForUpdate(t.Context(), obj, old)
	if len(obj.Spec.Finalizers) != 1 || obj.Spec.Finalizers[0] != "kubernetes" {
		t.Errorf("%+v", obj.Spec)
	}
}

func TestEphemeralContainersAreAddedOnly(t *testing.T) {
	debug := func(names ...string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "i"}}}}
		for _, n := range names {
			p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: n, Image: "i"}})
		}
		strategyOf(t, p).kind.Default(p)
		return p
	}
	s := ephemeralStrategy{strategyOf(t, &corev1.Pod{})}
	changed := debug("x")
	changed.Spec.EphemeralContainers[0].Image = "j"
	for name, tt := range map[string]struct {
		old, obj   *corev1.Pod
		generation int64
		want       string
	}{
		"added":   {debug("x"), debug("x", "y"), 2, ""},
		"nothing": {debug("x"), debug("x"), 1, ""},
		"removed": {debug("x"), debug(), 2, "may not be removed"},
		"changed": {debug("x"), changed, 2, "may not be changed"},
		"invalid": {debug(), debug("a"), 2, "Duplicate value"},
	} {
		tt.obj.Spec.Containers[0].Image, tt.obj.Status.Phase = "other", corev1.PodFailed
		tt.obj.Labels = map[string]string{"a": "b"}
		s.PrepareForUpdate(t.Context(), tt.obj, tt.old)
		if tt.obj.Labels != nil || tt.obj.Generation != tt.generation || tt.obj.Spec.Containers[0].Image != "i" || tt.obj.Status.Phase != "" {
			t.Errorf("%s: prepared as generation %d, %+v", name, tt.obj.Generation, tt.obj.Spec)
		}
		errs := s.ValidateUpdate(t.Context(), tt.obj, tt.old)
		got := ""
		if err := errs.ToAggregate(); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	mirror := debug()
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: ""}
	if errs := s.ValidateUpdate(t.Context(), debug("x"), mirror); len(errs) != 1 || !strings.Contains(errs[0].Error(), "static pods do not support ephemeral containers") {
		t.Errorf("of a static pod: %v", errs)
	}
	if s.AllowCreateOnUpdate(context.Background()) {
		t.Error("debugging creates a pod")
	}
}

// TestResizeChangesResourcesOnly: a write to pods/resize is a new generation when it changes
// some, and nothing else comes through it.
func TestResizeChangesResourcesOnly(t *testing.T) {
	rules := strategyOf(t, &corev1.Pod{})
	var sub kind.Subresource
	for _, s := range rules.kind.Subresources {
		if s.Served == kind.PodResize {
			sub = s
		}
	}
	s := resizeStrategy{rules, sub}
	old := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 4}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "i"}}}}
	rules.kind.Default(old)
	for cpu, want := range map[string]int64{"": 4, "2": 5} {
		p := old.DeepCopy()
		p.Labels, p.Status.Phase, p.Spec.Containers[0].Image = map[string]string{"a": "b"}, corev1.PodFailed, "other"
		if cpu != "" {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
		}
		s.PrepareForUpdate(t.Context(), p, old)
		if p.Generation != want || p.Labels != nil || p.Status.Phase != "" || p.Spec.Containers[0].Image != "i" {
			t.Errorf("%q CPUs: generation %d, %+v", cpu, p.Generation, p)
		}
		if errs := s.ValidateUpdate(t.Context(), p, old); (len(errs) > 0) != (cpu != "") { // it was best effort
			t.Errorf("%q CPUs: %v", cpu, errs)
		}
	}
}

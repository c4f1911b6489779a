package registry

import (
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
)

// strategyOf is that of a kind of the table, by its Go type.
func strategyOf(t *testing.T, obj runtime.Object) strategy {
	t.Helper()
	scheme, err := NewScheme(kinds.Table())
	if err != nil {
		t.Fatal(err)
	}
	gvks, _, err := scheme.ObjectKinds(obj)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds.Table() {
		for _, gvk := range gvks {
			if k.GVK == gvk {
				return strategy{ObjectTyper: scheme, kind: &k, layout: layoutOf(obj)}
			}
		}
	}
	t.Fatalf("no row of %T", obj)
	return strategy{}
}

func budget(generation int64, min int, healthy int32, labels map[string]string) *policyv1.PodDisruptionBudget {
	n := intstr.FromInt(min)
	return &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "b", Generation: generation, Labels: labels},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &n},
		Status:     policyv1.PodDisruptionBudgetStatus{CurrentHealthy: healthy},
	}
}

func TestCreateResets(t *testing.T) {
	ctx := genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "ann", UID: "1", Groups: []string{"dev"}, Extra: map[string][]string{"k": {"v"}}})
	b := budget(7, 1, 3, nil)
	strategyOf(t, b).PrepareForCreate(ctx, b)
	if b.Generation != 1 || b.Status.CurrentHealthy != 0 || b.Spec.MinAvailable.IntVal != 1 {
		t.Errorf("a kind with spec and status: %+v", b)
	}
	m := &corev1.ConfigMap{Data: map[string]string{"a": "b"}}
	strategyOf(t, m).PrepareForCreate(ctx, m)
	if m.Generation != 0 || m.Data["a"] != "b" {
		t.Errorf("a kind with neither: %+v", m)
	}
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning}}
	strategyOf(t, p).PrepareForCreate(ctx, p)
	if p.Status.Phase != corev1.PodPending {
		t.Errorf("a kind that prepares itself: %+v", p.Status)
	}
	n := &corev1.Node{Status: corev1.NodeStatus{Phase: corev1.NodeRunning}}
	strategyOf(t, n).PrepareForCreate(ctx, n)
	if n.Status.Phase != corev1.NodeRunning || n.Generation != 0 {
		t.Errorf("a kind that brings its status, and has no generations: %+v", n)
	}
	v := &corev1.PersistentVolume{}
	strategyOf(t, v).PrepareForCreate(ctx, v)
	if v.Status.LastPhaseTransitionTime.IsZero() || v.Status.Phase != corev1.VolumePending {
		t.Errorf("a kind with the time of its beginning: %+v", v.Status)
	}
	r := &certificatesv1.CertificateSigningRequest{Spec: certificatesv1.CertificateSigningRequestSpec{Username: "root", Groups: []string{"system:masters"}}}
	strategyOf(t, r).PrepareForCreate(ctx, r)
	if s := r.Spec; s.Username != "ann" || s.UID != "1" || len(s.Groups) != 1 || s.Groups[0] != "dev" || s.Extra["k"][0] != "v" {
		t.Errorf("who asks: %+v", s)
	}
	strategyOf(t, r).PrepareForCreate(t.Context(), r)
	if s := r.Spec; s.Username != "" || s.Groups != nil || s.Extra != nil {
		t.Errorf("nobody asks: %+v", s)
	}
}

func TestUpdateKeepsStatusAndCountsGenerations(t *testing.T) {
	old := budget(3, 1, 2, map[string]string{"a": "b"})
	for name, tt := range map[string]struct {
		obj        *policyv1.PodDisruptionBudget
		generation int64
	}{
		"nothing":  {budget(3, 1, 2, map[string]string{"a": "b"}), 3},
		"metadata": {budget(3, 1, 2, nil), 3},
		"status":   {budget(3, 1, 9, nil), 3},
		"spec":     {budget(3, 2, 9, nil), 4},
	} {
		labels := len(tt.obj.Labels)
		strategyOf(t, old).PrepareForUpdate(t.Context(), tt.obj, old)
		if tt.obj.Generation != tt.generation || tt.obj.Status.CurrentHealthy != 2 || len(tt.obj.Labels) != labels {
			t.Errorf("%s: %+v", name, tt.obj)
		}
	}
	template, before := &corev1.PodTemplate{}, &corev1.PodTemplate{}
	template.Template.Spec.Hostname = "a"
	strategyOf(t, template).PrepareForUpdate(t.Context(), template, before)
	if template.Generation != 1 {
		t.Errorf("a kind without a spec: generation %d", template.Generation)
	}
	// Most kinds without a spec have no generations.
	m, was := &corev1.ConfigMap{Data: map[string]string{"a": "b"}}, &corev1.ConfigMap{}
	strategyOf(t, m).PrepareForUpdate(t.Context(), m, was)
	if m.Generation != 0 {
		t.Errorf("generation %d", m.Generation)
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		obj            metav1.Object
		name, generate string
		want           string
	}{
		{&corev1.ConfigMap{}, "a.b", "", ""},
		{&corev1.ConfigMap{}, "A", "", "metadata.name"},
		{&corev1.ConfigMap{}, "", "", "metadata.name"},
		{&corev1.ConfigMap{}, "a-x", "a-", ""},
		{&corev1.ConfigMap{}, "a", "Abc-", "metadata.generateName"},
		{&corev1.ConfigMap{}, "A", "Abc-", "metadata.generateName metadata.name"},
		{&corev1.Namespace{}, "a.b", "", "metadata.name"},
		{&corev1.Namespace{}, "a", "", ""},
	} {
		tt.obj.SetName(tt.name)
		tt.obj.SetGenerateName(tt.generate)
		inNamespace(tt.obj)
		var got []string
		for _, e := range strategyOf(t, tt.obj.(runtime.Object)).Validate(t.Context(), tt.obj.(runtime.Object)) {
			if len(got) == 0 || got[len(got)-1] != e.Field {
				got = append(got, e.Field)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%T %q %q: %v", tt.obj, tt.name, tt.generate, got)
		}
	}
}

// What an apply never owns, in each version.
func TestResetFields(t *testing.T) {
	s := strategyOf(t, &autoscalingv2.HorizontalPodAutoscaler{})
	own, status := s.GetResetFields(), statusStrategy{s}.GetResetFields()
	for _, version := range []string{"autoscaling/v1", "autoscaling/v2"} {
		if got := own[fieldpath.APIVersion(version)]; got == nil || got.String() != ".status\n" && strings.TrimSpace(got.String()) != ".status" {
			t.Errorf("%s: %v", version, got)
		}
		got := status[fieldpath.APIVersion(version)]
		if got == nil || strings.TrimSpace(got.String()) != ".spec" {
			t.Errorf("%s: %v", version, got)
		}
	}
	for _, tt := range []struct {
		rules   updateRules
		version string
		want    []string
	}{
		{statusStrategy{strategyOf(t, &corev1.Pod{})}, "v1", []string{".metadata.ownerReferences", ".spec"}},
		{statusStrategy{strategyOf(t, &appsv1.Deployment{})}, "apps/v1", []string{".metadata.labels", ".spec"}},
		{statusStrategy{strategyOf(t, &storagev1.VolumeAttachment{})}, "storage.k8s.io/v1", []string{".metadata", ".spec"}},
		{approvalStrategy{strategy: strategyOf(t, &certificatesv1.CertificateSigningRequest{})}, "certificates.k8s.io/v1", []string{".spec", ".status.certificate"}},
	} {
		got := strings.Fields(tt.rules.GetResetFields()[fieldpath.APIVersion(tt.version)].String())
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%T of %s: %v", tt.rules, tt.version, got)
		}
	}
	if got := strategyOf(t, &corev1.ConfigMap{}).GetResetFields(); got != nil {
		t.Errorf("of a kind without status: %v", got)
	}
}

func TestPolicies(t *testing.T) {
	for _, tt := range []struct {
		obj                           runtime.Object
		namespaced, create, untracked bool
	}{
		{&corev1.ConfigMap{}, true, false, true}, {&corev1.Node{}, false, false, true}, {&corev1.Endpoints{}, true, true, true},
	} {
		s := strategyOf(t, tt.obj)
		if s.NamespaceScoped() != tt.namespaced || s.AllowCreateOnUpdate(t.Context()) != tt.create || s.AllowUnconditionalUpdate(t.Context()) != tt.untracked {
			t.Errorf("%T: %+v", tt.obj, tt)
		}
	}
	k := kind.Kind{RequireResourceVersion: true}
	if (strategy{kind: &k}).AllowUnconditionalUpdate(t.Context()) {
		t.Error("an update without resourceVersion is let through")
	}
}

// Finalizers are qualified, or Kubernetes' own; some kinds take any.
func TestFinalizers(t *testing.T) {
	for _, tt := range []struct {
		obj       metav1.Object
		finalizer string
		errs      int
	}{
		{&corev1.ConfigMap{}, "example.org/a", 0}, {&corev1.ConfigMap{}, "a", 1}, {&corev1.ConfigMap{}, "kubernetes", 0},
		{&corev1.ConfigMap{}, metav1.FinalizerOrphanDependents, 0}, {&corev1.ConfigMap{}, metav1.FinalizerDeleteDependents, 0},
		{&coordinationv1.Lease{}, "a", 0},
	} {
		tt.obj.SetName("n")
		inNamespace(tt.obj)
		tt.obj.SetFinalizers([]string{tt.finalizer})
		obj := tt.obj.(runtime.Object)
		s := strategyOf(t, obj)
		if errs := s.Validate(t.Context(), obj); len(errs) != tt.errs {
			t.Errorf("%T %s: %v", tt.obj, tt.finalizer, errs)
		}
		if errs := s.ValidateUpdate(t.Context(), obj, obj); len(errs) != tt.errs {
			t.Errorf("update of a %T %s: %v", tt.obj, tt.finalizer, errs)
		}
	}
}

func TestWhatBecomesOfDependents(t *testing.T) {
	for obj, want := range map[runtime.Object]rest.GarbageCollectionPolicy{
		&batchv1.Job{}: rest.OrphanDependents, &corev1.ReplicationController{}: rest.OrphanDependents, &corev1.ConfigMap{}: rest.DeleteDependents, &corev1.Event{}: rest.Unsupported,
	} {
		if got := strategyOf(t, obj).DefaultGarbageCollectionPolicy(t.Context()); got != want {
			t.Errorf("%T: %v", obj, got)
		}
	}
}

func TestGracefulDelete(t *testing.T) {
	s := gracefulStrategy{strategyOf(t, &corev1.Pod{})}
	bound := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n"}}
	o := &metav1.DeleteOptions{}
	if !s.CheckGracefulDelete(t.Context(), bound, o) || *o.GracePeriodSeconds != 30 {
		t.Errorf("%+v", o)
	}
	k := kind.Kind{GracePeriod: func(runtime.Object, *int64) (int64, bool) { return 9, false }}
	o = &metav1.DeleteOptions{}
	if (gracefulStrategy{strategy{kind: &k}}).CheckGracefulDelete(t.Context(), bound, o) || o.GracePeriodSeconds != nil {
		t.Errorf("a kind that goes at once: %+v", o)
	}
}

func TestWarnings(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{{Name: "A"}, {Name: "A"}}}}}}
	s := strategyOf(t, p)
	if w := s.WarningsOnUpdate(t.Context(), p, p); len(w) != 1 || !strings.Contains(w[0], "hides previous definition") {
		t.Errorf("%v", w)
	}
	p.Name = "a.b"
	if w := s.WarningsOnCreate(t.Context(), p); len(w) != 2 || !strings.HasPrefix(w[0], "metadata.name: this is used in the Pod's hostname") {
		t.Errorf("%v", w)
	}
	// What a template has was told when it came.
	d := &appsv1.Deployment{}
	d.Spec.Template.Spec.Containers = p.Spec.Containers
	changed := d.DeepCopy()
	changed.Spec.Paused = true
	s = strategyOf(t, d)
	if w := s.WarningsOnUpdate(t.Context(), d.DeepCopy(), d); w != nil {
		t.Errorf("%v", w)
	}
	if w := s.WarningsOnUpdate(t.Context(), changed, d); len(w) != 1 || !strings.HasPrefix(w[0], "spec.template.spec.containers[0].env[1]: hides") {
		t.Errorf("%v", w)
	}
	if w := strategyOf(t, &corev1.Node{}).WarningsOnCreate(t.Context(), &corev1.Node{}); w != nil {
		t.Errorf("%v", w)
	}
}

// Layout finds the fields that strategies reset.
func TestLayout(t *testing.T) {
	old := budget(1, 1, 2, nil)
	l := layoutOf(old)
	if !l.sameContent(budget(9, 1, 9, nil), old) || l.sameContent(budget(1, 2, 2, nil), old) {
		t.Error("content is all but metadata and status")
	}
	obj := budget(9, 3, 4, nil)
	l.clearStatus(obj)
	if obj.Status.CurrentHealthy != 0 || obj.Spec.MinAvailable.IntVal != 3 {
		t.Errorf("%+v", obj)
	}
	m := &corev1.ConfigMap{Data: map[string]string{"a": "b"}}
	was := m.DeepCopy()
	lm := layoutOf(m)
	lm.clearStatus(m)
	lm.keepStatus(m, &corev1.ConfigMap{})
	if !equality.Semantic.DeepEqual(m, was) || lm.spec >= 0 || lm.status >= 0 {
		t.Errorf("of a kind without status: %+v", m)
	}
}

// inNamespace gives an object a namespace if its kind has any.
func inNamespace(obj metav1.Object) {
	if _, ok := obj.(*corev1.Namespace); !ok {
		obj.SetNamespace("default")
	}
}

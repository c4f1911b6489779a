package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1alpha3 "k8s.io/api/scheduling/v1alpha3"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// podGroup is a kind made for the test: one function, and one line in a table. Its
// group is served in another version than that of its neighbours.
func podGroup() kind.Kind {
	return kind.Kind{
		GVK:        schedulingv1alpha3.SchemeGroupVersion.WithKind("PodGroup"),
		Resource:   "podgroups",
		Generation: true,
		ShortNames: []string{"pg"},
		Namespaced: true,
		Status:     true,
		Default: kind.On(func(g *schedulingv1alpha3.PodGroup) {
			kind.SetDefaultPtr(&g.Spec.Priority, 7)
		}),
		Validate: kind.Check(func(g *schedulingv1alpha3.PodGroup) field.ErrorList {
			return validate.Required(g.Spec.PriorityClassName, field.NewPath("spec", "priorityClassName"))
		}),
		ValidateUpdate: kind.CheckUpdate(func(g, old *schedulingv1alpha3.PodGroup) field.ErrorList {
			return validate.Immutable(g.Spec.PriorityClassName, old.Spec.PriorityClassName, field.NewPath("spec", "priorityClassName"))
		}),
		Columns: printers.Columns("Name", "Class", "#Conditions", "Age"),
		Cells: kind.Cells(func(g *schedulingv1alpha3.PodGroup, now time.Time) []any {
			return []any{g.Name, g.Spec.PriorityClassName, int64(len(g.Status.Conditions)), printers.Age(g.ObjectMeta, now)}
		}),
		Fields: kind.Fields(func(g *schedulingv1alpha3.PodGroup) fields.Set {
			return fields.Set{"spec.priorityClassName": g.Spec.PriorityClassName}
		}),
	}
}

func TestANewKindIsARow(t *testing.T) {
	c := apitest.StartKinds(t, append(kinds.Table(), podGroup()))
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "groups")
	groups := k.SchedulingV1alpha3().PodGroups(ns)
	w := must[watch.Interface](t)(groups.Watch(ctx, metav1.ListOptions{FieldSelector: "spec.priorityClassName=high"}))
	defer w.Stop()

	group := func(name, class string) *schedulingv1alpha3.PodGroup {
		return &schedulingv1alpha3.PodGroup{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: schedulingv1alpha3.PodGroupSpec{PriorityClassName: class},
			Status: schedulingv1alpha3.PodGroupStatus{Conditions: []metav1.Condition{{Type: "Client", Status: metav1.ConditionTrue}}}}
	}
	_, err := groups.Create(ctx, group("none", ""), metav1.CreateOptions{})
	refused(t, "a group against the row's rule", errors.IsInvalid, err)
	must[*schedulingv1alpha3.PodGroup](t)(groups.Create(ctx, group("low", "low"), metav1.CreateOptions{}))
	must[*schedulingv1alpha3.PodGroup](t)(groups.Create(ctx, group("g", "high"), metav1.CreateOptions{}))
	g := must[*schedulingv1alpha3.PodGroup](t)(groups.Get(ctx, "g", metav1.GetOptions{}))
	if *g.Spec.Priority != 7 || g.Generation != 1 || len(g.Status.Conditions) != 0 {
		t.Errorf("created: %+v", g)
	}
	g = must[*schedulingv1alpha3.PodGroup](t)(groups.Patch(ctx, "g", types.MergePatchType, []byte(`{"spec":{"priority":8}}`), metav1.PatchOptions{}))
	if *g.Spec.Priority != 8 || g.Generation != 2 {
		t.Errorf("patched: priority %d, generation %d", *g.Spec.Priority, g.Generation)
	}
	_, err = groups.Patch(ctx, "g", types.ApplyPatchType, []byte(`{"apiVersion":"scheduling.k8s.io/v1alpha3","kind":"PodGroup","spec":{"priorityClassName":"other"}}`),
		metav1.PatchOptions{FieldManager: "a", Force: new(true)})
	refused(t, "an apply to what may not change", errors.IsInvalid, err)
	g.Spec.PriorityClassName = "ignored"
	g.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "r", LastTransitionTime: metav1.Now()}}
	g = must[*schedulingv1alpha3.PodGroup](t)(groups.UpdateStatus(ctx, g, metav1.UpdateOptions{}))
	if g.Spec.PriorityClassName != "high" || len(g.Status.Conditions) != 1 || g.Generation != 2 {
		t.Errorf("status written: %+v", g)
	}
	list := must[*schedulingv1alpha3.PodGroupList](t)(groups.List(ctx, metav1.ListOptions{FieldSelector: "spec.priorityClassName=high"}))
	if len(list.Items) != 1 || list.Items[0].Name != "g" {
		t.Errorf("listed by field: %+v", list.Items)
	}
	_, err = groups.List(ctx, metav1.ListOptions{FieldSelector: "spec.priority=8"})
	refused(t, "a field that the row does not name", errors.IsBadRequest, err)
	table := &metav1.Table{}
	ok(t, json.Unmarshal(must[[]byte](t)(k.SchedulingV1alpha3().RESTClient().Get().Namespace(ns).Resource("podgroups").Name("g").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(ctx)), table))
	if len(table.Rows) != 1 || table.ColumnDefinitions[1].Name != "Class" || table.Rows[0].Cells[1] != "high" || fmt.Sprint(table.Rows[0].Cells[2]) != "1" {
		t.Errorf("table: %+v", table)
	}
	ok(t, groups.Delete(ctx, "g", metav1.DeleteOptions{}))
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Modified, watch.Deleted} {
		e := patience.Receive(t, "watch: "+string(want), w.ResultChan())
		if o, is := e.Object.(*schedulingv1alpha3.PodGroup); e.Type != want || !is || o.Name != "g" {
			t.Fatalf("watch: got %s %T, want %s", e.Type, e.Object, want)
		}
	}
	// Its neighbour in the group is served as before.
	_, err = k.SchedulingV1().PriorityClasses().Get(ctx, "system-node-critical", metav1.GetOptions{})
	ok(t, err)
}

// versions: one object, served in both versions of its group.
func versions(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "versions")
	old, now := k.AutoscalingV1().HorizontalPodAutoscalers(ns), k.AutoscalingV2().HorizontalPodAutoscalers(ns)
	target := autoscalingv1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"}
	h := must[*autoscalingv1.HorizontalPodAutoscaler](t)(old.Create(ctx, &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       autoscalingv1.HorizontalPodAutoscalerSpec{MaxReplicas: 5, ScaleTargetRef: target},
	}, metav1.CreateOptions{}))
	// The stored version's default shows in the older one.
	if *h.Spec.MinReplicas != 1 || h.Spec.TargetCPUUtilizationPercentage == nil || *h.Spec.TargetCPUUtilizationPercentage != 80 {
		t.Errorf("created in v1: %+v", h.Spec)
	}
	h2 := must[*autoscalingv2.HorizontalPodAutoscaler](t)(now.Get(ctx, "web", metav1.GetOptions{}))
	if len(h2.Spec.Metrics) != 1 || *h2.Spec.Metrics[0].Resource.Target.AverageUtilization != 80 {
		t.Fatalf("read in v2: %+v", h2.Spec)
	}
	w := must[watch.Interface](t)(old.Watch(ctx, metav1.ListOptions{ResourceVersion: h2.ResourceVersion}))
	defer w.Stop()
	h2.Spec.Metrics = append(h2.Spec.Metrics, autoscalingv2.MetricSpec{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{
		Metric: autoscalingv2.MetricIdentifier{Name: "hits"}, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: new(resource.MustParse("5"))}}})
	must[*autoscalingv2.HorizontalPodAutoscaler](t)(now.Update(ctx, h2, metav1.UpdateOptions{}))
	h = must[*autoscalingv1.HorizontalPodAutoscaler](t)(old.Patch(ctx, "web", types.StrategicMergePatchType, []byte(`{"spec":{"targetCPUUtilizationPercentage":50}}`), metav1.PatchOptions{}))
	if h.Annotations["autoscaling.alpha.kubernetes.io/metrics"] == "" {
		t.Errorf("patched in v1: %+v", h)
	}
	h2 = must[*autoscalingv2.HorizontalPodAutoscaler](t)(now.Get(ctx, "web", metav1.GetOptions{}))
	if len(h2.Spec.Metrics) != 2 || len(h2.Annotations) != 0 || h2.Generation != 3 {
		t.Errorf("after a patch in v1: %+v", h2)
	}
	h.Status.CurrentReplicas = 3
	must[*autoscalingv1.HorizontalPodAutoscaler](t)(old.UpdateStatus(ctx, h, metav1.UpdateOptions{}))
	list := must[*autoscalingv1.HorizontalPodAutoscalerList](t)(old.List(ctx, metav1.ListOptions{}))
	if len(list.Items) != 1 || list.Items[0].Status.CurrentReplicas != 3 || *list.Items[0].Spec.TargetCPUUtilizationPercentage != 50 || list.ResourceVersion == "" {
		t.Errorf("listed in v1: %+v", list)
	}
	_, err := old.Patch(ctx, "web", types.ApplyPatchType, []byte(`{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{"name":"web"},"spec":{"maxReplicas":9}}`),
		metav1.PatchOptions{FieldManager: "apply", Force: new(true)})
	ok(t, err)
	if h2 = must[*autoscalingv2.HorizontalPodAutoscaler](t)(now.Get(ctx, "web", metav1.GetOptions{})); h2.Spec.MaxReplicas != 9 || len(h2.Spec.Metrics) != 2 {
		t.Errorf("after an apply in v1: %+v", h2.Spec)
	}
	_, err = old.Create(ctx, &autoscalingv1.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Spec: autoscalingv1.HorizontalPodAutoscalerSpec{ScaleTargetRef: target}}, metav1.CreateOptions{})
	refused(t, "the row's rules hold in each version", errors.IsInvalid, err)
	e := patience.Receive(t, "an event in v1", w.ResultChan())
	if o, is := e.Object.(*autoscalingv1.HorizontalPodAutoscaler); !is || o.Name != "web" || e.Type != watch.Modified {
		t.Errorf("watched in v1: %s %T", e.Type, e.Object)
	}
	groups := must[*metav1.APIGroupList](t)(k.Discovery().ServerGroups())
	for _, g := range groups.Groups {
		if g.Name == "autoscaling" && (g.PreferredVersion.Version != "v2" || len(g.Versions) != 2) {
			t.Errorf("discovered: %+v", g)
		}
	}
}

// signingRequests say who made them, whatever the client writes.
func signingRequests(t *testing.T, c *apitest.Cluster) {
	ctx := t.Context()
	must[*rbacv1.ClusterRoleBinding](t)(c.Admin().RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "ann"}, Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "ann"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}, metav1.CreateOptions{}))
	ann := c.Client("ann", "dev")
	var r *certificatesv1.CertificateSigningRequest
	eventually(t, "ann asks", func() (err error) {
		r, err = ann.CertificatesV1().CertificateSigningRequests().Create(ctx, &certificatesv1.CertificateSigningRequest{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "ann-"},
			Spec: certificatesv1.CertificateSigningRequestSpec{Request: signingRequest(t), SignerName: "example.com/a",
				Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth}, Username: "root", Groups: []string{"system:masters"}},
		}, metav1.CreateOptions{})
		return err
	})
	if r.Spec.Username != "ann" || len(r.Spec.Groups) != 2 || r.Spec.Groups[0] != "dev" {
		t.Errorf("asked by %q of %v", r.Spec.Username, r.Spec.Groups)
	}
}

func signingRequest(t *testing.T) []byte {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func generatedNames(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "generated")
	_, err := k.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "Upper-"}}, metav1.CreateOptions{})
	if !errors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.generateName") {
		t.Errorf("got %v", err)
	}
	// Events of the newer group are held to its rules, those of the older are not.
	_, err = k.EventsV1().Events(ns).Create(ctx, &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Reason: "x", Type: "Normal",
		Regarding: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: ns}}, metav1.CreateOptions{})
	if !errors.IsInvalid(err) || !strings.Contains(err.Error(), "eventTime") {
		t.Errorf("got %v", err)
	}
}

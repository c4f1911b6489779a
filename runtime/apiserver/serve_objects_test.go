package apiserver_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

func objects(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "objects")
	w := must[watch.Interface](t)(k.CoreV1().ConfigMaps(ns).Watch(ctx, metav1.ListOptions{}))
	defer w.Stop()
	cm := must[*corev1.ConfigMap](t)(k.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"k": "1"}}, metav1.CreateOptions{}))
	stale := cm.DeepCopy()
	cm.Data["k"] = "2"
	must[*corev1.ConfigMap](t)(k.CoreV1().ConfigMaps(ns).Update(ctx, cm, metav1.UpdateOptions{}))
	_, err := k.CoreV1().ConfigMaps(ns).Update(ctx, stale, metav1.UpdateOptions{})
	refused(t, "a stale update", errors.IsConflict, err)
	cm = must[*corev1.ConfigMap](t)(k.CoreV1().ConfigMaps(ns).Patch(ctx, "a", types.StrategicMergePatchType, []byte(`{"data":{"k":"3"}}`), metav1.PatchOptions{}))
	if cm.Data["k"] != "3" {
		t.Errorf("patched to %q", cm.Data["k"])
	}
	ok(t, k.CoreV1().ConfigMaps(ns).Delete(ctx, "a", metav1.DeleteOptions{}))
	_, err = k.CoreV1().ConfigMaps(ns).Get(ctx, "a", metav1.GetOptions{})
	refused(t, "a get of what is deleted", errors.IsNotFound, err)
	for _, want := range []watch.EventType{watch.Added, watch.Modified, watch.Modified, watch.Deleted} {
		e := patience.Receive(t, "watch: "+string(want), w.ResultChan())
		if o, isMap := e.Object.(*corev1.ConfigMap); e.Type != want || !isMap || o.Name != "a" {
			// kube-root-ca.crt may come in between where a controller runs; here none does.
			t.Fatalf("watch: got %s %T, want %s", e.Type, e.Object, want)
		}
	}
}

func serverSideApply(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "apply")
	apply := func(manager, body string) (*appsv1.Deployment, error) {
		return k.AppsV1().Deployments(ns).Patch(ctx, "web", types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: manager})
	}
	body := func(replicas int) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":%d,"selector":{"matchLabels":{"app":"web"}},
			"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"app:1"}]}}}}`, replicas)
	}
	d := must[*appsv1.Deployment](t)(apply("one", body(2)))
	if d.Generation != 1 || *d.Spec.Replicas != 2 || d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		t.Errorf("generation %d, %d replicas, strategy %q", d.Generation, *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	_, err := apply("two", body(3))
	refused(t, "applying another's field", errors.IsConflict, err)
	d = must[*appsv1.Deployment](t)(apply("one", body(4)))
	if d.Generation != 2 {
		t.Errorf("generation %d after a change of the spec, want 2", d.Generation)
	}

	// Who scales owns the number from then on.
	_, err = k.AppsV1().Deployments(ns).UpdateScale(ctx, "web", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: ns}, Spec: autoscalingv1.ScaleSpec{Replicas: 6}},
		metav1.UpdateOptions{FieldManager: "scaler"})
	ok(t, err)
	_, err = apply("one", body(4))
	refused(t, "applying the number over the scaler's", errors.IsConflict, err)
	d = must[*appsv1.Deployment](t)(apply("one", strings.Replace(body(0), `"replicas":0,`, "", 1)))
	if *d.Spec.Replicas != 6 {
		t.Errorf("%d replicas once the manifest does not name them, want the scaler's 6", *d.Spec.Replicas)
	}
	owner := ""
	for _, m := range d.ManagedFields {
		if strings.Contains(m.FieldsV1.GetRawString(), "f:replicas") {
			owner += m.Manager + " " + m.Subresource + ";"
		}
	}
	if owner != "scaler scale;" {
		t.Errorf("the number is owned by %q", owner)
	}
}

func strictFields(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "strict")
	err := k.CoreV1().RESTClient().Post().Namespace(ns).Resource("configmaps").Param("fieldValidation", "Strict").
		SetHeader("Content-Type", "application/json").Body([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"dta":{}}`)).Do(ctx).Error()
	if err == nil || !strings.Contains(err.Error(), `unknown field "dta"`) {
		t.Errorf("got %v", err)
	}
	_, err = k.CoreV1().Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	refused(t, "a pod without containers", errors.IsInvalid, err)
}

func subresources(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "parts")
	d := must[*appsv1.Deployment](t)(k.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}}, Spec: pod("web").Spec},
		},
	}, metav1.CreateOptions{}))
	d.Status.Replicas, d.Status.ObservedGeneration = 1, 1
	d.Labels = map[string]string{"x": "y"}
	n := int32(9)
	d.Spec.Replicas = &n
	d = must[*appsv1.Deployment](t)(k.AppsV1().Deployments(ns).UpdateStatus(ctx, d, metav1.UpdateOptions{}))
	if *d.Spec.Replicas != 1 || d.Status.Replicas != 1 || d.Generation != 1 {
		t.Errorf("a status update: %d replicas in spec, %d in status, generation %d", *d.Spec.Replicas, d.Status.Replicas, d.Generation)
	}
	s, err := k.AppsV1().Deployments(ns).GetScale(ctx, "web", metav1.GetOptions{})
	ok(t, err)
	if s.Status.Selector != "app=web" || s.Status.Replicas != 1 {
		t.Errorf("scale status %+v", s.Status)
	}
	s.Spec.Replicas = 5
	_, err = k.AppsV1().Deployments(ns).UpdateScale(ctx, "web", s, metav1.UpdateOptions{})
	ok(t, err)
	d = must[*appsv1.Deployment](t)(k.AppsV1().Deployments(ns).Get(ctx, "web", metav1.GetOptions{}))
	if *d.Spec.Replicas != 5 || d.Generation != 2 {
		t.Errorf("scaled to %d, generation %d", *d.Spec.Replicas, d.Generation)
	}

	p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, pod("p"), metav1.CreateOptions{}))
	if p.Status.Phase != corev1.PodPending || p.Status.QOSClass != corev1.PodQOSBestEffort || *p.Spec.Priority != 0 || len(p.Spec.Tolerations) != 2 {
		t.Errorf("a new pod: %+v, priority %v, tolerations %v", p.Status, p.Spec.Priority, p.Spec.Tolerations)
	}
	if len(p.Spec.Volumes) != 1 || !strings.HasPrefix(p.Spec.Volumes[0].Name, "kube-api-access-") || len(p.Spec.Containers[0].VolumeMounts) != 1 || p.Spec.ServiceAccountName != "default" {
		t.Errorf("a new pod has no token: %+v", p.Spec)
	}
	ok(t, bind(t, k, ns, "p", "w1"))
	refused(t, "binding twice", errors.IsConflict, bind(t, k, ns, "p", "w2"))
	p = must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, "p", metav1.GetOptions{}))
	if p.Spec.NodeName != "w1" || len(p.Status.Conditions) != 1 || p.Status.Conditions[0].Type != corev1.PodScheduled {
		t.Errorf("bound to %q, conditions %v", p.Spec.NodeName, p.Status.Conditions)
	}
	ok(t, k.CoreV1().Pods(ns).Delete(ctx, "p", metav1.DeleteOptions{}))
	p = must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, "p", metav1.GetOptions{}))
	if p.DeletionTimestamp == nil || *p.DeletionGracePeriodSeconds != 30 {
		t.Errorf("a bound pod that is deleted: %v, grace %v", p.DeletionTimestamp, p.DeletionGracePeriodSeconds)
	}
	zero := int64(0)
	ok(t, k.CoreV1().Pods(ns).Delete(ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	_, err = k.CoreV1().Pods(ns).Get(ctx, "p", metav1.GetOptions{})
	refused(t, "a pod that its kubelet has let go", errors.IsNotFound, err)
}

func eviction(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "evict")
	one := intstr.FromInt32(1)
	b := must[*policyv1.PodDisruptionBudget](t)(k.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "b"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "web"}}},
	}, metav1.CreateOptions{}))
	for _, name := range []string{"a", "b"} {
		p := pod(name)
		p.Labels["tier"] = "web"
		must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, p, metav1.CreateOptions{}))
		ok(t, bind(t, k, ns, name, "w1"))
		p = must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{}))
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue})
		must[*corev1.Pod](t)(k.CoreV1().Pods(ns).UpdateStatus(ctx, p, metav1.UpdateOptions{}))
	}
	evict := func(name string) error {
		return k.PolicyV1().Evictions(ns).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}})
	}
	refused(t, "an eviction before the budget is counted", errors.IsTooManyRequests, evict("a"))
	b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, DisruptionsAllowed: 1, CurrentHealthy: 2, DesiredHealthy: 1, ExpectedPods: 2}
	must[*policyv1.PodDisruptionBudget](t)(k.PolicyV1().PodDisruptionBudgets(ns).UpdateStatus(ctx, b, metav1.UpdateOptions{}))
	ok(t, evict("a"))
	refused(t, "one eviction too many", errors.IsTooManyRequests, evict("b"))
	b = must[*policyv1.PodDisruptionBudget](t)(k.PolicyV1().PodDisruptionBudgets(ns).Get(ctx, "b", metav1.GetOptions{}))
	if _, counted := b.Status.DisruptedPods["a"]; b.Status.DisruptionsAllowed != 0 || !counted {
		t.Errorf("budget: %+v", b.Status)
	}
}

func namespaceLifecycle(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "dying")
	ok(t, k.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{}))
	n := must[*corev1.Namespace](t)(k.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{}))
	if n.Status.Phase != corev1.NamespaceTerminating || n.DeletionTimestamp == nil {
		t.Fatalf("phase %s, deleted %v", n.Status.Phase, n.DeletionTimestamp)
	}
	eventually(t, "creating in a namespace that is being deleted is refused", func() error {
		_, err := k.CoreV1().ConfigMaps(ns).Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "x-"}}, metav1.CreateOptions{})
		if !errors.IsForbidden(err) {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	n.Spec.Finalizers = nil
	must[*corev1.Namespace](t)(k.CoreV1().Namespaces().Finalize(ctx, n, metav1.UpdateOptions{}))
	_, err := k.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
	refused(t, "a finalized namespace", errors.IsNotFound, err)
	_, err = k.CoreV1().ConfigMaps("nowhere").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	refused(t, "creating in a namespace that does not exist", errors.IsNotFound, err)
	refused(t, "deleting default", errors.IsForbidden, k.CoreV1().Namespaces().Delete(ctx, "default", metav1.DeleteOptions{}))
}

func customResources(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "custom")
	dyn := must[*dynamic.DynamicClient](t)(dynamic.NewForConfig(k.JSON()))
	crd := &unstructured.Unstructured{}
	ok(t, json.Unmarshal([]byte(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},
		"spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
		"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object",
		"properties":{"size":{"type":"integer","minimum":1}},"x-kubernetes-validations":[{"rule":"self.size < 10"}]}}}}}]}}`), crd))
	_, err := dyn.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}).Create(ctx, crd, metav1.CreateOptions{})
	ok(t, err)
	widgets := dyn.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}).Namespace(ns)
	widget := func(name string, size int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": name}, "spec": map[string]any{"size": size}}}
	}
	eventually(t, "a widget is made", func() error { _, err := widgets.Create(ctx, widget("w", 3), metav1.CreateOptions{}); return err })
	_, err = widgets.Create(ctx, widget("big", 11), metav1.CreateOptions{})
	refused(t, "a widget against the rule", errors.IsInvalid, err)
	eventually(t, "the group is discovered", func() error {
		_, err := k.Discovery().ServerResourcesForGroupVersion("example.com/v1")
		return err
	})
}

func tables(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "tables")
	must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, pod("p"), metav1.CreateOptions{}))
	raw := must[[]byte](t)(k.CoreV1().RESTClient().Get().Namespace(ns).Resource("pods").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").DoRaw(ctx))
	table := &metav1.Table{}
	ok(t, json.Unmarshal(raw, table))
	if len(table.Rows) != 1 || table.ColumnDefinitions[1].Name != "Ready" || table.Rows[0].Cells[1] != "0/1" || table.Rows[0].Cells[2] != "Pending" {
		t.Errorf("table: %s", raw)
	}
}

// events of both groups are the same objects.
func events(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "events")
	_, err := k.EventsV1().Events(ns).Create(ctx, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e"}, EventTime: metav1.NowMicro(), ReportingController: "test/scheduler", ReportingInstance: "m1",
		Action: "Binding", Reason: "FailedScheduling", Note: "0/0 nodes", Type: "Warning", Regarding: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: ns},
	}, metav1.CreateOptions{})
	ok(t, err)
	list := must[*corev1.EventList](t)(k.CoreV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=p"}))
	if len(list.Items) != 1 || list.Items[0].Message != "0/0 nodes" || list.Items[0].InvolvedObject.Name != "p" {
		t.Fatalf("core events: %+v", list.Items)
	}
	for selector, want := range map[string]int{
		"reportingController=test/scheduler": 1, "reportingController=other": 0, "regarding.name=p,reason=FailedScheduling,type=Warning": 1, "regarding.name=q": 0,
	} {
		if list := must[*eventsv1.EventList](t)(k.EventsV1().Events(ns).List(ctx, metav1.ListOptions{FieldSelector: selector})); len(list.Items) != want {
			t.Errorf("%s: %d events", selector, len(list.Items))
		}
	}
	back := must[*eventsv1.EventList](t)(k.EventsV1().Events(ns).List(ctx, metav1.ListOptions{}))
	if len(back.Items) != 1 || back.Items[0].Note != "0/0 nodes" {
		t.Errorf("events.k8s.io: %+v", back.Items)
	}
	must[*corev1.Event](t)(k.CoreV1().Events(ns).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "older"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: ns}, Reason: "x", Message: "y", Type: "Normal",
	}, metav1.CreateOptions{}))
}

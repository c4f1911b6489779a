package apiserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestServer runs all its parts against one server: starting one costs seconds.
func TestServer(t *testing.T) {
	c := apitest.Start(t)
	for name, f := range map[string]func(*testing.T, *apitest.Cluster){
		"objects":             objects,
		"server-side apply":   serverSideApply,
		"strict fields":       strictFields,
		"subresources":        subresources,
		"eviction":            eviction,
		"roles":               roles,
		"nodes":               nodes,
		"tokens":              serviceAccountTokens,
		"cluster IPs":         clusterIPs,
		"namespace lifecycle": namespaceLifecycle,
		"custom resources":    customResources,
		"tables":              tables,
		"discovery":           discovery,
		"system objects":      systemObjects,
		"anonymous":           anonymous,
		"events":              events,
		"versions":            versions,
		"signing requests":    signingRequests,
		"generated names":     generatedNames,
		"streams":             streams,
		"impersonations":      impersonations,
		"health checks":       healthChecks,
		"component statuses":  componentStatuses,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, c)
		})
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails unless err is the kind of refusal that is says.
func refused(t *testing.T, what string, is func(error) bool, err error) {
	t.Helper()
	if err == nil || !is(err) {
		t.Errorf("%s: got %v", what, err)
	}
}

func namespace(t *testing.T, c kubernetes.Interface, name string) string {
	t.Helper()
	must[*corev1.Namespace](t)(c.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))
	must[*corev1.ServiceAccount](t)(c.CoreV1().ServiceAccounts(name).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}))
	return name
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "app:1"}}},
	}
}

func bind(t *testing.T, c kubernetes.Interface, ns, name, node string) error {
	t.Helper()
	return c.CoreV1().Pods(ns).Bind(t.Context(), &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}, metav1.CreateOptions{})
}

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
		select {
		case e := <-w.ResultChan():
			if o, isMap := e.Object.(*corev1.ConfigMap); e.Type != want || !isMap || o.Name != "a" {
				// kube-root-ca.crt may come in between where a controller runs; here none does.
				t.Fatalf("watch: got %s %T, want %s", e.Type, e.Object, want)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("watch: no %s", want)
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

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for range 200 {
		if err = f(); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s: %v", what, err)
}

func roles(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "roles")
	jane := c.Client("jane")
	list := func() error { _, err := jane.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{}); return err }
	refused(t, "a user without a role", errors.IsForbidden, list())
	must[*rbacv1.RoleBinding](t)(k.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "jane"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	}, metav1.CreateOptions{}))
	// admin has its rules by aggregation only.
	eventually(t, "jane may list", list)
	_, err := jane.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	refused(t, "another namespace", errors.IsForbidden, err)
	_, err = jane.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}}, metav1.CreateOptions{})
	refused(t, "granting more than one has", errors.IsForbidden, err)
	_, err = jane.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "less"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}}, metav1.CreateOptions{})
	ok(t, err)
	r, err := jane.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "delete", Resource: "nodes"}}}, metav1.CreateOptions{})
	ok(t, err)
	if r.Status.Allowed {
		t.Error("jane may delete nodes")
	}
	_, err = jane.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if errors.IsForbidden(err) {
		t.Error("everyone may read the list of masters")
	}
	for _, user := range []string{config.ControllerManagerUser, config.SchedulerUser, config.ProxyUser, config.DNSUser} {
		if _, err := c.Client(user).CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil {
			t.Errorf("%s lists nodes: %v", user, err)
		}
	}
}

func nodes(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "nodes")
	for _, name := range []string{"mine", "other"} {
		must[*corev1.Secret](t)(k.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))
		p := pod(name)
		p.Spec.Volumes = []corev1.Volume{{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}}
		must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, p, metav1.CreateOptions{}))
		ok(t, bind(t, k, ns, name, name+"-node"))
	}
	kubelet := c.Node("mine-node")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "mine-node"}}
	allowed := map[string]error{}
	_, allowed["create itself"] = kubelet.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	_, allowed["read its secret"] = kubelet.CoreV1().Secrets(ns).Get(ctx, "mine", metav1.GetOptions{})
	_, allowed["list nodes"] = kubelet.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	_, allowed["list its pods"] = kubelet.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=mine-node"})
	p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, "mine", metav1.GetOptions{}))
	p.Status.Phase = corev1.PodRunning
	_, allowed["report its pod"] = kubelet.CoreV1().Pods(ns).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	tr := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "mine", UID: p.UID}}}
	_, allowed["get a token for its pod"] = kubelet.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", tr, metav1.CreateOptions{})
	for what, err := range allowed {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	o := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, "other", metav1.GetOptions{}))
	denied := map[string]error{}
	_, denied["create another node"] = kubelet.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	_, denied["read another's secret"] = kubelet.CoreV1().Secrets(ns).Get(ctx, "other", metav1.GetOptions{})
	_, denied["list secrets"] = kubelet.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{})
	_, denied["list all pods"] = kubelet.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	_, denied["report another's pod"] = kubelet.CoreV1().Pods(ns).UpdateStatus(ctx, o, metav1.UpdateOptions{})
	denied["delete another's pod"] = kubelet.CoreV1().Pods(ns).Delete(ctx, "other", metav1.DeleteOptions{})
	_, denied["get a token bound to nothing"] = kubelet.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	vault := tr.DeepCopy()
	vault.Spec.Audiences = []string{"vault"}
	_, denied["get a token for another audience"] = kubelet.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", vault, metav1.CreateOptions{})
	denied["delete itself"] = kubelet.CoreV1().Nodes().Delete(ctx, "mine-node", metav1.DeleteOptions{})
	_, denied["choose its pod CIDR"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"spec":{"podCIDR":"0.0.0.0/0"}}`), metav1.PatchOptions{})
	_, denied["take a role"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"metadata":{"labels":{"node-role.kubernetes.io/vault":""}}}`), metav1.PatchOptions{})
	_, denied["take a restricted label by its status"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"metadata":{"labels":{"node-restriction.kubernetes.io/x":""}}}`), metav1.PatchOptions{}, "status")
	_, denied["have an owner"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"none","uid":"1"}]}}`), metav1.PatchOptions{}, "status")
	_, denied["label its pod by status"] = kubelet.CoreV1().Pods(ns).Patch(ctx, "mine", types.MergePatchType, []byte(`{"metadata":{"labels":{"app":"x"}}}`), metav1.PatchOptions{}, "status")
	_, denied["make a pod"] = kubelet.CoreV1().Pods(ns).Create(ctx, pod("made"), metav1.CreateOptions{})
	denied["delete a namespace"] = kubelet.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{})
	for what, err := range denied {
		refused(t, what, errors.IsForbidden, err)
	}
}

func withToken(c *apitest.Cluster, token string) kubernetes.Interface {
	admin := c.Admin()
	cfg := rest.AnonymousClientConfig(admin.REST)
	cfg.Dial, cfg.BearerToken = admin.REST.Dial, token
	return kubernetes.NewForConfigOrDie(cfg)
}

func serviceAccountTokens(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "tokens")
	p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, pod("p"), metav1.CreateOptions{}))
	tr := must[*authenticationv1.TokenRequest](t)(k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", Name: "p", UID: p.UID}},
	}, metav1.CreateOptions{}))
	me := must[*authenticationv1.SelfSubjectReview](t)(withToken(c, tr.Status.Token).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}))
	if u := me.Status.UserInfo; u.Username != "system:serviceaccount:tokens:default" || u.Extra["authentication.kubernetes.io/pod-name"][0] != "p" {
		t.Errorf("the token's bearer is %+v", u)
	}
	other := must[*authenticationv1.TokenRequest](t)(k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}},
	}, metav1.CreateOptions{}))
	_, err := withToken(c, other.Status.Token).CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	refused(t, "a token for another audience", errors.IsUnauthorized, err)
	review := func(token string, audiences ...string) authenticationv1.TokenReviewStatus {
		return must[*authenticationv1.TokenReview](t)(k.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}, metav1.CreateOptions{})).Status
	}
	if s := review(other.Status.Token, "vault"); !s.Authenticated {
		t.Errorf("vault's token: %+v", s)
	}
	if s := review(tr.Status.Token); !s.Authenticated || !slices.Contains(s.User.Groups, "system:authenticated") {
		t.Errorf("the pod's token: %+v", s)
	}
	ok(t, k.CoreV1().Pods(ns).Delete(ctx, "p", metav1.DeleteOptions{}))
	// The pod is looked up in the cache, which is some milliseconds behind.
	eventually(t, "the token ends with its pod", func() error {
		if s := review(tr.Status.Token); s.Authenticated {
			return fmt.Errorf("it outlives it")
		}
		return nil
	})
}

func clusterIPs(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "services")
	svc := func(name string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	const n = 40
	var mu sync.Mutex
	var wg sync.WaitGroup
	ips, ports := map[string]bool{}, map[int32]bool{}
	for i := range n {
		wg.Go(func() {
			s := svc(fmt.Sprintf("s%d", i))
			s.Spec.Type = corev1.ServiceTypeNodePort
			s, err := k.CoreV1().Services(ns).Create(context.Background(), s, metav1.CreateOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ips[s.Spec.ClusterIP], ports[s.Spec.Ports[0].NodePort] = true, true
		})
	}
	wg.Wait()
	if len(ips) != n || len(ports) != n {
		t.Errorf("%d services have %d addresses and %d node ports", n, len(ips), len(ports))
	}
	s := must[*corev1.Service](t)(k.CoreV1().Services(ns).Get(ctx, "s0", metav1.GetOptions{}))
	clash := svc("clash")
	clash.Spec.ClusterIP = s.Spec.ClusterIP
	_, err := k.CoreV1().Services(ns).Create(ctx, clash, metav1.CreateOptions{})
	refused(t, "an address in use", errors.IsInvalid, err)
	outside := svc("outside")
	outside.Spec.ClusterIP = "10.200.0.1"
	_, err = k.CoreV1().Services(ns).Create(ctx, outside, metav1.CreateOptions{})
	refused(t, "an address outside", errors.IsInvalid, err)
	ok(t, k.CoreV1().Services(ns).Delete(ctx, "s0", metav1.DeleteOptions{}))
	must[*corev1.Service](t)(k.CoreV1().Services(ns).Create(ctx, clash, metav1.CreateOptions{}))

	// An update that leaves out what was given keeps it; a change of type gives it back.
	s = must[*corev1.Service](t)(k.CoreV1().Services(ns).Get(ctx, "s1", metav1.GetOptions{}))
	ip := s.Spec.ClusterIP
	s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
	s = must[*corev1.Service](t)(k.CoreV1().Services(ns).Update(ctx, s, metav1.UpdateOptions{}))
	if s.Spec.ClusterIP != ip {
		t.Errorf("the address changed from %s to %s", ip, s.Spec.ClusterIP)
	}
	port := s.Spec.Ports[0].NodePort
	s.Spec.Type, s.Spec.Ports[0].NodePort = corev1.ServiceTypeClusterIP, 0
	s.Spec.ExternalTrafficPolicy = ""
	must[*corev1.Service](t)(k.CoreV1().Services(ns).Update(ctx, s, metav1.UpdateOptions{}))
	reuse := svc("reuse")
	reuse.Spec.Type, reuse.Spec.Ports[0].NodePort = corev1.ServiceTypeNodePort, port
	must[*corev1.Service](t)(k.CoreV1().Services(ns).Create(ctx, reuse, metav1.CreateOptions{}))
	headless := svc("headless")
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	if h := must[*corev1.Service](t)(k.CoreV1().Services(ns).Create(ctx, headless, metav1.CreateOptions{})); h.Spec.ClusterIP != "None" {
		t.Errorf("headless got %q", h.Spec.ClusterIP)
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

func discovery(t *testing.T, c *apitest.Cluster) {
	k := c.Admin()
	groups, resources, err := k.Discovery().ServerGroupsAndResources()
	ok(t, err)
	found := map[string]bool{}
	for _, l := range resources {
		for _, r := range l.APIResources {
			found[l.GroupVersion+" "+r.Name] = true
		}
	}
	for _, want := range []string{"v1 pods", "v1 pods/exec", "apps/v1 deployments/scale", "v1 serviceaccounts/token", "rbac.authorization.k8s.io/v1 roles",
		"authorization.k8s.io/v1 selfsubjectaccessreviews", "apiextensions.k8s.io/v1 customresourcedefinitions", "apiregistration.k8s.io/v1 apiservices"} {
		if !found[want] {
			t.Errorf("%s is not discovered in %d groups", want, len(groups))
		}
	}
	v, err := k.Discovery().ServerVersion()
	ok(t, err)
	if v.GitVersion != "v1.37.2+gantry.0.0.0-test" {
		t.Errorf("version %s", v.GitVersion)
	}
	doc, err := k.Discovery().OpenAPISchema()
	ok(t, err)
	if len(doc.GetDefinitions().GetAdditionalProperties()) < 300 {
		t.Errorf("OpenAPI v2 has %d definitions", len(doc.GetDefinitions().GetAdditionalProperties()))
	}
	paths, err := k.Discovery().OpenAPIV3().Paths()
	ok(t, err)
	if _, ok := paths["apis/apps/v1"]; !ok {
		t.Errorf("OpenAPI v3 has %d paths, none for apps/v1", len(paths))
	}
}

func systemObjects(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	s := must[*corev1.Service](t)(k.CoreV1().Services("default").Get(ctx, "kubernetes", metav1.GetOptions{}))
	if s.Spec.ClusterIP != "10.96.0.1" {
		t.Errorf("kubernetes is at %s", s.Spec.ClusterIP)
	}
	d := must[*corev1.Service](t)(k.CoreV1().Services("kube-system").Get(ctx, "kube-dns", metav1.GetOptions{}))
	if d.Spec.ClusterIP != "10.96.0.10" || d.Labels["service.kubernetes.io/service-proxy-name"] != "gantry-dns" {
		t.Errorf("kube-dns: %s %v", d.Spec.ClusterIP, d.Labels)
	}
	m := must[*corev1.ConfigMap](t)(k.CoreV1().ConfigMaps("kube-system").Get(ctx, "gantry-cluster", metav1.GetOptions{}))
	if m.Data["clusterID"] != apitest.ClusterID || m.Data["name"] != "test" {
		t.Errorf("gantry-cluster: %v", m.Data)
	}
	extensionAuthentication(t, k)
	for _, ns := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		must[*corev1.Namespace](t)(k.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{}))
	}
	_, err := k.SchedulingV1().PriorityClasses().Get(ctx, "system-node-critical", metav1.GetOptions{})
	ok(t, err)
}

// extensionAuthentication: what aggregated API servers know clients by is published,
// comes back when it goes, and keeps what others have added.
func extensionAuthentication(t *testing.T, k kubernetes.Interface) {
	ctx, objects := t.Context(), k.CoreV1().ConfigMaps("kube-system")
	const name, names = "extension-apiserver-authentication", "requestheader-allowed-names"
	first := must[*corev1.ConfigMap](t)(objects.Get(ctx, name, metav1.GetOptions{}))
	for key, want := range map[string]string{
		"client-ca-file": "-----BEGIN CERTIFICATE-----", "requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----", names: `["` + config.FrontProxyUser + `"]`,
		"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-group-headers": `["X-Remote-Group"]`, "requestheader-uid-headers": `["X-Remote-Uid"]`,
		"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
	} {
		if !strings.HasPrefix(first.Data[key], want) {
			t.Errorf("%s: %s is %q, want %q", name, key, first.Data[key], want)
		}
	}
	await := func(what string, want func(*corev1.ConfigMap) bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			have, err := objects.Get(ctx, name, metav1.GetOptions{})
			if err == nil && want(have) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %+v, %v", what, have, err)
			}
		}
	}
	ok(t, objects.Delete(ctx, name, metav1.DeleteOptions{}))
	await("deleted", func(have *corev1.ConfigMap) bool {
		return reflect.DeepEqual(have.Data, first.Data) && have.UID != first.UID
	})
	_, err := objects.Patch(ctx, name, types.MergePatchType, []byte(`{"data":{"`+names+`":"[\"mine\"]","client-ca-file":"x"}}`), metav1.PatchOptions{})
	ok(t, err)
	await("changed", func(have *corev1.ConfigMap) bool {
		return have.Data[names] == `["mine","`+config.FrontProxyUser+`"]` && have.Data["client-ca-file"] == first.Data["client-ca-file"]
	})
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

// anonymous: who brings nothing is somebody on a few paths alone, and may do there what
// RBAC says, which an administrator can change.
func anonymous(t *testing.T, c *apitest.Cluster) {
	ctx, admin, k := t.Context(), c.Admin(), withToken(c, "")
	ask := func(path string) (code int) {
		k.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).StatusCode(&code)
		return code
	}
	const keys = "/openid/v1/jwks"
	for path, want := range map[string]int{
		"/healthz": 200, "/livez": 200, "/readyz": 200, "/version": 200, "/livez/ping": http.StatusUnauthorized,
		"/.well-known/openid-configuration": http.StatusForbidden, keys: http.StatusForbidden,
		"/api/v1/namespaces": http.StatusUnauthorized, "/metrics": http.StatusUnauthorized, "/openapi/v2": http.StatusUnauthorized,
	} {
		if code := ask(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	for _, who := range []struct {
		groups []string
		want   authorizationv1.SubjectAccessReviewStatus
	}{
		{nil, authorizationv1.SubjectAccessReviewStatus{}},
		{[]string{"system:unauthenticated"}, authorizationv1.SubjectAccessReviewStatus{Allowed: true,
			Reason: `RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole "system:public-info-viewer" to Group "system:unauthenticated"`}},
	} {
		got := must[*authorizationv1.SubjectAccessReview](t)(admin.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:anonymous", Groups: who.groups, NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/healthz", Verb: "get"},
		}}, metav1.CreateOptions{}))
		if got.Status != who.want {
			t.Errorf("/healthz of system:anonymous, groups %v: %+v, want %+v", who.groups, got.Status, who.want)
		}
	}
	must[*rbacv1.ClusterRoleBinding](t)(admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "keys-are-public"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:service-account-issuer-discovery"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:unauthenticated"}},
	}, metav1.CreateOptions{}))
	for deadline := time.Now().Add(10 * time.Second); ask(keys) != http.StatusOK; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d after it was granted to everybody", keys, ask(keys))
		}
	}
}

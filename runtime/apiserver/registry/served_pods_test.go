package registry_test

import (
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

func newPod(t *testing.T, k kubernetes.Interface, ns, name string, labels map[string]string) *corev1.Pod {
	t.Helper()
	p, err := k.CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i:1", Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func proxies(t *testing.T, c *apitest.Cluster, ns string) {
	k := c.Admin()
	newPod(t, k, ns, "p", nil)
	for name, ip := range map[string]string{"headless": corev1.ClusterIPNone, "there": ""} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 80}}}}
		if _, err := k.CoreV1().Services(ns).Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	get := func(path string) error {
		return k.CoreV1().RESTClient().Get().RequestURI("/api/v1" + path).Do(t.Context()).Error()
	}
	in := "/namespaces/" + ns
	refusal(t, "a pod without an address", get(in+"/pods/p/proxy/"), http.StatusServiceUnavailable, "has no address yet")
	refusal(t, "no pod", get(in+"/pods/q/proxy/"), http.StatusNotFound, "not found")
	refusal(t, "an odd pod", get(in+"/pods/a:b:c:d/proxy/"), http.StatusBadRequest, "invalid pod request")
	for _, ip := range []string{"127.0.0.1", "169.254.169.254", "::1"} {
		p, err := k.CoreV1().Pods(ns).Get(t.Context(), "p", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		p.Status.PodIP, p.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
		if _, err := k.CoreV1().Pods(ns).UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		refusal(t, "a pod at "+ip, get(in+"/pods/p/proxy/"), http.StatusBadRequest, "address not allowed")
	}
	refusal(t, "a headless service", get(in+"/services/headless/proxy/"), http.StatusServiceUnavailable, `no endpoints available for service "headless"`)
	refusal(t, "another port", get(in+"/services/there:81/proxy/"), http.StatusServiceUnavailable, "no service port 81 found")
	port, name, protocol := int32(80), "", corev1.ProtocolTCP
	for what, target := range map[string]*corev1.ObjectReference{"of-nobody": nil, "of-p": {Kind: "Pod", Namespace: ns, Name: "p"}} {
		_, err := k.DiscoveryV1().EndpointSlices(ns).Create(t.Context(), &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: what, Labels: map[string]string{discoveryv1.LabelServiceName: "there"}}, AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"}, TargetRef: target}},
			Ports:     []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	refusal(t, "endpoints that are not the pods'", get(in+"/services/there:80/proxy/"), http.StatusServiceUnavailable, "no endpoints available")
	refusal(t, "an odd service", get(in+"/services/a:b:c:d/proxy/"), http.StatusBadRequest, "invalid service request")
	refusal(t, "no node", get("/nodes/n/proxy/"), http.StatusNotFound, "not found")
	refusal(t, "an odd node", get("/nodes/a:b:c:d/proxy/"), http.StatusBadRequest, "invalid node request")
	refusal(t, "the log of a pod nowhere", get(in+"/pods/p/log"), http.StatusBadRequest, "does not have a host assigned")
	refusal(t, "the log of no container", get(in+"/pods/p/log?container=x"), http.StatusBadRequest, "container x is not valid for pod p")
	if _, err := k.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "quiet"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	refusal(t, "a node without an address", get("/nodes/quiet/proxy/"), http.StatusServiceUnavailable, "has not reported an address and a kubelet port")
}

func bindings(t *testing.T, c *apitest.Cluster, ns string) {
	k := c.Admin()
	p := newPod(t, k, ns, "p", nil)
	p.Status.NominatedNodeName = "n"
	p, err := k.CoreV1().Pods(ns).UpdateStatus(t.Context(), p, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	bind := func(name, node string, change func(*corev1.Binding)) error {
		b := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: ns}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
		if change != nil {
			change(b)
		}
		return k.CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name(name).SubResource("binding").Body(b).Do(t.Context()).Error()
	}
	refusal(t, "another name", bind("p", "n", func(b *corev1.Binding) { b.Name = "q" }), http.StatusBadRequest, "")
	refusal(t, "no node", bind("p", "", nil), http.StatusBadRequest, "target.name: Required value")
	refusal(t, "no Node", bind("p", "n", func(b *corev1.Binding) { b.Target.Kind = "Pod" }), http.StatusBadRequest, `target.kind: Unsupported value: "Pod"`)
	refusal(t, "the name of no node", bind("p", "N_", nil), http.StatusBadRequest, `target.name: Invalid value: "N_"`)
	refusal(t, "no pod, by its name alone", k.CoreV1().RESTClient().Post().Namespace(ns).Resource("bindings").Body(&corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "q", Namespace: ns}, Target: corev1.ObjectReference{Kind: "Node", Name: "n"},
	}).Do(t.Context()).Error(), http.StatusNotFound, "not found")
	refusal(t, "no pod", bind("q", "n", func(b *corev1.Binding) { b.Name = "q" }), http.StatusNotFound, "not found")
	refusal(t, "another pod of the name", bind("p", "n", func(b *corev1.Binding) { b.UID = "other" }), http.StatusConflict, "")
	refusal(t, "an older pod", bind("p", "n", func(b *corev1.Binding) { b.ResourceVersion = "1" }), http.StatusConflict, "")
	refusal(t, "the pod", bind("p", "n", func(b *corev1.Binding) {
		b.UID, b.ResourceVersion, b.Annotations, b.Labels = p.UID, p.ResourceVersion, map[string]string{"a": "b"}, map[string]string{"zone": "z"}
	}), 0, "")
	got, err := k.CoreV1().Pods(ns).Get(t.Context(), "p", metav1.GetOptions{})
	if err != nil || got.Spec.NodeName != "n" || got.Annotations["a"] != "b" || got.Labels["zone"] != "z" || got.Status.NominatedNodeName != "" {
		t.Errorf("bound: %v, %+v", err, got)
	}
}

func evictions(t *testing.T, c *apitest.Cluster, ns string) {
	ctx, k := t.Context(), c.Admin()
	one := intstr.FromInt32(1)
	for _, name := range []string{"one", "both", "other"} {
		b := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: policyv1.PodDisruptionBudgetSpec{MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{name: "x"}}}}
		b, err := k.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, b, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		b.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: b.Generation, DisruptionsAllowed: 1, CurrentHealthy: 2, DesiredHealthy: 1, ExpectedPods: 2}
		if _, err := k.PolicyV1().PodDisruptionBudgets(ns).UpdateStatus(ctx, b, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	allowed := func() int32 {
		b, err := k.PolicyV1().PodDisruptionBudgets(ns).Get(ctx, "one", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return b.Status.DisruptionsAllowed
	}
	run := func(name string, labels map[string]string, ready corev1.ConditionStatus) {
		p := newPod(t, k, ns, name, labels)
		p.Status.Phase = corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
		if _, err := k.CoreV1().Pods(ns).UpdateStatus(ctx, p, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	evict := func(name string, change func(*policyv1.Eviction)) error {
		e := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns}}
		if change != nil {
			change(e)
		}
		return k.CoreV1().RESTClient().Post().Namespace(ns).Resource("pods").Name(name).SubResource("eviction").Body(e).Do(ctx).Error()
	}
	run("plain", map[string]string{"one": "x"}, corev1.ConditionTrue)
	run("twice", map[string]string{"both": "x", "other": "x"}, corev1.ConditionTrue)
	run("unready", map[string]string{"one": "x"}, corev1.ConditionFalse)
	run("free", nil, corev1.ConditionTrue)
	newPod(t, k, ns, "pending", map[string]string{"one": "x"})
	refusal(t, "another name", evict("plain", func(e *policyv1.Eviction) { e.Name = "q" }), http.StatusBadRequest, "")
	refusal(t, "no pod", evict("q", nil), http.StatusNotFound, "not found")
	refusal(t, "of two budgets", evict("twice", nil), http.StatusInternalServerError, "more than one PodDisruptionBudget")
	refusal(t, "of another pod", evict("free", func(e *policyv1.Eviction) {
		e.DeleteOptions = &metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("other")}
	}), http.StatusConflict, "")
	refusal(t, "to try", evict("plain", func(e *policyv1.Eviction) {
		e.DeleteOptions = &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
	}), 0, "")
	refusal(t, "what does not run", evict("pending", nil), 0, "")
	refusal(t, "what serves nothing", evict("unready", nil), 0, "")
	if n := allowed(); n != 1 {
		t.Errorf("%d disruptions are left, none was made", n)
	}
	refusal(t, "with consent", evict("plain", nil), 0, "")
	if n := allowed(); n != 0 {
		t.Errorf("%d disruptions are left", n)
	}
	refusal(t, "of no budget", evict("free", nil), 0, "")
	kept := newPod(t, k, ns, "kept", nil)
	kept, err := k.CoreV1().Pods(ns).Patch(ctx, kept.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":["example.com/keep"]}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	refusal(t, "of a version", evict("kept", func(e *policyv1.Eviction) {
		e.DeleteOptions = &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: ptr.To("1")}}
	}), http.StatusConflict, "ResourceVersion in precondition: 1")
	refusal(t, "of its version", evict("kept", func(e *policyv1.Eviction) {
		e.DeleteOptions = &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &kept.ResourceVersion}}
	}), 0, "")
	if kept, err = k.CoreV1().Pods(ns).Get(ctx, "kept", metav1.GetOptions{}); err != nil || kept.DeletionTimestamp == nil ||
		!slices.ContainsFunc(kept.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == "EvictionByEvictionAPI" && c.Message == "Eviction API: evicting"
		}) {
		t.Errorf("evicted: %+v, %v", kept, err)
	}
	for _, name := range []string{"plain", "unready", "free", "pending"} {
		if _, err := k.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{}); !errors.IsNotFound(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

package apiserver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
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

func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	patience.Eventually(t, what, f)
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

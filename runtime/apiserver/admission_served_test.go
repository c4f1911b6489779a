package apiserver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestAdmissionServed shows the plugins at work in a server: that they are asked, and
// find what they look up. TestPoliciesAndWebhooksDecide does so with those of policies and webhooks.
func TestAdmissionServed(t *testing.T) {
	c := apitest.Start(t, func(cfg *config.APIServerConfig) {
		cfg.Admission = config.Admission{Enable: []string{config.EventRateLimit}, EventRateLimits: []config.EventLimit{{Type: config.EventsOfNamespace, QPS: 1, Burst: 3}}}
	})
	for name, f := range map[string]func(*testing.T, *apitest.Cluster, kubernetes.Interface, string){
		"limit-ranges": limitRanges, "pod-security": podSecurity, "runtime-classes": runtimeClasses, "quotas": quotas,
		"topology": topology, "addresses": addresses, "event-rate": eventRate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := c.Admin()
			f(t, c, k, namespace(t, k, name))
		})
	}
}

// because fails unless a write was refused for this reason.
func because(t *testing.T, what string, err error, why string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: %v\nwant: %s", what, err, why)
	}
}

func dryRun() metav1.CreateOptions {
	return metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
}

func limitRanges(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	must[*corev1.LimitRange](t)(k.CoreV1().LimitRanges(ns).Create(t.Context(), &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "l"}, Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer, Default: corev1.ResourceList{"memory": resource.MustParse("64Mi")}, Max: corev1.ResourceList{"memory": resource.MustParse("128Mi")},
	}}}}, metav1.CreateOptions{}))
	// At once: what the cache does not know yet is looked for live.
	p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(t.Context(), pod("p"), metav1.CreateOptions{}))
	if q := p.Spec.Containers[0].Resources.Limits["memory"]; q.String() != "64Mi" || p.Annotations["kubernetes.io/limit-ranger"] == "" {
		t.Errorf("%+v %v", p.Spec.Containers[0].Resources, p.Annotations)
	}
	large := pod("large")
	large.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("256Mi")}
	_, err := k.CoreV1().Pods(ns).Create(t.Context(), large, dryRun())
	because(t, "above the maximum", err, `pods "large" is forbidden: maximum memory usage per Container is 128Mi, but limit is 256Mi`)
}

func podSecurity(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	o := must[*corev1.Namespace](t)(k.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}))
	o.Labels["pod-security.kubernetes.io/enforce"] = "baseline"
	must[*corev1.Namespace](t)(k.CoreV1().Namespaces().Update(t.Context(), o, metav1.UpdateOptions{}))
	rooted := pod("rooted")
	rooted.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
	eventually(t, "a privileged pod is refused", func() error {
		if _, err := k.CoreV1().Pods(ns).Create(t.Context(), rooted, dryRun()); err == nil || !strings.Contains(err.Error(), `violates PodSecurity "baseline:latest": privileged`) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	plain := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(t.Context(), pod("plain"), metav1.CreateOptions{}))
	plain.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "app:1", SecurityContext: &corev1.SecurityContext{Privileged: ptr.To(true)}}}}
	_, err := k.CoreV1().Pods(ns).UpdateEphemeralContainers(t.Context(), plain.Name, plain, metav1.UpdateOptions{})
	because(t, "a privileged debug container", err, "violates PodSecurity")
	o = must[*corev1.Namespace](t)(k.CoreV1().Namespaces().Get(t.Context(), ns, metav1.GetOptions{}))
	o.Labels["pod-security.kubernetes.io/enforce"] = "strict"
	_, err = k.CoreV1().Namespaces().Update(t.Context(), o, metav1.UpdateOptions{})
	because(t, "a level that does not exist", err, "must be one of privileged, baseline, restricted")
}

func runtimeClasses(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	p := pod("p")
	p.Spec.RuntimeClassName = ptr.To("none")
	_, err := k.CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{})
	because(t, "a class that does not exist", err, `pods "p" is forbidden: pod rejected: RuntimeClass "none" not found`)
}

// The quota controller is played by the test.
func quotas(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	hard := corev1.ResourceList{"pods": resource.MustParse("1"), "count/configmaps": resource.MustParse("1"), "services.nodeports": resource.MustParse("0")}
	q := must[*corev1.ResourceQuota](t)(k.CoreV1().ResourceQuotas(ns).Create(t.Context(), &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: hard}}, metav1.CreateOptions{}))
	zero := resource.MustParse("0")
	q.Status = corev1.ResourceQuotaStatus{Hard: hard, Used: corev1.ResourceList{"pods": zero, "count/configmaps": zero, "services.nodeports": zero}}
	must[*corev1.ResourceQuota](t)(k.CoreV1().ResourceQuotas(ns).UpdateStatus(t.Context(), q, metav1.UpdateOptions{}))
	onNodes := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}}}
	eventually(t, "the quota is seen", func() error {
		if _, err := k.CoreV1().Services(ns).Create(t.Context(), onNodes, dryRun()); err == nil || !strings.Contains(err.Error(), "exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=0, limited: services.nodeports=0") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(t.Context(), pod("a"), dryRun()))
	must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(t.Context(), pod("a"), metav1.CreateOptions{}))
	_, err := k.CoreV1().Pods(ns).Create(t.Context(), pod("b"), metav1.CreateOptions{})
	because(t, "a second pod", err, `pods "b" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1`)
	must[*corev1.ConfigMap](t)(k.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{}))
	_, err = k.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "b"}}, metav1.CreateOptions{})
	because(t, "a second config map", err, "exceeded quota: q, requested: count/configmaps=1")
	q = must[*corev1.ResourceQuota](t)(k.CoreV1().ResourceQuotas(ns).Get(t.Context(), "q", metav1.GetOptions{}))
	if used := q.Status.Used["pods"]; used.Value() != 1 {
		t.Errorf("%v", q.Status)
	}
}

func topology(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	n := must[*corev1.Node](t)(k.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "topology-node", Labels: map[string]string{"topology.kubernetes.io/zone": "z"}}}, metav1.CreateOptions{}))
	if len(n.Spec.Taints) != 1 || n.Spec.Taints[0].Key != "node.kubernetes.io/not-ready" {
		t.Errorf("a new node: %v", n.Spec.Taints)
	}
	eventually(t, "labels of the node", func() error {
		name := fmt.Sprintf("p%d", time.Now().UnixNano())
		must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(t.Context(), pod(name), metav1.CreateOptions{}))
		ok(t, bind(t, k, ns, name, n.Name))
		if p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})); p.Labels["topology.kubernetes.io/zone"] != "z" || p.Labels["app"] != name {
			return fmt.Errorf("%v", p.Labels)
		}
		return nil
	})
}

func addresses(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	with := func(name, clusterIP string, external ...string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: clusterIP, ExternalIPs: external, Ports: []corev1.ServicePort{{Port: 80}}}}
	}
	for ip, why := range map[string]string{"10.96.200.1": "service range", "10.244.3.4": "pod range"} {
		_, err := k.CoreV1().Services(ns).Create(t.Context(), with("x", "", ip), metav1.CreateOptions{})
		because(t, ip, err, why)
	}
	s := must[*corev1.Service](t)(k.CoreV1().Services(ns).Create(t.Context(), with("taken", "10.96.201.1", "203.0.113.1"), metav1.CreateOptions{}))
	_, err := k.CoreV1().Services(ns).Create(t.Context(), with("other", "10.96.201.1"), dryRun())
	because(t, "a dry run of an address that is taken", err, "already allocated")
	s.Spec.ExternalIPs = append(s.Spec.ExternalIPs, "10.96.201.1")
	_, err = k.CoreV1().Services(ns).Update(t.Context(), s, metav1.UpdateOptions{})
	because(t, "an update", err, "spec.externalIPs[1]")

	denies := apitest.Start(t, func(cfg *config.APIServerConfig) {
		cfg.Admission = config.Admission{Enable: []string{config.DenyServiceExternalIPs}}
	}).Admin()
	_, err = denies.CoreV1().Services("default").Create(t.Context(), with("x", "", "203.0.113.1"), metav1.CreateOptions{})
	because(t, "with DenyServiceExternalIPs", err, "Use of external IPs is denied by admission control")
}

func eventRate(t *testing.T, _ *apitest.Cluster, k kubernetes.Interface, ns string) {
	limited := 0
	for i := range 10 {
		_, err := k.CoreV1().Events(ns).Create(t.Context(), &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("e", i), Namespace: ns}, InvolvedObject: corev1.ObjectReference{Namespace: ns}}, dryRun())
		ok(t, err)
		if _, err = k.CoreV1().Events(ns).Create(t.Context(), &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("e", i), Namespace: ns}, InvolvedObject: corev1.ObjectReference{Namespace: ns}}, metav1.CreateOptions{}); apierrors.IsTooManyRequests(err) {
			limited++
		} else if err != nil {
			t.Error(err)
		}
	}
	if limited == 0 {
		t.Error("ten events at once are let in")
	}
}

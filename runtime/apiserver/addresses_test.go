package apiserver_test

import (
	"fmt"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

// TestAddresses: cluster IPs are shown as IPAddresses, and given of every ServiceCIDR that
// is ready. No controller runs here: the ranges' conditions are written by the test.
func TestAddresses(t *testing.T) {
	c := apitest.Start(t)
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "addresses")
	cidrs, ips, services := k.NetworkingV1().ServiceCIDRs(), k.NetworkingV1().IPAddresses(), k.CoreV1().Services(ns)

	def := must[*networkingv1.ServiceCIDR](t)(cidrs.Get(ctx, "kubernetes", metav1.GetOptions{}))
	if len(def.Spec.CIDRs) != 1 || def.Spec.CIDRs[0] != "10.96.0.0/16" || !meta.IsStatusConditionTrue(def.Status.Conditions, networkingv1.ServiceCIDRConditionReady) {
		t.Errorf("the configured range: %+v", def)
	}
	api := must[*networkingv1.IPAddress](t)(ips.Get(ctx, "10.96.0.1", metav1.GetOptions{}))
	if p := api.Spec.ParentRef; p.Resource != "services" || p.Namespace != "default" || p.Name != "kubernetes" {
		t.Errorf("the API's address: %+v", api)
	}

	create := func(name, ip string) (*corev1.Service, error) {
		return services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	}
	s := must[*corev1.Service](t)(create("a", ""))
	shown := must[*networkingv1.IPAddress](t)(ips.Get(ctx, s.Spec.ClusterIP, metav1.GetOptions{}))
	if shown.Spec.ParentRef.Name != "a" || shown.Labels[networkingv1.LabelManagedBy] != "ipallocator.k8s.io" || shown.Labels[networkingv1.LabelIPAddressFamily] != "IPv4" {
		t.Errorf("%+v", shown)
	}
	ok(t, services.Delete(ctx, "a", metav1.DeleteOptions{}))
	_, err := ips.Get(ctx, s.Spec.ClusterIP, metav1.GetOptions{})
	refused(t, "the address of a Service that is gone", errors.IsNotFound, err)

	must[*networkingv1.IPAddress](t)(ips.Create(ctx, &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "10.96.7.7"},
		Spec:       networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{Group: "gateway.networking.k8s.io", Resource: "gateways", Namespace: ns, Name: "g"}},
	}, metav1.CreateOptions{}))
	_, err = create("b", "10.96.7.7")
	refused(t, "an address that is somebody else's", errors.IsInvalid, err)

	_, err = create("b", "10.99.0.9")
	refused(t, "an address of no range", errors.IsInvalid, err)
	second := must[*networkingv1.ServiceCIDR](t)(cidrs.Create(ctx, &networkingv1.ServiceCIDR{
		ObjectMeta: metav1.ObjectMeta{Name: "second"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.99.0.0/24"}},
	}, metav1.CreateOptions{}))
	_, err = create("b", "10.99.0.9")
	refused(t, "an address of a range that is not ready", errors.IsInvalid, err)
	meta.SetStatusCondition(&second.Status.Conditions, metav1.Condition{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue})
	second = must[*networkingv1.ServiceCIDR](t)(cidrs.UpdateStatus(ctx, second, metav1.UpdateOptions{}))
	must[*corev1.Service](t)(create("b", "10.99.0.9"))
	second.Spec.CIDRs = []string{"10.98.0.0/24"}
	_, err = cidrs.Update(ctx, second, metav1.UpdateOptions{})
	refused(t, "another range", errors.IsInvalid, err)
	ok(t, cidrs.Delete(ctx, "second", metav1.DeleteOptions{}))
	_, err = create("c", "10.99.0.10")
	refused(t, "an address of a range that is gone", errors.IsInvalid, err)
}

// TestOrphans: what a Job and a ReplicationController own stays when a client of old
// deletes them, and goes when it says so.
func TestOrphans(t *testing.T) {
	c := apitest.Start(t)
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "orphans")
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "a"}}, Spec: pod("a").Spec}
	background := metav1.DeletePropagationBackground
	for i, tt := range []struct {
		options metav1.DeleteOptions
		orphans bool
	}{{metav1.DeleteOptions{}, true}, {metav1.DeleteOptions{PropagationPolicy: &background}, false}} {
		name := fmt.Sprint("x", i)
		must[*corev1.ReplicationController](t)(k.CoreV1().ReplicationControllers(ns).Create(ctx, &corev1.ReplicationController{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ReplicationControllerSpec{Template: &template},
		}, metav1.CreateOptions{}))
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: *template.DeepCopy()}}
		j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
		must[*batchv1.Job](t)(k.BatchV1().Jobs(ns).Create(ctx, j, metav1.CreateOptions{}))
		ok(t, k.CoreV1().ReplicationControllers(ns).Delete(ctx, name, tt.options))
		ok(t, k.BatchV1().Jobs(ns).Delete(ctx, name, tt.options))

		// One that orphans waits for the garbage collector, which does not run here.
		rc, err := k.CoreV1().ReplicationControllers(ns).Get(ctx, name, metav1.GetOptions{})
		orphans := err == nil && len(rc.Finalizers) == 1 && rc.Finalizers[0] == metav1.FinalizerOrphanDependents
		if orphans != tt.orphans || !orphans && !errors.IsNotFound(err) {
			t.Errorf("deleted with %+v: %v, %v", tt.options, rc.Finalizers, err)
		}
		got, err := k.BatchV1().Jobs(ns).Get(ctx, name, metav1.GetOptions{})
		orphans = err == nil && len(got.Finalizers) == 1 && got.Finalizers[0] == metav1.FinalizerOrphanDependents
		if orphans != tt.orphans || !orphans && !errors.IsNotFound(err) {
			t.Errorf("a Job deleted with %+v: %v, %v", tt.options, got.Finalizers, err)
		}
	}
}

package main

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller"
)

// controlPlane is etcd, API server, controllers and scheduler, and model kubelets:
// everything but containers.
type controlPlane struct {
	*testing.T
	admin *client.Client
	api   *apitest.Cluster
	// controllers ends the controller-manager that leads.
	controllers func()
}

// unready pods run, and are said not to be ready.
func unready(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodRunning && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue
	})
}

func web(n int32, image string) *appsv1.Deployment {
	app := map[string]string{"app": "web"}
	grace, seconds := int64(0), int64(1)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "shop"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: app},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: new(intstr.FromString("25%")), MaxUnavailable: new(intstr.FromString("25%")),
			}},
			RevisionHistoryLimit: new(int32(1)), ProgressDeadlineSeconds: new(int32(600)),
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{
				SchedulerName: corev1.DefaultSchedulerName, TerminationGracePeriodSeconds: &grace,
				Tolerations: []corev1.Toleration{
					{Key: corev1.TaintNodeUnreachable, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds},
				},
				Containers: []corev1.Container{{Name: "web", Image: image, Ports: []corev1.ContainerPort{{ContainerPort: 80}}}},
			}},
		},
	}
}

// TestControlPlane walks a deployment through its life against a real API server.
func TestControlPlane(t *testing.T) {
	p := startControlPlane(t)
	ctx := t.Context()
	api := p.admin
	cut := map[string]func(){}
	for _, n := range []string{"w1", "w2", "w3"} {
		cut[n] = p.startNode(n)
	}
	p.until("every node has a pod CIDR of its own", func() error {
		nodes, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, n := range nodes.Items {
			seen[n.Spec.PodCIDR] = n.Spec.PodCIDR != ""
		}
		if len(seen) != 3 || seen[""] {
			return fmt.Errorf("pod CIDRs: %v", seen)
		}
		return nil
	})

	_, err := api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	p.must(err)
	p.until("namespace has its service account and root CA", func() error {
		if _, err := api.CoreV1().ServiceAccounts("shop").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		m, err := api.CoreV1().ConfigMaps("shop").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		if err == nil && m.Data["ca.crt"] != string(p.api.CA()) {
			return fmt.Errorf("root CA differs")
		}
		return err
	})

	_, err = api.CoreV1().Services("shop").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"}, ClusterIP: "10.96.0.77", ClusterIPs: []string{"10.96.0.77"},
			IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP}},
		},
	}, metav1.CreateOptions{})
	p.must(err)
	one := intstr.FromInt32(1)
	_, err = api.PolicyV1().PodDisruptionBudgets("shop").Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}},
	}, metav1.CreateOptions{})
	p.must(err)

	_, err = api.AppsV1().Deployments("shop").Create(ctx, web(6, "web:1"), metav1.CreateOptions{})
	p.must(err)
	p.rolledOut(6)
	p.until("two pods are on each of three nodes", func() error { return p.spread(2, "w1", "w2", "w3") })
	p.until("the Service has six ready endpoints", func() error { return p.endpoints(6) })
	p.until("one pod may be disrupted", func() error {
		b, err := api.PolicyV1().PodDisruptionBudgets("shop").Get(ctx, "web", metav1.GetOptions{})
		if err == nil && (b.Status.DisruptionsAllowed != 1 || b.Status.ExpectedPods != 6) {
			return fmt.Errorf("status %+v", b.Status)
		}
		return err
	})

	for i := 2; i <= 4; i++ {
		p.change(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = fmt.Sprint("web:", i) })
		p.rolledOut(6)
	}
	p.until("one old replica set is kept", func() error {
		sets, err := api.AppsV1().ReplicaSets("shop").List(ctx, metav1.ListOptions{})
		if err == nil && len(sets.Items) != 2 {
			return fmt.Errorf("%d replica sets", len(sets.Items))
		}
		return err
	})
	p.change(func(d *appsv1.Deployment) {
		d.Spec.Replicas = new(int32(3))
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
		d.Spec.Template.Spec.Containers[0].Image = "web:5"
	})
	p.rolledOut(3)

	t.Run("unschedulable", func(t *testing.T) { p.unschedulable(t) })
	t.Run("dead node", func(t *testing.T) { p.deadNode(t, cut["w3"]) })
	t.Run("deletion", func(t *testing.T) { p.deletion(t) })
}

func (p *controlPlane) change(f func(*appsv1.Deployment)) {
	p.Helper()
	p.must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		d, err := p.admin.AppsV1().Deployments("shop").Get(p.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		f(d)
		_, err = p.admin.AppsV1().Deployments("shop").Update(p.Context(), d, metav1.UpdateOptions{})
		return err
	}))
}

// rolledOut waits as kubectl rollout status does.
func (p *controlPlane) rolledOut(n int32) {
	p.Helper()
	p.until(fmt.Sprintf("rolled out with %d pods", n), func() error {
		d, err := p.admin.AppsV1().Deployments("shop").Get(p.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.UpdatedReplicas != n || s.Replicas != n || s.AvailableReplicas != n {
			return fmt.Errorf("generation %d, status %+v", d.Generation, s)
		}
		return nil
	})
}

func (p *controlPlane) spread(each int, nodes ...string) error {
	pods, err := p.admin.CoreV1().Pods("shop").List(p.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		return err
	}
	on := map[string]int{}
	for _, pod := range pods.Items {
		on[pod.Spec.NodeName]++
	}
	for _, n := range nodes {
		if on[n] != each {
			return fmt.Errorf("pods by node: %v", on)
		}
	}
	return nil
}

func (p *controlPlane) endpoints(ready int) error {
	slices, err := p.admin.DiscoveryV1().EndpointSlices("shop").List(p.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=web"})
	if err != nil {
		return err
	}
	n := 0
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready != nil && *e.Conditions.Ready && e.NodeName != nil {
				n++
			}
		}
	}
	if n != ready {
		return fmt.Errorf("%d ready endpoints", n)
	}
	return nil
}

// unschedulable checks that a pod that fits nowhere says why, and is placed when
// it fits.
func (p *controlPlane) unschedulable(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "big", Namespace: "shop"}, Spec: corev1.PodSpec{
		SchedulerName: corev1.DefaultSchedulerName, NodeSelector: map[string]string{"disk": "ssd"}, TerminationGracePeriodSeconds: new(int64(0)),
		Containers: []corev1.Container{{Name: "c", Image: "c"}},
	}}
	_, err := p.admin.CoreV1().Pods("shop").Create(t.Context(), pod, metav1.CreateOptions{})
	p.must(err)
	const why = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. " +
		"preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
	p.until("a pod that fits nowhere says why", func() error {
		got, err := p.admin.CoreV1().Pods("shop").Get(t.Context(), "big", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range got.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == "Unschedulable" && c.Message == why {
				events, err := p.admin.CoreV1().Events("shop").List(t.Context(), metav1.ListOptions{})
				if err != nil {
					return err
				}
				for _, e := range events.Items {
					if e.Reason == "FailedScheduling" && e.InvolvedObject.Name == "big" && e.Message == why {
						return nil
					}
				}
				return fmt.Errorf("no event among %d", len(events.Items))
			}
		}
		return fmt.Errorf("conditions %+v", got.Status.Conditions)
	})
	_, err = p.admin.CoreV1().Nodes().Patch(t.Context(), "w2", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"disk":"ssd"}}}`), metav1.PatchOptions{})
	p.must(err)
	p.until("it is placed when a node fits", func() error {
		got, err := p.admin.CoreV1().Pods("shop").Get(t.Context(), "big", metav1.GetOptions{})
		if err == nil && got.Spec.NodeName != "w2" {
			return fmt.Errorf("on %q", got.Spec.NodeName)
		}
		return err
	})
}

// deadNode checks that pods leave a node that lost power, and that the Node and
// what was on it can be deleted.
func (p *controlPlane) deadNode(t *testing.T, powerCut func()) {
	p.controllers()
	p.controllers = p.startControllers("m2", gone)
	powerCut()
	p.until("the dead node is Unknown, tainted", func() error {
		n, err := p.admin.CoreV1().Nodes().Get(t.Context(), "w3", metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, taint := range n.Spec.Taints {
			if taint.Key == corev1.TaintNodeUnreachable && taint.Effect == corev1.TaintEffectNoExecute {
				return nil
			}
		}
		return fmt.Errorf("taints %v, conditions %v", n.Spec.Taints, n.Status.Conditions)
	})
	p.until("its pods are replaced elsewhere", func() error {
		pods, err := p.admin.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods.Items {
			if pod.Spec.NodeName != "w3" && pod.Status.Phase == corev1.PodRunning {
				ready++
			}
		}
		if ready != 3 {
			return fmt.Errorf("%d pods run elsewhere", ready)
		}
		return p.endpoints(3)
	})
	p.must(p.admin.CoreV1().Nodes().Delete(t.Context(), "w3", metav1.DeleteOptions{}))
}

// deletion checks both ways of deleting owners, and that a namespace takes all with it.
func (p *controlPlane) deletion(t *testing.T) {
	foreground := metav1.DeletePropagationForeground
	p.must(p.admin.AppsV1().Deployments("shop").Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &foreground}))
	p.until("a deployment is deleted in the foreground with all that is its", func() error {
		_, err := p.admin.AppsV1().Deployments("shop").Get(t.Context(), "web", metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the deployment is there: %v", err)
		}
		pods, err := p.admin.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
		if err == nil && len(pods.Items) > 0 {
			return fmt.Errorf("%d pods are there after their owner", len(pods.Items))
		}
		return err
	})
	_, err := p.admin.AppsV1().Deployments("shop").Create(t.Context(), web(2, "web:1"), metav1.CreateOptions{})
	p.must(err)
	p.rolledOut(2)
	background := metav1.DeletePropagationBackground
	p.must(p.admin.AppsV1().Deployments("shop").Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &background}))
	p.until("dependents follow in the background", func() error {
		pods, err := p.admin.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
		if err == nil && len(pods.Items) > 0 {
			return fmt.Errorf("%d pods are there", len(pods.Items))
		}
		return err
	})
	p.must(p.admin.CoreV1().Services("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}))
	p.until("a Service's slices follow it", func() error {
		slices, err := p.admin.DiscoveryV1().EndpointSlices("shop").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(slices.Items) > 0 {
			return fmt.Errorf("%d slices are there", len(slices.Items))
		}
		return err
	})
	p.must(p.admin.CoreV1().Namespaces().Delete(t.Context(), "shop", metav1.DeleteOptions{}))
	p.until("the namespace is gone", func() error {
		ns, err := p.admin.CoreV1().Namespaces().Get(t.Context(), "shop", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("%v, status %+v", err, ns.Status)
	})
}

// TestControllersHandOver checks that a second controller-manager stands by, and
// leads at once when the first ends.
func TestControllersHandOver(t *testing.T) {
	api := apitest.Start(t)
	p := &controlPlane{T: t, admin: api.Admin(), api: api}
	p.systemNamespaces()
	stop := p.startControllers("m1", alive)
	p.startControllers("m2", alive)
	holder := func(want string) func() error {
		return func() error {
			l, err := p.admin.CoordinationV1().Leases(metav1.NamespaceSystem).Get(t.Context(), controller.Lease, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if h := l.Spec.HolderIdentity; h == nil || *h != want {
				return fmt.Errorf("lease %+v", l.Spec)
			}
			return nil
		}
	}
	p.until("the first leads", holder("m1"))
	stop()
	p.until("the second takes over without waiting for the lease to expire", holder("m2"))
}

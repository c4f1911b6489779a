package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller"
	"github.com/gantry-run/gantry/runtime/scheduler"
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

func startControlPlane(t *testing.T) *controlPlane {
	api := apitest.Start(t)
	p := &controlPlane{T: t, admin: api.Admin(), api: api}
	p.systemNamespaces()
	p.controllers = p.startControllers("m1")
	cfg := config.SchedulerConfig{LeaderElection: electionOf("m1")}
	s, err := scheduler.New(cfg, api.Client(config.SchedulerUser), apitest.Logger())
	p.must(err)
	p.run("scheduler", s)
	return p
}

// systemNamespaces waits for nothing: those that the server has not made are made.
func (p *controlPlane) systemNamespaces() {
	for _, name := range []string{metav1.NamespaceSystem, corev1.NamespaceNodeLease, metav1.NamespaceDefault} {
		_, err := p.admin.CoreV1().Namespaces().Create(p.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			p.Fatal(err)
		}
	}
}

func electionOf(identity string) config.LeaderElection {
	return config.LeaderElection{
		Identity: identity, LeaseDuration: metav1.Duration{Duration: 15 * time.Second},
		RenewDeadline: metav1.Duration{Duration: 10 * time.Second}, RetryPeriod: metav1.Duration{Duration: time.Second},
	}
}

// gracePeriod is longer than a busy machine keeps a node from saying that it lives.
const gracePeriod = 15 * time.Second

func (p *controlPlane) startControllers(identity string) (stop func()) {
	cfg := config.ControllerManagerConfig{
		LeaderElection: electionOf(identity), ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), NodeCIDRMaskSize: 24,
		ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"), RootCAFile: p.api.Config.ClientCAFile,
		NodeMonitorGracePeriod: metav1.Duration{Duration: gracePeriod}, TerminatedPodThreshold: 100,
	}
	m, err := controller.New(cfg, p.api.Client(config.ControllerManagerUser), apitest.Logger())
	p.must(err)
	return p.run("controller-manager "+identity, m)
}

func (p *controlPlane) run(name string, r interface {
	Run(context.Context) error
	Ready() error
}) (stop func()) {
	ctx, cancel := context.WithCancel(p.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				p.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			p.Errorf("%s does not stop", name)
		}
	})
	p.Cleanup(stop)
	p.until(name+" is ready", 20*time.Second, func() error { return r.Ready() })
	return stop
}

func (p *controlPlane) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// until waits until check has nothing to say.
// patience is by how much longer all may take than on a machine that does nothing else:
// the tests of other packages run beside, and the race detector slows all down.
const patience = 4

func (p *controlPlane) until(what string, within time.Duration, check func() error) {
	p.Helper()
	var err error
	start := time.Now()
	for time.Since(start) < patience*within {
		if err = check(); err == nil {
			p.Logf("%-60s %s", what, time.Since(start).Round(time.Millisecond))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	p.Fatalf("%s: not within %s: %v", what, patience*within, err)
}

// startNode runs a model kubelet: it registers, renews its lease, makes pods ready,
// ends those that are to run once and lets deleted ones go. The end of it is a power cut.
func (p *controlPlane) startNode(name string) (powerCut func()) {
	ctx, cancel := context.WithCancel(p.Context())
	c := p.api.Node(name)
	_, err := c.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
	}, metav1.CreateOptions{})
	p.must(err)
	p.must(retry.RetryOnConflict(retry.DefaultRetry, func() error {
		n, err := c.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		n.Status.Capacity = corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi"), corev1.ResourcePods: resource.MustParse("110"),
		}
		n.Status.Allocatable = n.Status.Capacity
		n.Status.Conditions = []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
		}}
		_, err = c.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{})
		return err
	}))
	var wg sync.WaitGroup
	every := func(pause time.Duration, do func(context.Context, *client.Client, string)) {
		wg.Go(func() {
			for ctx.Err() == nil {
				do(ctx, c, name)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	every(time.Second, p.beat) // by itself: pods may be many
	every(100*time.Millisecond, p.kubelet)
	stop := sync.OnceFunc(func() { cancel(); wg.Wait() })
	p.Cleanup(stop)
	return stop
}

func (p *controlPlane) beat(ctx context.Context, c *client.Client, name string) {
	leases := c.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NewMicroTime(time.Now())
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, RenewTime: &now}}, metav1.CreateOptions{})
	} else if err == nil {
		lease.Spec.RenewTime = &now
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	if err != nil && ctx.Err() == nil {
		p.Logf("node %s: lease: %v", name, err)
	}
}

func (p *controlPlane) kubelet(ctx context.Context, c *client.Client, name string) {
	list, err := c.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + name})
	if err != nil {
		if ctx.Err() == nil {
			p.Logf("node %s: list pods: %v", name, err)
		}
		return
	}
	for i := range list.Items {
		pod := &list.Items[i]
		switch {
		case pod.DeletionTimestamp != nil:
			zero := int64(0)
			err = c.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
		case pod.Status.Phase == corev1.PodPending:
			pod.Status.Phase = corev1.PodRunning
			pod.Status.PodIP = fmt.Sprintf("10.244.9.%d", 1+time.Now().UnixNano()%250)
			pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
			pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()})
			_, err = c.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		case unready(pod): // as others said while the node was silent
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
			_, err = c.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		case pod.Spec.RestartPolicy == corev1.RestartPolicyNever: // its work is done by the next look
			pod.Status.Phase = corev1.PodSucceeded
			_, err = c.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
			p.Logf("node %s: pod %s: %v", name, pod.Name, err)
		}
	}
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
	p.until("every node has a pod CIDR of its own", 10*time.Second, func() error {
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
	p.until("namespace has its service account and root CA", 10*time.Second, func() error {
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
	p.until("two pods are on each of three nodes", time.Second, func() error { return p.spread(2, "w1", "w2", "w3") })
	p.until("the Service has six ready endpoints", 10*time.Second, func() error { return p.endpoints(6) })
	p.until("one pod may be disrupted", 10*time.Second, func() error {
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
	p.until("one old replica set is kept", 10*time.Second, func() error {
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
	p.until(fmt.Sprintf("rolled out with %d pods", n), 30*time.Second, func() error {
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
	p.until("a pod that fits nowhere says why", 10*time.Second, func() error {
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
	p.until("it is placed when a node fits", 10*time.Second, func() error {
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
	powerCut()
	p.until("the dead node is Unknown, tainted", 20*time.Second, func() error {
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
	p.until("its pods are replaced elsewhere", 20*time.Second, func() error {
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
	p.until("a deployment is deleted in the foreground with all that is its", 30*time.Second, func() error {
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
	p.until("dependents follow in the background", 30*time.Second, func() error {
		pods, err := p.admin.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
		if err == nil && len(pods.Items) > 0 {
			return fmt.Errorf("%d pods are there", len(pods.Items))
		}
		return err
	})
	p.must(p.admin.CoreV1().Services("shop").Delete(t.Context(), "web", metav1.DeleteOptions{}))
	p.until("a Service's slices follow it", 10*time.Second, func() error {
		slices, err := p.admin.DiscoveryV1().EndpointSlices("shop").List(t.Context(), metav1.ListOptions{})
		if err == nil && len(slices.Items) > 0 {
			return fmt.Errorf("%d slices are there", len(slices.Items))
		}
		return err
	})
	p.must(p.admin.CoreV1().Namespaces().Delete(t.Context(), "shop", metav1.DeleteOptions{}))
	p.until("the namespace is gone", 30*time.Second, func() error {
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
	stop := p.startControllers("m1")
	p.startControllers("m2")
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
	p.until("the first leads", 5*time.Second, holder("m1"))
	stop()
	p.until("the second takes over without waiting for the lease to expire", 5*time.Second, holder("m2"))
}

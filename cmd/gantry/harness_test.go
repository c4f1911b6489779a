package main

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller"
	"github.com/gantry-run/gantry/runtime/scheduler"
)

func startControlPlane(t *testing.T) *controlPlane {
	api := apitest.Start(t)
	p := &controlPlane{T: t, admin: api.Admin(), api: api}
	p.systemNamespaces()
	p.controllers = p.startControllers("m1", alive)
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
		// Nobody loses a lease to a machine that stands still, and nobody sees one expire.
		Identity: identity, LeaseDuration: metav1.Duration{Duration: time.Hour},
		RenewDeadline: metav1.Duration{Duration: time.Hour / 2}, RetryPeriod: metav1.Duration{Duration: time.Second},
	}
}

// alive is how long a node may say nothing where none dies: longer than any machine keeps
// it from that. gone is the same where one does, and the test waits for it.
const (
	alive = time.Hour
	gone  = 15 * time.Second
)

func (p *controlPlane) startControllers(identity string, gracePeriod time.Duration) (stop func()) {
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
		if err := patience.Receive(p, name+" stops", done); err != nil {
			p.Errorf("%s: %v", name, err)
		}
	})
	p.Cleanup(stop)
	p.until(name+" is ready", func() error { return r.Ready() })
	return stop
}

func (p *controlPlane) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// until waits until check has nothing to say, and says how long that took.
func (p *controlPlane) until(what string, check func() error) {
	p.Helper()
	start := time.Now()
	patience.Eventually(p, what, check)
	p.Logf("%-60s %s", what, time.Since(start).Round(time.Millisecond))
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

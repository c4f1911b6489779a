package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/bench/master"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// hollow measures the scheduler through the API: nodes that are objects only,
// pods that wait for it when it starts, and the time until the last is bound. The
// controllers do not run: no heartbeat comes from a hollow node.
func (r *report) hollow(ctx context.Context, m *master.Master, nodes, pods int) error {
	m.Stop(config.ControllerManager)
	if _, _, err := byMany(ctx, m.Client, nodes, "node", createHollowNode); err != nil {
		return fmt.Errorf("create hollow nodes: %w", err)
	}
	if _, _, err := byMany(ctx, m.Client, pods, "bound", func(ctx context.Context, c *client.Client, name string) error {
		_, err := c.CoreV1().Pods("default").Create(ctx, hollowPod(name, corev1.DefaultSchedulerName), metav1.CreateOptions{})
		return err
	}); err != nil {
		return fmt.Errorf("create pods: %w", err)
	}
	c, err := m.Client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	bound := watchBound(ctx, c, pods)
	before, err := usages(m)
	if err != nil {
		return err
	}
	if err := m.Start(ctx, config.Scheduler); err != nil {
		return err
	}
	var first, last time.Time
	for n := range pods {
		select {
		case last = <-bound:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods are bound: %w", n, pods, ctx.Err())
		}
		if n == 0 {
			first = last
		}
	}
	after, err := usages(m)
	if err != nil {
		return err
	}
	took := last.Sub(first)
	per := func(c config.Component) float64 { return (after[c].CPU - before[c].CPU) * 1000 / float64(pods) }
	r.loadRows = append(r.loadRows, fmt.Sprintf("| schedule %d pods on %d hollow nodes | %.0f pods/s | 329 pods/s; API server 2.6, scheduler 2.3, etcd 0.5 | API server %.2f, scheduler %.2f, etcd %.2f |",
		pods, nodes, float64(pods-1)/took.Seconds(), per(config.APIServer), per(config.Scheduler), per(config.Etcd)))
	r.loadRows = append(r.loadRows, fmt.Sprintf("| memory with them | API server %.0f, scheduler %.0f, etcd %.0f MiB PSS | | |",
		after[config.APIServer].PSS, after[config.Scheduler].PSS, after[config.Etcd].PSS))
	for _, row := range r.loadRows[len(r.loadRows)-2:] {
		fmt.Fprintln(os.Stderr, "  "+row)
	}
	return nil
}

// watchBound tells the moment at which each pod of the benchmark is seen bound.
func watchBound(ctx context.Context, c *client.Client, pods int) <-chan time.Time {
	out := make(chan time.Time, pods)
	pod := client.Informers(c).Core().V1().Pods().Informer()
	seen := func(old, obj any) {
		p, ok := obj.(*corev1.Pod)
		before, wasThere := old.(*corev1.Pod)
		if ok && p.Spec.NodeName != "" && strings.HasPrefix(p.Name, "bound-") && (!wasThere || before.Spec.NodeName == "") {
			out <- time.Now()
		}
	}
	pod.AddEventHandler(cache.ResourceEventHandlerFuncs{ //nolint:errcheck // it has not been started
		AddFunc: func(obj any) { seen(nil, obj) }, UpdateFunc: seen,
	})
	go pod.RunWithContext(ctx)
	cache.WaitForCacheSync(ctx.Done(), pod.HasSynced)
	return out
}

func createHollowNode(ctx context.Context, c *client.Client, name string) error {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("110"),
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}}}
	made, err := c.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Status = corev1.NodeStatus{
		Capacity: capacity, Allocatable: capacity,
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(), Reason: "Hollow"}},
	}
	if _, err = c.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	// What the node lifecycle controller does once it sees the node ready: here all are
	// schedulable before the first pod is made.
	_, err = c.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), metav1.PatchOptions{})
	return err
}

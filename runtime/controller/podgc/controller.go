package podgc

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

const (
	period = 20 * time.Second
	// quarantine is how long a node must be missing before its pods are orphans:
	// the pods' informer may be ahead of the nodes'.
	quarantine = 40 * time.Second
)

// Controller sweeps at a steady pace: what it looks for is the absence of events.
type Controller struct {
	client    kubernetes.Interface
	pods      corelisters.PodLister
	nodes     corelisters.NodeLister
	synced    []cache.InformerSynced
	threshold int
	clock     clock.WithTicker
	log       *slog.Logger
	missing   map[string]time.Time // node → since when it was not found
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	p, n := d.Informers.Core().V1().Pods(), d.Informers.Core().V1().Nodes()
	return &Controller{
		client: d.Client, pods: p.Lister(), nodes: n.Lister(), threshold: d.Config.TerminatedPodThreshold, clock: d.Clock,
		synced: []cache.InformerSynced{p.Informer().HasSynced, n.Informer().HasSynced},
		log:    d.Log.With("controller", "podgc"), missing: map[string]time.Time{},
	}, nil
}

// Run sweeps until ctx is done.
func (r *Controller) Run(ctx context.Context, _ int) error {
	if err := client.WaitForSync(ctx, r.synced...); err != nil {
		return err
	}
	tick := r.clock.NewTicker(period)
	defer tick.Stop()
	for {
		if err := r.sweep(ctx); err != nil && ctx.Err() == nil {
			r.log.Warn("pods could not be swept, will retry", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C():
		}
	}
}

func (r *Controller) sweep(ctx context.Context) error {
	all, err := r.pods.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	gone, err := r.goneNodes(ctx, all)
	if err != nil {
		return err
	}
	for _, v := range victims(all, gone, r.threshold) {
		if err := r.remove(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// goneNodes returns the nodes that pods are bound to and that have been missing for
// the quarantine, verified live.
func (r *Controller) goneNodes(ctx context.Context, all []*corev1.Pod) (map[string]bool, error) {
	now, still := r.clock.Now(), map[string]time.Time{}
	gone := map[string]bool{}
	for _, p := range all {
		name := p.Spec.NodeName
		if name == "" || !still[name].IsZero() {
			continue
		}
		if _, err := r.nodes.Get(name); !apierrors.IsNotFound(err) {
			continue
		}
		since, known := r.missing[name]
		if !known {
			since = now
		}
		still[name] = since
		if now.Sub(since) < quarantine {
			continue
		}
		_, err := r.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			gone[name] = true
		case err != nil:
			return nil, fmt.Errorf("read node %s: %w", name, err)
		}
	}
	r.missing = still
	return gone, nil
}

// remove deletes a pod at once: no kubelet is there to end it. One that did not
// end is first marked as failed, so that its owner counts it as such.
func (r *Controller) remove(ctx context.Context, v victim) error {
	p := v.pod
	if v.reason != "" && !pod.IsTerminal(p) {
		updated := p.DeepCopy()
		markFailed(updated, v, metav1.NewTime(r.clock.Now()))
		if _, err := reconcile.WriteStatus(ctx, r.client.CoreV1().Pods(p.Namespace), "pod", updated, &p.Status, &updated.Status); err != nil {
			return err
		}
	}
	err := r.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0), Preconditions: metav1.NewUIDPreconditions(string(p.UID)),
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s/%s: %w", p.Namespace, p.Name, err)
	}
	r.log.Info("pod deleted", "pod", p.Namespace+"/"+p.Name, "node", p.Spec.NodeName, "why", v.message)
	return nil
}

package servicecidrs

import (
	"context"
	"fmt"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	networkingclient "k8s.io/client-go/kubernetes/typed/networking/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const (
	finalizer = "networking.k8s.io/service-cidr-finalizer"
	// managedBy is the label value of the addresses of Services.
	managedBy = "ipallocator.k8s.io"
	// grace is how long a deleted range stays at least: a request that had found it ready
	// has taken its address by then, or failed.
	grace = 10 * time.Second
	// recheck is when a range that addresses hold back is looked at again. To be told of
	// each address would cost a copy of all of them, for what hardly ever happens.
	recheck = grace
)

// Controller reconciles ServiceCIDRs, by name.
type Controller struct {
	cidrs     networkingclient.ServiceCIDRInterface
	addresses networkingclient.IPAddressInterface
	lister    networkinglisters.ServiceCIDRLister
	clock     clock.PassiveClock
	loop      *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	cidrs, api := d.Informers.Networking().V1().ServiceCIDRs(), d.Client.NetworkingV1()
	r := &Controller{cidrs: api.ServiceCIDRs(), addresses: api.IPAddresses(), lister: cidrs.Lister(), clock: d.Clock}
	queue := func(c *networkingv1.ServiceCIDR) { r.loop.Add(c.Name) }
	r.loop = reconcile.New("servicecidrs", d.Log, r.reconcile, client.Watch(cidrs.Informer(),
		// One that comes may take over the addresses that hold others back.
		func(c *networkingv1.ServiceCIDR) { queue(c); r.queueEnding() },
		func(_, c *networkingv1.ServiceCIDR) { queue(c) }, queue))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

func (r *Controller) queueEnding() {
	all, err := r.lister.List(labels.Everything())
	if err != nil {
		return // they are looked at again soon
	}
	for _, c := range all {
		if c.DeletionTimestamp != nil {
			r.loop.Add(c.Name)
		}
	}
}

func (r *Controller) reconcile(ctx context.Context, name string) (time.Duration, error) {
	c, err := reconcile.Get(r.lister, "ServiceCIDR "+name, name)
	if c == nil {
		return 0, err
	}
	if c.DeletionTimestamp != nil {
		return r.end(ctx, c)
	}
	if !slices.Contains(c.Finalizers, finalizer) {
		c.Finalizers = append(c.Finalizers, finalizer)
		if c, err = r.cidrs.Update(ctx, c, metav1.UpdateOptions{}); err != nil {
			return 0, fmt.Errorf("protect ServiceCIDR %s: %w", name, err)
		}
	}
	return 0, r.say(ctx, c, metav1.Condition{Status: metav1.ConditionTrue, Message: "Kubernetes Service CIDR is ready"})
}

// end lets a deleted range go, or says what holds it back.
func (r *Controller) end(ctx context.Context, c *networkingv1.ServiceCIDR) (time.Duration, error) {
	held, err := r.held(ctx, c)
	if err != nil {
		return 0, err
	}
	if held {
		return recheck, r.say(ctx, c, metav1.Condition{
			Status: metav1.ConditionFalse, Reason: networkingv1.ServiceCIDRReasonTerminating,
			Message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
		})
	}
	if left := grace - r.clock.Since(c.DeletionTimestamp.Time); left > 0 {
		return left, nil
	}
	i := slices.Index(c.Finalizers, finalizer)
	if i < 0 {
		return 0, nil
	}
	c.Finalizers = slices.Delete(c.Finalizers, i, i+1)
	if _, err := r.cidrs.Update(ctx, c, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("let ServiceCIDR %s go: %w", c.Name, err)
	}
	return 0, nil
}

// held says whether an address would be left in no range without this one.
func (r *Controller) held(ctx context.Context, c *networkingv1.ServiceCIDR) (bool, error) {
	all, err := r.lister.List(labels.Everything())
	if err != nil {
		return false, fmt.Errorf("list the ServiceCIDRs: %w", err)
	}
	others := prefixes(slices.DeleteFunc(slices.Clone(all), func(o *networkingv1.ServiceCIDR) bool { return o.Name == c.Name }))
	own := prefixes([]*networkingv1.ServiceCIDR{c})
	if covered(own, others) {
		return false, nil
	}
	list, err := r.addresses.List(ctx, metav1.ListOptions{
		LabelSelector: labels.Set{networkingv1.LabelManagedBy: managedBy}.String(), ResourceVersion: "0",
	})
	if err != nil {
		return false, fmt.Errorf("list the IPAddresses: %w", err)
	}
	return anyOnlyIn(list.Items, own, others), nil
}

// say writes the Ready condition.
func (r *Controller) say(ctx context.Context, c *networkingv1.ServiceCIDR, ready metav1.Condition) error {
	before := c.Status.DeepCopy()
	ready.Type, ready.LastTransitionTime = networkingv1.ServiceCIDRConditionReady, metav1.NewTime(r.clock.Now())
	meta.SetStatusCondition(&c.Status.Conditions, ready)
	_, err := reconcile.WriteStatus(ctx, r.cidrs, "ServiceCIDR", c, before, &c.Status)
	return err
}

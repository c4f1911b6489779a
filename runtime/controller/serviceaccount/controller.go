package serviceaccount

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const name = "default"

// Controller reconciles namespaces, by name.
type Controller struct {
	client     kubernetes.Interface
	namespaces corelisters.NamespaceLister
	accounts   corelisters.ServiceAccountLister
	loop       *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	namespaces, accounts := d.Informers.Core().V1().Namespaces(), d.Informers.Core().V1().ServiceAccounts()
	r := &Controller{client: d.Client, namespaces: namespaces.Lister(), accounts: accounts.Lister()}
	r.loop = reconcile.New("serviceaccount", d.Log, r.reconcile,
		client.Watch(namespaces.Informer(),
			func(ns *corev1.Namespace) { r.loop.Add(ns.Name) },
			func(_, ns *corev1.Namespace) { r.loop.Add(ns.Name) }, nil),
		client.Watch(accounts.Informer(), nil, nil, r.deleted))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// deleted looks after an account that is gone, if it is one of ours.
func (r *Controller) deleted(a *corev1.ServiceAccount) {
	if a.Name == name {
		r.loop.Add(a.Namespace)
	}
}

func (r *Controller) reconcile(ctx context.Context, namespace string) (time.Duration, error) {
	ns, err := r.namespaces.Get(namespace)
	if apierrors.IsNotFound(err) || err == nil && ns.Status.Phase == corev1.NamespaceTerminating {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	if _, err := r.accounts.ServiceAccounts(namespace).Get(name); err == nil {
		return 0, nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	_, err = r.client.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return 0, fmt.Errorf("create ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return 0, nil
}

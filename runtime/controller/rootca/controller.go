package rootca

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

const (
	name        = "kube-root-ca.crt"
	key         = "ca.crt"
	description = "kubernetes.io/description"
)

// Controller reconciles namespaces, by name.
type Controller struct {
	client     kubernetes.Interface
	ca         string
	namespaces corelisters.NamespaceLister
	maps       corelisters.ConfigMapLister
	loop       *reconcile.Loop[string]
}

// New returns the controller; it does nothing until Run.
func New(d reconcile.Deps) (*Controller, error) {
	namespaces, configMaps := d.Informers.Core().V1().Namespaces(), d.Informers.Core().V1().ConfigMaps()
	r := &Controller{client: d.Client, ca: string(d.RootCA), namespaces: namespaces.Lister(), maps: configMaps.Lister()}
	r.loop = reconcile.New("rootca", d.Log, r.reconcile,
		client.Watch(namespaces.Informer(),
			func(ns *corev1.Namespace) { r.loop.Add(ns.Name) },
			func(_, ns *corev1.Namespace) { r.loop.Add(ns.Name) }, nil),
		client.Watch(configMaps.Informer(), nil, func(_, m *corev1.ConfigMap) { r.changed(m) }, r.changed))
	return r, nil
}

// Run reconciles until ctx is done.
func (r *Controller) Run(ctx context.Context, workers int) error { return r.loop.Run(ctx, workers) }

// changed looks after a ConfigMap that somebody changed or deleted, if it is ours.
func (r *Controller) changed(m *corev1.ConfigMap) {
	if m.Name == name {
		r.loop.Add(m.Namespace)
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
	want := map[string]string{key: r.ca}
	there, err := r.maps.ConfigMaps(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		m := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: map[string]string{
				description: "The certificates that verify the API server of this cluster, and nothing else.",
			}},
			Data: want,
		}
		_, err := r.client.CoreV1().ConfigMaps(namespace).Create(ctx, m, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
			return 0, fmt.Errorf("create ConfigMap %s/%s: %w", namespace, name, err)
		}
		return 0, nil
	}
	if err != nil || maps.Equal(there.Data, want) {
		return 0, err
	}
	updated := there.DeepCopy()
	updated.Data = want
	if _, err := r.client.CoreV1().ConfigMaps(namespace).Update(ctx, updated, metav1.UpdateOptions{}); err != nil {
		return 0, fmt.Errorf("update ConfigMap %s/%s: %w", namespace, name, err)
	}
	return 0, nil
}

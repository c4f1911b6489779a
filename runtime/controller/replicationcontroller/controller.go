package replicationcontroller

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/controller/replicaset"
)

// New returns the controller; it does nothing until Run, which needs the factory's
// informers to be started.
func New(d reconcile.Deps) (*replicaset.Controller[*corev1.ReplicationController], error) {
	api := d.Client.CoreV1()
	return replicaset.NewOf("replicationcontroller", d, replicaset.Stored[*corev1.ReplicationController]{
		Kind:     kind,
		Informer: d.Informers.Core().V1().ReplicationControllers().Informer(),
		Set:      setOf,
		Selector: selectorOf,
		Live: func(ctx context.Context, namespace, name string) (metav1.Object, error) {
			return api.ReplicationControllers(namespace).Get(ctx, name, metav1.GetOptions{})
		},
		WriteStatus: func(ctx context.Context, rs *appsv1.ReplicaSet, before *appsv1.ReplicaSetStatus) error {
			rc, was := controllerOf(rs), statusOf(before)
			_, err := reconcile.WriteStatus(ctx, api.ReplicationControllers(rs.Namespace), kind.Kind, rc, &was, &rc.Status)
			return err
		},
	})
}

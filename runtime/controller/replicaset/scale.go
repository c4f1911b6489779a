package replicaset

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
)

// scale creates or deletes pods by plan.
func (r *Controller[P]) scale(ctx context.Context, rs *appsv1.ReplicaSet, active []*corev1.Pod) (*failure, error) {
	want := int(ptr.Deref(rs.Spec.Replicas, 1))
	var related []*corev1.Pod
	if len(active) > want {
		related = r.related(rs, active)
	}
	p := planReplicas(want, active, related, r.clock.Now())
	switch {
	case p.create > 0:
		err := r.pods.Create(ctx, rs, p.create, func(int) *corev1.Pod {
			return pods.FromTemplate(&rs.Spec.Template, rs.Namespace, rs.Name, r.pods.Ref(rs))
		})
		if err != nil {
			return &failure{"FailedCreate", err.Error()}, err
		}
	case len(p.delete) > 0:
		if err := r.pods.Delete(ctx, rs, p.delete); err != nil {
			return &failure{"FailedDelete", err.Error()}, err
		}
	}
	return nil, nil
}

// related returns the pods of all replica sets that share this one's owner.
func (r *Controller[P]) related(rs *appsv1.ReplicaSet, own []*corev1.Pod) []*corev1.Pod {
	ref := metav1.GetControllerOfNoCopy(rs)
	if ref == nil {
		return own
	}
	siblings, err := r.sets.siblings(ref.UID)
	if err != nil {
		return own
	}
	var out []*corev1.Pod
	for _, s := range siblings {
		if ps, err := r.pods.Of(s.GetUID()); err == nil {
			out = append(out, ps...)
		}
	}
	return out
}

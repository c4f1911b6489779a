package localvolume

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// grows says whether a bound claim asks for more than it has.
func grows(c *corev1.PersistentVolumeClaim) bool {
	ask, has := c.Spec.Resources.Requests[corev1.ResourceStorage], c.Status.Capacity[corev1.ResourceStorage]
	return c.DeletionTimestamp == nil && c.Status.Phase == corev1.ClaimBound && c.Spec.VolumeName != "" && ask.Cmp(has) > 0
}

// expand gives a volume the size that its claim asks for, if its node has that left. The
// directory need not be told: the size is what is accounted of the node.
func (r *Controller) expand(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	v, err := reconcile.Get(r.volumes, "PersistentVolume "+c.Spec.VolumeName, c.Spec.VolumeName)
	if err != nil || v == nil || !ours(v) || v.DeletionTimestamp != nil || v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != c.UID {
		return err
	}
	ask, has := c.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
	if ask.Cmp(has) > 0 {
		if left, err := r.left(v.Labels[config.LocalVolumeNode]); err != nil || ask.Value()-has.Value() > left {
			if err == nil {
				r.events.Eventf(c, corev1.EventTypeWarning, "VolumeResizeFailed", "resize volume %q: node %s has %s left for volumes, and %s more is asked for",
					v.Name, v.Labels[config.LocalVolumeNode], told(left), told(ask.Value()-has.Value()))
			}
			return err
		}
		v.Spec.Capacity[corev1.ResourceStorage] = ask
		now, err := r.client.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{})
		if err != nil {
			return fmt.Errorf("write the size of PersistentVolume %s: %w", v.Name, err)
		}
		r.made[now.Name] = now
	}
	c.Status.Capacity = corev1.ResourceList{corev1.ResourceStorage: ask}
	if _, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).UpdateStatus(ctx, c, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("write the size of PersistentVolumeClaim %s: %w", reconcile.Key(c), err)
	}
	r.events.Eventf(c, corev1.EventTypeNormal, "VolumeResizeSuccessful", "Resize volume succeeded")
	return nil
}

// left is how many bytes a node has for further volumes.
func (r *Controller) left(node string) (int64, error) {
	n, err := reconcile.Get(r.csiNodes, "CSINode "+node, node)
	if err != nil {
		return 0, err
	}
	used, err := r.used(node)
	o, _ := offerOf(n)
	return o.capacity - used, err
}

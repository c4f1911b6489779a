package localvolume

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// reclaim deletes a volume that was released, and lets one go that is being deleted and of
// which its node has nothing to remove.
func (r *Controller) reclaim(ctx context.Context, v *corev1.PersistentVolume) error {
	if !ours(v) {
		return nil
	}
	if v.DeletionTimestamp == nil {
		if v.Status.Phase != corev1.VolumeReleased || v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
			return nil
		}
		err := r.client.CoreV1().PersistentVolumes().Delete(ctx, v.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(v.UID))})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete PersistentVolume %s: %w", v.Name, err)
		}
		return nil
	}
	if !slices.Contains(v.Finalizers, config.LocalVolumeFinalizer) || v.Status.Phase == corev1.VolumeBound {
		return nil
	}
	if nothingToRemove, err := r.nothingToRemove(ctx, v); !nothingToRemove || err != nil {
		return err
	}
	// Where the node writes meanwhile that it made the directory, this fails, and is decided anew.
	v.Finalizers = slices.DeleteFunc(v.Finalizers, func(f string) bool { return f == config.LocalVolumeFinalizer })
	if _, err := r.client.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("let PersistentVolume %s go: %w", v.Name, err)
	}
	return nil
}

// nothingToRemove: the data is to be kept, or was never there, or went with the server.
func (r *Controller) nothingToRemove(ctx context.Context, v *corev1.PersistentVolume) (bool, error) {
	if v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete || v.Annotations[config.LocalVolumeMade] == "" {
		return true, nil
	}
	node := v.Labels[config.LocalVolumeNode]
	have, err := reconcile.Get(r.nodes, "Node "+node, node)
	if have != nil || err != nil {
		return false, err
	}
	// The cache may be behind a node that registers again.
	_, err = r.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read Node %s: %w", node, err)
	}
	return false, nil
}

package attachdetach

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

// detach takes a volume that no pod wants from a node, or says when to look again. The node
// is told first that it has it no more: what it says after that it uses, it has not mounted.
func (r *Controller) detach(ctx context.Context, w *watched, name string, a *storagev1.VolumeAttachment) (again time.Duration, err error) {
	if a.DeletionTimestamp != nil { // the driver is about to do it
		return 0, nil
	}
	since, ok := r.unwanted[a.Name]
	if !ok {
		since = r.clock.Now()
		r.unwanted[a.Name] = since
	}
	n, err := reconcile.Get(r.nodes, "Node "+a.Spec.NodeName, a.Spec.NodeName)
	if err != nil {
		return 0, err
	}
	may, forced, again := look(n, name).mayDetach(r.clock.Since(since))
	if !may {
		return again, nil
	}
	r.detaching[a.Name] = true
	n, err = r.tell(ctx, w, a.Spec.NodeName)
	if err != nil {
		return 0, err
	}
	if n != nil && !forced && look(n, name).inUse { // a pod came meanwhile
		delete(r.detaching, a.Name)
		r.loop.Add(key{node: a.Spec.NodeName})
		return 0, nil
	}
	err = r.client.StorageV1().VolumeAttachments().Delete(ctx, a.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(a.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return 0, fmt.Errorf("detach volume %s from node %s: %w", sourceOf(a), a.Spec.NodeName, err)
	}
	return 0, nil
}

// tell writes into a node's status what is attached to it, and returns the node as the API
// has it; nil where there is none.
func (r *Controller) tell(ctx context.Context, w *watched, node string) (*corev1.Node, error) {
	n, err := r.client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read node %s: %w", node, err)
	}
	attached := []corev1.AttachedVolume{}
	var fresh []*corev1.PersistentVolume
	for _, a := range w.on(node) {
		o, there, err := r.volumes.GetByKey(sourceOf(a))
		v, ok := o.(*corev1.PersistentVolume)
		if err != nil || !there || !ok || v.Spec.CSI == nil || a.Name != attachmentName(v, node) {
			continue
		}
		if !a.Status.Attached || a.DeletionTimestamp != nil || r.detaching[a.Name] {
			continue
		}
		of := corev1.AttachedVolume{Name: corev1.UniqueVolumeName(nameOf(v))}
		attached = append(attached, of)
		if !slices.Contains(n.Status.VolumesAttached, of) {
			fresh = append(fresh, v)
		}
	}
	r.forget(w)
	slices.SortFunc(attached, func(a, b corev1.AttachedVolume) int { return strings.Compare(string(a.Name), string(b.Name)) })
	if equality.Semantic.DeepEqual(attached, n.Status.VolumesAttached) || len(attached)+len(n.Status.VolumesAttached) == 0 {
		return n, nil
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"volumesAttached": attached}})
	if err != nil {
		return nil, err
	}
	n, err = r.client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tell node %s what is attached to it: %w", node, err)
	}
	for _, v := range fresh {
		pods, err := r.podsOf(v)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if p.Spec.NodeName == node && !pod.IsTerminal(p) {
				r.events.Eventf(p, corev1.EventTypeNormal, "SuccessfulAttachVolume", "AttachVolume.Attach succeeded for volume %q ", v.Name)
			}
		}
	}
	return n, nil
}

// forget drops what was remembered of attachments that are gone.
func (r *Controller) forget(w *watched) {
	gone := func(name string) bool {
		_, there, err := w.attachments.GetByKey(name)
		return err == nil && !there
	}
	for name := range r.detaching {
		if gone(name) {
			delete(r.detaching, name)
		}
	}
	for name := range r.unwanted {
		if gone(name) {
			delete(r.unwanted, name)
			delete(r.told, name)
		}
	}
}

package attachdetach

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// volume attaches a volume where pods want it, and detaches it elsewhere.
func (r *Controller) volume(ctx context.Context, w *watched, name string) (again time.Duration, err error) {
	list, err := r.volumes.ByIndex(byVolume, name)
	if err != nil {
		return 0, fmt.Errorf("look for volume %s: %w", name, err)
	}
	var objects []*corev1.PersistentVolume
	for _, o := range list {
		if v, ok := o.(*corev1.PersistentVolume); ok {
			objects = append(objects, v)
		}
	}
	if len(objects) == 0 { // whatever is attached of it, nobody can say what it is
		delete(r.told, name)
		return 0, nil
	}
	slices.SortFunc(objects, func(a, b *corev1.PersistentVolume) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	driver, err := reconcile.Get(w.drivers, "CSIDriver "+objects[0].Spec.CSI.Driver, objects[0].Spec.CSI.Driver)
	if err != nil {
		return 0, err
	}
	pods := map[string][]*corev1.Pod{} // by node
	source := objects[0]
	have := map[string]*storagev1.VolumeAttachment{}
	for _, v := range objects {
		of, err := r.podsOf(v)
		if err != nil {
			return 0, err
		}
		if len(of) > 0 && needsAttach(driver) {
			source = v
			for _, p := range of {
				pods[p.Spec.NodeName] = append(pods[p.Spec.NodeName], p)
			}
		}
		for _, a := range w.list(bySource, v.Name) {
			if a.Name == attachmentName(v, a.Spec.NodeName) {
				have[a.Spec.NodeName] = a
			}
		}
	}
	if err := r.unseen(ctx, w, name, have); err != nil {
		return 0, err
	}
	// What leaves goes first: another node may wait for it.
	for _, node := range slices.Sorted(maps.Keys(have)) {
		a := have[node]
		if len(pods[node]) > 0 {
			delete(r.unwanted, a.Name)
			if r.detaching[a.Name] && a.DeletionTimestamp == nil {
				delete(r.detaching, a.Name)
				r.loop.Add(key{node: node})
			}
			r.tellFailure(source, a, pods[node])
			continue
		}
		later, err := r.detach(ctx, w, name, a)
		if err != nil {
			return 0, err
		}
		again = reconcile.Sooner(again, later)
	}
	return again, r.attach(ctx, name, source, pods, have)
}

// unseen adds the attachments of a volume that were made and that the cache does not have: a
// volume that one node can have must not go to two for that.
func (r *Controller) unseen(ctx context.Context, w *watched, name string, have map[string]*storagev1.VolumeAttachment) error {
	for made, of := range r.made {
		if of != name {
			continue
		}
		if _, there, err := w.attachments.GetByKey(made); err == nil && there {
			delete(r.made, made)
			continue
		}
		a, err := r.client.StorageV1().VolumeAttachments().Get(ctx, made, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			delete(r.made, made)
		case err != nil:
			return fmt.Errorf("read VolumeAttachment %s: %w", made, err)
		default:
			have[a.Spec.NodeName] = a
		}
	}
	return nil
}

// podsOf are the pods that want a volume.
func (r *Controller) podsOf(v *corev1.PersistentVolume) ([]*corev1.Pod, error) {
	ref := v.Spec.ClaimRef
	if ref == nil {
		return nil, nil
	}
	c, err := reconcile.Get(r.claims.PersistentVolumeClaims(ref.Namespace), "PersistentVolumeClaim "+ref.Namespace+"/"+ref.Name, ref.Name)
	if err != nil || c == nil || c.UID != ref.UID || c.Spec.VolumeName != v.Name {
		return nil, err
	}
	pods, err := podclaims.Pods(r.pods, types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name})
	if err != nil {
		return nil, err
	}
	pods = slices.DeleteFunc(pods, func(p *corev1.Pod) bool { return !wants(p) })
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return pods, nil
}

// attach asks for a volume on the nodes that want it and have it not. One that only one node
// can have goes to that of the oldest pod, and there once it has left the one before.
func (r *Controller) attach(ctx context.Context, name string, v *corev1.PersistentVolume, pods map[string][]*corev1.Pod, have map[string]*storagev1.VolumeAttachment) error {
	var nodes []string
	for node := range pods {
		if have[node] == nil {
			nodes = append(nodes, node)
		}
	}
	slices.SortFunc(nodes, func(a, b string) int { return pods[a][0].CreationTimestamp.Compare(pods[b][0].CreationTimestamp.Time) })
	held := len(have) > 0
	for _, node := range nodes {
		if held && !shared(v) {
			r.tellWaiting(name, v, node, pods)
			continue
		}
		held = true
		delete(r.told, name+"/"+node)
		a := &storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: attachmentName(v, node)},
			Spec:       storagev1.VolumeAttachmentSpec{NodeName: node, Attacher: v.Spec.CSI.Driver, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: &v.Name}},
		}
		r.made[a.Name] = name
		if _, err := r.client.StorageV1().VolumeAttachments().Create(ctx, a, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("attach volume %s to node %s: %w", v.Name, node, err)
		}
	}
	return nil
}

// tellWaiting tells the pods of a node, once, that their volume is on another one.
func (r *Controller) tellWaiting(name string, v *corev1.PersistentVolume, node string, pods map[string][]*corev1.Pod) {
	k := name + "/" + node
	if r.told[k] != "" {
		return
	}
	r.told[k] = "waits"
	var users []*corev1.Pod
	for other, of := range pods {
		if other != node {
			users = append(users, of...)
		}
	}
	for _, p := range pods[node] {
		r.events.Event(p, corev1.EventTypeWarning, "FailedAttachVolume", waiting(v, p, users))
	}
}

// tellFailure tells pods why their volume is not attached, once for each failure.
func (r *Controller) tellFailure(v *corev1.PersistentVolume, a *storagev1.VolumeAttachment, pods []*corev1.Pod) {
	e := a.Status.AttachError
	if e == nil || a.Status.Attached {
		delete(r.told, a.Name)
		return
	}
	what := e.Time.String() + e.Message
	if r.told[a.Name] == what {
		return
	}
	r.told[a.Name] = what
	for _, p := range pods {
		r.events.Eventf(p, corev1.EventTypeWarning, "FailedAttachVolume", "AttachVolume.Attach failed for volume %q : %s", v.Name, e.Message)
	}
}

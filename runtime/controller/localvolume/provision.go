package localvolume

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// provision makes the volume of a claim on the node that the scheduler chose. One that
// cannot be is told of, and where another node could have it, the scheduler chooses again.
func (r *Controller) provision(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	name := volumehelpers.GetPersistentVolumeClaimClass(c)
	class, err := reconcile.Get(r.classes, "StorageClass "+name, name)
	switch {
	case err != nil:
		return err
	case class == nil || class.Provisioner != config.LocalDriver:
		return nil // the binder tells of that
	}
	if why := unsupported(class, c); why != "" {
		r.events.Eventf(c, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: %s", name, why)
		return nil
	}
	node := c.Annotations[volumehelpers.AnnSelectedNode]
	if node == "" {
		return nil // the scheduler's to write
	}
	csiNode, err := reconcile.Get(r.csiNodes, "CSINode "+node, node)
	if err != nil {
		return err
	}
	host, err := reconcile.Get(r.nodes, "Node "+node, node)
	if err != nil {
		return err
	}
	o, ok := offerOf(csiNode)
	if !ok || host == nil {
		return r.reschedule(ctx, c, fmt.Sprintf("node %s offers no such volumes", node))
	}
	used, err := r.used(node)
	if err != nil {
		return err
	}
	v := newVolume(class, c, host, o)
	size := v.Spec.Capacity[corev1.ResourceStorage]
	if left := o.capacity - used; size.Value() > left {
		return r.reschedule(ctx, c, fmt.Sprintf("node %s has %s left for volumes, and %s is asked for", node, told(left), size.String()))
	}
	made, err := r.client.CoreV1().PersistentVolumes().Create(ctx, v, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil // of this claim: its UID is in the name
	case err != nil:
		r.events.Eventf(c, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: %v", name, err)
		return fmt.Errorf("create PersistentVolume %s: %w", v.Name, err)
	}
	r.made[made.Name] = made
	r.events.Eventf(c, corev1.EventTypeNormal, "ProvisioningSucceeded", "Successfully provisioned volume %s", made.Name)
	return nil
}

// told is a number of bytes as a message tells it: in whole MiB.
func told(bytes int64) *resource.Quantity {
	const mi = 1 << 20
	return resource.NewQuantity(max(bytes, 0)/mi*mi, resource.BinarySI)
}

// unsupported is what of a class or claim a directory cannot do, "" for nothing.
func unsupported(class *storagev1.StorageClass, c *corev1.PersistentVolumeClaim) string {
	if ptr.Deref(class.VolumeBindingMode, storagev1.VolumeBindingImmediate) != storagev1.VolumeBindingWaitForFirstConsumer {
		return "a volume lies on the node of its pod, so the class needs volumeBindingMode WaitForFirstConsumer"
	}
	for p := range class.Parameters {
		return fmt.Sprintf("there is no parameter %q: %s has none", p, config.LocalDriver)
	}
	switch s := &c.Spec; {
	case len(class.MountOptions) > 0:
		return "mountOptions are those of a file system of its own, which a directory is not"
	case ptr.Deref(s.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock:
		return "a directory is no block device: volumeMode must be Filesystem"
	case s.Selector != nil:
		return "claim Selector is not supported"
	case s.DataSource != nil || s.DataSourceRef != nil:
		return "a volume begins empty: dataSource and dataSourceRef are not supported"
	case ptr.Deref(s.VolumeAttributesClassName, "") != "":
		return "volumeAttributesClassName is not supported"
	}
	for _, m := range c.Spec.AccessModes {
		if m != corev1.ReadWriteOnce && m != corev1.ReadWriteOncePod {
			return fmt.Sprintf("access mode %s is not supported: a volume is on one node (ReadWriteOnce, ReadWriteOncePod)", m)
		}
	}
	return ""
}

// reschedule takes the scheduler's choice back.
func (r *Controller) reschedule(ctx context.Context, c *corev1.PersistentVolumeClaim, why string) error {
	r.events.Eventf(c, corev1.EventTypeWarning, "ProvisioningFailed", "failed to provision volume with StorageClass %q: %s", volumehelpers.GetPersistentVolumeClaimClass(c), why)
	delete(c.Annotations, volumehelpers.AnnSelectedNode)
	if _, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("take back the node of PersistentVolumeClaim %s: %w", reconcile.Key(c), err)
	}
	return nil
}

func newVolume(class *storagev1.StorageClass, c *corev1.PersistentVolumeClaim, node *corev1.Node, o offer) *corev1.PersistentVolume {
	name := "pvc-" + string(c.UID)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{config.LocalVolumeNode: node.Name},
			Annotations: map[string]string{volumehelpers.AnnDynamicallyProvisioned: config.LocalDriver},
			Finalizers:  []string{config.LocalVolumeFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: c.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes: c.Spec.AccessModes, VolumeMode: ptr.To(corev1.PersistentVolumeFilesystem), StorageClassName: class.Name,
			PersistentVolumeReclaimPolicy: ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete),
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path.Join(o.path, name)}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name, UID: c.UID, ResourceVersion: c.ResourceVersion,
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node.Labels[corev1.LabelHostname]}}},
			}}}},
		},
	}
}

// used is how many bytes the volumes of a node may have, also those that are on their way out.
func (r *Controller) used(node string) (int64, error) {
	list, err := r.volumes.List(labels.Everything())
	if err != nil {
		return 0, fmt.Errorf("list PersistentVolumes: %w", err)
	}
	sizes := map[string]int64{}
	for _, v := range append(slices.Clone(list), slices.Collect(maps.Values(r.made))...) {
		if ours(v) && v.Labels[config.LocalVolumeNode] == node {
			sizes[v.Name] = max(sizes[v.Name], sizeOf(v))
		}
	}
	var sum int64
	for _, size := range sizes {
		sum += size
	}
	return sum, nil
}

// settle forgets a volume that was written once the cache has it, with that size or more,
// or has seen it go (nil).
func (r *Controller) settle(name string, cached *corev1.PersistentVolume) {
	if m := r.made[name]; m != nil && (cached == nil || sizeOf(cached) >= sizeOf(m)) {
		delete(r.made, name)
	}
}

func sizeOf(v *corev1.PersistentVolume) int64 {
	size := v.Spec.Capacity[corev1.ResourceStorage]
	return size.Value()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"
)

// operator does for the controller what external-provisioner, external-attacher and
// external-resizer do for others, as far as the tests need it.
type operator struct {
	api kubernetes.Interface
	controller
}

// operatorPeriod is the pause between two looks at all objects. It is a test's.
const operatorPeriod = 200 * time.Millisecond

func operate(ctx context.Context, d *driver) error {
	cfg, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	cfg.QPS, cfg.Burst = 100, 200
	api, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	o := operator{api, controller{driver: d}}
	for ctx.Err() == nil {
		if err := errors.Join(o.provision(ctx), o.attach(ctx), o.expand(ctx), o.reclaim(ctx)); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(operatorPeriod):
		}
	}
	return nil
}

// finalizer keeps a volume and an attachment until the driver has undone them.
func (o operator) finalizer() string { return o.name + "/done" }

// provision makes the volumes that claims ask for.
func (o operator) provision(ctx context.Context) error {
	claims, err := o.api.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range claims.Items {
		if c.Spec.VolumeName != "" || c.DeletionTimestamp != nil || c.Annotations[volumehelpers.AnnStorageProvisioner] != o.name {
			continue
		}
		class, err := o.api.StorageV1().StorageClasses().Get(ctx, ptr.Deref(c.Spec.StorageClassName, ""), metav1.GetOptions{})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		node := c.Annotations[volumehelpers.AnnSelectedNode]
		if node == "" && ptr.Deref(class.VolumeBindingMode, "") == storagev1.VolumeBindingWaitForFirstConsumer {
			continue
		}
		errs = append(errs, o.make(ctx, &c, class, node))
	}
	return errors.Join(errs...)
}

func (o operator) make(ctx context.Context, c *corev1.PersistentVolumeClaim, class *storagev1.StorageClass, node string) error {
	name := "pvc-" + string(c.UID)
	if _, err := o.api.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{}); err == nil {
		return nil
	}
	size := c.Spec.Resources.Requests[corev1.ResourceStorage]
	made, err := o.CreateVolume(ctx, &spec.CreateVolumeRequest{
		Name: name, CapacityRange: &spec.CapacityRange{RequiredBytes: size.Value()}, VolumeCapabilities: []*spec.VolumeCapability{{}},
	})
	if err != nil {
		return err
	}
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{o.finalizer()}, Annotations: map[string]string{volumehelpers.AnnDynamicallyProvisioned: o.name}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:    corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(made.Volume.CapacityBytes, resource.BinarySI)},
			AccessModes: c.Spec.AccessModes, VolumeMode: c.Spec.VolumeMode, StorageClassName: class.Name, MountOptions: class.MountOptions,
			PersistentVolumeReclaimPolicy: ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete),
			ClaimRef:                      &corev1.ObjectReference{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: c.Namespace, Name: c.Name, UID: c.UID},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: o.name, VolumeHandle: made.Volume.VolumeId, FSType: class.Parameters["csi.storage.k8s.io/fstype"], VolumeAttributes: made.Volume.VolumeContext,
			}},
		},
	}
	if node != "" {
		v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: topologyKey, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
		}}}}
	}
	_, err = o.api.CoreV1().PersistentVolumes().Create(ctx, v, metav1.CreateOptions{})
	return err
}

// attach does what VolumeAttachments ask for.
func (o operator) attach(ctx context.Context) error {
	api := o.api.StorageV1().VolumeAttachments()
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range list.Items {
		v, err := o.volumeOf(ctx, &a)
		switch {
		case a.Spec.Attacher != o.name || err != nil || v == nil:
		case a.DeletionTimestamp != nil && slices.Contains(a.Finalizers, o.finalizer()):
			if _, err = o.ControllerUnpublishVolume(ctx, &spec.ControllerUnpublishVolumeRequest{VolumeId: v.Spec.CSI.VolumeHandle, NodeId: a.Spec.NodeName}); err == nil {
				a.Finalizers = slices.DeleteFunc(a.Finalizers, func(f string) bool { return f == o.finalizer() })
				_, err = api.Update(ctx, &a, metav1.UpdateOptions{})
			}
		case a.DeletionTimestamp != nil || a.Status.Attached:
		case !slices.Contains(a.Finalizers, o.finalizer()):
			a.Finalizers = append(a.Finalizers, o.finalizer())
			_, err = api.Update(ctx, &a, metav1.UpdateOptions{})
		default:
			res, failed := o.ControllerPublishVolume(ctx, &spec.ControllerPublishVolumeRequest{VolumeId: v.Spec.CSI.VolumeHandle, NodeId: a.Spec.NodeName})
			a.Status = storagev1.VolumeAttachmentStatus{Attached: failed == nil, AttachmentMetadata: res.GetPublishContext()}
			if failed != nil {
				a.Status.AttachError = &storagev1.VolumeError{Time: metav1.Now(), Message: failed.Error()}
			}
			_, err = api.UpdateStatus(ctx, &a, metav1.UpdateOptions{})
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (o operator) volumeOf(ctx context.Context, a *storagev1.VolumeAttachment) (*corev1.PersistentVolume, error) {
	if a.Spec.Source.PersistentVolumeName == nil {
		return nil, nil
	}
	return o.api.CoreV1().PersistentVolumes().Get(ctx, *a.Spec.Source.PersistentVolumeName, metav1.GetOptions{})
}

// expand does the controller's part of an expansion, and leaves the rest to the node.
func (o operator) expand(ctx context.Context) error {
	claims, err := o.api.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range claims.Items {
		if c.Status.Phase != corev1.ClaimBound {
			continue
		}
		v, err := o.api.CoreV1().PersistentVolumes().Get(ctx, c.Spec.VolumeName, metav1.GetOptions{})
		if err != nil || v.Spec.CSI == nil || v.Spec.CSI.Driver != o.name {
			continue
		}
		ask, has := c.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
		if ask.Cmp(has) <= 0 {
			continue
		}
		if _, err := o.ControllerExpandVolume(ctx, &spec.ControllerExpandVolumeRequest{VolumeId: v.Spec.CSI.VolumeHandle, CapacityRange: &spec.CapacityRange{RequiredBytes: ask.Value()}}); err != nil {
			errs = append(errs, err)
			continue
		}
		c.Status.AllocatedResources = corev1.ResourceList{corev1.ResourceStorage: ask}
		c.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: corev1.PersistentVolumeClaimNodeResizePending}
		c.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimFileSystemResizePending, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
		if _, err := o.api.CoreV1().PersistentVolumeClaims(c.Namespace).UpdateStatus(ctx, &c, metav1.UpdateOptions{}); err != nil {
			errs = append(errs, err)
			continue
		}
		v.Spec.Capacity[corev1.ResourceStorage] = ask
		_, err = o.api.CoreV1().PersistentVolumes().Update(ctx, v, metav1.UpdateOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reclaim deletes what was released, once nothing has it attached.
func (o operator) reclaim(ctx context.Context) error {
	volumes, err := o.api.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	attachments, err := o.api.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range volumes.Items {
		if v.Annotations[volumehelpers.AnnDynamicallyProvisioned] != o.name || v.Status.Phase != corev1.VolumeReleased || v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete ||
			slices.ContainsFunc(attachments.Items, func(a storagev1.VolumeAttachment) bool {
				return ptr.Deref(a.Spec.Source.PersistentVolumeName, "") == v.Name
			}) {
			continue
		}
		if _, err := o.DeleteVolume(ctx, &spec.DeleteVolumeRequest{VolumeId: v.Spec.CSI.VolumeHandle}); err != nil {
			errs = append(errs, err)
			continue
		}
		if v.DeletionTimestamp == nil {
			errs = append(errs, o.api.CoreV1().PersistentVolumes().Delete(ctx, v.Name, metav1.DeleteOptions{}))
			continue
		}
		v.Finalizers = slices.DeleteFunc(v.Finalizers, func(f string) bool { return f == o.finalizer() })
		_, err := o.api.CoreV1().PersistentVolumes().Update(ctx, &v, metav1.UpdateOptions{})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

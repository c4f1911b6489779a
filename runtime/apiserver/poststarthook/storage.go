package poststarthook

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/config"
)

// madeByUs labels the class that the cluster makes, which is then its to take away. One of
// its name without it is somebody's.
const madeByUs = "app.kubernetes.io/managed-by"

// localStorage makes the driver of the cluster's own volumes known, and the StorageClass
// that claims get which name none. Somebody's change of either stays. Where the class is
// switched off it is taken away; volumes that were made of it stay as they are.
func localStorage(ctx context.Context, c kubernetes.Interface, off bool) error {
	driver := &storagev1.CSIDriver{
		ObjectMeta: metav1.ObjectMeta{Name: config.LocalDriver, Labels: map[string]string{madeByUs: "gantry"}},
		Spec: storagev1.CSIDriverSpec{
			AttachRequired: ptr.To(false), PodInfoOnMount: ptr.To(false), FSGroupPolicy: ptr.To(storagev1.FileFSGroupPolicy),
			// So the scheduler goes by the capacities of the nodes.
			StorageCapacity:      ptr.To(true),
			VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent},
		},
	}
	if err := ensure(ctx, driver.Name, driver, c.StorageV1().CSIDrivers()); err != nil {
		return err
	}
	classes := c.StorageV1().StorageClasses()
	if off {
		have, err := classes.Get(ctx, config.LocalStorageClass, metav1.GetOptions{})
		if err == nil && have.Labels[madeByUs] == "gantry" {
			err = classes.Delete(ctx, have.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(have.UID))})
		}
		if err != nil && !errors.IsNotFound(err) {
			return fmt.Errorf("take StorageClass %s away: %w", config.LocalStorageClass, err)
		}
		return nil
	}
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name: config.LocalStorageClass, Labels: map[string]string{madeByUs: "gantry"},
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner: config.LocalDriver, ReclaimPolicy: ptr.To(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer), AllowVolumeExpansion: ptr.To(true),
	}
	return ensure(ctx, class.Name, class, classes)
}

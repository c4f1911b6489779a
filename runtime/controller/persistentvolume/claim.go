package persistentvolume

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/pod"
)

func (r *Controller) claim(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	switch {
	case metav1.HasAnnotation(c.ObjectMeta, volumehelpers.AnnBindCompleted):
		return r.boundClaim(ctx, c)
	case c.Spec.VolumeName != "":
		return r.claimOfOne(ctx, c)
	}
	return r.claimOfAny(ctx, c)
}

// boundClaim keeps a claim bound that was, or says that it lost its volume.
func (r *Controller) boundClaim(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	if c.Spec.VolumeName == "" {
		return r.lose(ctx, c, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!")
	}
	v, err := reconcile.Get(r.volumes, "PersistentVolume "+c.Spec.VolumeName, c.Spec.VolumeName)
	switch {
	case err != nil:
		return err
	case v == nil:
		return r.lose(ctx, c, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
	case v.Spec.ClaimRef != nil && v.Spec.ClaimRef.UID != c.UID:
		return r.lose(ctx, c, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly")
	}
	if err := r.bind(ctx, v, c); err != nil {
		return err
	}
	if ask, has := c.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]; v.Spec.CSI != nil && ask.Cmp(has) > 0 {
		r.events.Event(c, corev1.EventTypeNormal, "ExternalExpanding", "waiting for an external controller to expand this PVC")
	}
	return nil
}

func (r *Controller) lose(ctx context.Context, c *corev1.PersistentVolumeClaim, reason, message string) error {
	if c.Status.Phase == corev1.ClaimLost {
		return nil
	}
	if err := r.setClaimStatus(ctx, c, corev1.ClaimLost, nil); err != nil {
		return err
	}
	r.events.Event(c, corev1.EventTypeWarning, reason, message)
	return nil
}

// claimOfOne binds a claim to the volume that it names, if it may have it.
func (r *Controller) claimOfOne(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	v, err := reconcile.Get(r.volumes, "PersistentVolume "+c.Spec.VolumeName, c.Spec.VolumeName)
	switch {
	case err != nil:
		return err
	case v == nil:
	case v.Spec.ClaimRef == nil:
		why := mismatch(v, c)
		if why == "" {
			return r.bind(ctx, v, c)
		}
		r.events.Eventf(c, corev1.EventTypeWarning, "VolumeMismatch", "Cannot bind to requested volume %q: %s", v.Name, why)
	case volumehelpers.IsVolumeBoundToClaim(v, c):
		return r.bind(ctx, v, c)
	default:
		r.events.Eventf(c, corev1.EventTypeWarning, "FailedBinding", "volume %q already bound to a different claim.", v.Name)
	}
	return r.setClaimStatus(ctx, c, corev1.ClaimPending, nil)
}

// mismatch says why a claim cannot have a volume, "" when it can.
func mismatch(v *corev1.PersistentVolume, c *corev1.PersistentVolumeClaim) string {
	ask, has := c.Spec.Resources.Requests[corev1.ResourceStorage], v.Spec.Capacity[corev1.ResourceStorage]
	switch {
	case v.DeletionTimestamp != nil:
		return fmt.Sprintf("the volume is marked for deletion %q", v.Name)
	case has.Cmp(ask) < 0:
		return "requested PV is too small"
	case volumehelpers.GetPersistentVolumeClass(v) != volumehelpers.GetPersistentVolumeClaimClass(c):
		return "storageClassName does not match"
	case ptr.Deref(v.Spec.VolumeAttributesClassName, "") != ptr.Deref(c.Spec.VolumeAttributesClassName, ""):
		return "volumeAttributesClassName does not match"
	case volumehelpers.CheckVolumeModeMismatches(&c.Spec, &v.Spec):
		return "incompatible volumeMode"
	case !volumehelpers.CheckAccessModes(c, v):
		return "incompatible accessMode"
	}
	return ""
}

// claimOfAny binds a claim to the best volume there is, or sees to it that there will be one.
func (r *Controller) claimOfAny(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	delayed, err := volumehelpers.IsDelayBindingMode(c, r.classes)
	if err != nil {
		return err
	}
	var all []*corev1.PersistentVolume
	r.eachVolume(func(v *corev1.PersistentVolume) { all = append(all, v) })
	v, err := best(all, c, delayed)
	switch {
	case err != nil:
		return err
	case v != nil:
		return r.bind(ctx, v, c)
	}
	if assigned, err := r.assignDefaultClass(ctx, c); assigned || err != nil {
		return err // the claim's new state is reconciled
	}
	switch {
	case delayed && !volumehelpers.IsDelayBindingProvisioning(c):
		if err := r.tellOfWaiting(c); err != nil {
			return err
		}
	case volumehelpers.GetPersistentVolumeClaimClass(c) != "":
		return r.provision(ctx, c)
	default:
		r.events.Event(c, corev1.EventTypeNormal, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")
	}
	return r.setClaimStatus(ctx, c, corev1.ClaimPending, nil)
}

// best is the volume that a claim gets: one that is meant for it, or else the smallest of
// those with the fewest access modes beyond the claim's. Where binding is delayed the
// scheduler chooses, and only one that is meant for it counts.
func best(all []*corev1.PersistentVolume, c *corev1.PersistentVolumeClaim, delayed bool) (*corev1.PersistentVolume, error) {
	byModes := map[int][]*corev1.PersistentVolume{}
	var counts []int
	for _, v := range all {
		if !volumehelpers.CheckAccessModes(c, v) {
			continue
		}
		n := len(v.Spec.AccessModes)
		if byModes[n] == nil {
			counts = append(counts, n)
		}
		byModes[n] = append(byModes[n], v)
	}
	slices.Sort(counts)
	for _, n := range counts {
		slices.SortFunc(byModes[n], func(a, b *corev1.PersistentVolume) int { return strings.Compare(a.Name, b.Name) })
		if v, err := volumehelpers.FindMatchingVolume(c, byModes[n], nil, nil, delayed, true); v != nil || err != nil {
			return v.DeepCopy(), err
		}
	}
	return nil, nil
}

// tellOfWaiting says what a claim waits for that is bound when a pod needs it.
func (r *Controller) tellOfWaiting(c *corev1.PersistentVolumeClaim) error {
	pods, err := podclaims.Pods(r.pods, reconcile.Key(c))
	if err != nil {
		return err
	}
	var names []string
	for _, p := range pods {
		if p.Spec.NodeName == "" && !pod.IsTerminal(p) {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		r.events.Event(c, corev1.EventTypeNormal, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
	case 1:
		r.events.Eventf(c, corev1.EventTypeNormal, "WaitForPodScheduled", "waiting for pod %s to be scheduled", names[0])
	default:
		r.events.Eventf(c, corev1.EventTypeNormal, "WaitForPodScheduled", "waiting for pods %s to be scheduled", strings.Join(names, ","))
	}
	return nil
}

// provision asks the provisioner of the claim's class for a volume.
func (r *Controller) provision(ctx context.Context, c *corev1.PersistentVolumeClaim) error {
	name := volumehelpers.GetPersistentVolumeClaimClass(c)
	class, err := r.classes.Get(name)
	if err != nil {
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("read StorageClass %s: %w", name, err)
		}
		r.events.Event(c, corev1.EventTypeWarning, "ProvisioningFailed", err.Error())
		return nil // one that comes is seen
	}
	by := class.Provisioner
	if strings.HasPrefix(by, "kubernetes.io/") {
		r.events.Eventf(c, corev1.EventTypeWarning, "ProvisioningFailed", "no volume plugin matched name: %s", by)
		return nil
	}
	if c.Annotations[volumehelpers.AnnStorageProvisioner] != by || c.Annotations[volumehelpers.AnnBetaStorageProvisioner] != by {
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, volumehelpers.AnnBetaStorageProvisioner, by)
		metav1.SetMetaDataAnnotation(&c.ObjectMeta, volumehelpers.AnnStorageProvisioner, by)
		if _, err := r.client.CoreV1().PersistentVolumeClaims(c.Namespace).Update(ctx, c, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("write the provisioner: %w", err)
		}
	}
	r.events.Eventf(c, corev1.EventTypeNormal, "ExternalProvisioning", "Waiting for a volume to be created either by the external provisioner '%s' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.", by)
	return nil
}

package csi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// Refresh brings a volume that is mounted up to date: its driver is told of the pod again
// where it asked for that, and a volume that was given more room grows.
func (v *Volumes) Refresh(ctx context.Context, m Mount) error {
	v.mu.Lock()
	r, ok := v.published[m.Dir]
	staging := v.staged[r.key()].Staging
	v.mu.Unlock()
	if !ok || !r.Published {
		return nil
	}
	c := call{Mount: m, volume: m.volume()}
	var err error
	if c.of, err = v.drivers.get(c.driver); err != nil {
		return err
	}
	if c.object, err = (objects{api: v.cfg.API}).driver(ctx, c.driver); err != nil {
		return err
	}
	again := c.object != nil && ptr.Deref(c.object.Spec.RequiresRepublish, false)
	if !again && !grows(m) {
		return nil
	}
	if c.can, err = c.of.capabilities(ctx); err != nil {
		return err
	}
	defer v.locks.lock(c.key())()
	if again {
		if c.persistent != nil && r.Attach {
			if c.context, err = v.attached(ctx, c); err != nil {
				return err
			}
		}
		req, err := v.publishRequest(ctx, c, r, staging)
		if err != nil {
			return err
		}
		// The pod has what was published; whatever becomes of this, it keeps it.
		err = c.of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
			_, err := node.NodePublishVolume(ctx, req)
			return err
		})
		if err != nil {
			return err
		}
	}
	return v.expand(ctx, c, staging, r.Target)
}

// grows says whether a claim has less than its volume.
func grows(m Mount) bool {
	if m.Volume == nil || m.Claim == nil || m.ReadOnly {
		return false
	}
	is, has := m.Volume.Spec.Capacity[corev1.ResourceStorage], m.Claim.Status.Capacity[corev1.ResourceStorage]
	return is.Cmp(has) > 0 && m.Claim.Status.AllocatedResourceStatuses[corev1.ResourceStorage] != corev1.PersistentVolumeClaimNodeResizeInfeasible
}

// expand has the node's part of an expansion done, and says so in the claim.
func (v *Volumes) expand(ctx context.Context, c call, staging, target string) error {
	if !grows(c.Mount) {
		return nil
	}
	size := c.Volume.Spec.Capacity[corev1.ResourceStorage]
	if c.can.expands() {
		secrets, err := v.secrets(ctx, "NodeExpandSecretRef", c.persistent.NodeExpandSecretRef)
		if err != nil {
			return fmt.Errorf("expander.NodeExpand failed to get %w", err)
		}
		err = c.of.call(ctx, func(ctx context.Context, node spec.NodeClient) error {
			_, err := node.NodeExpandVolume(ctx, &spec.NodeExpandVolumeRequest{
				VolumeId: c.handle, VolumePath: target, StagingTargetPath: staging, CapacityRange: &spec.CapacityRange{RequiredBytes: size.Value()},
				VolumeCapability: c.capability(c.can, nil), Secrets: secrets,
			})
			return err
		})
		if err != nil {
			v.cfg.Events.Eventf(c.Pod, corev1.EventTypeWarning, "VolumeResizeFailed", "NodeExpandVolume.NodeExpandVolume failed for volume %q: %v", c.name, err)
			v.cfg.Events.Eventf(c.Claim, corev1.EventTypeWarning, "VolumeResizeFailed", "NodeExpandVolume.NodeExpandVolume failed for volume %q: %v", c.name, err)
			if isInfeasible(err) {
				return v.setResize(ctx, c.Claim, func(s *corev1.PersistentVolumeClaimStatus) {
					s.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: corev1.PersistentVolumeClaimNodeResizeInfeasible}
				})
			}
			return fmt.Errorf("NodeExpandVolume.NodeExpandVolume failed for volume %q: %w", c.name, err)
		}
	}
	err := v.setResize(ctx, c.Claim, func(s *corev1.PersistentVolumeClaimStatus) {
		s.Capacity = corev1.ResourceList{corev1.ResourceStorage: size}
		s.AllocatedResourceStatuses = nil
		s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(c corev1.PersistentVolumeClaimCondition) bool {
			switch c.Type {
			case corev1.PersistentVolumeClaimResizing, corev1.PersistentVolumeClaimFileSystemResizePending,
				corev1.PersistentVolumeClaimControllerResizeError, corev1.PersistentVolumeClaimNodeResizeError:
				return true
			}
			return false
		})
	})
	if err != nil {
		return err
	}
	for _, o := range []any{c.Pod, c.Claim} {
		switch o := o.(type) {
		case *corev1.Pod:
			v.cfg.Events.Event(o, corev1.EventTypeNormal, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume \""+c.name+"\"")
		case *corev1.PersistentVolumeClaim:
			v.cfg.Events.Event(o, corev1.EventTypeNormal, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume \""+c.name+"\"")
		}
	}
	return nil
}

// setResize writes how far a claim's expansion has come, with the version that was read:
// whoever else deals with it has then seen this.
func (v *Volumes) setResize(ctx context.Context, claim *corev1.PersistentVolumeClaim, change func(*corev1.PersistentVolumeClaimStatus)) error {
	now := claim.DeepCopy()
	change(&now.Status)
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": claim.ResourceVersion},
		"status": map[string]any{
			"capacity": now.Status.Capacity, "allocatedResourceStatuses": now.Status.AllocatedResourceStatuses, "conditions": now.Status.Conditions,
		},
	})
	if err != nil {
		return err
	}
	if _, err := v.cfg.API.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(ctx, claim.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("write the size of PersistentVolumeClaim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	return nil
}

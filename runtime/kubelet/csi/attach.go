package csi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// attachPatience is for how long a pod waits for the attachment of its volume before it is
// told, as upstream.
const attachPatience = 2*time.Minute + 3*time.Second

// pending is why a mount cannot go on yet.
type pending struct{ error }

// Pending says that this is no failure: whoever is waited for has not done its part.
func (pending) Pending() bool { return true }

// attached is what the driver's controller said of a volume that is attached to the node.
// The node says first that it uses the volume: from then on it is not detached.
func (v *Volumes) attached(ctx context.Context, c call) (map[string]string, error) {
	since := v.wait(c)
	wait := func(format string, args ...any) error {
		err := fmt.Errorf(format, args...)
		if v.cfg.Now().Sub(since) < attachPatience {
			return pending{err}
		}
		return fmt.Errorf("Unable to attach or mount volumes: unmounted volumes=[%s], unattached volumes=[%s], failed to process volumes=[]: timed out waiting for the condition: %w", c.Name, c.Name, err) //nolint:staticcheck // upstream's words
	}
	name := corev1.UniqueVolumeName(c.key())
	node, err := v.cfg.Node()
	if err != nil {
		return nil, fmt.Errorf("read the node: %w", err)
	}
	if !slices.Contains(node.Status.VolumesInUse, name) {
		v.cfg.NodeChanged()
		return nil, wait("volume %q is not marked as in use", c.name)
	}
	if !slices.ContainsFunc(node.Status.VolumesAttached, func(a corev1.AttachedVolume) bool { return a.Name == name }) {
		return nil, wait("volume not attached according to node status for volume %q", c.name)
	}
	id := attachmentName(c.driver, c.handle, v.cfg.NodeName)
	a, err := v.cfg.API.StorageV1().VolumeAttachments().Get(ctx, id, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) || apierrors.IsForbidden(err): // there is none, or not for this node
		return nil, wait("volume %v has GET error for volume attachment %v: %w", c.handle, id, err)
	case err != nil:
		return nil, fmt.Errorf("volume %v has GET error for volume attachment %v: %w", c.handle, id, err)
	case a.DeletionTimestamp != nil:
		return nil, wait("volume attachment is being deleted")
	case a.Status.Attached:
		return a.Status.AttachmentMetadata, nil
	case a.Status.AttachError != nil:
		return nil, errors.New(a.Status.AttachError.Message)
	}
	return nil, wait("volume %v is not attached for volume attachment %v", c.handle, id)
}

// wait notes that a pod waits for its volume, and says since when.
func (v *Volumes) wait(c call) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r, ok := v.published[c.Dir]; ok && r.Attach {
		return v.cfg.Now() // its record says that it is in use
	}
	w := v.waiting[c.Dir]
	if w == nil {
		w = &waiter{key: c.key(), uid: string(c.Pod.UID), since: v.cfg.Now()}
		v.waiting[c.Dir] = w
	}
	w.changed = c.Changed
	return w.since
}

func (v *Volumes) stopWaiting(dir string) {
	v.mu.Lock()
	_, waited := v.waiting[dir]
	delete(v.waiting, dir)
	v.mu.Unlock()
	if waited {
		v.cfg.NodeChanged()
	}
}

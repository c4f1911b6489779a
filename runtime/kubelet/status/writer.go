package status

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/component-base/metrics"
	"k8s.io/utils/ptr"
)

// Writer writes the status of pods to the API.
type Writer struct {
	api  kubernetes.Interface
	ends *metrics.CounterVec

	mu      sync.Mutex
	written map[types.UID]*corev1.Pod // as the API answered last
}

// NewWriter returns a writer that counts in ends, which NewEnds has made.
func NewWriter(api kubernetes.Interface, ends *metrics.CounterVec) *Writer {
	return &Writer{api: api, ends: ends, written: map[types.UID]*corev1.Pod{}}
}

// Write writes a pod's status when it changed. A pod that the API does not have any more,
// or another one of its name, is no error: whoever watches it says so soon.
func (w *Writer) Write(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	base := w.base(pod)
	keepEnds(pod, base, &status)
	// Conditions keep their times from what was written last.
	for i := range status.Conditions {
		for _, old := range base.Conditions {
			if c := &status.Conditions[i]; old.Type == c.Type && old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	if equality.Semantic.DeepEqual(*base, status) {
		return nil
	}
	patch, err := patchOf(pod.UID, *base, status)
	if err != nil {
		return fmt.Errorf("compute the change of a pod's status: %w", err)
	}
	if patch == nil {
		return nil
	}
	written, err := w.api.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write a pod's status: %w", err)
	}
	countEnds(w.ends, base, &status)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written[pod.UID] = written
	return nil
}

// base is what the API has: what was written last, unless somebody wrote after that
// (a controller that took this node for dead marks its pods as not ready).
func (w *Writer) base(pod *corev1.Pod) *corev1.PodStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last := w.written[pod.UID]; last != nil && newer(last.ResourceVersion, pod.ResourceVersion) {
		return &last.Status
	}
	return &pod.Status
}

// newer says whether version a of an object is later than b.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}

// patchOf sends only what changed, so that conditions of others stay, and only to the
// pod of that UID.
func patchOf(uid types.UID, from, to corev1.PodStatus) ([]byte, error) {
	old, err := json.Marshal(corev1.Pod{Status: from})
	if err != nil {
		return nil, err
	}
	same, err := json.Marshal(corev1.Pod{Status: to})
	if err != nil || bytes.Equal(old, same) {
		return nil, err
	}
	now, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: uid}, Status: to})
	if err != nil {
		return nil, err
	}
	return strategicpatch.CreateTwoWayMergePatch(old, now, corev1.Pod{})
}

// Delete deletes a pod of which nothing is left on this node. One that is gone, or
// another one of its name, is no error.
func (w *Writer) Delete(ctx context.Context, pod *corev1.Pod) error {
	err := w.api.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete a pod that has ended: %w", err)
	}
	return nil
}

// Forget drops what is known of a pod.
func (w *Writer) Forget(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.written, uid)
}

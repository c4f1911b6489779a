package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// report writes the pod's status when it changed. It returns next, or when to
// try again if it could not be written.
func (w *worker) report(ctx context.Context, pod *corev1.Pod, next time.Time) (time.Time, bool) {
	// What the API has: what was written last, unless somebody wrote after that
	// (a controller that took this node for dead marks its pods as not ready).
	base := &pod.Status
	if w.reported != nil && newer(w.reported.ResourceVersion, pod.ResourceVersion) {
		base = &w.reported.Status
	}
	v := w.view(pod)
	status := computeStatus(v, podFacts{
		hostIP: w.k.cfg.NodeIP, podIP: w.ip, start: w.start, scheme: "containerd", failed: w.failed, sandboxReady: w.sandbox.ID != "",
		over: w.over,
	})
	// Conditions keep their times from what was written last.
	for i := range status.Conditions {
		for _, old := range base.Conditions {
			if c := &status.Conditions[i]; old.Type == c.Type && old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	if equality.Semantic.DeepEqual(*base, status) {
		return next, false
	}
	written, err := w.k.patchStatus(ctx, w.ref, *base, status)
	switch {
	case err == nil:
		w.reported = written
	case apierrors.IsNotFound(err) || apierrors.IsConflict(err):
		// Deleted, or another pod of that name by now: the informer says so soon.
	case ctx.Err() == nil:
		w.k.log.Warn("a pod's status is not written yet", "pod", w.ref.Namespace+"/"+w.ref.Name, "error", err)
		return earliest(next, w.k.now().Add(retryDelay)), false
	}
	if status.Phase == corev1.PodSucceeded || status.Phase == corev1.PodFailed {
		// The pod comes back through the informer in that phase and is cleaned up.
		return next, false
	}
	return next, false
}

// newer says whether version a of an object is later than b.
func newer(a, b string) bool {
	c, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && c > 0
}

// patchStatus sends only what changed, so that conditions of others stay.
func (k *Kubelet) patchStatus(ctx context.Context, ref PodRef, from, to corev1.PodStatus) (*corev1.Pod, error) {
	old, err := json.Marshal(corev1.Pod{Status: from})
	if err != nil {
		return nil, err
	}
	now, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(ref.UID)}, Status: to})
	if err != nil {
		return nil, err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(old, now, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("compute the change of a pod's status: %w", err)
	}
	return k.api.CoreV1().Pods(ref.Namespace).Patch(ctx, ref.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
}

func signalByName(name string) (syscall.Signal, bool) {
	if !strings.HasPrefix(name, "SIG") {
		var n int
		if _, err := fmt.Sscanf(name, "%d", &n); err == nil && n > 0 && n < 65 {
			return syscall.Signal(n), true
		}
		name = "SIG" + name
	}
	sig := unix.SignalNum(strings.ToUpper(name))
	return sig, sig != 0
}

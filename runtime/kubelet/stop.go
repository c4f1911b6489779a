package kubelet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/kubelet/cgroup"
)

// killRepeat is how often SIGKILL is sent to a container that does not end.
const killRepeat = 5 * time.Second

// kill is a container on its way to its end.
type kill struct {
	once     sync.Once
	done     chan struct{} // closed when it has ended
	mu       sync.Mutex
	deadline time.Time
	sooner   chan struct{} // told when the deadline moved
}

func (k *kill) finish() { k.once.Do(func() { close(k.done) }) }

// shorten moves the deadline forward, never back.
func (k *kill) shorten(to time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if to.Before(k.deadline) {
		k.deadline = to
		select {
		case k.sooner <- struct{}{}:
		default:
		}
	}
}

func (k *kill) left() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return time.Until(k.deadline)
}

// kill begins to end a container: the preStop hook, SIGTERM, and SIGKILL when
// the grace is over. The end itself arrives as any other.
func (w *worker) kill(ctx context.Context, pod *corev1.Pod, c *Container, grace time.Duration, message string) {
	deadline := time.Now().Add(grace)
	if k := w.kills[c.ID]; k != nil {
		k.shorten(deadline)
		return
	}
	k := &kill{done: make(chan struct{}), deadline: deadline, sooner: make(chan struct{}, 1)}
	w.kills[c.ID] = k
	if cancel := w.probers[c.ID]; cancel != nil {
		cancel() // a container that is told to end is not probed
	}
	w.mu.Lock()
	if s, ok := w.probed[c.ID]; ok {
		s.ready = false
		w.probed[c.ID] = s
	}
	w.mu.Unlock()
	w.k.event(pod, corev1.EventTypeNormal, "Killing", message)
	spec := containerByName(pod, c.Name)
	ip := w.ip
	go w.carryOut(ctx, pod, spec, *c, ip, k)
}

func (w *worker) carryOut(ctx context.Context, pod *corev1.Pod, spec *corev1.Container, c Container, ip string, k *kill) {
	log := w.k.log.With("pod", w.ref.Namespace+"/"+w.ref.Name, "container", c.Name)
	signal := func(sig syscall.Signal) {
		if err := w.k.runtime.Signal(ctx, c.ID, sig); err != nil && ctx.Err() == nil {
			log.Warn("cannot signal a container", "signal", sig.String(), "error", err)
		}
	}
	if spec != nil && spec.Lifecycle != nil && spec.Lifecycle.PreStop != nil && k.left() > 0 {
		hctx, cancel := context.WithTimeout(ctx, k.left())
		if err := w.k.runHook(hctx, spec.Lifecycle.PreStop, c.ID, probeTarget{ip, spec}); err != nil && ctx.Err() == nil {
			w.k.event(pod, corev1.EventTypeWarning, "FailedPreStopHook", err.Error())
		}
		cancel()
	}
	if k.left() > 0 {
		signal(w.stopSignal(ctx, c))
	}
	for left := k.left(); left > 0; left = k.left() {
		select {
		case <-ctx.Done():
			return
		case <-k.done:
			return
		case <-k.sooner:
		case <-time.After(left):
		}
	}
	for {
		signal(syscall.SIGKILL)
		select {
		case <-ctx.Done():
			return
		case <-k.done:
			return
		case <-time.After(killRepeat):
		}
	}
}

// stopSignal is the image's, or SIGTERM.
func (w *worker) stopSignal(ctx context.Context, c Container) syscall.Signal {
	img, ok, err := w.k.images.Image(ctx, c.Image)
	if err == nil && ok && img.StopSignal != "" {
		if sig, known := signalByName(img.StopSignal); known {
			return sig
		}
	}
	return syscall.SIGTERM
}

// grace is how long the pod's containers have to end.
func (w *worker) grace(pod *corev1.Pod) time.Duration {
	seconds := int64(30)
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		seconds = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.DeletionGracePeriodSeconds != nil {
		seconds = *pod.DeletionGracePeriodSeconds
	}
	return time.Duration(seconds) * time.Second
}

// killGrace is that of a container that is killed alone: a probe may have one of
// its own.
func (w *worker) killGrace(pod *corev1.Pod, c *Container) time.Duration {
	if spec := containerByName(pod, c.Name); spec != nil {
		for _, p := range []*corev1.Probe{spec.LivenessProbe, spec.StartupProbe} {
			if p != nil && p.TerminationGracePeriodSeconds != nil {
				return time.Duration(*p.TerminationGracePeriodSeconds) * time.Second
			}
		}
	}
	return w.grace(pod)
}

// stopAll ends the pod's containers, sidecars after the others, and says whether
// all have ended.
func (w *worker) stopAll(ctx context.Context, pod *corev1.Pod, grace time.Duration) bool {
	var mains, sidecars []*Container
	for name, c := range w.containers {
		if c.State != StateRunning {
			continue
		}
		if spec := containerByName(pod, name); spec != nil && isSidecar(spec) {
			sidecars = append(sidecars, c)
		} else {
			mains = append(mains, c)
		}
	}
	if pod.DeletionTimestamp != nil && grace > 0 {
		// The grace runs from when the pod was deleted, also when sidecars wait. The
		// time of deletion is cut to whole seconds.
		grace = max(min(grace, time.Until(pod.DeletionTimestamp.Add(time.Second))), time.Second)
	}
	next := mains
	if len(mains) == 0 {
		next = sidecars
	}
	for _, c := range next {
		w.kill(ctx, pod, c, grace, "Stopping container "+c.Name)
	}
	return len(next) == 0
}

// terminate ends a pod that was deleted and tells the API when nothing of it is
// left. It is done when the pod is gone there.
func (w *worker) terminate(ctx context.Context, pod *corev1.Pod, gone bool) (time.Time, bool) {
	grace := w.grace(pod)
	if gone {
		grace = min(grace, time.Second) // nobody waits for it any more
	}
	if !w.stopAll(ctx, pod, grace) {
		if !gone {
			w.report(ctx, pod, time.Time{})
		}
		return time.Time{}, false
	}
	if err := w.cleanup(ctx, pod); err != nil {
		w.k.log.Warn("a pod is not cleaned up yet", "pod", w.ref.Namespace+"/"+w.ref.Name, "error", err)
		return w.k.now().Add(retryDelay), false
	}
	if !gone {
		// Once said, its end is not said again: a pod that a finalizer keeps comes
		// back here without its containers.
		w.over = true
		if pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			if next, _ := w.report(ctx, pod, time.Time{}); !next.IsZero() {
				return next, false
			}
		}
		zero := int64(0)
		uid := types.UID(w.ref.UID)
		err := w.k.api.CoreV1().Pods(w.ref.Namespace).Delete(ctx, w.ref.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid},
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			w.k.log.Warn("a pod that has ended is not deleted yet", "pod", w.ref.Namespace+"/"+w.ref.Name, "error", err)
			return w.k.now().Add(retryDelay), false
		}
	}
	if err := w.forget(ctx); err != nil {
		w.k.log.Warn("a pod's remains are not removed yet", "pod", w.ref.Namespace+"/"+w.ref.Name, "error", err)
		return w.k.now().Add(retryDelay), false
	}
	return time.Time{}, true
}

// finishUp ends what is left of a pod that has succeeded or failed, and keeps its
// containers and logs for whoever looks.
func (w *worker) finishUp(ctx context.Context, pod *corev1.Pod) (time.Time, bool) {
	if !w.stopAll(ctx, pod, w.grace(pod)) {
		return time.Time{}, false
	}
	if !w.cleaned {
		w.k.objects.release(w.ref.UID)
		if err := w.cleanup(ctx, pod); err != nil {
			w.k.log.Warn("a finished pod is not cleaned up yet", "pod", w.ref.Namespace+"/"+w.ref.Name, "error", err)
			return w.k.now().Add(retryDelay), false
		}
		w.cleaned = true
	}
	return time.Time{}, false
}

// cleanup gives back what a pod without running containers holds.
func (w *worker) cleanup(ctx context.Context, pod *corev1.Pod) error {
	if err := w.k.network.Detach(ctx, w.ref.UID); err != nil {
		return err
	}
	if err := w.k.sandboxes.Remove(w.ref.UID); err != nil {
		return err
	}
	if err := w.k.removePodDir(w.ref.UID); err != nil {
		return err
	}
	return cgroup.Remove(podCgroup(w.k.cfg.CgroupRoot, qosClass(pod), w.ref.UID))
}

// forget removes a pod's containers and logs.
func (w *worker) forget(ctx context.Context) error {
	for _, m := range []map[string]*Container{w.containers, w.before} {
		for _, c := range m {
			if err := w.k.runtime.Remove(ctx, c.ID); err != nil {
				return err
			}
		}
	}
	if err := os.RemoveAll(w.k.podLogDir(w.ref)); err != nil {
		return fmt.Errorf("remove the pod's logs: %w", err)
	}
	return nil
}

func (k *Kubelet) podLogDir(p PodRef) string {
	return filepath.Join(k.cfg.PodLogDir, p.Namespace+"_"+p.Name+"_"+p.UID)
}

func (k *Kubelet) logPath(p PodRef, container string, restarts int32) string {
	return filepath.Join(k.podLogDir(p), container, fmt.Sprintf("%d.log", restarts))
}

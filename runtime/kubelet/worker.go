package kubelet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/cgroup"
	"github.com/gantry-run/gantry/runtime/kubelet/sandbox"
)

// worker does everything for one pod. What other goroutines hand it is behind
// mu; the rest belongs to its own goroutine.
type worker struct {
	k   *Kubelet
	ref PodRef

	mu       sync.Mutex
	pod      *corev1.Pod
	gone     bool        // the API no longer has the pod
	inbox    []Container // containers that changed
	probed   map[string]probeState
	outdated bool               // something in its volumes changed
	stopping context.CancelFunc // ends what a pod that goes no longer needs
	wakeC    chan struct{}
	live     map[string]bool // running containers by ID, for others to see
	netns    string          // of the pod, for others to dial in

	life               context.Context // ends with run
	containers, before map[string]*Container
	failures           map[string]failure
	probers            map[string]context.CancelFunc // by container ID
	kills              map[string]*kill              // by container ID
	told               map[string]string             // by name, the container whose back-off was told
	sandbox            sandbox.Sandbox
	ip                 string
	tokens             *tokenCache
	refreshed          time.Time // when volumes were last compared with the API
	start              metav1.Time
	failed             *terminal
	over               bool // deleted, and nothing of it runs any more
	admitted           bool
	cleaned            bool
	reported           *corev1.Pod // as it was written last
}

const retryDelay = time.Second

func newWorker(ctx context.Context, k *Kubelet, pod *corev1.Pod, containers []Container) *worker {
	w := &worker{
		k: k, life: ctx, ref: PodRef{pod.Namespace, pod.Name, string(pod.UID)}, pod: pod,
		probed: map[string]probeState{}, live: map[string]bool{}, wakeC: make(chan struct{}, 1),
		containers: map[string]*Container{}, before: map[string]*Container{}, failures: map[string]failure{},
		probers: map[string]context.CancelFunc{}, kills: map[string]*kill{}, told: map[string]string{}, tokens: &tokenCache{tokens: map[string]cachedToken{}},
		start: metav1.NewTime(k.now()),
	}
	if pod.Status.StartTime != nil {
		w.start = *pod.Status.StartTime
	}
	w.admitted = len(containers) > 0 || pod.Status.StartTime != nil
	for _, c := range containers {
		w.put(&c)
	}
	return w
}

// put takes up a container, or a newer state of it; mu is held, or nobody else
// knows the worker yet.
func (w *worker) put(c *Container) {
	if have := w.containers[c.Name]; have != nil && have.ID == c.ID && have.State == StateExited {
		return // an end is final
	}
	if w.live[c.ID] = true; c.State != StateRunning {
		delete(w.live, c.ID)
	}
	have := w.containers[c.Name]
	switch {
	case have == nil || have.ID == c.ID:
		w.containers[c.Name] = c
	case c.Restarts > have.Restarts:
		w.before[c.Name], w.containers[c.Name] = have, c
	case w.before[c.Name] == nil || w.before[c.Name].Restarts <= c.Restarts:
		w.before[c.Name] = c
	}
}

func (w *worker) wake() {
	select {
	case w.wakeC <- struct{}{}:
	default:
	}
}

// setPod hands over the newest version of the pod.
func (w *worker) setPod(pod *corev1.Pod, gone bool) {
	w.mu.Lock()
	w.outdated = w.outdated || !maps.Equal(pod.Labels, w.pod.Labels) || !maps.Equal(pod.Annotations, w.pod.Annotations)
	w.pod, w.gone = pod, gone
	if (gone || pod.DeletionTimestamp != nil) && w.stopping != nil {
		w.stopping()
	}
	w.mu.Unlock()
	w.wake()
}

// outdate says that something in the pod's volumes changed.
func (w *worker) outdate() {
	w.mu.Lock()
	w.outdated = true
	w.mu.Unlock()
	w.wake()
}

// takeOutdated says whether the volumes have to be compared with the API now.
func (w *worker) takeOutdated() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.outdated
	w.outdated = false
	return was || !w.k.now().Before(w.refreshed.Add(volumeRefresh))
}

// deliver hands over containers that changed.
func (w *worker) deliver(c ...Container) {
	w.mu.Lock()
	w.inbox = append(w.inbox, c...)
	w.mu.Unlock()
	w.wake()
}

func (w *worker) run(ctx context.Context) {
	defer func() {
		w.k.objects.release(w.ref.UID)
		for _, cancel := range w.probers {
			cancel()
		}
	}()
	for {
		next, done := w.sync(ctx)
		if done || ctx.Err() != nil {
			return
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(next.Sub(w.k.now()), 0))
		}
		select {
		case <-ctx.Done():
			return
		case <-w.wakeC:
		case <-timer:
		}
	}
}

// take returns the newest pod after applying what came in.
func (w *worker) take(ctx context.Context) (pod *corev1.Pod, gone bool, start context.Context, stop context.CancelFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeInbox()
	start, stop = context.WithCancel(ctx)
	if w.gone || w.pod.DeletionTimestamp != nil {
		return w.pod, w.gone, start, stop
	}
	w.stopping = stop
	return w.pod, false, start, stop
}

// ended forgets what belongs to a running container; mu is held.
func (w *worker) ended(id string) {
	if cancel := w.probers[id]; cancel != nil {
		cancel()
		delete(w.probers, id)
	}
	delete(w.probed, id)
	if k := w.kills[id]; k != nil {
		k.finish()
		delete(w.kills, id)
	}
}

// sync does what can be done now, and says when to look again without being woken.
func (w *worker) sync(ctx context.Context) (next time.Time, done bool) {
	pod, gone, startCtx, stop := w.take(ctx)
	defer stop()
	now := w.k.now()
	if gone || pod.DeletionTimestamp != nil {
		return w.terminate(ctx, pod, gone)
	}
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return w.finishUp(ctx, pod)
	}
	if !w.admitted {
		w.failed = w.k.admit(ctx, pod)
		w.admitted = true
	}
	if d := pod.Spec.ActiveDeadlineSeconds; d != nil && w.failed == nil {
		if end := w.start.Add(time.Duration(*d) * time.Second); !now.Before(end) {
			w.failed = &terminal{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"}
			w.k.event(pod, corev1.EventTypeNormal, "DeadlineExceeded", w.failed.message)
		} else {
			next = end
		}
	}
	if w.failed != nil {
		if !w.stopAll(ctx, pod, w.grace(pod)) {
			return time.Time{}, false
		}
		return w.report(ctx, pod, time.Time{})
	}
	if err := w.prepare(startCtx, pod); err != nil {
		if startCtx.Err() == nil {
			w.k.log.Warn("pod cannot start yet", "pod", w.ref.Namespace+"/"+w.ref.Name, "error", err)
			w.k.event(pod, corev1.EventTypeWarning, prepareReason(err), err.Error())
		}
		return w.report(ctx, pod, now.Add(retryDelay))
	}
	for {
		v := w.view(pod)
		d := decide(v)
		for _, a := range d.kill {
			w.kill(ctx, pod, a.container, w.killGrace(pod, a.container), a.message)
		}
		for _, c := range d.backingOff {
			w.tellBackoff(pod, c)
		}
		next = earliest(next, d.wakeAt)
		started := false
		for _, a := range d.start {
			started = w.startContainer(startCtx, pod, a) || started
		}
		w.superviseProbes(ctx, pod)
		if !started {
			for name := range w.failures {
				next = earliest(next, w.failures[name].until)
			}
			break
		}
		w.drainInbox()
	}
	if refreshable(pod) {
		next = earliest(next, w.refreshed.Add(volumeRefresh))
	}
	return w.report(ctx, pod, next)
}

// tellBackoff records once per container that its successor has to wait.
func (w *worker) tellBackoff(pod *corev1.Pod, ended *Container) {
	if w.told[ended.Name] == ended.ID {
		return
	}
	w.told[ended.Name] = ended.ID
	w.k.event(pod, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)",
		ended.Name, w.ref.Name, w.ref.Namespace, w.ref.UID))
}

func (w *worker) drainInbox() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.takeInbox()
}

// takeInbox takes up the containers that were handed over; mu is held.
func (w *worker) takeInbox() {
	for _, c := range w.inbox {
		w.put(&c)
		if c.State == StateExited {
			w.ended(c.ID)
		}
	}
	w.inbox = nil
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

type prepareError struct {
	reason string
	err    error
}

func (e prepareError) Error() string { return e.err.Error() }
func (e prepareError) Unwrap() error { return e.err }

func prepareReason(err error) string {
	var p prepareError
	if errors.As(err, &p) {
		return p.reason
	}
	return "FailedCreatePodSandBox"
}

// prepare makes the pod's cgroup, namespaces, address and volumes. What is there
// already is kept, so that a restart of the kubelet changes nothing.
func (w *worker) prepare(ctx context.Context, pod *corev1.Pod) error {
	if w.sandbox.Whole() {
		if refreshable(pod) && w.takeOutdated() {
			w.refreshed = w.k.now()
			if err := w.k.prepareVolumes(ctx, pod, w.statusForFields(pod), w.tokens); err != nil {
				w.k.log.Warn("a pod's volumes are not brought up to date", "pod", w.ref.Name, "error", err)
			}
		}
		return nil
	}
	if !pod.Spec.HostNetwork {
		if err := w.k.network.Ready(); err != nil {
			return prepareError{"NetworkNotReady", fmt.Errorf("network is not ready: %w", err)}
		}
	}
	if err := os.MkdirAll(w.k.podDir(w.ref.UID), 0o750); err != nil {
		return fmt.Errorf("make the pod's directory: %w", err)
	}
	if err := cgroup.Ensure(podCgroup(w.k.cfg.CgroupRoot, qosClass(pod), w.ref.UID), podCgroupValues(pod)); err != nil {
		return err
	}
	var sb sandbox.Sandbox
	var ip netip.Addr
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		sb, err = w.k.sandboxes.Ensure(w.ref.UID, sandbox.Options{
			Hostname: podHostname(pod, w.k.cfg.NodeName), Net: !pod.Spec.HostNetwork, IPC: !pod.Spec.HostIPC,
			PID: optional(pod.Spec.ShareProcessNamespace) && !pod.Spec.HostPID,
			Place: func(pid int) error {
				return cgroup.Place(filepath.Join(podCgroup(w.k.cfg.CgroupRoot, qosClass(pod), w.ref.UID), "holder"), pid)
			},
		})
		if err != nil || pod.Spec.HostNetwork {
			return err
		}
		ip, err = w.k.network.Attach(gctx, w.ref.UID, sb.Net(), hostPorts(pod))
		return err
	})
	g.Go(func() error {
		if err := w.k.prepareVolumes(gctx, pod, w.statusForFields(pod), w.tokens); err != nil {
			return prepareError{"FailedMount", err}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	w.ip = w.k.cfg.NodeIP
	if ip.IsValid() {
		w.ip = ip.String()
	}
	if err := w.k.writePodFiles(pod, w.ip); err != nil {
		return err
	}
	w.sandbox, w.refreshed, w.cleaned = sb, w.k.now(), false
	w.mu.Lock()
	w.netns = ""
	if sb.Options.Net {
		w.netns = sb.Net()
	}
	w.mu.Unlock()
	return nil
}

func hostPorts(pod *corev1.Pod) []HostPort {
	var out []HostPort
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.HostPort > 0 {
				out = append(out, HostPort{string(p.Protocol), p.HostIP, uint16(p.HostPort), uint16(p.ContainerPort)})
			}
		}
	}
	return out
}

func (w *worker) view(pod *corev1.Pod) view {
	w.mu.Lock()
	defer w.mu.Unlock()
	probes := make(map[string]probeState, len(w.probed))
	for id, s := range w.probed {
		probes[id] = s
	}
	return view{
		pod: pod, sandbox: w.sandbox.ID, containers: w.containers, before: w.before,
		failures: w.failures, probes: probes, now: w.k.now(),
	}
}

// statusForFields is what the downward API knows of the pod's status.
func (w *worker) statusForFields(pod *corev1.Pod) *corev1.PodStatus {
	s := pod.Status.DeepCopy()
	s.HostIP, s.HostIPs = w.k.cfg.NodeIP, []corev1.HostIP{{IP: w.k.cfg.NodeIP}}
	if w.ip != "" {
		s.PodIP, s.PodIPs = w.ip, []corev1.PodIP{{IP: w.ip}}
	}
	return s
}

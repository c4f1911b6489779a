package podworker

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
)

// Workers are those of this node's pods.
type Workers struct {
	cfg       Config
	admission *admission
	starting  chan struct{} // slots for containers that are being started

	mu      sync.Mutex
	workers map[string]*worker // by pod UID
	running sync.WaitGroup
}

// New returns workers without pods.
func New(cfg Config) *Workers {
	return &Workers{
		cfg: cfg, starting: make(chan struct{}, cfg.StartsAtOnce), workers: map[string]*worker{},
		admission: &admission{alone: cfg.PodAdmission, beside: cfg.Admission, allocatable: cfg.Allocatable, pods: map[*mailbox]bool{},
			kept: cfg.Allocations, events: cfg.Events, log: cfg.Log},
	}
}

// Adopt takes over what runs, before anything else is done: containers of pods that
// still exist go on under a worker; what belongs to pods that went is removed. It
// returns when the workers run; what is removed may take longer.
func (ws *Workers) Adopt(ctx context.Context, pods []*corev1.Pod, containers []container.Container) {
	byUID := byPod(containers)
	keep := make([]string, 0, len(pods))
	for _, p := range pods {
		keep = append(keep, string(p.UID))
	}
	// Before any new pod is attached, which would not be among those that are kept.
	if err := ws.cfg.Network.Prune(ctx, keep); err != nil {
		ws.cfg.Log.Warn("the network of pods that went is not removed", "error", err)
	}
	ws.start(ctx, pods, byUID)
	for _, uid := range keep {
		delete(byUID, uid)
	}
	ws.running.Go(func() { ws.removeOrphans(ctx, byUID, keep) })
}

// Start takes over pods that run before all are known. They are among those that are
// adopted later.
func (ws *Workers) Start(ctx context.Context, pods []*corev1.Pod, containers []container.Container) {
	ws.start(ctx, pods, byPod(containers))
}

// start gives pods that have none their workers. All are known before the first decides: a
// pod that is new must find those that run admitted, also the ones that come after it.
func (ws *Workers) start(ctx context.Context, pods []*corev1.Pod, containers map[string][]container.Container) {
	var added []*worker
	for _, p := range pods {
		added = append(added, ws.add(ctx, p, containers[string(p.UID)]))
	}
	for _, w := range added {
		ws.run(ctx, w)
	}
}

func byPod(containers []container.Container) map[string][]container.Container {
	out := map[string][]container.Container{}
	for _, c := range containers {
		out[c.Pod.UID] = append(out[c.Pod.UID], c)
	}
	return out
}

// UpdatePod hands a pod to its worker, which is started when there is none.
func (ws *Workers) UpdatePod(ctx context.Context, p *corev1.Pod) {
	if w := ws.worker(string(p.UID)); w != nil {
		w.update(p, false)
		return
	}
	ws.run(ctx, ws.add(ctx, p, nil))
}

// DeletePod tells the worker of a pod that the API does not have it any more.
func (ws *Workers) DeletePod(p *corev1.Pod) {
	if w := ws.worker(string(p.UID)); w != nil {
		w.update(p, true)
	}
}

// Wake has the worker of a pod look at it: something that it does not watch has changed.
func (ws *Workers) Wake(uid string) {
	if w := ws.worker(uid); w != nil {
		w.wake()
	}
}

// Evict has a pod end at once, failed as said. To tell it twice does no harm.
func (ws *Workers) Evict(uid string, f status.Failure) {
	if w := ws.worker(uid); w != nil {
		evict(&w.mailbox, f)
	}
}

// Exited hands containers that have ended to the workers of their pods. To tell one
// twice does no harm.
func (ws *Workers) Exited(containers ...container.Container) {
	for _, c := range containers {
		if w := ws.worker(c.Pod.UID); w != nil && c.State == container.StateExited {
			w.exited(c)
		}
	}
}

// Running reports whether a container of a pod is known to run. Any goroutine may ask.
func (ws *Workers) Running(uid, id string) bool {
	w := ws.worker(uid)
	return w != nil && w.isRunning(id)
}

// Dial connects to a port of a pod as a process in it would.
func (ws *Workers) Dial(ctx context.Context, uid string, port int32) (net.Conn, error) {
	w := ws.worker(uid)
	if w == nil {
		return nil, errNoNetwork
	}
	path, host := w.network()
	return dial(ctx, path, host, port)
}

// Wait returns when no worker runs any more: each ends with the ctx that it was started
// with.
func (ws *Workers) Wait() { ws.running.Wait() }

func (ws *Workers) worker(uid string) *worker {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.workers[uid]
}

// add makes the worker of a pod; nil when it has one, or nothing is started any more.
func (ws *Workers) add(ctx context.Context, p *corev1.Pod, containers []container.Container) *worker {
	uid := string(p.UID)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.workers[uid] != nil || ctx.Err() != nil {
		return nil
	}
	w := newWorker(&ws.cfg, ws.admission, ws.starting, p, containers)
	ws.workers[uid] = w
	ws.admission.add(&w.mailbox)
	return w
}

// run has a worker that was added serve its pod.
func (ws *Workers) run(ctx context.Context, w *worker) {
	if w == nil {
		return
	}
	ws.running.Go(func() {
		w.run(ctx)
		ws.admission.remove(&w.mailbox)
		ws.admission.retry(ctx)
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.workers, w.ref.UID)
	})
}

// removeOrphans removes what pods left that went while this process was away.
func (ws *Workers) removeOrphans(ctx context.Context, orphans map[string][]container.Container, keep []string) {
	log := ws.cfg.Log
	for _, list := range orphans {
		for _, c := range list {
			log.Info("removing a container whose pod is gone", "pod", c.Pod.String(), "container", c.Name)
			if err := ws.cfg.Runtime.Remove(ctx, c.ID); err != nil {
				log.Warn("an orphaned container is not removed", "container", c.ID, "error", err)
			}
			if err := removeLogs(ws.cfg.Layout, c.Pod); err != nil {
				log.Warn("the logs of a pod that is gone are not removed", "pod", c.Pod.String(), "error", err)
			}
		}
	}
	dirs, err := ws.cfg.Layout.UIDs()
	if err != nil {
		log.Warn("cannot list the directories of pods", "error", err)
	}
	sandboxes, err := ws.cfg.Sandboxes.List()
	if err != nil {
		log.Warn("cannot list the sandboxes of pods", "error", err)
	}
	uids := slices.Concat(dirs, sandboxes)
	slices.Sort(uids)
	for _, uid := range slices.Compact(uids) {
		if slices.Contains(keep, uid) || ws.worker(uid) != nil {
			continue
		}
		ws.running.Go(func() { ws.releaseOrphan(ctx, uid) })
	}
}

// longestOrphanDelay is the longest pause before the remains of a pod are tried again: the
// driver of a volume may come back at any time.
const longestOrphanDelay = 30 * time.Second

// releaseOrphan gives back what a pod held that is gone, however often that takes.
func (ws *Workers) releaseOrphan(ctx context.Context, uid string) {
	for delay := retryDelay; ; delay = min(2*delay, longestOrphanDelay) {
		err := ws.cfg.release(ctx, uid)
		if err == nil {
			ws.cfg.Forget(uid)
			return
		}
		ws.cfg.Log.Warn("the remains of a pod are not removed, will retry", "uid", uid, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}

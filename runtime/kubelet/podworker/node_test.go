package podworker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containerspec"
	"github.com/gantry-run/gantry/runtime/kubelet/containertest"
	"github.com/gantry-run/gantry/runtime/kubelet/images"
	"github.com/gantry-run/gantry/runtime/kubelet/pleg"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
)

// node is a model of everything around the workers: the container runtime, the API with
// one pod, and what a pod holds on the node. The workers and their kubelet may be
// restarted over it.
type node struct {
	t       *testing.T
	rt      *containertest.Runtime
	layout  poddir.Layout
	held    *held
	api     *api
	health  *health
	hooks   time.Duration // how long each hook takes
	hookErr error         // what it ends with
	reject  *admit.Rejection
	judge   func(admit.Attributes) // is told of each admission
	events  *events
	// features are what the runtime has from the next start on.
	features container.Features
	workers  *Workers
	stop     func()
}

func newNode(t *testing.T) *node {
	dir := t.TempDir()
	layout := poddir.Layout{Root: dir + "/root", Logs: dir + "/logs"}
	n := &node{
		t: t, rt: containertest.New("i"), layout: layout,
		held: &held{layout: layout, by: map[string]map[string]string{}}, health: &health{of: map[string]container.Health{}}, events: &events{},
	}
	n.api = &api{node: n}
	return n
}

// start starts a kubelet, which adopts what runs.
func (n *node) start() {
	ctx, cancel := context.WithCancel(n.t.Context())
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	pulls := images.NewManager(n.rt, nil, n.events, images.Access{Records: &images.Records{Dir: n.layout.Root + "/image-pulls"}})
	n.workers = New(Config{
		NodeIPs: addr.MustIPs("192.0.2.1"), Layout: n.layout, Runtime: n.rt, Images: pulls, Sandboxes: n.held, Network: n.held, Volumes: n.held, ImageVolumes: n.held, Cgroups: n.held, Allocations: allocation.Checkpoint{Layout: n.layout}, Allocatable: noCapacity, Devices: noDevices{}, Claims: noDevices{},
		Specs: specs{n.layout}, Files: n.held, Prober: n.health, Hooks: hooks{n}, PodAdmission: admit.Chain{}, Handlers: classes{}, Admission: n, Status: n.api, Events: n.events, Log: log,
		StartsAtOnce: 2, Forget: pulls.Forget, Features: n.features,
	})
	g := &pleg.Generator{Runtime: n.rt, State: anyState{}, Log: log}
	workers := n.workers
	done := make(chan struct{})
	go func() {
		defer close(done)
		all, err := g.List(ctx)
		if err != nil {
			return
		}
		var pods []*corev1.Pod
		if p := n.api.current(); p != nil {
			pods = append(pods, p)
		}
		workers.Adopt(ctx, pods, all)
		n.api.serve(ctx, workers)
		g.Run(ctx, workers.Exited)
		workers.Wait()
	}()
	n.stop = func() { cancel(); <-done; n.api.serve(n.t.Context(), nil) }
}

func (n *node) restart() { n.stop(); n.start() }

// Admit implements admit.Handler.
func (n *node) Admit(_ context.Context, a admit.Attributes) *admit.Rejection {
	if n.judge != nil {
		n.judge(a)
	}
	return n.reject
}

type anyState struct{}

func (anyState) Reached(string) {}

func (anyState) Lost(error) {}

// api is the API server as far as one pod goes.
type api struct {
	*node
	mu      sync.Mutex
	pod     *corev1.Pod // nil: gone
	version int
	refuse  bool // the API is away
	ctx     context.Context
	workers *Workers
}

var errAway = errors.New("the API is away")

// serve has the workers told of changes; nil: nobody watches.
func (a *api) serve(ctx context.Context, ws *Workers) {
	a.mu.Lock()
	a.ctx, a.workers = ctx, ws
	p := a.pod
	a.mu.Unlock()
	if ws != nil && p != nil {
		ws.UpdatePod(ctx, p)
	}
}

func (a *api) current() *corev1.Pod {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.pod
}

// edit changes the pod, as any client may; nil deletes it.
func (a *api) edit(change func(*corev1.Pod) *corev1.Pod) {
	a.mu.Lock()
	if a.pod == nil {
		a.mu.Unlock()
		return
	}
	old, ws, ctx := a.pod, a.workers, a.ctx
	p := change(old.DeepCopy())
	if a.pod = p; p != nil {
		a.version++
		p.ResourceVersion = fmt.Sprint(a.version)
	}
	a.mu.Unlock()
	switch {
	case ws == nil:
	case p == nil:
		ws.DeletePod(old)
	default:
		ws.UpdatePod(ctx, p)
	}
}

func (a *api) create(p *corev1.Pod) {
	a.mu.Lock()
	a.pod = p
	a.mu.Unlock()
	a.edit(func(p *corev1.Pod) *corev1.Pod { return p })
}

// remove is kubectl delete.
func (a *api) remove(grace time.Duration) {
	a.edit(func(p *corev1.Pod) *corev1.Pod {
		seconds := int64(grace / time.Second)
		if p.DeletionTimestamp == nil || *p.DeletionGracePeriodSeconds > seconds {
			at := metav1.NewTime(time.Now().Truncate(time.Second).Add(grace))
			p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &at, &seconds
		}
		return p
	})
}

func (a *api) setAway(away bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = away
}

// Write implements Status.
func (a *api) Write(_ context.Context, p *corev1.Pod, s corev1.PodStatus) error {
	a.mu.Lock()
	refuse, have := a.refuse, a.pod
	a.mu.Unlock()
	switch {
	case refuse:
		return errAway
	case have == nil || have.UID != p.UID || equality.Semantic.DeepEqual(have.Status, s):
		return nil
	}
	if was := have.Status.Phase; (was == corev1.PodSucceeded || was == corev1.PodFailed) && was != s.Phase {
		a.t.Errorf("phase %s became %s", was, s.Phase)
	}
	a.edit(func(p *corev1.Pod) *corev1.Pod { p.Status = s; return p })
	return nil
}

// Delete implements Status.
func (a *api) Delete(_ context.Context, p *corev1.Pod) error {
	a.mu.Lock()
	refuse := a.refuse
	a.mu.Unlock()
	if refuse {
		return errAway
	}
	a.edit(func(have *corev1.Pod) *corev1.Pod {
		if have.UID != p.UID || len(have.Finalizers) > 0 {
			return have
		}
		return nil
	})
	return nil
}

// specs makes containers with what a worker looks at.
type specs struct{ layout poddir.Layout }

// classes has one RuntimeClass, by whose name no pod is run.
type classes struct{}

func (classes) Handler(_ context.Context, p *corev1.Pod) (string, error) {
	if p.Spec.RuntimeClassName != nil {
		return "", errors.New("no runtime is configured")
	}
	return "", nil
}

func (specs) Release(*corev1.Pod, string) error { return nil }

func (specs) ReleasePod(string) error { return nil }

func (s specs) Generate(_ context.Context, in containerspec.Incarnation) (container.Spec, error) {
	uid, name := string(in.Pod.UID), in.Container.Name
	ref := container.PodRef{Namespace: in.Pod.Namespace, Name: in.Pod.Name, UID: uid}
	return container.Spec{ResolvedImage: in.Image.Name, Namespaces: in.Sandbox.Namespaces, Container: container.Container{
		ID: container.ID(uid, in.Sandbox.Incarnation(), name, in.Restarts), Pod: ref, Name: name, Sandbox: in.Sandbox.Incarnation(),
		Restarts: in.Restarts, Backoff: in.Backoff, Image: in.Container.Image, ImageID: in.Image.ID,
		SpecHash: container.SpecHash(in.Container), Actuated: container.ComputeOf(in.Container.Resources),
		LogPath: s.layout.ContainerLog(ref, name, in.Restarts),
	}}, nil
}

// health has containers started and ready from when they are probed, unless a test says
// otherwise.
type health struct {
	mu      sync.Mutex
	of      map[string]container.Health
	changed map[string]func()
}

func (h *health) Add(_ context.Context, _ *corev1.Pod, _ *corev1.Container, c container.Container, _ string, changed func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = map[string]func(){}
	}
	h.changed[c.ID] = changed
	if _, ok := h.of[c.ID]; !ok {
		h.of[c.ID] = container.Health{Started: true, Ready: true}
		go changed()
	}
}

func (h *health) StopRestarts(string) {}

func (h *health) Remove(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.of, id)
}

func (h *health) Health(id string) (container.Health, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.of[id]
	return s, ok
}

func (h *health) set(id string, s container.Health) {
	h.mu.Lock()
	h.of[id] = s
	changed := h.changed[id]
	h.mu.Unlock()
	if changed != nil {
		changed()
	}
}

type hooks struct{ *node }

func (h hooks) Run(ctx context.Context, _ *corev1.LifecycleHandler, _ probe.Target) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(h.hooks):
		return h.hookErr
	}
}

type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) Event(_ runtime.Object, _, reason, _ string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, reason)
}

func (e *events) count(reason string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.all {
		if r == reason {
			n++
		}
	}
	return n
}

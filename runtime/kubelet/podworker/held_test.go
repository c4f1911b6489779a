package podworker

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// held is what pods hold on the node, by kind and UID.
type held struct {
	layout poddir.Layout
	mu     sync.Mutex
	by     map[string]map[string]string
	made   int
	memory int64            // in use, in bytes
	pid    string           // the PID namespace that containers share; "": each has its own
	fails  map[string]error // what cannot be made, by kind
	busy   map[string]error // what cannot be given back
}

func (h *held) make(kind, uid, value string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.fails[kind]; err != nil {
		return err
	}
	if h.by[kind] == nil {
		h.by[kind] = map[string]string{}
	}
	h.by[kind][uid] = value
	return nil
}

func (h *held) drop(kind, uid string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.busy[kind]; err != nil {
		return err
	}
	delete(h.by[kind], uid)
	return nil
}

// left is what is held for anybody.
func (h *held) left() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for kind, by := range h.by {
		for uid := range by {
			out = append(out, kind+" of "+uid)
		}
	}
	slices.Sort(out)
	return out
}

func (h *held) get(kind, uid string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.by[kind][uid]
}

func (h *held) set(kind string, faults *map[string]error, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *faults == nil {
		*faults = map[string]error{}
	}
	(*faults)[kind] = err
}

func (h *held) Ensure(p *corev1.Pod) (container.Sandbox, error) {
	uid := string(p.UID)
	id := h.get("sandbox", uid)
	if id == "" {
		h.mu.Lock()
		h.made++
		id = fmt.Sprint("s", h.made)
		h.mu.Unlock()
	}
	return container.Sandbox{ID: id, Namespaces: container.Namespaces{Net: "/net/" + uid, PID: h.pid}}, h.make("sandbox", uid, id)
}

func (h *held) Healthy(p *corev1.Pod, id string) bool { return h.get("sandbox", string(p.UID)) == id }

func (h *held) Remove(uid string) error { return h.drop("sandbox", uid) }

func (h *held) List() (uids []string, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for uid := range h.by["sandbox"] {
		uids = append(uids, uid)
	}
	return uids, nil
}

func (h *held) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.fails["ready"]
}

func (h *held) Attach(_ context.Context, uid, path string, _ []container.HostPort) (addr.IPs, error) {
	return addr.MustIPs("10.0.0.7"), h.make("network", uid, path)
}

func (h *held) Detach(_ context.Context, uid string) error { return h.drop("network", uid) }

func (h *held) Prune(ctx context.Context, uids []string) error {
	h.mu.Lock()
	var gone []string
	for uid := range h.by["network"] {
		if !slices.Contains(uids, uid) {
			gone = append(gone, uid)
		}
	}
	h.mu.Unlock()
	for _, uid := range gone {
		if err := h.Detach(ctx, uid); err != nil {
			return err
		}
	}
	return nil
}

func (h *held) SetUp(_ context.Context, p *corev1.Pod, _ *corev1.PodStatus, _ func()) error {
	return h.make("volumes", string(p.UID), "")
}

func (h *held) Refresh(context.Context, *corev1.Pod, *corev1.PodStatus, func()) (time.Time, error) {
	return time.Time{}, nil
}

func (h *held) ImageMounted(p *corev1.Pod, volume string) (bool, error) {
	return h.get("image volume "+volume, string(p.UID)) != "", nil
}

func (h *held) MountImage(_ context.Context, p *corev1.Pod, volume string, img container.Image) error {
	return h.make("image volume "+volume, string(p.UID), img.Name)
}

func (h *held) Outdate(string) {}

func (h *held) Release(string) {}

func (h *held) TearDown(uid string) error {
	if err := h.drop("volumes", uid); err != nil {
		return err
	}
	h.mu.Lock()
	for kind, by := range h.by {
		if strings.HasPrefix(kind, "image volume ") {
			delete(by, uid)
		}
	}
	h.mu.Unlock()
	return os.RemoveAll(h.layout.Pod(uid))
}

func (h *held) EnsurePod(p *corev1.Pod) error { return h.make("cgroup", string(p.UID), "") }

func (h *held) WidenPod(_, to *corev1.Pod) error {
	return h.make("cgroup", string(to.UID), "")
}

func (h *held) RemovePod(uid string) error { return h.drop("cgroup", uid) }

// use says how much memory the pod and each of its containers use.
func (h *held) use(bytes int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.memory = bytes
}

// MemoryUsage is that of the pod, and of each container of it.
func (h *held) MemoryUsage(p *corev1.Pod, _ string) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.memory, h.fails["memory"]
}

func (h *held) Container(_ *corev1.Pod, _ *corev1.Container, id string) container.Resources {
	return container.Resources{CgroupPath: id}
}

func (h *held) Write(*corev1.Pod, []string) error { return nil }

package eviction

import (
	"context"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/pod"
)

// interval is the time between two looks, as upstream's.
const interval = 10 * time.Second

// reason of what is told of a pod that is evicted.
const reason = "Evicted"

// Pods are those of this node.
type Pods interface{ Pods() []*corev1.Pod }

// Stats tell what pods take.
type Stats interface {
	// Storage is what pods take of the node's disks, of those of which something runs.
	Storage(ctx context.Context, pods []*corev1.Pod) ([]statsapi.PodStats, error)
}

// Workers run the pods.
type Workers interface {
	// Evict has a pod end at once, failed as said. To tell it twice does no harm.
	Evict(uid string, f status.Failure)
}

// Manager looks after what pods take of the node.
type Manager struct {
	Pods    Pods
	Stats   Stats
	Workers Workers
	Log     *slog.Logger
}

// Run looks until ctx is done.
func (m *Manager) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := m.enforceLimits(ctx); err != nil && ctx.Err() == nil {
			m.Log.Warn("the limits of local storage are not enforced now", "error", err)
		}
	}
}

// enforceLimits evicts the pods that are over a limit of local storage. Where no pod has
// one, no disk is looked at.
func (m *Manager) enforceLimits(ctx context.Context) error {
	pods := slices.DeleteFunc(m.evictable(), func(p *corev1.Pod) bool { return !limited(p) })
	if len(pods) == 0 {
		return nil
	}
	use, err := m.Stats.Storage(ctx, pods)
	if err != nil {
		return err
	}
	for _, p := range pods {
		i := slices.IndexFunc(use, func(s statsapi.PodStats) bool { return s.PodRef.UID == string(p.UID) })
		if i < 0 {
			continue
		}
		// As upstream, such a pod has no condition DisruptionTarget: it is by its own doing.
		if message := overLimit(p, &use[i]); message != "" {
			m.Log.Info("evicting a pod", "pod", p.Namespace+"/"+p.Name, "reason", message)
			m.Workers.Evict(string(p.UID), status.Failure{Reason: reason, Message: message})
		}
	}
	return nil
}

// evictable are the pods that have not ended and may be made to: critical ones, and with
// them all static ones, go on whatever they take.
func (m *Manager) evictable() []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range m.Pods.Pods() {
		if !pod.IsTerminal(p) && !admit.IsCritical(p) {
			out = append(out, p)
		}
	}
	return out
}

package stats

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// Pods are those of this node.
type Pods interface{ Pods() []*corev1.Pod }

// Runtime keeps containers.
type Runtime interface {
	// List returns the containers of all pods when uid is "".
	List(ctx context.Context, uid string) ([]container.Container, error)
	// LayerUsage is what a container has written to its own layer, in bytes and files.
	LayerUsage(ctx context.Context, id string) (bytes, files uint64, err error)
}

// Cgroups tell what is used.
type Cgroups interface {
	NodeUsage() (cm.Usage, error)
	PodsUsage() (cm.Usage, error)
	PodUsage(p *corev1.Pod) (cm.Usage, error)
	ContainerUsage(p *corev1.Pod, id string) (cm.Usage, error)
}

// Summarizer tells what a node and its pods use. Nothing is read before it is asked.
type Summarizer struct {
	NodeName string
	Pods     Pods
	Runtime  Runtime
	Cgroups  Cgroups
	Layout   poddir.Layout
	// ImageDir is on the file system of images and layers.
	ImageDir string
	// Links are the counters of this server's links by name; PodLink is the name of a
	// pod's, and NodeLink says which leads out.
	Links   func() (map[string]Link, error)
	PodLink func(uid string) string
	// Volume is what a pod's volume takes, by the directory that a CSI driver has it
	// mounted at; ok is false of others and of what is not mounted.
	Volume   func(ctx context.Context, uid, name string) (u statsapi.FsStats, ok bool)
	BootTime time.Time
	Now      func() time.Time
	Sleep    func(context.Context, time.Duration) error

	mu    sync.Mutex
	rates rates
}

// Link are the counters of a link, as the server sees them.
type Link struct {
	RxBytes, RxErrors, TxBytes, TxErrors uint64
	// Out is the link with the node's address.
	Out bool
}

// sampling is the time between two looks at what had not been looked at before.
const sampling = 100 * time.Millisecond

// Summary is what is used now. With onlyCPUAndMemory no disk is looked at, and no rate is
// computed: both take time.
func (s *Summarizer) Summary(ctx context.Context, onlyCPUAndMemory bool) (*statsapi.Summary, error) {
	all, err := s.Runtime.List(ctx, "")
	if err != nil {
		return nil, err
	}
	pods := running(all, s.Pods.Pods())
	if onlyCPUAndMemory {
		return s.summary(ctx, pods, nil), nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rates.begin(s.look(pods)) {
		if err := s.Sleep(ctx, sampling); err != nil {
			return nil, err
		}
	}
	out := s.summary(ctx, pods, s.rates.end(s.look(pods)))
	s.disks(ctx, pods, out)
	return out, s.links(out)
}

// runningPod is a pod with its containers that run.
type runningPod struct {
	*corev1.Pod
	containers []container.Container
}

// running are those of the pods of which something runs, in their order.
func running(all []container.Container, pods []*corev1.Pod) []runningPod {
	byUID := map[string][]container.Container{}
	for _, c := range all {
		if c.State == container.StateRunning {
			byUID[c.Pod.UID] = append(byUID[c.Pod.UID], c)
		}
	}
	var out []runningPod
	for _, p := range pods {
		if cs := byUID[string(p.UID)]; len(cs) > 0 {
			slices.SortFunc(cs, func(a, b container.Container) int { return a.StartedAt.Compare(b.StartedAt) })
			out = append(out, runningPod{p, cs})
		}
	}
	return out
}

// nodeKey and podsKey are keys of what is looked at beside pods and containers.
const (
	nodeKey = "node"
	podsKey = "pods"
)

// look reads the processor time of all that a rate is computed of.
func (s *Summarizer) look(pods []runningPod) sample {
	out := sample{at: s.Now(), cpu: map[string]time.Duration{}}
	note := func(key string, u cm.Usage, err error) {
		if err == nil {
			out.cpu[key] = u.CPU
		}
	}
	u, err := s.Cgroups.NodeUsage()
	note(nodeKey, u, err)
	u, err = s.Cgroups.PodsUsage()
	note(podsKey, u, err)
	for _, p := range pods {
		u, err = s.Cgroups.PodUsage(p.Pod)
		note(string(p.UID), u, err)
		for _, c := range p.containers {
			u, err = s.Cgroups.ContainerUsage(p.Pod, c.ID)
			note(c.ID, u, err)
		}
	}
	return out
}

// summary is what cgroups tell. What ended meanwhile is left out.
func (s *Summarizer) summary(ctx context.Context, pods []runningPod, rate map[string]*uint64) *statsapi.Summary {
	now := metav1.NewTime(s.Now())
	out := &statsapi.Summary{Pods: []statsapi.PodStats{}}
	out.Node = statsapi.NodeStats{NodeName: s.NodeName, StartTime: metav1.NewTime(s.BootTime)}
	if u, err := s.Cgroups.NodeUsage(); err == nil {
		out.Node.CPU, out.Node.Memory = cpu(now, u, rate[nodeKey]), s.nodeMemory(now, u)
	}
	if u, err := s.Cgroups.PodsUsage(); err == nil {
		out.Node.SystemContainers = []statsapi.ContainerStats{{
			Name: statsapi.SystemContainerPods, StartTime: out.Node.StartTime, CPU: cpu(now, u, rate[podsKey]), Memory: memoryOf(now, u),
		}}
	}
	for _, p := range pods {
		u, err := s.Cgroups.PodUsage(p.Pod)
		if err != nil || ctx.Err() != nil {
			continue
		}
		ps := statsapi.PodStats{
			PodRef: statsapi.PodReference{Name: p.Name, Namespace: p.Namespace, UID: string(p.UID)},
			CPU:    cpu(now, u, rate[string(p.UID)]), Memory: memoryOf(now, u), Containers: []statsapi.ContainerStats{},
			ProcessStats: &statsapi.ProcessStats{ProcessCount: &u.Processes},
		}
		if p.Status.StartTime != nil {
			ps.StartTime = *p.Status.StartTime
		}
		for _, c := range p.containers {
			if u, err := s.Cgroups.ContainerUsage(p.Pod, c.ID); err == nil {
				ps.Containers = append(ps.Containers, statsapi.ContainerStats{
					Name: c.Name, StartTime: metav1.NewTime(c.StartedAt), CPU: cpu(now, u, rate[c.ID]), Memory: memoryOf(now, u),
				})
			}
		}
		out.Pods = append(out.Pods, ps)
	}
	return out
}

func cpu(at metav1.Time, u cm.Usage, rate *uint64) *statsapi.CPUStats {
	total := uint64(u.CPU)
	return &statsapi.CPUStats{Time: at, UsageCoreNanoSeconds: &total, UsageNanoCores: rate}
}

func memoryOf(at metav1.Time, u cm.Usage) *statsapi.MemoryStats {
	out := &statsapi.MemoryStats{
		Time: at, UsageBytes: &u.Memory, WorkingSetBytes: &u.WorkingSet, RSSBytes: &u.RSS, PageFaults: &u.PageFaults, MajorPageFaults: &u.MajorPageFaults,
	}
	if u.MemoryLimit > 0 {
		available := u.MemoryLimit - min(u.MemoryLimit, u.WorkingSet)
		out.AvailableBytes = &available
	}
	return out
}

// nodeMemory is of the whole server, which not every kernel counts by cgroup.
func (s *Summarizer) nodeMemory(at metav1.Time, u cm.Usage) *statsapi.MemoryStats {
	m, err := readMemory()
	if err != nil {
		return memoryOf(at, u)
	}
	usage, available := uint64(m.total-m.free), uint64(m.available)
	workingSet, rss := uint64(m.total-m.available), uint64(m.anonymous)
	return &statsapi.MemoryStats{
		Time: at, AvailableBytes: &available, UsageBytes: &usage, WorkingSetBytes: &workingSet, RSSBytes: &rss,
		PageFaults: &u.PageFaults, MajorPageFaults: &u.MajorPageFaults,
	}
}

// links adds what was sent and received. Of a pod's link the server sees the other end.
func (s *Summarizer) links(out *statsapi.Summary) error {
	links, err := s.Links()
	if err != nil {
		return err
	}
	now := metav1.NewTime(s.Now())
	for name, l := range links {
		if l.Out {
			i := statsapi.InterfaceStats{Name: name, RxBytes: &l.RxBytes, RxErrors: &l.RxErrors, TxBytes: &l.TxBytes, TxErrors: &l.TxErrors}
			out.Node.Network = &statsapi.NetworkStats{Time: now, InterfaceStats: i, Interfaces: []statsapi.InterfaceStats{i}}
		}
	}
	for i := range out.Pods {
		if l, ok := links[s.PodLink(out.Pods[i].PodRef.UID)]; ok {
			eth0 := statsapi.InterfaceStats{Name: "eth0", RxBytes: &l.TxBytes, RxErrors: &l.TxErrors, TxBytes: &l.RxBytes, TxErrors: &l.RxErrors}
			out.Pods[i].Network = &statsapi.NetworkStats{Time: now, InterfaceStats: eth0, Interfaces: []statsapi.InterfaceStats{eth0}}
		}
	}
	return nil
}

package stats

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// server is a model of a server whose pods use a fixed part of a processor each.
type server struct {
	now        time.Time
	pods       []*corev1.Pod
	containers []container.Container
	parts      map[string]float64 // of a processor, by key
	slept      int
	layers     int // that were measured
	err        error
}

func (s *server) Pods() []*corev1.Pod { return s.pods }
func (s *server) List(context.Context, string) ([]container.Container, error) {
	return s.containers, s.err
}
func (s *server) LayerUsage(context.Context, string) (bytes, files uint64, err error) {
	s.layers++
	return 1 << 30, 5, nil
}

func (s *server) usage(key string) (cm.Usage, error) {
	part, ok := s.parts[key]
	if !ok {
		return cm.Usage{}, errors.New("the cgroup is gone")
	}
	return cm.Usage{CPU: time.Duration(part * float64(s.now.UnixNano()-start.UnixNano())), Memory: 300, WorkingSet: 200, RSS: 100, MemoryLimit: 500, Processes: 3}, nil
}

func (s *server) NodeUsage() (cm.Usage, error)                              { return s.usage(nodeKey) }
func (s *server) PodsUsage() (cm.Usage, error)                              { return s.usage(podsKey) }
func (s *server) PodUsage(p *corev1.Pod) (cm.Usage, error)                  { return s.usage(string(p.UID)) }
func (s *server) ContainerUsage(_ *corev1.Pod, id string) (cm.Usage, error) { return s.usage(id) }

var start = time.Unix(1_800_000_000, 0)

func newServer(t *testing.T) (*server, *Summarizer) {
	dir := t.TempDir()
	s := &server{now: start.Add(time.Hour), parts: map[string]float64{nodeKey: 1.5, podsKey: 1, "u": 0.5, "c1": 0.25}}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Status: corev1.PodStatus{StartTime: &metav1.Time{Time: start}}}
	idle := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "idle", UID: "v"}}
	s.pods = []*corev1.Pod{idle, p}
	logs := filepath.Join(dir, "logs", "c", "0.log")
	s.containers = []container.Container{
		{ID: "c1", Name: "c", Pod: container.PodRef{UID: "u"}, State: container.StateRunning, StartedAt: start, LogPath: logs},
		{ID: "c0", Name: "c", Pod: container.PodRef{UID: "u"}, State: container.StateExited, LogPath: logs},
		{ID: "x", Name: "c", Pod: container.PodRef{UID: "of nobody"}, State: container.StateRunning},
	}
	layout := poddir.Layout{Root: dir}
	for file, size := range map[string]int{logs: 100, filepath.Join(layout.Volumes("u"), "emptydir", "v", "data"): 1 << 20} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, make([]byte, size), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return s, &Summarizer{
		NodeName: "n", Pods: s, Runtime: s, Cgroups: s, Layout: layout, ImageDir: dir,
		Links: func() (map[string]Link, error) {
			return map[string]Link{"eth1": {RxBytes: 1, TxBytes: 2, Out: true}, "link-u": {RxBytes: 3, TxBytes: 4, RxErrors: 5, TxErrors: 6}, "lo": {}}, nil
		},
		Volume: func(_ context.Context, _, name string) (statsapi.FsStats, bool) {
			size := uint64(7)
			return statsapi.FsStats{CapacityBytes: &size}, name == "driver"
		},
		PodLink: func(uid string) string { return "link-" + uid }, BootTime: start,
		Now: func() time.Time { return s.now },
		Sleep: func(_ context.Context, d time.Duration) error {
			s.slept++
			s.now = s.now.Add(d)
			return nil
		},
	}
}

func summaryOf(t *testing.T, s *Summarizer, only bool) *statsapi.Summary {
	t.Helper()
	out, err := s.Summary(t.Context(), only)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSummary(t *testing.T) {
	s, sum := newServer(t)
	out := summaryOf(t, sum, false)
	if len(out.Pods) != 1 || len(out.Pods[0].Containers) != 1 || out.Node.NodeName != "n" || !out.Node.StartTime.Time.Equal(start) {
		t.Fatalf("%+v", out)
	}
	p, c := out.Pods[0], out.Pods[0].Containers[0]
	if p.PodRef != (statsapi.PodReference{Namespace: "ns", Name: "p", UID: "u"}) || c.Name != "c" || !c.StartTime.Time.Equal(start) || !p.StartTime.Time.Equal(start) {
		t.Errorf("pod %+v, container %+v", p, c)
	}
	for what, got := range map[string]struct {
		cpu  *statsapi.CPUStats
		rate uint64
	}{"node": {out.Node.CPU, 1_500_000_000}, "pods": {out.Node.SystemContainers[0].CPU, 1_000_000_000}, "pod": {p.CPU, 500_000_000}, "container": {c.CPU, 250_000_000}} {
		if got.cpu.UsageNanoCores == nil || *got.cpu.UsageNanoCores != got.rate || *got.cpu.UsageCoreNanoSeconds != uint64(float64(got.rate)*s.now.Sub(start).Seconds()) {
			t.Errorf("%s: %+v, want %d nanocores", what, got.cpu, got.rate)
		}
	}
	if m := p.Memory; *m.UsageBytes != 300 || *m.WorkingSetBytes != 200 || *m.RSSBytes != 100 || *m.AvailableBytes != 300 || *p.ProcessStats.ProcessCount != 3 {
		t.Errorf("memory %+v, processes %+v", m, p.ProcessStats)
	}
	if n := p.Network; n.Name != "eth0" || *n.RxBytes != 4 || *n.TxBytes != 3 || *n.RxErrors != 6 || *n.TxErrors != 5 {
		t.Errorf("the pod's network %+v", n)
	}
	if n := out.Node.Network; n.Name != "eth1" || *n.RxBytes != 1 || *n.TxBytes != 2 {
		t.Errorf("the node's network %+v", n)
	}
	if *c.Rootfs.UsedBytes != 1<<30 || *c.Rootfs.InodesUsed != 5 || *c.Logs.UsedBytes < 100 || *c.Logs.UsedBytes > 1<<16 || *c.Rootfs.CapacityBytes != *out.Node.Fs.CapacityBytes {
		t.Errorf("root %+v, logs %+v", c.Rootfs, c.Logs)
	}
	if all := *p.EphemeralStorage.UsedBytes; all < 1<<30+1<<20 || all > 1<<30+2<<20 {
		t.Errorf("in all %d bytes", all)
	}
}

// TestVolumeStats: a claim is told by its file system, what is the pod's own by what it takes.
func TestVolumeStats(t *testing.T) {
	s, sum := newServer(t)
	s.pods[1].Spec.Volumes = []corev1.Volume{
		{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "claimed", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}},
		{Name: "generic", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}},
		{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}},
		{Name: "image", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{}}},
		{Name: "uncounted", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{}}},
		{Name: "driver", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "driven"}}},
		{Name: "not-yet", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}},
	}
	for _, dir := range []string{"claim/claimed", "claim/generic", "csi/uncounted", "csi/driver", "host-path/host", "image/image"} {
		if err := os.MkdirAll(filepath.Join(sum.Layout.Volumes("u"), dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	out := summaryOf(t, sum, false)
	want := map[string]*statsapi.PVCReference{"v": nil, "claimed": {Namespace: "ns", Name: "data"}, "generic": {Namespace: "ns", Name: "p-generic"}, "driver": {Namespace: "ns", Name: "driven"}}
	if len(out.Pods[0].VolumeStats) != len(want) {
		t.Fatalf("%+v", out.Pods[0].VolumeStats)
	}
	for _, v := range out.Pods[0].VolumeStats {
		ref, ok := want[v.Name]
		if !ok || (ref == nil) != (v.PVCRef == nil) || ref != nil && *ref != *v.PVCRef || v.Name != "driver" && *v.CapacityBytes != *out.Node.Fs.CapacityBytes {
			t.Errorf("%s: %+v of claim %+v", v.Name, v.FsStats, v.PVCRef)
		}
		if v.Name == "driver" {
			if *v.CapacityBytes != 7 || v.UsedBytes != nil || v.Time.IsZero() {
				t.Errorf("what the driver tells is %+v", v.FsStats)
			}
			continue
		}
		if small := *v.UsedBytes >= 1<<20 && *v.UsedBytes < 2<<20 && *v.InodesUsed == 2; small != (v.Name == "v") {
			t.Errorf("%s: %d bytes and %d files are used", v.Name, *v.UsedBytes, *v.InodesUsed)
		}
	}
	if out := summaryOf(t, sum, true); out.Pods[0].VolumeStats != nil {
		t.Errorf("without disks: %+v", out.Pods[0].VolumeStats)
	}
}

// A rate is between two looks: another is needed only where there is none of lately.
// TestStorageOfSomePods: it is that of the summary, of those that are asked for, and the
// layers of no others are measured.
func TestStorageOfSomePods(t *testing.T) {
	s, sum := newServer(t)
	s.pods[1].Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	want := summaryOf(t, sum, false).Pods[0]
	s.layers = 0
	if got, err := sum.Storage(t.Context(), s.pods[:1]); err != nil || len(got) != 0 || s.layers != 0 {
		t.Errorf("of a pod of which nothing runs: %v, %v, %d layers", got, err, s.layers)
	}
	got, err := sum.Storage(t.Context(), s.pods)
	if err != nil || len(got) != 1 || s.layers != 1 || got[0].PodRef != want.PodRef {
		t.Fatalf("%+v, %v, %d layers", got, err, s.layers)
	}
	taken := func(p statsapi.PodStats) [4]uint64 {
		return [4]uint64{*p.Containers[0].Rootfs.UsedBytes, *p.Containers[0].Logs.UsedBytes, *p.VolumeStats[0].UsedBytes, *p.EphemeralStorage.UsedBytes}
	}
	if taken(got[0]) != taken(want) || taken(want)[2] < 1<<20 {
		t.Errorf("%v, the summary has %v", taken(got[0]), taken(want))
	}
	s.err = errors.New("away")
	if _, err := sum.Storage(t.Context(), s.pods); !errors.Is(err, s.err) {
		t.Errorf("the runtime is away: %v", err)
	}
}

func TestRatesNeedTwoLooks(t *testing.T) {
	s, sum := newServer(t)
	asks := func(when string, slept int) {
		t.Helper()
		s.slept = 0
		if out := summaryOf(t, sum, false); s.slept != slept || out.Node.CPU.UsageNanoCores == nil || *out.Node.CPU.UsageNanoCores != 1_500_000_000 {
			t.Errorf("%s: waited %d times, %+v", when, s.slept, out.Node.CPU)
		}
	}
	asks("at first", 1)
	s.now = s.now.Add(10 * time.Second)
	asks("again", 0)
	asks("at once", 1)
	s.now = s.now.Add(maxAge + time.Second)
	asks("long after", 1)
	s.now = s.now.Add(time.Second)
	s.containers = append(s.containers, container.Container{ID: "c2", Name: "d", Pod: container.PodRef{UID: "u"}, State: container.StateRunning})
	s.parts["c2"] = 0.125
	asks("with a new container", 1)
	sum.Sleep = func(context.Context, time.Duration) error { return context.Canceled }
	if _, err := sum.Summary(t.Context(), false); !errors.Is(err, context.Canceled) {
		t.Errorf("cut short: %v", err)
	}
}

// What is asked for often costs little.
func TestOnlyCPUAndMemory(t *testing.T) {
	s, sum := newServer(t)
	out := summaryOf(t, sum, true)
	if p := out.Pods[0]; s.slept+s.layers > 0 || p.Network != nil || p.EphemeralStorage != nil || out.Node.Fs != nil || p.CPU.UsageNanoCores != nil || *p.CPU.UsageCoreNanoSeconds == 0 {
		t.Errorf("%+v, waited %d times, measured %d layers", p, s.slept, s.layers)
	}
	delete(s.parts, "c1") // ended meanwhile
	if out := summaryOf(t, sum, true); len(out.Pods) != 1 || len(out.Pods[0].Containers) != 0 {
		t.Errorf("%+v", out.Pods)
	}
	delete(s.parts, "u")
	if out := summaryOf(t, sum, true); out.Pods == nil || len(out.Pods) != 0 {
		t.Errorf("%+v", out.Pods)
	}
	s.err = errors.New("containerd is away")
	if _, err := sum.Summary(t.Context(), true); !errors.Is(err, s.err) {
		t.Errorf("%v", err)
	}
}

func TestMetrics(t *testing.T) {
	_, sum := newServer(t)
	out := summaryOf(t, sum, true)
	names := map[string][]string{
		"resource": {"node_cpu_usage_seconds_total", "node_memory_working_set_bytes", "pod_cpu_usage_seconds_total", "pod_memory_working_set_bytes",
			"container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds", "scrape_error", "resource_scrape_error"},
		"cadvisor": {"container_cpu_usage_seconds_total", "container_memory_usage_bytes", "container_memory_working_set_bytes", "container_memory_rss", "container_start_time_seconds"},
	}
	for of, c := range map[string]prometheus.Collector{"resource": ResourceMetrics(out), "cadvisor": ContainerMetrics(out)} {
		for _, name := range names[of] {
			if testutil.CollectAndCount(c, name) == 0 {
				t.Errorf("%s has no %s", of, name)
			}
		}
	}
	if err := testutil.CollectAndCompare(ResourceMetrics(out), strings.NewReader(`
# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="c",namespace="ns",pod="p"} 900 1800003600000
# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 5400 1800003600000
# HELP pod_memory_working_set_bytes [STABLE] Current working set of the pod in bytes
# TYPE pod_memory_working_set_bytes gauge
pod_memory_working_set_bytes{namespace="ns",pod="p"} 200 1800003600000
# HELP container_start_time_seconds [STABLE] Start time of the container since unix epoch in seconds
# TYPE container_start_time_seconds gauge
container_start_time_seconds{container="c",namespace="ns",pod="p"} 1.8e+09
# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise
# TYPE resource_scrape_error gauge
resource_scrape_error 0
`), "container_cpu_usage_seconds_total", "node_cpu_usage_seconds_total", "pod_memory_working_set_bytes", "container_start_time_seconds", "resource_scrape_error"); err != nil {
		t.Error(err)
	}
	if err := testutil.CollectAndCompare(ResourceMetrics(nil), strings.NewReader(`
# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise
# TYPE resource_scrape_error gauge
resource_scrape_error 1
`), "resource_scrape_error", "node_cpu_usage_seconds_total"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(ContainerMetrics(nil)); n != 0 {
		t.Errorf("of nothing there are %d", n)
	}
	full := summaryOf(t, sum, false)
	for _, name := range []string{"container_network_receive_bytes_total", "container_network_transmit_bytes_total", "container_fs_usage_bytes"} {
		if testutil.CollectAndCount(ContainerMetrics(full), name) != 1 {
			t.Errorf("cadvisor has no %s", name)
		}
	}
}

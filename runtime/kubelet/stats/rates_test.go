package stats

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	statsapi "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
)

func TestRates(t *testing.T) {
	look := func(after, cpu time.Duration, key string) sample {
		return sample{at: start.Add(after), cpu: map[string]time.Duration{key: cpu}}
	}
	for what, tc := range map[string]struct {
		before, now sample
		want        any
	}{
		"half a processor":       {look(0, time.Second, "a"), look(2*time.Second, 2*time.Second, "a"), uint64(500_000_000)},
		"idle":                   {look(0, time.Second, "a"), look(time.Second, time.Second, "a"), uint64(0)},
		"one that began anew":    {look(0, 2*time.Second, "a"), look(time.Second, time.Second, "a"), nil},
		"one that was not there": {look(0, time.Second, "b"), look(time.Second, time.Second, "a"), nil},
		"the same moment":        {look(0, time.Second, "a"), look(0, time.Second, "a"), nil},
		"a clock that was set":   {look(time.Minute, time.Second, "a"), look(0, 2*time.Second, "a"), nil},
	} {
		r := rates{last: tc.before}
		got := r.end(tc.now)["a"]
		if (got != nil) != (tc.want != nil) || got != nil && *got != tc.want {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
	}
}

func TestAvailableMemoryIsOfALimit(t *testing.T) {
	for _, tc := range []struct{ limit, used, want uint64 }{{500, 200, 300}, {500, 500, 0}, {500, 600, 0}} {
		if got := memoryOf(metav1.Time{}, cm.Usage{MemoryLimit: tc.limit, WorkingSet: tc.used}).AvailableBytes; got == nil || *got != tc.want {
			t.Errorf("%d of %d: %v", tc.used, tc.limit, got)
		}
	}
	if got := memoryOf(metav1.Time{}, cm.Usage{WorkingSet: 200}).AvailableBytes; got != nil {
		t.Errorf("without a limit: %d", *got)
	}
}

// What is not known has no figure.
func TestMetricsOfWhatIsNotKnown(t *testing.T) {
	for what, node := range map[string]statsapi.NodeStats{"nothing": {}, "empty": {CPU: &statsapi.CPUStats{}, Memory: &statsapi.MemoryStats{}}} {
		reg := prometheus.NewRegistry()
		reg.MustRegister(ResourceMetrics(&statsapi.Summary{Node: node}))
		all, err := reg.Gather()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, f := range all {
			if strings.HasPrefix(f.GetName(), "node_") {
				t.Errorf("%s: %s", what, f)
			}
		}
		reg = prometheus.NewRegistry()
		reg.MustRegister(ContainerMetrics(&statsapi.Summary{Node: node}))
		if all, err = reg.Gather(); err != nil || len(all) != 1 {
			t.Errorf("%s: %v, %v", what, all, err)
		}
	}
}

// A pod that ended meanwhile is left out, and no other for it.
func TestAPodThatEndedMeanwhile(t *testing.T) {
	s, sum := newServer(t)
	ended := s.pods[1].DeepCopy()
	ended.UID, ended.Name = "w", "ended"
	other := s.containers[0]
	other.ID, other.Pod.UID = "c2", "w"
	s.pods, s.containers = append([]*corev1.Pod{ended}, s.pods...), append(s.containers, other)
	s.pods[0].Spec.Volumes = nil
	if out := summaryOf(t, sum, false); len(out.Pods) != 1 || out.Pods[0].PodRef.Name != "p" {
		t.Errorf("%+v", out.Pods)
	}
}

// Of a pod's volumes those are told that come after one of which nothing is told.
func TestVolumesAfterOneOfTheServer(t *testing.T) {
	s, sum := newServer(t)
	s.pods[1].Spec.Volumes = []corev1.Volume{
		{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}},
		{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	if got := summaryOf(t, sum, false).Pods[0].VolumeStats; len(got) != 1 || got[0].Name != "v" {
		t.Errorf("%+v", got)
	}
}

// What containers take is added up: their layers (1 GiB each) and their logs.
func TestTheStorageOfAPodIsThatOfAllItsContainers(t *testing.T) {
	s, sum := newServer(t)
	one := *summaryOf(t, sum, false).Pods[0].EphemeralStorage
	second := s.containers[0]
	second.ID, second.Name = "c2", "d"
	s.containers, s.parts["c2"] = append(s.containers, second), 0.1
	two := *summaryOf(t, sum, false).Pods[0].EphemeralStorage
	logs := *one.UsedBytes - 1<<30
	if grown := *two.UsedBytes - *one.UsedBytes; grown < 1<<30 || grown > 1<<30+logs || *two.InodesUsed < *one.InodesUsed+5 {
		t.Errorf("%d bytes and %d files, with another container %d and %d", *one.UsedBytes, *one.InodesUsed, *two.UsedBytes, *two.InodesUsed)
	}
}

func TestTheLinkOfTheNodesAddressLeadsOut(t *testing.T) {
	links, err := Links(netip.MustParseAddr("127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	if lo, ok := links["lo"]; !ok || !lo.Out {
		t.Errorf("%+v", links)
	}
	if links, err = Links(netip.MustParseAddr("192.0.2.77")); err != nil || links["lo"].Out {
		t.Errorf("%+v, %v", links, err)
	}
}

// A directory that is not there yet is on the file system of its nearest parent.
func TestTheDiskOfADirectoryThatIsToCome(t *testing.T) {
	dir := t.TempDir()
	is, err := diskOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := diskOf(dir + "/a/b/c"); err != nil || got.Fsid != is.Fsid || got.Blocks != is.Blocks {
		t.Errorf("%+v, %v", got, err)
	}
}

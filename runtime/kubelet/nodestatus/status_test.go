package nodestatus

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/stats"
)

var now = time.Unix(1_800_000_000, 0)

// healthy are the facts of a node without any trouble.
func healthy() facts {
	return facts{
		now: now, age: time.Hour, addresses: addr.MustIPs("192.0.2.1"), port: 10250, version: "v1", runtimeVersion: "containerd://2",
		machine: stats.Machine{Hostname: "h", BootID: "boot", Kernel: "6", OSImage: "os", Arch: "amd64", MachineID: "m", SystemUUID: "s"},
		free:    stats.Node{MemoryAvailable: 1 << 30, DiskFree: 50, ProcessesFree: 50},
	}
}

// words are the conditions that are not as they should be.
func words(s corev1.NodeStatus) string {
	var out []string
	for _, c := range s.Conditions {
		if (c.Status == corev1.ConditionTrue) != (c.Type == corev1.NodeReady) {
			out = append(out, string(c.Type)+":"+c.Reason)
		}
	}
	return strings.Join(out, " ")
}

func TestConditions(t *testing.T) {
	taken := compute(corev1.NodeStatus{}, healthy())
	for _, c := range []struct {
		name    string
		edit    func(*facts)
		prev    corev1.NodeStatus
		want    string
		message string // of Ready
	}{
		{"healthy", func(*facts) {}, corev1.NodeStatus{}, "", "kubelet is posting ready status"},
		{"memory at the threshold", func(f *facts) { f.free.MemoryAvailable = 100 << 20 }, corev1.NodeStatus{}, "", ""},
		{"little memory", func(f *facts) { f.free.MemoryAvailable = 100<<20 - 1 }, corev1.NodeStatus{}, "MemoryPressure:KubeletHasInsufficientMemory", ""},
		{"disk at the threshold", func(f *facts) { f.free.DiskFree = 10 }, corev1.NodeStatus{}, "", ""},
		{"little disk", func(f *facts) { f.free.DiskFree = 9 }, corev1.NodeStatus{}, "DiskPressure:KubeletHasDiskPressure", ""},
		{"processes at the threshold", func(f *facts) { f.free.ProcessesFree = 10 }, corev1.NodeStatus{}, "", ""},
		{"few processes", func(f *facts) { f.free.ProcessesFree = 9 }, corev1.NodeStatus{}, "PIDPressure:KubeletHasInsufficientPID", ""},
		{"no network", func(f *facts) { f.networkErr = errors.New("no CIDR") }, corev1.NodeStatus{}, "Ready:KubeletNotReady", "pod network: no CIDR"},
		{"no runtime", func(f *facts) { f.runtimeErr, f.networkErr = errors.New("away"), errors.New("no CIDR") }, corev1.NodeStatus{}, "Ready:KubeletNotReady", "container runtime: away"},
		{"a new kubelet", func(f *facts) { f.runtimeErr, f.age = errors.New("away"), time.Second }, taken, "", "kubelet is taking over from the one before it"},
		{"a new kubelet without trouble", func(f *facts) { f.age = time.Second }, taken, "", "kubelet is posting ready status"},
		{"a new node", func(f *facts) { f.runtimeErr, f.age = errors.New("away"), time.Second }, corev1.NodeStatus{}, "Ready:KubeletNotReady", ""},
	} {
		f := healthy()
		c.edit(&f)
		s := compute(c.prev, f)
		if got := words(s); got != c.want || len(s.Conditions) != 4 {
			t.Errorf("%s: %q of %d, want %q", c.name, got, len(s.Conditions), c.want)
		}
		if ready := s.Conditions[3]; c.message != "" && ready.Message != c.message {
			t.Errorf("%s: %s, want %s", c.name, ready.Message, c.message)
		}
	}
}

func TestConditionTimes(t *testing.T) {
	before := compute(corev1.NodeStatus{}, healthy())
	f := healthy()
	f.now, f.free.DiskFree = now.Add(time.Minute), 1
	after := compute(before, f)
	for i, c := range after.Conditions {
		moved := c.Type == corev1.NodeDiskPressure
		if !c.LastHeartbeatTime.Time.Equal(f.now) || c.LastTransitionTime.Time.Equal(f.now) != moved || before.Conditions[i].LastTransitionTime.Time != now {
			t.Errorf("%+v", c)
		}
	}
	f = healthy()
	f.now = now.Add(time.Minute)
	if !sameStatus(before, compute(before, f)) {
		t.Error("a heartbeat is a change")
	}
	if sameStatus(before, after) {
		t.Error("a condition is no change")
	}
}

func TestNodeInfo(t *testing.T) {
	s := compute(corev1.NodeStatus{}, healthy())
	if s.Addresses[0].Address != "192.0.2.1" || s.Addresses[1].Address != "h" || s.DaemonEndpoints.KubeletEndpoint.Port != 10250 {
		t.Errorf("%+v", s)
	}
	if i := s.NodeInfo; i.KubeletVersion != "v1" || i.ContainerRuntimeVersion != "containerd://2" || i.BootID != "boot" || i.KernelVersion != "6" || i.OSImage != "os" ||
		i.Architecture != "amd64" || i.MachineID != "m" || i.SystemUUID != "s" || i.OperatingSystem != "linux" {
		t.Errorf("%+v", i)
	}
	f := healthy()
	f.runtimeVersion = ""
	if got := compute(s, f).NodeInfo.ContainerRuntimeVersion; got != "containerd://2" {
		t.Errorf("the version that was known became %s", got)
	}
	if got := compute(corev1.NodeStatus{}, f).NodeInfo.ContainerRuntimeVersion; got != "containerd://unknown" {
		t.Errorf("a version that nobody knows is %s", got)
	}
}

func TestImages(t *testing.T) {
	f := healthy()
	f.imagesKnown = true
	for i := range 60 {
		f.images = append(f.images, container.Image{Name: fmt.Sprintf("i%02d", i), Names: []string{fmt.Sprintf("i%02d", i)}, Size: int64(i / 2)})
	}
	s := compute(corev1.NodeStatus{}, f)
	if len(s.Images) != 50 || s.Images[0].Names[0] != "i58" || s.Images[1].Names[0] != "i59" || s.Images[0].SizeBytes != 29 {
		t.Errorf("%d images, the first %+v", len(s.Images), s.Images[:2])
	}
	f.images, f.imagesKnown = nil, false
	if got := compute(s, f).Images; len(got) != 50 {
		t.Errorf("when the store is away %d images are left", len(got))
	}
}

func TestAllocatable(t *testing.T) {
	capacity := Capacity(stats.Machine{CPUs: 4, Memory: 8 << 30, Disk: 100 << 30}, 110)
	reserved, err := ParseReserved(map[string]string{"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "200Gi", "other": "1"})
	if err != nil {
		t.Fatal(err)
	}
	got := Allocatable(capacity, reserved)
	for name, want := range map[corev1.ResourceName]string{"cpu": "3500m", "memory": "7Gi", "ephemeral-storage": "0", "pods": "110"} {
		if q := got[name]; q.Cmp(resource.MustParse(want)) != 0 {
			t.Errorf("%s is %s, want %s", name, q.String(), want)
		}
	}
	if cpu := capacity[corev1.ResourceCPU]; cpu.Value() != 4 || len(got) != 4 {
		t.Errorf("capacity %v became %v", capacity, got)
	}
	if _, err := ParseReserved(map[string]string{"cpu": "many"}); err == nil || !strings.Contains(err.Error(), "reserved.cpu") {
		t.Errorf("what is no quantity: %v", err)
	}
}

func TestRuntimeHandlers(t *testing.T) {
	f := healthy()
	f.features = container.Features{RecursiveReadOnly: true, Handlers: []string{"", "kata", "runc"}}
	s := compute(corev1.NodeStatus{}, f)
	var got []string
	for _, h := range s.RuntimeHandlers {
		got = append(got, fmt.Sprintf("%q %v %v", h.Name, *h.Features.RecursiveReadOnlyMounts, *h.Features.UserNamespaces))
	}
	if want := `"" true true, "kata" false false, "runc" true true`; strings.Join(got, ", ") != want || !*s.Features.SupplementalGroupsPolicy {
		t.Errorf("%s, want %s; %+v", got, want, s.Features)
	}
	f.features.UserNamespaces = errors.New("none")
	if *compute(s, f).RuntimeHandlers[0].Features.UserNamespaces {
		t.Error("users of their own where there are none")
	}
}

// TestExtendedResources: those of device plugins are as the plugins say, those that
// somebody wrote into the status stay, and nothing else of it does.
func TestExtendedResources(t *testing.T) {
	list := func(pairs ...string) corev1.ResourceList {
		out := corev1.ResourceList{}
		for i := 0; i < len(pairs); i += 2 {
			out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
		}
		return out
	}
	f := healthy()
	f.own = resources{list("cpu", "4"), list("cpu", "3")}
	f.devices = resources{list("example.com/dev", "2"), list("example.com/dev", "1")}
	prev := corev1.NodeStatus{Capacity: list("cpu", "9", "old", "1", "example.com/dev", "7", "example.com/dongle", "5"), Allocatable: list("example.com/gone", "5")}
	s := compute(prev, f)
	if want := list("cpu", "4", "example.com/dev", "2", "example.com/dongle", "5"); !equality.Semantic.DeepEqual(s.Capacity, want) {
		t.Errorf("capacity %v", s.Capacity)
	}
	if want := list("cpu", "3", "example.com/dev", "1", "example.com/dongle", "5"); !equality.Semantic.DeepEqual(s.Allocatable, want) {
		t.Errorf("allocatable %v", s.Allocatable)
	}
	if len(f.own.capacity) != 1 || len(f.own.allocatable) != 1 {
		t.Errorf("what the server has became %v", f.own)
	}
}

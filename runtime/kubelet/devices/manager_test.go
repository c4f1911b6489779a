package devices

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func TestFromAPluginToAContainer(t *testing.T) {
	n := newNode(t)
	p := podOf("p", "a:2")
	if got := n.admitted(p); got != "" {
		t.Errorf("before any plugin is there: %s", got)
	}
	plugin := &model{}
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	n.wantNode("0 of 0, 1")
	if got := n.admitted(p); got != "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices example.com/dev, which is unexpected" {
		t.Errorf("without devices: %s", got)
	}
	plugin.has("d1 d2- d3 d4")
	n.wantNode("3 of 4, 1")
	if got := n.admitted(p); got != "a:d1,d3" {
		t.Errorf("it has %s", got)
	}
	if got := n.admitted(p); got != "a:d1,d3" || plugin.takeCalls() != "allocate [d1 d3]" {
		t.Errorf("again, it has %s", got)
	}
	want := []container.Edits{{
		Env: map[string]string{"DEVS": "d1,d3"}, Annotations: map[string]string{"dev": "yes"}, CDIDevices: []string{"example.com/dev=all"},
		Mounts:  []container.Mount{{HostPath: "/host", ContainerPath: "/in", ReadOnly: true}},
		Devices: []container.Device{{HostPath: "/dev/hd1", ContainerPath: "/dev/d1", Permissions: "rw"}, {HostPath: "/dev/hd3", ContainerPath: "/dev/d3", Permissions: "rw"}},
	}}
	if got, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	other := podOf("other", "a:2")
	if got := n.admitted(other, p); got != "Allocate failed due to requested number of devices unavailable for example.com/dev. Requested: 2, Available: 1, which is unexpected" {
		t.Errorf("more than there are: %s", got)
	}
	if got := n.admitted(podOf("one", "a:1"), p, other); got != "a:d4" {
		t.Errorf("one more has %s", got)
	}
	if got := n.admitted(podOf("none", "a:0")); got != "" {
		t.Errorf("none are asked for: %s", got)
	}
	// What pods have that do not count any more is free, and what they released.
	if got := n.admitted(other); got != "a:d1,d3" {
		t.Errorf("in the place of an ended one it has %s", got)
	}
	n.Release("other")
	n.Release("other")
	n.Release("p")
	if got := n.admitted(podOf("last", "a:2"), p, other); got != "a:d1,d3" {
		t.Errorf("after a release it has %s", got)
	}
	if got := n.admitted(podOf("p", "a:2")); !strings.Contains(got, "a:") {
		t.Errorf("it has %s", got)
	}
	if got := n.admitted(podOf("p", "a:1")); got != `Allocate failed due to pod "p" container "a" changed request for resource "example.com/dev" from 2 to 1, which is unexpected` {
		t.Errorf("another number: %s", got)
	}
}

// TestInitContainers: what they had, the containers after them may have; sidecars keep it.
func TestInitContainers(t *testing.T) {
	for asks, want := range map[string]string{
		"i!i:2 i!j:1 a:1 b:2": "i:d1,d2 j:d1 a:d1 b:d2,d3",
		"i!i:1 a:3":           "i:d1 a:d1,d2,d3",
		"i!i:2 s+s:1 a:2":     "i:d1,d2 s:d1 a:d2,d3",
		"s+s:1 a:1":           "s:d1 a:d2",
		"a:2 b:1":             "a:d1,d2 b:d3",
	} {
		n := newNode(t)
		plugin := &model{}
		startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
		plugin.has("d1 d2 d3")
		n.wantNode("3 of 3, 1")
		if got := n.admitted(podOf("p", asks)); got != want {
			t.Errorf("%s: it has %s, want %s", asks, got, want)
		}
	}
}

func TestThePluginPrefers(t *testing.T) {
	n := newNode(t)
	plugin := &model{prefers: []string{"none", "d4", "d3"}}
	plugin.options.GetPreferredAllocationAvailable = true
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	plugin.has("d1 d2 d3 d4 d5-")
	n.wantNode("4 of 5, 1")
	first := podOf("first", "a:1")
	if got := n.admitted(first); got != "a:d4" {
		t.Errorf("it has %s", got)
	}
	if got := n.admitted(podOf("p", "i!i:1 a:3"), first); got != "i:d3 a:d1,d2,d3" {
		t.Errorf("it has %s", got)
	}
	want := "prefer 1 of [d1 d2 d3 d4] with []; allocate [d4]; prefer 1 of [d1 d2 d3] with []; allocate [d3]; prefer 3 of [d1 d2 d3] with [d3]; allocate [d1 d2 d3]"
	if got := plugin.takeCalls(); got != want {
		t.Errorf("it was asked: %s", got)
	}
}

func TestWhatAPluginRefuses(t *testing.T) {
	n := newNode(t)
	plugin := &model{refuse: errModel}
	plugin.options.PreStartRequired = true
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	plugin.has("d1")
	n.wantNode("1 of 1, 1")
	p := podOf("p", "a:1")
	if got := n.admitted(p); !strings.Contains(got, errModel.Error()) || n.devices(p) != "" {
		t.Errorf("%s, and it has %s", got, n.devices(p))
	}
	plugin.refuse, plugin.answers = nil, 1
	if got := n.admitted(p); !strings.Contains(got, "no containers return in allocation response") {
		t.Errorf("without an answer: %s", got)
	}
	plugin.answers = 0
	if got := n.admitted(p); got != "a:d1" {
		t.Errorf("it has %s", got)
	}
	plugin.takeCalls()
	if _, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err != nil || plugin.takeCalls() != "start [d1]" {
		t.Errorf("%v", err)
	}
	plugin.refuse = errModel
	if _, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err == nil || !strings.HasPrefix(err.Error(), "device plugin PreStartContainer rpc failed with err: ") {
		t.Errorf("%v", err)
	}
	plugin.server.Stop()
	n.wantNode("0 of 1, 1")
	if _, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err == nil || !strings.Contains(err.Error(), "has not registered") {
		t.Errorf("a container that its plugin has to make ready starts without: %v", err)
	}
}

// TestAPluginComesAndGoes: the node tells of it, and so do the pods that have its devices.
func TestAPluginComesAndGoes(t *testing.T) {
	n := newNode(t)
	began := time.Now()
	var later time.Duration
	n.now = func() time.Time { return began.Add(later) }
	plugin := &model{}
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	plugin.has("d1 d2")
	n.wantNode("2 of 2, 1")
	p := podOf("p", "a:1")
	if got := n.admitted(p); got != "a:d1" {
		t.Fatalf("it has %s", got)
	}
	plugin.has("d1- d2")
	n.wantTold("p")
	if got := n.devices(p); got != "a:d1-" {
		t.Errorf("its devices are %s", got)
	}
	plugin.has("d2")
	n.wantTold("p")
	if got := n.devices(p); got != "a:d1?" {
		t.Errorf("its devices are %s", got)
	}
	// It registers again before it has gone, as one that is upgraded may.
	next := &model{}
	startPlugin(t, n.cfg.Dir, "next.sock", next)
	next.has("d1 d2 d3")
	n.wantNode("3 of 3, 1")
	next.server.Stop()
	n.wantNode("0 of 3, 1")
	if got := n.devices(p); got != "a:d1?" {
		t.Errorf("without their plugin its devices are %s", got)
	}
	if _, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err != nil {
		t.Errorf("a container that is restarted meanwhile: %v", err)
	}
	// One that comes back has what it says, not what the last one said.
	again := &model{}
	startPlugin(t, n.cfg.Dir, "again.sock", again)
	patience.Until(t, "before it said anything its devices are healthy", func() bool { return n.devices(p) == "a:d1-" })
	n.wantNode("0 of 3, 1")
	again.server.Stop()
	patience.Until(t, "nobody knows of its devices", func() bool { return n.devices(p) == "a:d1?" })
	n.mu.Lock()
	later = grace
	n.mu.Unlock()
	n.wantNode("0 of 3, 1")
	n.mu.Lock()
	later = grace + time.Second
	n.mu.Unlock()
	n.wantNode("0 of 0, 1")
	if _, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err == nil || !strings.Contains(err.Error(), "the device plugin of example.com/dev has not registered") {
		t.Errorf("once it is gone for good: %v", err)
	}
}

// TestARestart: who has what is known, and no pod runs without what it asks for because
// the plugin has not come back yet.
func TestARestart(t *testing.T) {
	n := newNode(t)
	plugin := &model{}
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	plugin.has("d1 d2")
	n.wantNode("2 of 2, 1")
	p, old := podOf("p", "a:1"), podOf("old", "a:1")
	if got := n.admitted(p) + " " + n.admitted(old, p); got != "a:d1 a:d2" {
		t.Fatalf("they have %s", got)
	}
	n.Release("old")
	n.restart()
	if got := n.devices(p) + n.devices(old); got != "a:d1?" {
		t.Errorf("after a restart they have %s", got)
	}
	n.wantNode("0 of 0, 1")
	if got := n.admitted(podOf("new", "a:1"), p); !strings.Contains(got, "no healthy devices present") {
		t.Errorf("a new pod: %s", got)
	}
	if _, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err == nil {
		t.Error("a container starts before it is known what its plugin requires")
	}
	if _, err := os.Stat(filepath.Join(n.cfg.Dir, "dev.sock")); !os.IsNotExist(err) {
		t.Errorf("the plugin's socket is not removed, which tells it to register again: %v", err)
	}
	plugin = &model{}
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	plugin.has("d1 d2")
	n.wantNode("2 of 2, 1")
	if got := n.admitted(podOf("new", "a:1"), p); got != "a:d2" || n.devices(p) != "a:d1" {
		t.Errorf("a new pod has %s, the old one %s", got, n.devices(p))
	}
	if got, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err != nil || got[0].Env["DEVS"] != "d1" {
		t.Errorf("%+v, %v", got, err)
	}
	// What cannot be read is passed over.
	if err := os.WriteFile(n.kept.podFile("p"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.restart()
	if got := n.devices(p) + n.devices(podOf("new", "a:1")); got != "a:d2?" {
		t.Errorf("they have %s", got)
	}
}

// TestAPodThatWasThereBefore: it is given devices when its container starts anew.
func TestAPodThatWasThereBefore(t *testing.T) {
	n := newNode(t)
	p := podOf("p", "a:1")
	if got, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err != nil || len(got) != 0 || n.admitted(p) != "" {
		t.Fatalf("%v, %v", got, err)
	}
	plugin := &model{}
	startPlugin(t, n.cfg.Dir, "dev.sock", plugin)
	plugin.has("d1")
	n.wantNode("1 of 1, 1")
	if got, err := n.Edits(t.Context(), p, &p.Spec.Containers[0]); err != nil || len(got) != 1 || n.devices(p) != "a:d1" {
		t.Errorf("%v, %v", got, err)
	}
	late := podOf("late", "a:1")
	if _, err := n.Edits(t.Context(), late, &late.Spec.Containers[0]); err == nil || !strings.Contains(err.Error(), "Requested: 1, Available: 0") {
		t.Errorf("%v", err)
	}
}

func TestRegistrationsAreChecked(t *testing.T) {
	n := newNode(t)
	for want, req := range map[string]*api.RegisterRequest{
		`requested API version "v1alpha1" is not supported by kubelet`: {Version: "v1alpha1", Endpoint: "s", ResourceName: "example.com/dev"},
		`the ResourceName "dev" is invalid`:                            {Version: api.Version, Endpoint: "s", ResourceName: "dev"},
		`the endpoint "../s" is not the name of a socket`:              {Version: api.Version, Endpoint: "../s", ResourceName: "example.com/dev"},
	} {
		if err := register(t, n.cfg.Dir, req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	n.wantNode("0 of 0, 0")
}

// TestWhatIsLeftInTheDirectory: sockets of the time before go, files of others stay.
func TestWhatIsLeftInTheDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "old.sock"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	l, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var names []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "file kubelet.sock" {
		t.Errorf("there are %s", got)
	}
}

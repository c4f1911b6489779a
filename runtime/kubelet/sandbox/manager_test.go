package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// users has one range, for pods that want users of their own.
func users(p *corev1.Pod) (container.Users, error) {
	if ptr.Deref(p.Spec.HostUsers, true) {
		return container.Users{}, nil
	}
	return container.Users{First: 1 << 20, Count: 1 << 16}, nil
}

func TestShared(t *testing.T) {
	host := container.HostNamespace
	own := container.Namespaces{Net: "/d/u/net", UTS: "/d/u/uts", IPC: "/d/u/ipc"}
	with := func(edit func(*container.Namespaces)) container.Namespaces { n := own; edit(&n); return n }
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want container.Namespaces
		shm  string
	}{
		"its own":       {corev1.PodSpec{}, own, "/d/u/shm"},
		"host network":  {corev1.PodSpec{HostNetwork: true}, with(func(n *container.Namespaces) { n.Net, n.UTS = host, host }), "/d/u/shm"},
		"host IPC":      {corev1.PodSpec{HostIPC: true}, with(func(n *container.Namespaces) { n.IPC = host }), "/dev/shm"},
		"host PID":      {corev1.PodSpec{HostPID: true}, with(func(n *container.Namespaces) { n.PID = host }), "/d/u/shm"},
		"shared PID":    {corev1.PodSpec{ShareProcessNamespace: ptr.To(true)}, with(func(n *container.Namespaces) { n.PID = "/d/u/pid" }), "/d/u/shm"},
		"not shared":    {corev1.PodSpec{ShareProcessNamespace: ptr.To(false)}, own, "/d/u/shm"},
		"its own users": {corev1.PodSpec{HostUsers: ptr.To(false)}, with(func(n *container.Namespaces) { n.User = "/d/u/user" }), "/d/u/shm"},
		"host PID wins": {corev1.PodSpec{HostPID: true, ShareProcessNamespace: ptr.To(true)}, with(func(n *container.Namespaces) { n.PID = host }), "/d/u/shm"},
	} {
		t.Run(name, func(t *testing.T) {
			m := Manager{Store: Store{Dir: "/d"}, Hostname: func(*corev1.Pod) string { return "h" }, Users: users}
			p := &corev1.Pod{Spec: c.spec}
			p.UID = "u"
			o, err := m.options(p)
			if err != nil || o.Hostname != "h" {
				t.Errorf("host name %q", o.Hostname)
			}
			got := shared(m.Open("u", "id", o), p.Spec.HostPID)
			if want, _ := users(p); got.Users != want {
				t.Errorf("its users are %+v, want %+v", got.Users, want)
			}
			if got.ID != "id" || got.Namespaces != c.want || got.Shm != c.shm {
				t.Errorf("%+v, want %+v and %s", got, c.want, c.shm)
			}
		})
	}
}

// A sandbox is whole for as long as all of it is there.
func TestHealth(t *testing.T) {
	dir := t.TempDir()
	m := Manager{Store: Store{Dir: dir}, Hostname: func(*corev1.Pod) string { return "h" }, Users: users}
	p := &corev1.Pod{}
	p.UID = "u"
	at := func(name string) string { return filepath.Join(dir, "u", name) }
	if m.Healthy(p, "id") {
		t.Error("one that was never made is healthy")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(at(""), 0o700))
	must(os.WriteFile(at(idFile), []byte("id"), 0o600))
	kinds := []string{"net", "ipc", "uts"}
	for _, kind := range kinds {
		must(os.Symlink("/proc/self/ns/"+kind, at(kind)))
	}
	if !m.Healthy(p, "id") || m.Healthy(p, "") || m.Healthy(p, "another") {
		t.Error("of a whole one the health is wrong")
	}
	for _, kind := range kinds {
		must(os.Remove(at(kind)))
		if m.Healthy(p, "id") {
			t.Errorf("without %s it is healthy", kind)
		}
		must(os.WriteFile(at(kind), nil, 0o600)) // the mount point of a pin that is gone
		if m.Healthy(p, "id") {
			t.Errorf("with %s that is not pinned it is healthy", kind)
		}
		hosts := &corev1.Pod{Spec: corev1.PodSpec{HostNetwork: kind != "ipc", HostIPC: kind == "ipc"}}
		hosts.UID = "u"
		if !m.Healthy(hosts, "id") {
			t.Errorf("one without %s of its own is not healthy", kind)
		}
		must(os.Remove(at(kind)))
		must(os.Symlink("/proc/self/ns/"+kind, at(kind)))
	}
	p.Spec.HostUsers = ptr.To(false)
	must(os.Symlink("/proc/self/ns/user", at("user")))
	if m.Healthy(p, "id") {
		t.Error("with the server's users it is healthy")
	}
	must(writeUsers(at(""), container.Users{First: 1 << 20, Count: 1 << 16}))
	if !m.Healthy(p, "id") {
		t.Error("with users of its own it is not healthy")
	}
	must(writeUsers(at(""), container.Users{First: 2 << 20, Count: 1 << 16}))
	if m.Healthy(p, "id") {
		t.Error("with another's users it is healthy")
	}
	must(os.Remove(at(usersFile)))
	p.Spec.HostUsers = nil
	p.Spec.ShareProcessNamespace = ptr.To(true)
	if m.Healthy(p, "id") {
		t.Error("without a holder it is healthy")
	}
}

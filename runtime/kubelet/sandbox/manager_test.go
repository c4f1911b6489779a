package sandbox

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

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
		"host PID wins": {corev1.PodSpec{HostPID: true, ShareProcessNamespace: ptr.To(true)}, with(func(n *container.Namespaces) { n.PID = host }), "/d/u/shm"},
	} {
		t.Run(name, func(t *testing.T) {
			m := Manager{Store: Store{Dir: "/d"}, Hostname: func(*corev1.Pod) (string, error) { return "h", nil }}
			p := &corev1.Pod{Spec: c.spec}
			p.UID = "u"
			o, err := m.options(p)
			if o.Hostname != "h" || err != nil {
				t.Errorf("host name %q", o.Hostname)
			}
			got := shared(m.Open("u", "id", o), p.Spec.HostPID)
			if got.ID != "id" || got.Namespaces != c.want || got.Shm != c.shm {
				t.Errorf("%+v, want %+v and %s", got, c.want, c.shm)
			}
			// Without a PID namespace of its own there is nothing that could have died.
			if m.Healthy(p, "id") != !o.PID || m.Healthy(p, "") {
				t.Error("its health is wrong")
			}
		})
	}
}

package sandbox

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// hostShm is what containers in the host's IPC namespace see as /dev/shm.
const hostShm = "/dev/shm"

// Manager keeps the sandboxes of pods.
type Manager struct {
	Store
	// Hostname is the name of a pod in its UTS namespace.
	Hostname func(pod *corev1.Pod) string
	// Users are a pod's own; none of one that has the server's.
	Users func(pod *corev1.Pod) (container.Users, error)
	// PlaceHolder puts the first process of a pod's PID namespace in the pod's cgroup.
	PlaceHolder func(pod *corev1.Pod, pid int) error
}

// Ensure returns the pod's sandbox, and makes it when it is not there or does not work
// any more.
func (m Manager) Ensure(pod *corev1.Pod) (container.Sandbox, error) {
	o, err := m.options(pod)
	if err != nil {
		return container.Sandbox{}, err
	}
	sb, err := m.Store.Ensure(string(pod.UID), o)
	if err != nil {
		return container.Sandbox{}, err
	}
	return shared(sb, pod.Spec.HostPID), nil
}

// Healthy reports whether the sandbox with that ID still works.
func (m Manager) Healthy(pod *corev1.Pod, id string) bool {
	o, err := m.options(pod)
	return err == nil && m.Open(string(pod.UID), id, o).Whole()
}

func (m Manager) options(pod *corev1.Pod) (Options, error) {
	users, err := m.Users(pod)
	return Options{
		Hostname: m.Hostname(pod), Users: users, Net: !pod.Spec.HostNetwork, IPC: !pod.Spec.HostIPC,
		PID:   ptr.Deref(pod.Spec.ShareProcessNamespace, false) && !pod.Spec.HostPID,
		Place: func(pid int) error { return m.PlaceHolder(pod, pid) },
	}, err
}

// shared is what containers join: the pod's namespaces, or the host's.
func shared(sb Sandbox, hostPID bool) container.Sandbox {
	ns := container.Namespaces{Net: container.HostNamespace, UTS: container.HostNamespace, IPC: container.HostNamespace}
	out := container.Sandbox{ID: sb.ID, Shm: hostShm, Users: sb.Options.Users}
	if sb.Options.Users.Own() {
		ns.User = sb.User()
	}
	if sb.Options.Net {
		ns.Net, ns.UTS = sb.Net(), sb.UTS()
	}
	if sb.Options.IPC {
		ns.IPC, out.Shm = sb.IPC(), sb.Shm()
	}
	switch {
	case hostPID:
		ns.PID = container.HostNamespace
	case sb.Options.PID:
		ns.PID = sb.PID()
	}
	out.Namespaces = ns
	return out
}

// Package sandbox keeps the namespaces that the containers of a pod share. They
// are pinned by bind mounts, not held by a process, so they outlive every
// container of the pod and this process. They lie on a tmpfs: a reboot ends
// them, and with them the pod's incarnation. It may import
// runtime/kubelet/container.
package sandbox

import (
	"path/filepath"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Options say which namespaces are the pod's own and not the host's.
type Options struct {
	Hostname string
	Net, IPC bool
	// Users makes a user namespace of these, which owns the others.
	Users container.Users
	// PID makes a PID namespace; Place is told its first process and puts it in
	// the pod's cgroup.
	PID   bool
	Place func(pid int) error
}

// Sandbox is one pod's.
type Sandbox struct {
	// ID is another one whenever the sandbox was made anew.
	ID  string
	dir string
	Options
}

// Net, IPC, UTS, PID, User are paths of namespaces; Shm is the directory that containers see
// as /dev/shm.
func (s Sandbox) Net() string  { return filepath.Join(s.dir, "net") }
func (s Sandbox) IPC() string  { return filepath.Join(s.dir, "ipc") }
func (s Sandbox) UTS() string  { return filepath.Join(s.dir, "uts") }
func (s Sandbox) PID() string  { return filepath.Join(s.dir, "pid") }
func (s Sandbox) User() string { return filepath.Join(s.dir, "user") }
func (s Sandbox) Shm() string  { return filepath.Join(s.dir, "shm") }

const idFile = "id"

// pinned are the paths of the namespaces that the pod does not share with the host.
func pinned(sb Sandbox) []string {
	var out []string
	if sb.Options.Users.Own() {
		out = append(out, sb.User())
	}
	if sb.Options.Net {
		out = append(out, sb.Net(), sb.UTS())
	}
	if sb.Options.IPC {
		out = append(out, sb.IPC())
	}
	return out
}

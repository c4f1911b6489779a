package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// A process of many threads cannot enter a user namespace, or make one for itself. So the
// namespaces of a pod with users of its own are made with a process: the holder, which
// ends once they are pinned, unless the pod shares its PID namespace.

const (
	// usersFile says which users the namespace has.
	usersFile = "users"
	// anyRoot is a directory that every server has and every user may enter. The holder
	// mounts its root there, in its own mount namespace: it cannot enter the sandbox's.
	anyRoot = "/run"
)

func readUsers(dir string) (u container.Users, err error) {
	data, err := os.ReadFile(filepath.Join(dir, usersFile))
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil
	}
	if err == nil {
		_, err = fmt.Sscanf(string(data), "%d %d", &u.First, &u.Count)
	}
	return u, err
}

func writeUsers(dir string, u container.Users) error {
	return os.WriteFile(filepath.Join(dir, usersFile), fmt.Appendf(nil, "%d %d", u.First, u.Count), 0o600)
}

// pinUsers makes a user namespace and in it all others, and pins them.
func pinUsers(sb Sandbox, holder string) (err error) {
	o := sb.Options
	if err := writeUsers(sb.dir, o.Users); err != nil {
		return err
	}
	flags := uintptr(unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNS)
	kinds := map[string]string{"user": sb.User()}
	if o.Net {
		flags |= unix.CLONE_NEWNET | unix.CLONE_NEWUTS
		kinds["net"], kinds["uts"] = sb.Net(), sb.UTS()
	}
	if o.IPC {
		flags |= unix.CLONE_NEWIPC
		kinds["ipc"] = sb.IPC()
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(o.Users.First), Size: int(o.Users.Count)}}
	cmd, err := run(holder, anyRoot, &syscall.SysProcAttr{
		Cloneflags: flags, Setsid: true, UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{Uid: 0, Gid: 0},
	}, nil, o.Place)
	if err != nil {
		return err
	}
	pid := cmd.Process.Pid
	defer func() {
		if !o.PID || err != nil {
			err = errors.Join(err, cmd.Process.Kill())
		}
	}()
	for kind, at := range kinds {
		if err := pinOf(pid, kind, at); err != nil {
			return err
		}
	}
	if o.Net {
		if err := setHostname(sb.UTS(), o.Hostname); err != nil {
			return err
		}
	}
	if o.PID {
		return pinHolder(sb.dir, pid)
	}
	return nil
}

package containerd

import (
	"errors"
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/pkg/apparmor"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// defaultHandler is the RuntimeClass handler of the runtime that pods without one have.
const defaultHandler = "runc"

// Features are what containers can have on this host.
func (a *Adapter) Features() container.Features {
	return container.Features{
		AppArmor: apparmor.HostSupports(), RecursiveReadOnly: recursiveReadOnly(),
		UserNamespaces: errors.New("the containers of this node share the users of the server"),
		Handlers:       slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(a.cfg.Handlers)), "", defaultHandler))),
	}
}

// recursiveReadOnly says whether the kernel has mount_setattr, which runc needs for it.
func recursiveReadOnly() bool {
	return !errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}), unix.ENOSYS)
}

package containerd

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/pkg/apparmor"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Features are what containers can have on this host.
func (a *Adapter) Features() container.Features {
	return container.Features{
		AppArmor: apparmor.HostSupports(), RecursiveReadOnly: recursiveReadOnly(),
		UserNamespaces: a.userNamespaces(),
		Handlers:       slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(a.cfg.Handlers)), "", container.DefaultHandler))),
	}
}

// recursiveReadOnly says whether the kernel has mount_setattr, which runc needs for it.
func recursiveReadOnly() bool {
	return !errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}), unix.ENOSYS)
}

// runtimeOf is containerd's name of the runtime behind a handler.
func (c Config) runtimeOf(handler string) (string, error) {
	if handler == "" || handler == container.DefaultHandler {
		return runtimeName, nil
	}
	if name, ok := c.Handlers[handler]; ok {
		return name, nil
	}
	return "", fmt.Errorf("no runtime for %q is configured", handler)
}

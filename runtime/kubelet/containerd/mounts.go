package containerd

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// withMounts adds the pod's mounts, parents before children, and replaces the
// default ones that they cover.
func withMounts(c container.Spec) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		systemMounts(c, s)
		mounts := slices.Clone(c.Mounts)
		slices.SortStableFunc(mounts, func(a, b container.Mount) int {
			return strings.Count(filepath.Clean(a.ContainerPath), "/") - strings.Count(filepath.Clean(b.ContainerPath), "/")
		})
		for _, m := range mounts {
			dest := filepath.Clean(m.ContainerPath)
			s.Mounts = slices.DeleteFunc(s.Mounts, func(have specs.Mount) bool { return have.Destination == dest })
			o := []string{"rbind", "rw"}
			switch {
			case m.ReadOnly && m.RecursiveReadOnly:
				o[1] = "rro" // with all that is mounted below
			case m.ReadOnly:
				o[1] = "ro"
			}
			switch m.Propagation {
			case corev1.MountPropagationBidirectional:
				o = append(o, "rshared")
				s.Linux.RootfsPropagation = "rshared"
			case corev1.MountPropagationHostToContainer:
				o = append(o, "rslave")
				if s.Linux.RootfsPropagation == "" {
					s.Linux.RootfsPropagation = "rslave"
				}
			default:
				o = append(o, "rprivate")
			}
			s.Mounts = append(s.Mounts, specs.Mount{
				Destination: dest, Type: "bind", Source: m.HostPath, Options: o, UIDMappings: mappings(c.Users), GIDMappings: mappings(c.Users),
			})
		}
		return nil
	}
}

// systemMounts are those of /sys. Only a privileged container may write there.
func systemMounts(c container.Spec, s *specs.Spec) {
	mode := "ro"
	if c.Security.Privileged {
		mode = "rw"
	}
	for i, m := range s.Mounts {
		switch {
		case m.Destination != "/sys":
		case c.Namespaces.Net == container.HostNamespace && c.Security.Privileged:
			s.Mounts[i] = specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"nosuid", "noexec", "nodev", "rbind", "rw"}}
		case c.Namespaces.Net == container.HostNamespace:
			// sysfs of the host's network namespace cannot be mounted everywhere; the host's
			// own always can. Without what is mounted in it, now or later: "ro" speaks of
			// the one mount.
			s.Mounts[i] = specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"nosuid", "noexec", "nodev", "bind", "ro", "rprivate"}}
		case c.Security.Privileged:
			s.Mounts[i].Options = slices.DeleteFunc(slices.Clone(m.Options), func(o string) bool { return o == "ro" })
		}
	}
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
		Options: []string{"nosuid", "noexec", "nodev", "relatime", mode},
	})
}

package containerd

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func securityOptions(sec container.Security) []oci.SpecOpts {
	opts := []oci.SpecOpts{withAppArmor(sec, hostAppArmor{})}
	if sec.Privileged {
		return append(opts,
			withCapabilities([]corev1.Capability{"ALL"}, nil), withInheritedCaps, oci.WithMaskedPaths(nil), oci.WithReadonlyPaths(nil),
			oci.WithHostDevices, oci.WithAllDevicesAllowed,
		)
	}
	opts = append(opts, withCapabilities(sec.AddCaps, sec.DropCaps), oci.WithDefaultUnixDevices)
	if sec.UnmaskedProc {
		opts = append(opts, oci.WithMaskedPaths(nil), oci.WithReadonlyPaths(nil))
	}
	if !cm.Unified() {
		// The directory of the v1 hierarchies is a tmpfs that the runtime leaves writable.
		opts = append(opts, withReadonlyPath("/sys/fs/cgroup"))
	}
	switch {
	case sec.SeccompUnconfined:
	case sec.SeccompProfile != "":
		opts = append(opts, seccomp.WithProfile(sec.SeccompProfile))
	default:
		opts = append(opts, seccomp.WithDefaultProfile()) // after the capabilities: it depends on them
	}
	return opts
}

func withReadonlyPath(path string) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, path)
		return nil
	}
}

func withInheritedCaps(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
	s.Process.Capabilities.Inheritable = nil
	return nil
}

func withCapabilities(add, drop []corev1.Capability) oci.SpecOpts {
	all := func(list []corev1.Capability) bool {
		return slices.ContainsFunc(list, func(c corev1.Capability) bool { return strings.EqualFold(string(c), "ALL") })
	}
	names := func(list []corev1.Capability) []string {
		var out []string
		for _, c := range list {
			if n := strings.ToUpper(string(c)); n != "ALL" {
				out = append(out, "CAP_"+strings.TrimPrefix(n, "CAP_"))
			}
		}
		return out
	}
	return func(ctx context.Context, cl oci.Client, c *containers.Container, s *specs.Spec) error {
		var opts []oci.SpecOpts
		if all(add) {
			every, err := serverCapabilities()
			if err != nil {
				return fmt.Errorf("read the server's capabilities: %w", err)
			}
			opts = append(opts, oci.WithCapabilities(every))
		}
		if all(drop) {
			opts = append(opts, oci.WithCapabilities(nil))
		}
		opts = append(opts, oci.WithAddedCapabilities(names(add)), oci.WithDroppedCapabilities(names(drop)))
		for _, o := range opts {
			if err := o(ctx, cl, c, s); err != nil {
				return err
			}
		}
		return nil
	}
}

// serverCapabilities are all that a process of this server can have. The kubelet's own
// are fewer: its unit gives up what it does not need itself.
func serverCapabilities() ([]string, error) {
	f, err := os.Open("/proc/1/status")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return boundingSet(f)
}

// boundingSet is that of a process, of which this is the /proc/<pid>/status.
func boundingSet(status io.Reader) ([]string, error) {
	sets, err := cap.ParseProcPIDStatus(status)
	if err != nil {
		return nil, err
	}
	names, _ := cap.FromBitmap(sets[cap.Bounding]) // what this version knows no name of cannot be given
	return names, nil
}

package containerd

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cdi"
	"github.com/containerd/containerd/v2/pkg/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

const shimGroup = "io.containerd.runc.v2.group"

// specOptions translates a container into changes of the default OCI spec.
func specOptions(s container.Spec, img ocispec.ImageConfig) ([]oci.SpecOpts, error) {
	args, err := commandLine(s, img)
	if err != nil {
		return nil, err
	}
	cwd := s.WorkingDir
	if cwd == "" {
		cwd = img.WorkingDir
	}
	if cwd == "" {
		cwd = "/"
	}
	opts := []oci.SpecOpts{
		oci.WithProcessArgs(args...),
		oci.WithProcessCwd(cwd),
		withEnv(img.Env, s.Env, s.TTY),
		oci.WithHostname(s.Hostname),
		oci.WithCgroup(s.Resources.CgroupPath),
		oci.WithAnnotations(s.Annotations),
		oci.WithAnnotations(map[string]string{shimGroup: s.ShimGroup}),
		oci.WithoutRunMount,
		withNamespaces(s.Namespaces),
		withUsers(s.Users),
		withResources(s.Resources),
		withMounts(s),
		withPlainProcess(s),
	}
	opts = append(opts, userOptions(s.Security, img.User)...)
	if s.Security.RequireNonRoot {
		opts = append(opts, requireNonRoot)
	}
	opts = append(opts, securityOptions(s.Security)...)
	opts = append(opts, deviceOptions(s.Devices)...)
	// What CDI adds may be anything of the spec: nothing is set anew after it.
	return append(opts, cdi.WithCDIDevices(s.CDIDevices...)), nil
}

// deviceOptions add device nodes, and let the container use them.
func deviceOptions(devices []container.Device) []oci.SpecOpts {
	opts := make([]oci.SpecOpts, 0, len(devices))
	for _, d := range devices {
		opts = append(opts, oci.WithDevices(d.HostPath, d.ContainerPath, d.Permissions))
	}
	return opts
}

// commandLine joins the pod's command and args with the image's: a command
// replaces the image's entrypoint and its arguments, args only the arguments.
func commandLine(s container.Spec, img ocispec.ImageConfig) ([]string, error) {
	var line []string
	switch {
	case len(s.Command) > 0:
		line = slices.Concat(s.Command, s.Args)
	case len(s.Args) > 0:
		line = slices.Concat(img.Entrypoint, s.Args)
	default:
		line = slices.Concat(img.Entrypoint, img.Cmd)
	}
	if len(line) == 0 {
		return nil, fmt.Errorf("neither the container nor its image names a command")
	}
	return line, nil
}

func withEnv(image, pod []string, tty bool) oci.SpecOpts {
	return func(ctx context.Context, cl oci.Client, c *containers.Container, s *specs.Spec) error {
		s.Process.Env = nil
		if !slices.ContainsFunc(image, func(e string) bool { return strings.HasPrefix(e, "PATH=") }) {
			s.Process.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		}
		if tty {
			s.Process.Env = append(s.Process.Env, "TERM=xterm")
		}
		for _, env := range [][]string{image, pod} {
			if err := oci.WithEnv(env)(ctx, cl, c, s); err != nil {
				return err
			}
		}
		return nil
	}
}

func withPlainProcess(c container.Spec) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		s.Process.Terminal = c.TTY
		s.Process.NoNewPrivileges = c.Security.NoNewPrivileges
		// The default limit of 1024 files is the library's, not the server's.
		s.Process.Rlimits = nil
		if c.Namespaces.UTS == container.HostNamespace {
			s.Hostname = "" // it is the host's; setting it would change the server's name
		}
		if len(c.Sysctls) > 0 {
			s.Linux.Sysctl = c.Sysctls
		}
		s.Root.Readonly = c.Security.ReadOnlyRoot
		return nil
	}
}

func withNamespaces(n container.Namespaces) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		out := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
		for _, ns := range []struct {
			kind specs.LinuxNamespaceType
			path string
		}{{specs.NetworkNamespace, n.Net}, {specs.IPCNamespace, n.IPC}, {specs.UTSNamespace, n.UTS}, {specs.PIDNamespace, n.PID}} {
			if ns.path != container.HostNamespace {
				out = append(out, specs.LinuxNamespace{Type: ns.kind, Path: ns.path})
			}
		}
		if n.User != "" {
			out = append(out, specs.LinuxNamespace{Type: specs.UserNamespace, Path: n.User})
		}
		if cm.Unified() {
			out = append(out, specs.LinuxNamespace{Type: specs.CgroupNamespace})
		}
		s.Linux.Namespaces = out
		return nil
	}
}

func withResources(r container.Resources) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		res := s.Linux.Resources
		res.CPU = &specs.LinuxCPU{Shares: &r.CPUShares}
		if r.CPUQuota > 0 {
			res.CPU.Quota, res.CPU.Period = &r.CPUQuota, &r.CPUPeriod
		}
		if r.MemoryLimit > 0 {
			res.Memory = &specs.LinuxMemory{Limit: &r.MemoryLimit}
		}
		if score, ok := cm.AllowedOOMScoreAdj(r.OOMScoreAdj); ok {
			s.Process.OOMScoreAdj = &score
		}
		return nil
	}
}

func userOptions(sec container.Security, imageUser string) []oci.SpecOpts {
	var opts []oci.SpecOpts
	switch {
	case sec.User != nil && sec.Group != nil:
		opts = append(opts, oci.WithUIDGID(uint32(*sec.User), uint32(*sec.Group)))
	case sec.User != nil && *sec.User != 0:
		opts = append(opts, oci.WithUserID(uint32(*sec.User)))
	case sec.User != nil:
		opts = append(opts, oci.WithUIDGID(0, 0))
	default:
		// A user by name is looked up in the image, which costs a mount: not done
		// for root.
		if imageUser != "" && imageUser != "root" && imageUser != "0" {
			opts = append(opts, oci.WithUser(imageUser))
		}
		if sec.Group != nil {
			gid := uint32(*sec.Group)
			opts = append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
				s.Process.User.GID = gid
				return nil
			})
		}
	}
	if name := userName(sec, imageUser); name != "" && sec.ImageGroups {
		opts = append(opts, oci.WithAdditionalGIDs(name))
	}
	return append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
		for _, g := range sec.Groups {
			if gid := uint32(g); !slices.Contains(s.Process.User.AdditionalGids, gid) {
				s.Process.User.AdditionalGids = append(s.Process.User.AdditionalGids, gid)
			}
		}
		return nil
	})
}

// userName is how the image's /etc/passwd and /etc/group know the user that the process
// runs as; "" for root, whom no group gives anything and for whom it is not looked up.
func userName(sec container.Security, imageUser string) string {
	name, _, _ := strings.Cut(imageUser, ":")
	if sec.User != nil {
		name = strconv.FormatInt(*sec.User, 10)
	}
	if name == "0" || name == "root" {
		return ""
	}
	return name
}

// requireNonRoot checks runAsNonRoot once the user is known.
func requireNonRoot(_ context.Context, _ oci.Client, _ *containers.Container, s *specs.Spec) error {
	if s.Process.User.UID == 0 {
		return fmt.Errorf("container has runAsNonRoot and the image would run as user %s", strconv.Itoa(0))
	}
	return nil
}

package kubelet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/cgroup"
	"github.com/gantry-run/gantry/runtime/kubelet/sandbox"
)

// specHash changes with the part of a container that may change while its pod
// lives.
func specHash(c *corev1.Container) string {
	sum := sha256.Sum256([]byte(c.Image))
	return hex.EncodeToString(sum[:8])
}

// containerID is the same for the same incarnation, so that a start that was cut
// short is found and not doubled.
func containerID(uid, sandbox, name string, restarts int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%s/%d", uid, sandbox, name, restarts))
	return hex.EncodeToString(sum[:])
}

// podCgroup is the pod's cgroup relative to the hierarchies' roots.
func podCgroup(root string, qos corev1.PodQOSClass, uid string) string {
	if qos == corev1.PodQOSGuaranteed {
		return filepath.Join(root, "pod"+uid)
	}
	return filepath.Join(root, strings.ToLower(string(qos)), "pod"+uid)
}

// podCgroupValues are the sums of the containers' values. A limit applies to the
// pod only when every container has one.
func podCgroupValues(pod *corev1.Pod) cgroup.Values {
	var request, limit, memory int64
	cpuLimited, memoryLimited := true, true
	for _, c := range pod.Spec.Containers {
		request += cpuRequest(&c)
		l := c.Resources.Limits
		limit += l.Cpu().MilliValue()
		memory += l.Memory().Value()
		cpuLimited = cpuLimited && !l.Cpu().IsZero()
		memoryLimited = memoryLimited && !l.Memory().IsZero()
	}
	for _, c := range pod.Spec.InitContainers {
		l := c.Resources.Limits
		if isSidecar(&c) {
			request += cpuRequest(&c)
			limit += l.Cpu().MilliValue()
			memory += l.Memory().Value()
		} else {
			request, limit, memory = max(request, cpuRequest(&c)), max(limit, l.Cpu().MilliValue()), max(memory, l.Memory().Value())
		}
		cpuLimited = cpuLimited && !l.Cpu().IsZero()
		memoryLimited = memoryLimited && !l.Memory().IsZero()
	}
	v := cgroup.Values{CPUShares: cgroup.Shares(request)}
	if cpuLimited {
		v.CPUQuota, v.CPUPeriod = cgroup.Quota(limit), cgroup.QuotaPeriod
	}
	if memoryLimited {
		v.MemoryLimit = memory
	}
	return v
}

func cpuRequest(c *corev1.Container) int64 {
	if r, ok := c.Resources.Requests[corev1.ResourceCPU]; ok {
		return r.MilliValue()
	}
	return c.Resources.Limits.Cpu().MilliValue()
}

// containerSpec makes the runtime's description of a container. status holds the
// pod's addresses.
func (k *Kubelet) containerSpec(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus, sb sandbox.Sandbox, a startAction, img Image) (ContainerSpec, error) {
	c := a.container
	uid := string(pod.UID)
	qos := qosClass(pod)
	src, err := k.envSources(ctx, pod, c)
	if err != nil {
		return ContainerSpec{}, err
	}
	env, err := environment(pod, c, status, k.allocatable(), src)
	if err != nil {
		return ContainerSpec{}, err
	}
	s := ContainerSpec{
		Container: Container{
			ID:  containerID(uid, sb.ID, c.Name, a.restarts),
			Pod: PodRef{pod.Namespace, pod.Name, uid}, Name: c.Name, Sandbox: sb.ID,
			Restarts: a.restarts, Backoff: a.backoff, SpecHash: specHash(c), Image: c.Image, ImageID: img.ID,
			LogPath: k.logPath(PodRef{pod.Namespace, pod.Name, uid}, c.Name, a.restarts),
		},
		ShimGroup: uid, ResolvedImage: img.Name,
		Command: expandAll(c.Command, env), Args: expandAll(c.Args, env), Env: env,
		WorkingDir: c.WorkingDir, TTY: c.TTY, Stdin: c.Stdin, StdinOnce: c.StdinOnce,
		Hostname:       podHostname(pod, k.cfg.NodeName),
		Namespaces:     Namespaces{Net: HostNamespace, UTS: HostNamespace, IPC: HostNamespace},
		MessageFromLog: c.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError,
	}
	// A container sees its host name in its environment, as everywhere; a variable
	// of the pod's own comes later and wins.
	s.Env = append([]string{"HOSTNAME=" + s.Hostname}, env...)
	if sb.Options.Net {
		s.Namespaces.Net, s.Namespaces.UTS = sb.Net(), sb.UTS()
	}
	if sb.Options.IPC {
		s.Namespaces.IPC = sb.IPC()
	}
	switch {
	case pod.Spec.HostPID:
		s.Namespaces.PID = HostNamespace
	case sb.Options.PID:
		s.Namespaces.PID = sb.PID()
	}
	s.Resources = k.resources(pod, c, qos, s.ID)
	s.Security = securityOf(pod, c, k.cfg.RootDir)
	if s.Security.RequireNonRoot && img.User != nil && *img.User == 0 && (s.Security.User == nil || *s.Security.User == 0) {
		return ContainerSpec{}, configErrorf("container has runAsNonRoot and image will run as root (pod: %q, container: %s)", pod.Name+"_"+pod.Namespace+"("+uid+")", c.Name)
	}
	if sc := pod.Spec.SecurityContext; sc != nil && len(sc.Sysctls) > 0 {
		s.Sysctls = map[string]string{}
		for _, y := range sc.Sysctls {
			s.Sysctls[y.Name] = y.Value
		}
	}
	return s, k.addMounts(pod, c, sb, &s)
}

func (k *Kubelet) resources(pod *corev1.Pod, c *corev1.Container, qos corev1.PodQOSClass, id string) Resources {
	limits := c.Resources.Limits
	memory, ok := c.Resources.Requests[corev1.ResourceMemory]
	if !ok {
		memory = *limits.Memory()
	}
	return Resources{
		CgroupPath: filepath.Join(podCgroup(k.cfg.CgroupRoot, qos, string(pod.UID)), id),
		CPUShares:  cgroup.Shares(cpuRequest(c)), CPUQuota: cgroup.Quota(limits.Cpu().MilliValue()), CPUPeriod: cgroup.QuotaPeriod,
		MemoryLimit: limits.Memory().Value(),
		OOMScoreAdj: cgroup.OOMScoreAdj(qos == corev1.PodQOSGuaranteed, qos == corev1.PodQOSBestEffort, memory.Value(), k.machine.memory),
	}
}

// securityOf merges the pod's and the container's security contexts: the
// container's word counts.
func securityOf(pod *corev1.Pod, c *corev1.Container, rootDir string) Security {
	p, s := pod.Spec.SecurityContext, c.SecurityContext
	if p == nil {
		p = &corev1.PodSecurityContext{}
	}
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	out := Security{
		User: first(s.RunAsUser, p.RunAsUser), Group: first(s.RunAsGroup, p.RunAsGroup),
		Groups:       append([]int64(nil), p.SupplementalGroups...),
		Privileged:   optional(s.Privileged),
		ReadOnlyRoot: optional(s.ReadOnlyRootFilesystem),
	}
	if p.FSGroup != nil {
		out.Groups = append(out.Groups, *p.FSGroup)
	}
	if nonRoot := first(s.RunAsNonRoot, p.RunAsNonRoot); nonRoot != nil {
		out.RequireNonRoot = *nonRoot
	}
	out.NoNewPrivileges = s.AllowPrivilegeEscalation != nil && !*s.AllowPrivilegeEscalation
	if s.Capabilities != nil {
		out.AddCaps, out.DropCaps = s.Capabilities.Add, s.Capabilities.Drop
	}
	out.UnmaskedProc = s.ProcMount != nil && *s.ProcMount == corev1.UnmaskedProcMount
	// Without a profile a container is unconfined, as upstream has it by default.
	out.SeccompUnconfined = true
	if profile := first(s.SeccompProfile, p.SeccompProfile); profile != nil {
		out.SeccompUnconfined = profile.Type == corev1.SeccompProfileTypeUnconfined
		if profile.Type == corev1.SeccompProfileTypeLocalhost && profile.LocalhostProfile != nil {
			out.SeccompProfile = filepath.Join(rootDir, "seccomp", filepath.Clean("/"+*profile.LocalhostProfile))
		}
	}
	return out
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// addMounts adds the volumes and the files that every container has.
func (k *Kubelet) addMounts(pod *corev1.Pod, c *corev1.Container, sb sandbox.Sandbox, s *ContainerSpec) error {
	dir := k.podDir(string(pod.UID))
	has := map[string]bool{}
	for _, m := range c.VolumeMounts {
		host, err := k.volumePath(pod, m.Name)
		if err != nil {
			return err
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = expandAll([]string{m.SubPathExpr}, s.Env)[0]
		}
		if sub != "" {
			if host, err = subPath(host, sub); err != nil {
				return err
			}
		}
		mount := Mount{HostPath: host, ContainerPath: m.MountPath, ReadOnly: m.ReadOnly || readOnlyVolume(pod, m.Name)}
		if m.MountPropagation != nil {
			mount.Propagation = *m.MountPropagation
		}
		s.Mounts = append(s.Mounts, mount)
		has[filepath.Clean(m.MountPath)] = true
	}
	for file, at := range map[string]string{"etc-hosts": "/etc/hosts", "hostname": "/etc/hostname", "resolv.conf": "/etc/resolv.conf"} {
		if !has[at] {
			s.Mounts = append(s.Mounts, Mount{HostPath: filepath.Join(dir, file), ContainerPath: at, ReadOnly: s.Security.ReadOnlyRoot})
		}
	}
	if !has["/dev/shm"] {
		shm := "/dev/shm"
		if sb.Options.IPC {
			shm = sb.Shm()
		}
		s.Mounts = append(s.Mounts, Mount{HostPath: shm, ContainerPath: "/dev/shm"})
	}
	at := c.TerminationMessagePath
	if at == "" {
		at = corev1.TerminationMessagePathDefault
	}
	message := filepath.Join(dir, "termination", fmt.Sprintf("%s-%d", c.Name, s.Restarts))
	if err := os.MkdirAll(filepath.Dir(message), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(message, nil, 0o666); err != nil {
		return fmt.Errorf("make the termination message file: %w", err)
	}
	if err := os.Chmod(message, 0o666); err != nil { // whatever user the container runs as
		return err
	}
	s.TerminationMessage = message
	if !has[filepath.Clean(at)] {
		s.Mounts = append(s.Mounts, Mount{HostPath: message, ContainerPath: at})
	}
	return nil
}

// subPath returns a path within a volume and makes it a directory when nothing
// is there. A symlink that leads out of the volume is refused.
func subPath(root, sub string) (string, error) {
	if !filepath.IsLocal(sub) {
		return "", configErrorf("subPath %q leads out of its volume", sub)
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return "", fmt.Errorf("open the volume: %w", err)
	}
	defer r.Close()
	if _, err := r.Stat(sub); os.IsNotExist(err) {
		if err := r.MkdirAll(sub, 0o755); err != nil {
			return "", configErrorf("make subPath %q: %v", sub, err)
		}
	} else if err != nil {
		return "", configErrorf("subPath %q: %v", sub, err)
	}
	base, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	p, err := filepath.EvalSymlinks(filepath.Join(root, sub))
	if err != nil {
		return "", err
	}
	if p != base && !strings.HasPrefix(p, base+"/") {
		return "", configErrorf("subPath %q leads out of its volume", sub)
	}
	return p, nil
}

package containerspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// security merges the pod's and the container's security contexts: the container's
// word counts.
func security(pod *corev1.Pod, c *corev1.Container, layout poddir.Layout) container.Security {
	p, s := pod.Spec.SecurityContext, c.SecurityContext
	if p == nil {
		p = &corev1.PodSecurityContext{}
	}
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	out := container.Security{
		User: or(s.RunAsUser, p.RunAsUser), Group: or(s.RunAsGroup, p.RunAsGroup),
		Groups:         append([]int64(nil), p.SupplementalGroups...),
		ImageGroups:    ptr.Deref(p.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge) != corev1.SupplementalGroupsPolicyStrict,
		Privileged:     ptr.Deref(s.Privileged, false),
		ReadOnlyRoot:   ptr.Deref(s.ReadOnlyRootFilesystem, false),
		RequireNonRoot: ptr.Deref(or(s.RunAsNonRoot, p.RunAsNonRoot), false),
		// Without a word on it, a process may gain privileges.
		NoNewPrivileges: !ptr.Deref(s.AllowPrivilegeEscalation, true),
		UnmaskedProc:    ptr.Deref(s.ProcMount, corev1.DefaultProcMount) == corev1.UnmaskedProcMount,
	}
	if p.FSGroup != nil {
		out.Groups = append(out.Groups, *p.FSGroup)
	}
	if s.Capabilities != nil {
		out.AddCaps, out.DropCaps = s.Capabilities.Add, s.Capabilities.Drop
	}
	// Without a profile a container is unconfined, as upstream has it by default.
	out.SeccompUnconfined = true
	if profile := or(s.SeccompProfile, p.SeccompProfile); profile != nil {
		out.SeccompUnconfined = profile.Type == corev1.SeccompProfileTypeUnconfined
		if profile.Type == corev1.SeccompProfileTypeLocalhost && profile.LocalhostProfile != nil {
			out.SeccompProfile = layout.SeccompProfile(*profile.LocalhostProfile)
		}
	}
	return out
}

// or is the first that is set.
func or[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

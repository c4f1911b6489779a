package containerspec

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// security merges the pod's and the container's security contexts: the container's
// word counts.
func (g *Generator) security(p *corev1.Pod, c *corev1.Container) container.Security {
	ps, s := p.Spec.SecurityContext, c.SecurityContext
	if ps == nil {
		ps = &corev1.PodSecurityContext{}
	}
	if s == nil {
		s = &corev1.SecurityContext{}
	}
	out := container.Security{
		User: or(s.RunAsUser, ps.RunAsUser), Group: or(s.RunAsGroup, ps.RunAsGroup),
		Groups:         append([]int64(nil), ps.SupplementalGroups...),
		ImageGroups:    ptr.Deref(ps.SupplementalGroupsPolicy, corev1.SupplementalGroupsPolicyMerge) != corev1.SupplementalGroupsPolicyStrict,
		Privileged:     ptr.Deref(s.Privileged, false),
		ReadOnlyRoot:   ptr.Deref(s.ReadOnlyRootFilesystem, false),
		RequireNonRoot: ptr.Deref(or(s.RunAsNonRoot, ps.RunAsNonRoot), false),
		// Without a word on it, a process may gain privileges.
		NoNewPrivileges: !ptr.Deref(s.AllowPrivilegeEscalation, true),
		UnmaskedProc:    ptr.Deref(s.ProcMount, corev1.DefaultProcMount) == corev1.UnmaskedProcMount,
	}
	if ps.FSGroup != nil {
		out.Groups = append(out.Groups, *ps.FSGroup)
	}
	if s.Capabilities != nil {
		out.AddCaps, out.DropCaps = s.Capabilities.Add, s.Capabilities.Drop
	}
	out.AppArmor = appArmor(pod.AppArmorProfile(p, c))
	out.SeccompUnconfined = !g.SeccompDefault
	if profile := or(s.SeccompProfile, ps.SeccompProfile); profile != nil {
		out.SeccompUnconfined = profile.Type == corev1.SeccompProfileTypeUnconfined
		if profile.Type == corev1.SeccompProfileTypeLocalhost && profile.LocalhostProfile != nil {
			out.SeccompProfile = g.Layout.SeccompProfile(*profile.LocalhostProfile)
		}
	}
	return out
}

// appArmor is a profile as the runtime wants it; "" when the pod says nothing.
func appArmor(p *corev1.AppArmorProfile) string {
	switch {
	case p == nil:
		return ""
	case p.Type == corev1.AppArmorProfileTypeLocalhost:
		return container.AppArmorLocalhost + ptr.Deref(p.LocalhostProfile, "")
	case p.Type == corev1.AppArmorProfileTypeUnconfined:
		return container.AppArmorUnconfined
	}
	return container.AppArmorDefault
}

// or is the first that is set.
func or[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

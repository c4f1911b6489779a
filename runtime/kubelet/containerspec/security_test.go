package containerspec

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

func TestSecurity(t *testing.T) {
	base := container.Security{SeccompUnconfined: true, ImageGroups: true}
	with := func(edit func(*container.Security)) container.Security { s := base; edit(&s); return s }
	for name, c := range map[string]struct {
		pod  *corev1.PodSecurityContext
		c    *corev1.SecurityContext
		want container.Security
		// confined is what the node does with containers that name no seccomp profile.
		confined bool
	}{
		"nothing said": {nil, nil, base, false},
		"the pod's user": {&corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1), RunAsGroup: ptr.To[int64](2), RunAsNonRoot: ptr.To(true)}, nil,
			with(func(s *container.Security) {
				s.User, s.Group, s.RequireNonRoot = ptr.To[int64](1), ptr.To[int64](2), true
			}), false},
		"the container's user": {&corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1), RunAsGroup: ptr.To[int64](2), RunAsNonRoot: ptr.To(true)},
			&corev1.SecurityContext{RunAsUser: ptr.To[int64](0), RunAsGroup: ptr.To[int64](3), RunAsNonRoot: ptr.To(false)},
			with(func(s *container.Security) { s.User, s.Group = ptr.To[int64](0), ptr.To[int64](3) }), false},
		"groups": {&corev1.PodSecurityContext{SupplementalGroups: []int64{4, 5}, FSGroup: ptr.To[int64](6)}, nil,
			with(func(s *container.Security) { s.Groups = []int64{4, 5, 6} }), false},
		"groups, merged": {&corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyMerge)}, nil, base, false},
		"groups, strict": {&corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyStrict)}, nil,
			with(func(s *container.Security) { s.ImageGroups = false }), false},
		"switches": {nil, &corev1.SecurityContext{Privileged: ptr.To(true), ReadOnlyRootFilesystem: ptr.To(true), AllowPrivilegeEscalation: ptr.To(false), ProcMount: ptr.To(corev1.UnmaskedProcMount)},
			with(func(s *container.Security) {
				s.Privileged, s.ReadOnlyRoot, s.NoNewPrivileges, s.UnmaskedProc = true, true, true, true
			}), false},
		"switches off": {nil, &corev1.SecurityContext{Privileged: ptr.To(false), AllowPrivilegeEscalation: ptr.To(true), ProcMount: ptr.To(corev1.DefaultProcMount)}, base, false},
		"capabilities": {nil, &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"A"}, Drop: []corev1.Capability{"B"}}},
			with(func(s *container.Security) {
				s.AddCaps, s.DropCaps = []corev1.Capability{"A"}, []corev1.Capability{"B"}
			}), false},
		"the runtime's profile": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}, nil,
			with(func(s *container.Security) { s.SeccompUnconfined = false }), false},
		"a profile of its own": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}},
			&corev1.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: ptr.To("p.json")}},
			with(func(s *container.Security) { s.SeccompUnconfined, s.SeccompProfile = false, "/r/seccomp/p.json" }), false},
		"a file beside the runtime's profile": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault, LocalhostProfile: ptr.To("p.json")}}, nil,
			with(func(s *container.Security) { s.SeccompUnconfined = false }), false},
		"a profile of its own, without a file": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost}}, nil,
			with(func(s *container.Security) { s.SeccompUnconfined = false }), false},
		"the node's default":      {nil, nil, with(func(s *container.Security) { s.SeccompUnconfined = false }), true},
		"unconfined all the same": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}}, nil, base, true},
		"AppArmor": {&corev1.PodSecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}}, nil,
			with(func(s *container.Security) { s.AppArmor = "runtime/default" }), false},
		"AppArmor of its own": {&corev1.PodSecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}},
			&corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: ptr.To("mine")}},
			with(func(s *container.Security) { s.AppArmor = "localhost/mine" }), false},
		"no AppArmor": {nil, &corev1.SecurityContext{AppArmorProfile: &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}},
			with(func(s *container.Security) { s.AppArmor = "unconfined" }), false},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: c.pod}}
		g := &Generator{Layout: poddir.Layout{Root: "/r"}, SeccompDefault: c.confined}
		if got := g.security(p, &corev1.Container{SecurityContext: c.c}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, c.want)
		}
	}
}

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
	}{
		"nothing said": {nil, nil, base},
		"the pod's user": {&corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1), RunAsGroup: ptr.To[int64](2), RunAsNonRoot: ptr.To(true)}, nil,
			with(func(s *container.Security) {
				s.User, s.Group, s.RequireNonRoot = ptr.To[int64](1), ptr.To[int64](2), true
			})},
		"the container's user": {&corev1.PodSecurityContext{RunAsUser: ptr.To[int64](1), RunAsGroup: ptr.To[int64](2), RunAsNonRoot: ptr.To(true)},
			&corev1.SecurityContext{RunAsUser: ptr.To[int64](0), RunAsGroup: ptr.To[int64](3), RunAsNonRoot: ptr.To(false)},
			with(func(s *container.Security) { s.User, s.Group = ptr.To[int64](0), ptr.To[int64](3) })},
		"groups": {&corev1.PodSecurityContext{SupplementalGroups: []int64{4, 5}, FSGroup: ptr.To[int64](6)}, nil,
			with(func(s *container.Security) { s.Groups = []int64{4, 5, 6} })},
		"groups, merged": {&corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyMerge)}, nil, base},
		"groups, strict": {&corev1.PodSecurityContext{SupplementalGroupsPolicy: ptr.To(corev1.SupplementalGroupsPolicyStrict)}, nil,
			with(func(s *container.Security) { s.ImageGroups = false })},
		"switches": {nil, &corev1.SecurityContext{Privileged: ptr.To(true), ReadOnlyRootFilesystem: ptr.To(true), AllowPrivilegeEscalation: ptr.To(false), ProcMount: ptr.To(corev1.UnmaskedProcMount)},
			with(func(s *container.Security) {
				s.Privileged, s.ReadOnlyRoot, s.NoNewPrivileges, s.UnmaskedProc = true, true, true, true
			})},
		"switches off": {nil, &corev1.SecurityContext{Privileged: ptr.To(false), AllowPrivilegeEscalation: ptr.To(true), ProcMount: ptr.To(corev1.DefaultProcMount)}, base},
		"capabilities": {nil, &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"A"}, Drop: []corev1.Capability{"B"}}},
			with(func(s *container.Security) {
				s.AddCaps, s.DropCaps = []corev1.Capability{"A"}, []corev1.Capability{"B"}
			})},
		"the runtime's profile": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}, nil,
			with(func(s *container.Security) { s.SeccompUnconfined = false })},
		"a profile of its own": {&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeUnconfined}},
			&corev1.SecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: ptr.To("p.json")}},
			with(func(s *container.Security) { s.SeccompUnconfined, s.SeccompProfile = false, "/r/seccomp/p.json" })},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: c.pod}}
		if got := security(p, &corev1.Container{SecurityContext: c.c}, poddir.Layout{Root: "/r"}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, c.want)
		}
	}
}

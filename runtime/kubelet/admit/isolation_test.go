package admit

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestSysctls(t *testing.T) {
	for _, c := range []struct {
		name, kernel, sysctl string
		allowed              []string
		change               func(*corev1.PodSpec)
		message              string // "": admitted
	}{
		{"safe", "6.1.0", "net.ipv4.tcp_syncookies", nil, nil, ""},
		{"safe, with slashes", "6.1.0", "net/ipv4/tcp_syncookies", nil, nil, ""},
		{"safe since that kernel", "4.15.0-debian", "net.ipv4.tcp_rmem", nil, nil, ""},
		{"not yet safe", "4.14.9", "net.ipv4.tcp_rmem", nil, nil, `"net.ipv4.tcp_rmem" not allowlisted`},
		{"a kernel that says nothing", "what", "net.ipv4.tcp_rmem", nil, nil, `"net.ipv4.tcp_rmem" not allowlisted`},
		{"unsafe", "6.1.0", "net.core.somaxconn", nil, nil, `"net.core.somaxconn" not allowlisted`},
		{"allowed by name", "6.1.0", "net.core.somaxconn", []string{"net.core.somaxconn"}, nil, ""},
		{"allowed by pattern", "6.1.0", "kernel.msgmax", []string{"kernel.msg*"}, nil, ""},
		{"beside the pattern", "6.1.0", "kernel.shmmax", []string{"kernel.msg*"}, nil, `"kernel.shmmax" not allowlisted`},
		{"a name is no pattern", "6.1.0", "net.core.somaxconn2", []string{"net.core.somaxconn"}, nil, `"net.core.somaxconn2" not allowlisted`},
		{"with the host's network", "6.1.0", "net.ipv4.tcp_syncookies", nil, func(s *corev1.PodSpec) { s.HostNetwork = true }, `"net.ipv4.tcp_syncookies" not allowed with host Net enabled`},
		{"with the host's IPC", "6.1.0", "kernel.shm_rmid_forced", nil, func(s *corev1.PodSpec) { s.HostIPC = true }, `"kernel.shm_rmid_forced" not allowed with host IPC enabled`},
		{"another namespace than the host's", "6.1.0", "kernel.shm_rmid_forced", nil, func(s *corev1.PodSpec) { s.HostNetwork = true }, ""},
		{"allowed, with the host's network", "6.1.0", "net.core.somaxconn", []string{"net.core.*"}, func(s *corev1.PodSpec) { s.HostNetwork = true }, `"net.core.somaxconn" not allowed with host Net enabled`},
		{"the server's users", "6.1.0", "user.max_user_namespaces", []string{"user.*"}, nil, `"user.max_user_namespaces" not allowed with host User enabled`},
		{"users of its own", "6.1.0", "user.max_user_namespaces", []string{"user.*"}, func(s *corev1.PodSpec) { s.HostUsers = ptr.To(false) }, ""},
	} {
		h, err := NewSysctls(c.kernel, c.allowed)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		p := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.shm_rmid_forced"}, {Name: c.sysctl}}}}}
		if c.change != nil {
			c.change(&p.Spec)
		}
		reason, message := "", ""
		if c.message != "" {
			reason, message = "SysctlForbidden", "forbidden sysctl: "+c.message
		}
		check(t, c.name, h.Admit(t.Context(), Attributes{Pod: p}), reason, message)
	}
	h, _ := NewSysctls("6.1.0", nil)
	check(t, "no sysctls", h.Admit(t.Context(), Attributes{Pod: &corev1.Pod{}}), "", "")
	if _, err := NewSysctls("6.1.0", []string{"net.core.*", "kernel.core_pattern"}); err == nil {
		t.Error("a sysctl of the whole server may be allowed")
	}
}

func withContainer(sc *corev1.SecurityContext) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "c", SecurityContext: sc}}}}}
}

func withPod(sc *corev1.PodSecurityContext) *corev1.Pod {
	return &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: sc, Containers: []corev1.Container{{Name: "c"}}}}
}

// TestWhatTheNodeCannotEnforceIsRejected: each of these would otherwise run without it.
func TestWhatTheNodeCannotEnforceIsRejected(t *testing.T) {
	level, empty := &corev1.SELinuxOptions{Level: "s0:c1"}, &corev1.SELinuxOptions{}
	profile := &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeRuntimeDefault}
	annotated := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"container.apparmor.security.beta.kubernetes.io/c": "localhost/x"}}}
	without, with := errors.New("the kernel has none"), error(nil)
	for _, c := range []struct {
		name            string
		h               Handler
		pod             *corev1.Pod
		reason, message string
	}{
		{"no label", SELinux{Enabled: true}, withContainer(&corev1.SecurityContext{}), "", ""},
		{"an empty label", SELinux{Enabled: true}, withPod(&corev1.PodSecurityContext{SELinuxOptions: empty}), "", ""},
		{"a pod's label where there is no SELinux", SELinux{}, withPod(&corev1.PodSecurityContext{SELinuxOptions: level}), "", ""},
		{"a container's label", SELinux{Enabled: true}, withContainer(&corev1.SecurityContext{SELinuxOptions: level}), "SELinux", ""},
		{"a pod's label", SELinux{Enabled: true}, withPod(&corev1.PodSecurityContext{SELinuxOptions: level}), "SELinux", "Cannot enforce SELinux: this node does not label containers; remove seLinuxOptions"},
		{"no profile", AppArmor{}, withContainer(nil), "", ""},
		{"a profile", AppArmor{}, withContainer(&corev1.SecurityContext{AppArmorProfile: profile}), "AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host"},
		{"a profile by annotation", AppArmor{}, annotated, "AppArmor", ""},
		{"a profile where there is AppArmor", AppArmor{Enabled: true}, annotated, "", ""},
		{"the host's users", UserNamespaces{without}, withPod(nil), "", ""},
		{"users of its own", UserNamespaces{without}, &corev1.Pod{Spec: corev1.PodSpec{HostUsers: ptr.To(false)}}, "UserNamespacesNotSupported",
			"can't set `spec.hostUsers: false`, runtime does not support user namespaces: the kernel has none"},
		{"users of its own where it can", UserNamespaces{with}, &corev1.Pod{Spec: corev1.PodSpec{HostUsers: ptr.To(false)}}, "", ""},
		{"no system", PodOS{}, withPod(nil), "", ""},
		{"this system", PodOS{}, &corev1.Pod{Spec: corev1.PodSpec{OS: &corev1.PodOS{Name: corev1.Linux}}}, "", ""},
		{"another system", PodOS{}, &corev1.Pod{Spec: corev1.PodSpec{OS: &corev1.PodOS{Name: corev1.Windows}}}, "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"},
	} {
		check(t, c.name, c.h.Admit(t.Context(), Attributes{Pod: c.pod}), c.reason, c.message)
	}
}

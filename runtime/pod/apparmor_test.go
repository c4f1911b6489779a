package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestAppArmorProfile(t *testing.T) {
	local := func(name string) *corev1.AppArmorProfile {
		return &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeLocalhost, LocalhostProfile: &name}
	}
	unconfined := &corev1.AppArmorProfile{Type: corev1.AppArmorProfileTypeUnconfined}
	for _, c := range []struct {
		name       string
		pod, own   *corev1.AppArmorProfile
		annotation string
		want       string // type/profile
		wanted     bool
	}{
		{"nothing", nil, nil, "", "", false},
		{"the pod's", local("p"), nil, "", "Localhost/p", true},
		{"the container's wins", local("p"), local("c"), "localhost/a", "Localhost/c", true},
		{"the annotation's before the pod's", local("p"), nil, "localhost/a", "Localhost/a", true},
		{"the default by annotation", nil, nil, "runtime/default", "RuntimeDefault/", true},
		{"none by annotation", nil, nil, "unconfined", "Unconfined/", false},
		{"an annotation of no name", local("p"), nil, "localhost/", "Localhost/p", true},
		{"an annotation that says nothing", nil, nil, "what", "", true},
		{"none by the pod", unconfined, nil, "", "Unconfined/", false},
		{"none by the pod, one by the container", unconfined, local("c"), "", "Localhost/c", true},
		{"none by the container, one by the pod", local("p"), unconfined, "", "Unconfined/", true},
	} {
		p := &corev1.Pod{}
		p.Spec.Containers = []corev1.Container{{Name: "a"}}
		if c.pod != nil {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{AppArmorProfile: c.pod}
		}
		if c.own != nil {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{AppArmorProfile: c.own}
		}
		if c.annotation != "" {
			p.Annotations = map[string]string{"container.apparmor.security.beta.kubernetes.io/a": c.annotation}
		}
		got := ""
		if a := AppArmorProfile(p, &p.Spec.Containers[0]); a != nil {
			got = string(a.Type) + "/" + ptr.Deref(a.LocalhostProfile, "")
		}
		if got != c.want || WantsAppArmor(p) != c.wanted {
			t.Errorf("%s: %q, wanted %v; want %q, %v", c.name, got, WantsAppArmor(p), c.want, c.wanted)
		}
	}
}

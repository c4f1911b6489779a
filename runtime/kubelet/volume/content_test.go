package volume

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// TestOnlyUser: files that say who a pod is belong to the one user that all of it runs as.
func TestOnlyUser(t *testing.T) {
	as := func(users ...int64) []corev1.Container {
		var out []corev1.Container
		for _, u := range users {
			c := corev1.Container{}
			if u >= 0 {
				c.SecurityContext = &corev1.SecurityContext{RunAsUser: &u}
			}
			out = append(out, c)
		}
		return out
	}
	for name, tc := range map[string]struct {
		spec corev1.PodSpec
		want *int64
	}{
		"the image's":                      {corev1.PodSpec{Containers: as(-1)}, nil},
		"the pod's":                        {corev1.PodSpec{Containers: as(-1, -1), SecurityContext: &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](7)}}, ptr.To[int64](7)},
		"the container's before the pod's": {corev1.PodSpec{Containers: as(8), SecurityContext: &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](7)}}, ptr.To[int64](8)},
		"two users":                        {corev1.PodSpec{Containers: as(7, 8)}, nil},
		"one of two is the image's":        {corev1.PodSpec{Containers: as(7, -1)}, nil},
		"an init container's is another":   {corev1.PodSpec{InitContainers: as(0), Containers: as(7)}, nil},
		"all are root's":                   {corev1.PodSpec{InitContainers: as(0), Containers: as(0)}, ptr.To[int64](0)},
	} {
		got := onlyUser(&corev1.Pod{Spec: tc.spec})
		if (got == nil) != (tc.want == nil) || got != nil && *got != *tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestAFileOfAUser(t *testing.T) {
	dir, user := t.TempDir(), int64(os.Getuid())
	if user == 0 {
		user = 1000
	}
	if _, err := Write(dir, []File{{Path: "token", Mode: 0o600, User: &user}}, -1); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "token"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int64(owner) != user || info.Mode().Perm() != 0o600 {
		t.Errorf("it is of user %d, mode %o", owner, info.Mode())
	}
}

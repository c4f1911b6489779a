package images

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// registry has private images at reg.example, which need the password "right", and public ones
// elsewhere.
type registry struct {
	present map[string]bool
	pulls   int
	broken  bool
}

func (r *registry) Image(_ context.Context, name string) (container.Image, bool, error) {
	return image(name), r.present[name], nil
}

func (r *registry) Pull(_ context.Context, name string, auth []container.RegistryAuth) (container.Image, error) {
	r.pulls++
	if r.broken || strings.HasPrefix(name, "reg.example/") && (len(auth) == 0 || auth[0].Host != "reg.example" || auth[0].Password != "right") {
		return container.Image{}, errors.New("unauthorized")
	}
	r.present[name] = true
	return image(name), nil
}

func (r *registry) Images(context.Context) ([]container.Image, error) { return nil, nil }
func (r *registry) RemoveImage(_ context.Context, name string) error {
	delete(r.present, name)
	return nil
}

func secretFor(namespace, uid, password string) *corev1.Secret {
	s := &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{
		corev1.DockerConfigJsonKey: fmt.Appendf(nil, `{"auths":{"reg.example":{"username":"u","password":%q},"mirror":{"username":"m"}}}`, password),
	}}
	s.Namespace, s.Name, s.UID = namespace, "s", types.UID(uid)
	return s
}

const private, public, preloaded = "reg.example/private:1", "public:1", "reg.example/loaded:1"

// TestWhoMayUseAnImage: one that is present is no more public than in its registry. Each
// step goes on where the one before it ended, by a manager of its own.
func TestWhoMayUseAnImage(t *testing.T) {
	store, dir := &registry{present: map[string]bool{preloaded: true}}, t.TempDir()
	all := secrets{"a/s": secretFor("a", "1", "right"), "b/s": secretFor("b", "2", "right"), "c/s": secretFor("c", "3", "wrong")}
	for _, c := range []struct {
		step, namespace, image string
		policy                 corev1.PullPolicy
		verify                 Access
		pulls                  int
		reason                 string
	}{
		{"nobody has pulled it", "none", private, "", Access{Pulled: true}, 1, ReasonErrImagePull},
		{"with credentials", "a", private, "", Access{Pulled: true}, 1, ""},
		{"again", "a", private, "", Access{Pulled: true}, 0, ""},
		{"without credentials", "none", private, "", Access{Pulled: true}, 1, ReasonErrImagePull},
		{"without, never pulled", "none", private, corev1.PullNever, Access{Pulled: true}, 0, ReasonErrImageNeverPull},
		{"without, and nobody asks", "none", private, "", Access{}, 0, ""},
		{"with wrong ones", "c", private, "", Access{Pulled: true}, 1, ReasonErrImagePull},
		{"with the same of another Secret", "b", private, "", Access{Pulled: true}, 0, ""},
		{"a public one", "none", public, "", Access{Pulled: true}, 1, ""},
		{"a public one again", "c", public, "", Access{Pulled: true}, 0, ""},
		{"a preloaded one", "none", preloaded, "", Access{Pulled: true}, 0, ""},
		{"a preloaded one, always asked", "none", preloaded, "", Access{Pulled: true, Preloaded: true}, 1, ReasonErrImagePull},
		{"a preloaded one, with credentials", "a", preloaded, "", Access{Pulled: true, Preloaded: true}, 1, ""},
		{"then it is as pulled", "none", preloaded, "", Access{Pulled: true}, 1, ReasonErrImagePull},
	} {
		before := store.pulls
		c.verify.Records = &Records{Dir: dir}
		p := pod()
		if p.Namespace = c.namespace; c.namespace != "none" {
			p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "s"}}
		}
		_, err := NewManager(store, all, &recorder{}, c.verify).EnsureImage(t.Context(), p, &corev1.Container{Image: c.image, ImagePullPolicy: c.policy}, func() {})
		got := ""
		var e *Error
		if errors.As(err, &e) {
			got = e.Reason
		}
		if got != c.reason || store.pulls-before != c.pulls {
			t.Errorf("%s: %v after %d pulls, want %q after %d", c.step, err, store.pulls-before, c.reason, c.pulls)
		}
	}
	// The Secret that was there counts with its new content, and that everywhere then.
	all["a/s"] = secretFor("a", "1", "new")
	all["d/s"] = secretFor("d", "4", "new")
	for _, namespace := range []string{"a", "d"} {
		p := pod()
		p.Namespace, p.Spec.ImagePullSecrets = namespace, []corev1.LocalObjectReference{{Name: "s"}}
		m := NewManager(store, all, &recorder{}, Access{Records: &Records{Dir: dir}, Pulled: true})
		if _, err := m.EnsureImage(t.Context(), p, &corev1.Container{Image: private}, func() {}); err != nil {
			t.Errorf("%s, when its Secret changed: %v", namespace, err)
		}
	}
}

// TestAPullThatWasCutShort: what a crash left between a pull and its record is asked for
// credentials; a pull that failed leaves nothing.
func TestAPullThatWasCutShort(t *testing.T) {
	store := &registry{present: map[string]bool{private: true}}
	r := &Records{Dir: t.TempDir()}
	a := Access{Records: r, Pulled: true}
	if !a.allowed(image(private), func() []credential { return nil }) {
		t.Error("what nobody pulled is not preloaded")
	}
	for range 2 {
		if err := r.begin(private); err != nil {
			t.Fatal(err)
		}
	}
	again := Access{Records: &Records{Dir: r.Dir}, Pulled: true}
	if again.allowed(image(private), func() []credential { return nil }) {
		t.Error("what was being pulled counts as preloaded")
	}
	r.end(private)
	if a.allowed(image(private), func() []credential { return nil }) {
		t.Error("the other pull is forgotten")
	}
	r.end(private)
	if !a.allowed(image(private), func() []credential { return nil }) {
		t.Error("a pull that failed leaves something")
	}
	store.broken = true
	m := NewManager(store, secrets{}, &recorder{}, a)
	if _, err := m.EnsureImage(t.Context(), pod(), &corev1.Container{Image: private, ImagePullPolicy: corev1.PullAlways}, func() {}); err == nil {
		t.Error("a pull that fails is none")
	}
	if left, err := os.ReadDir(r.Dir); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	// A record that cannot be read allows nothing.
	if err := os.WriteFile(r.file("pulled", image(private).ID), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a.allowed(image(private), func() []credential { return nil }) {
		t.Error("a broken record allows everything")
	}
	if err := m.Remove(t.Context(), image(private)); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(r.Dir, "*")); len(left) != 0 {
		t.Errorf("of a removed image are left %v", left)
	}
}

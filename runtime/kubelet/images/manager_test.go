package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// store is an image store on paper, with a registry behind it.
type store struct {
	present  map[string]bool
	registry map[string]error // what a pull of a name ends with; a name that is missing is not found
	lookErr  error
	auth     []container.RegistryAuth // of the last pull
	pulls    int
}

func image(name string) container.Image { return container.Image{Name: name, ID: name + "@sha"} }

func (s *store) Image(_ context.Context, name string) (container.Image, bool, error) {
	img := image(name)
	img.StopSignal = "SIGQUIT"
	return img, s.present[name], s.lookErr
}

func (s *store) Pull(_ context.Context, name string, auth []container.RegistryAuth) (container.Image, error) {
	s.pulls, s.auth = s.pulls+1, auth
	err, known := s.registry[name]
	if !known {
		return container.Image{}, errors.New("not found")
	}
	if err == nil {
		s.present[name] = true
	}
	return image(name), err
}

func (s *store) Images(context.Context) (all []container.Image, err error) {
	for name := range s.present {
		all = append(all, image(name))
	}
	slices.SortFunc(all, func(a, b container.Image) int { return strings.Compare(a.Name, b.Name) })
	return all, s.lookErr
}

func (s *store) RemoveImage(_ context.Context, name string) error {
	delete(s.present, name)
	return nil
}

type secrets map[string]*corev1.Secret

func (s secrets) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	if got := s[namespace+"/"+name]; got != nil {
		return got, nil
	}
	return nil, errors.New("secret not found")
}

type recorder struct{ events []string }

func (r *recorder) Event(_ runtime.Object, kind, reason, _ string) {
	r.events = append(r.events, kind[:1]+":"+reason)
}

// unverified lets every pod use what is present.
func unverified(t *testing.T) Access { return Access{Records: &Records{Dir: t.TempDir()}} }

func pod() *corev1.Pod {
	p := &corev1.Pod{}
	p.UID, p.Namespace = "u", "ns"
	return p
}

func TestPullPolicy(t *testing.T) {
	down := errors.New("registry away")
	for _, c := range []struct {
		name    string
		policy  corev1.PullPolicy
		present bool
		pull    error
		look    error
		reason  string
		delay   time.Duration
		pulls   int
		events  string
	}{
		{"IfNotPresent, there", corev1.PullIfNotPresent, true, nil, nil, "", 0, 0, "N:Pulled"},
		{"IfNotPresent, missing", corev1.PullIfNotPresent, false, nil, nil, "", 0, 1, "N:Pulling N:Pulled"},
		{"none, there", "", true, nil, nil, "", 0, 0, "N:Pulled"},
		{"none, missing", "", false, nil, nil, "", 0, 1, "N:Pulling N:Pulled"},
		{"Always, there", corev1.PullAlways, true, nil, nil, "", 0, 1, "N:Pulling N:Pulled"},
		{"Always, there, registry away", corev1.PullAlways, true, down, nil, ReasonErrImagePull, 10 * time.Second, 1, "N:Pulling W:Failed"},
		{"Never, there", corev1.PullNever, true, nil, nil, "", 0, 0, "N:Pulled"},
		{"Never, missing", corev1.PullNever, false, nil, nil, ReasonErrImageNeverPull, 10 * time.Second, 0, "W:ErrImageNeverPull"},
		{"no name", "", false, nil, container.ErrInvalidImageName, ReasonInvalidImageName, 10 * time.Second, 0, ""},
		{"store away", "", true, nil, container.ErrUnavailable, ReasonImageInspectError, time.Second, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{present: map[string]bool{"i": c.present}, registry: map[string]error{"i": c.pull}, lookErr: c.look}
			r := &recorder{}
			told := 0
			img, err := NewManager(s, secrets{}, r, unverified(t)).EnsureImage(t.Context(), pod(), &corev1.Container{Name: "c", Image: "i", ImagePullPolicy: c.policy}, func() { told++ })
			var e *Error
			switch {
			case c.reason == "" && (err != nil || img.Name != "i"):
				t.Errorf("%+v, %v", img, err)
			case c.reason != "" && (!errors.As(err, &e) || e.Reason != c.reason || e.Delay != c.delay):
				t.Errorf("%v, want %s after %s", err, c.reason, c.delay)
			case c.look != nil && !errors.Is(err, c.look):
				t.Errorf("%v does not say that %v", err, c.look)
			}
			if s.pulls != c.pulls || told != c.pulls {
				t.Errorf("%d pulls, %d of them told, want %d", s.pulls, told, c.pulls)
			}
			if got := strings.Join(r.events, " "); got != c.events {
				t.Errorf("events %q, want %q", got, c.events)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	s := &store{present: map[string]bool{}, registry: map[string]error{}}
	m := NewManager(s, secrets{}, &recorder{}, unverified(t))
	try := func(c string) string {
		_, err := m.EnsureImage(t.Context(), pod(), &corev1.Container{Name: c, Image: "i"}, func() {})
		var e *Error
		if errors.As(err, &e) {
			return fmt.Sprint(e.Reason, " ", e.Delay)
		}
		return fmt.Sprint(err)
	}
	want := []string{"ErrImagePull 10s", "ImagePullBackOff 20s", "ImagePullBackOff 40s", "ImagePullBackOff 1m20s", "ImagePullBackOff 2m40s", "ImagePullBackOff 5m0s", "ImagePullBackOff 5m0s"}
	for i, w := range want {
		if got := try("c"); got != w {
			t.Errorf("attempt %d: %s, want %s", i+1, got, w)
		}
	}
	if got := try("d"); got != "ErrImagePull 10s" {
		t.Errorf("another container begins with %s", got)
	}
	s.registry["i"] = nil
	if got := try("c"); got != "<nil>" {
		t.Errorf("now it is there: %s", got)
	}
	delete(s.registry, "i")
	delete(s.present, "i")
	if got := try("c"); got != "ErrImagePull 10s" {
		t.Errorf("after a success it begins with %s", got)
	}
	m.Forget("u")
	if got := try("d"); got != "ErrImagePull 10s" {
		t.Errorf("a pod that was forgotten goes on with %s", got)
	}
}

func TestAPullThatIsCutShortIsNoFailure(t *testing.T) {
	s := &store{present: map[string]bool{}, registry: map[string]error{"i": context.Canceled}}
	r := &recorder{}
	m := NewManager(s, secrets{}, r, unverified(t))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.EnsureImage(ctx, pod(), &corev1.Container{Image: "i"}, cancel)
	var e *Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &e) || len(r.events) != 1 || len(m.backoff) != 0 {
		t.Errorf("%v, events %v, back-off %v", err, r.events, m.backoff)
	}
}

func TestImagesInUseStay(t *testing.T) {
	s := &store{present: map[string]bool{"a": true, "b": true, "c": true, "d": true}, registry: map[string]error{"d": nil}}
	m := NewManager(s, secrets{}, &recorder{}, unverified(t))
	for _, i := range []string{"a", "d"} {
		policy := map[string]corev1.PullPolicy{"d": corev1.PullAlways}[i]
		if _, err := m.EnsureImage(t.Context(), pod(), &corev1.Container{Image: i, ImagePullPolicy: policy}, func() {}); err != nil {
			t.Fatal(err)
		}
	}
	m.Use("other", "b@sha") // as a container that was adopted names it
	unused := func() string {
		all, err := m.Unused(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, i := range all {
			names = append(names, i.Name)
		}
		return strings.Join(names, " ")
	}
	if got := unused(); got != "c" {
		t.Errorf("unused: %q, want c", got)
	}
	if err := m.Remove(t.Context(), image("a")); err == nil || !s.present["a"] {
		t.Error("an image in use is removed")
	}
	if err := m.Remove(t.Context(), image("c")); err != nil || s.present["c"] {
		t.Errorf("an unused image stays: %v", err)
	}
	m.Forget("u")
	if got := unused(); got != "a d" {
		t.Errorf("after the pod: %q, want a d", got)
	}
}

func TestStopSignal(t *testing.T) {
	s := &store{present: map[string]bool{"i": true}}
	m := NewManager(s, secrets{}, &recorder{}, unverified(t))
	if got := m.StopSignal(t.Context(), "i"); got != "SIGQUIT" {
		t.Errorf("%q", got)
	}
	if got := m.StopSignal(t.Context(), "none"); got != "" {
		t.Errorf("of an image that is not there: %q", got)
	}
	s.lookErr = container.ErrUnavailable
	if got := m.StopSignal(t.Context(), "i"); got != "" {
		t.Errorf("when the store is away: %q", got)
	}
}

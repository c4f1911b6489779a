package volume

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// imageMounts mounts images on paper, in the table of mounts.
type imageMounts struct {
	*mounts
	held     map[string]string // image by directory
	released []string
	err      error
}

func (m *imageMounts) MountImage(_ context.Context, image, dir string) error {
	if _, err := os.Stat(dir); err != nil || m.err != nil {
		return errors.Join(err, m.err)
	}
	m.tmpfs[dir], m.held[dir] = 0, image
	return nil
}

func (m *imageMounts) ReleaseImage(_ context.Context, dir string) error {
	if _, mounted := m.tmpfs[dir]; mounted {
		return errors.New("it is still mounted")
	}
	delete(m.held, dir)
	m.released = append(m.released, dir)
	return nil
}

// TestImageVolume: the content of an image is mounted when a container needs it, read-only
// and once, and goes with the pod.
func TestImageVolume(t *testing.T) {
	table := &mounts{tmpfs: map[string]int64{}, busy: map[string]bool{}}
	images := &imageMounts{mounts: table, held: map[string]string{}}
	layout := poddir.Layout{Root: t.TempDir()}
	m := NewManager(layout, table, &refs{}, Plugins(table, &refs{}, tokens{}, nil, nil, images))
	p := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{
		{Name: "data", VolumeSource: corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "i"}}}, {Name: "other", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}}}
	p.UID = "u"
	if err := m.SetUp(t.Context(), p, &corev1.PodStatus{}, func() {}); err != nil {
		t.Fatal(err)
	}
	if mounted, err := m.ImageMounted(p, "data"); mounted || err != nil || len(images.held) != 0 {
		t.Errorf("mounted before it is needed: %v, %v", mounted, err)
	}
	for _, name := range []string{"other", "none"} {
		if err := m.MountImage(t.Context(), p, name, container.Image{Name: "full/i"}); err == nil {
			t.Errorf("%s is taken for an image", name)
		}
		if _, err := m.ImageMounted(p, name); err == nil {
			t.Errorf("%s is taken for an image", name)
		}
	}
	images.err = errors.New("no layers")
	if err := m.MountImage(t.Context(), p, "data", container.Image{Name: "full/i"}); !errors.Is(err, images.err) {
		t.Errorf("%v", err)
	}
	images.err = nil
	if err := m.MountImage(t.Context(), p, "data", container.Image{Name: "full/i"}); err != nil {
		t.Fatal(err)
	}
	dir := layout.Volumes("u") + "/image/data"
	if mounted, err := m.ImageMounted(p, "data"); !mounted || err != nil || images.held[dir] != "full/i" {
		t.Errorf("%v, %v, held %v", mounted, err, images.held)
	}
	v, err := m.Open(p, "data")
	if err != nil || v.Path != dir || !v.ReadOnly {
		t.Errorf("%+v, %v", v, err)
	}
	v.Root.Close()
	table.busy[dir] = true
	if err := m.TearDown("u"); err == nil || len(images.held) != 1 {
		t.Errorf("a volume in use is given back: %v", err)
	}
	table.busy[dir] = false
	if err := m.TearDown("u"); err != nil || len(images.held) != 0 || !slices.Equal(images.released, []string{dir}) {
		t.Errorf("%v, held %v, released %v", err, images.held, images.released)
	}
}

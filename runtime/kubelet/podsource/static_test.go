package podsource

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	podutil "github.com/gantry-run/gantry/runtime/pod"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// decodeName reads a file that holds the name of a pod, and an image after it.
func decodeName(data []byte, complete func(*corev1.Pod)) (*corev1.Pod, error) {
	name, image, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if name == "" {
		return nil, errors.New("no name")
	}
	p := &corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](7), Containers: []corev1.Container{{Name: "c", Image: image}}}}
	p.Name = name
	complete(p)
	return p, nil
}

// directory is one of manifests.
type directory struct {
	t   *testing.T
	dir string
	*Static
	told *toldPods

	mu      sync.Mutex
	mirrors map[string]*corev1.Pod
}

// toldPods is a handler that keeps what it is told: name=image, or -name=image of one that
// is to end.
type toldPods struct {
	mu   sync.Mutex
	list []string
	last map[string]*corev1.Pod // by name
}

func (h *toldPods) DeletePod(*corev1.Pod) { panic("static pods end with their grace") }
func (h *toldPods) UpdatePod(p *corev1.Pod) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what := p.Name + "=" + p.Spec.Containers[0].Image
	if p.DeletionTimestamp != nil {
		what = "-" + what
	}
	h.list, h.last[p.Name] = append(h.list, what), p
}

func newDirectory(t *testing.T) *directory {
	d := &directory{t: t, dir: filepath.Join(t.TempDir(), "manifests"), told: &toldPods{last: map[string]*corev1.Pod{}}, mirrors: map[string]*corev1.Pod{}}
	d.Static = NewStatic(d.dir, "Node", decodeName, func(namespace, name string) *corev1.Pod {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.mirrors[namespace+"/"+name]
	}, quiet)
	return d
}

// write puts a file into the directory as a whole; "" removes it.
func (d *directory) write(name, content string) {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	var err error
	if content == "" {
		err = os.Remove(path)
	} else {
		tmp := filepath.Join(d.t.TempDir(), "new")
		if err = os.WriteFile(tmp, []byte(content), 0o600); err == nil {
			err = os.Rename(tmp, path)
		}
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// wantTold waits until it was told that, and of nothing else since the last time.
func (d *directory) wantTold(want string) {
	d.t.Helper()
	patience.Eventually(d.t, "it is told", func() error {
		d.told.mu.Lock()
		defer d.told.mu.Unlock()
		if got := strings.Join(d.told.list, " "); got != want {
			return fmt.Errorf("told %q, want %q", got, want)
		}
		d.told.list = nil
		return nil
	})
}

// wantLast waits until it was told that last.
func (d *directory) wantLast(want string) {
	d.t.Helper()
	patience.Eventually(d.t, "it is told last", func() error {
		d.told.mu.Lock()
		defer d.told.mu.Unlock()
		if n := len(d.told.list); n == 0 || d.told.list[n-1] != want {
			return fmt.Errorf("told %q, want %q last", d.told.list, want)
		}
		return nil
	})
}

func (d *directory) latest(name string) *corev1.Pod {
	d.told.mu.Lock()
	defer d.told.mu.Unlock()
	return d.told.last[name]
}

func TestAStaticPodFromItsFile(t *testing.T) {
	d := newDirectory(t)
	if d.Synced() {
		t.Error("synced before the start")
	}
	if err := os.MkdirAll(filepath.Join(d.dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.write("web.yaml", "web one")
	d.write(".hidden.yaml", "hidden one")
	d.write("broken.yaml", " ")
	d.write("z-again.yaml", "web other")
	d.Start(t.Context())
	if !d.Synced() || len(d.Pods()) != 1 {
		t.Fatalf("synced %v, pods %v", d.Synced(), d.Pods())
	}
	p := d.Pod("default", "web-node")
	if p == nil || d.Pod("default", "web") != nil {
		t.Fatalf("%v", d.Pods())
	}
	hash := p.Annotations[podutil.ConfigHashAnnotation]
	if !podutil.IsStatic(p) || p.Spec.NodeName != "Node" || len(hash) != 32 || string(p.UID) != hash || p.Annotations[podutil.ConfigSourceAnnotation] != "file" ||
		p.Annotations[podutil.ConfigSeenAnnotation] == "" || p.Generation != 1 {
		t.Errorf("%+v", p.ObjectMeta)
	}
	if want := (corev1.Toleration{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}); len(p.Spec.Tolerations) != 1 || p.Spec.Tolerations[0] != want {
		t.Errorf("it tolerates %v", p.Spec.Tolerations)
	}
	if err := d.Handle(d.told); err != nil {
		t.Fatal(err)
	}
	d.wantTold("web-node=one")
	// The same again, and a file that is broken meanwhile, change nothing.
	d.write("web.yaml", "web one")
	d.write("web.yaml", " ")
	d.write("web.yaml", "web one")
	d.write("other.yaml", "other one")
	d.wantTold("other-node=one")
}

// TestAChangedFileIsAnotherPod: it begins when nothing of the one before is left.
func TestAChangedFileIsAnotherPod(t *testing.T) {
	d := newDirectory(t)
	d.Start(t.Context())
	if err := d.Handle(d.told); err != nil {
		t.Fatal(err)
	}
	d.write("web.yaml", "web one")
	d.wantTold("web-node=one")
	first := d.latest("web-node")
	began := time.Now().Truncate(time.Second)
	d.write("web.yaml", "web two")
	d.wantTold("-web-node=one")
	old := d.latest("web-node")
	if old.UID != first.UID || first.DeletionTimestamp != nil || *old.DeletionGracePeriodSeconds != 7 || old.DeletionTimestamp.Time.Before(began.Add(7*time.Second)) {
		t.Errorf("%+v", old.ObjectMeta)
	}
	if got := d.Pods(); len(got) != 1 || got[0].UID != old.UID || d.Pod("default", "web-node").UID != old.UID {
		t.Errorf("while it ends the pods are %v", got)
	}
	d.write("web.yaml", "web three")
	d.Ended("default", "web-node", "another")
	d.wantTold("")
	patience.Until(t, "it is read", func() bool {
		d.Static.mu.Lock()
		defer d.Static.mu.Unlock()
		return d.pods[cacheName("web-node")].Spec.Containers[0].Image == "three"
	})
	d.Ended("default", "web-node", old.UID)
	d.wantTold("web-node=three")
	d.Ended("default", "web-node", old.UID)
	d.write("web.yaml", "")
	d.wantTold("-web-node=three")
	d.Ended("default", "web-node", d.latest("web-node").UID)
	d.wantTold("")
	if got := d.Pods(); len(got) != 0 {
		t.Errorf("left are %v", got)
	}
	// A file that moves is another pod of the same name.
	d.write("a.yaml", "web one")
	d.wantTold("web-node=one")
	a := d.latest("web-node")
	if err := os.Rename(filepath.Join(d.dir, "a.yaml"), filepath.Join(d.dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	d.wantTold("-web-node=one")
	d.Ended("default", "web-node", a.UID)
	d.wantTold("web-node=one")
}

// TestTheDirectoryGoes: its pods go with it, and it is made anew.
func TestTheDirectoryGoes(t *testing.T) {
	d := newDirectory(t)
	d.Start(t.Context())
	if err := d.Handle(d.told); err != nil {
		t.Fatal(err)
	}
	d.write("web.yaml", "web one")
	d.wantTold("web-node=one")
	if err := os.RemoveAll(d.dir); err != nil {
		t.Fatal(err)
	}
	d.wantTold("-web-node=one")
	d.Ended("default", "web-node", d.latest("web-node").UID)
	patience.Eventually(t, "the directory is made anew", func() error { _, err := os.Stat(d.dir); return err })
	d.write("web.yaml", "web two")
	d.wantTold("web-node=two")
}

// TestTheStatusIsTheMirrors: of the mirror of this very file.
func TestTheStatusIsTheMirrors(t *testing.T) {
	d := newDirectory(t)
	d.Start(t.Context())
	if err := d.Handle(d.told); err != nil {
		t.Fatal(err)
	}
	d.write("web.yaml", "web one")
	d.wantTold("web-node=one")
	p := d.latest("web-node")
	mirror := func(hash string) {
		m := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.MirrorPodAnnotationKey: hash}}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
		d.mu.Lock()
		d.mirrors["default/web-node"] = m
		d.mu.Unlock()
	}
	for hash, want := range map[string]corev1.PodPhase{string(p.UID): corev1.PodRunning, "of another file": ""} {
		mirror(hash)
		if !d.Refresh("default", "web-node") || d.Refresh("default", "other") {
			t.Error("it is not known which pods there are")
		}
		d.wantTold("web-node=one")
		if got := d.latest("web-node"); got.Status.Phase != want || d.Pod("default", "web-node").Status.Phase != want || d.Pods()[0].Status.Phase != want {
			t.Errorf("with a mirror %s the phase is %q", hash, got.Status.Phase)
		}
	}
	if p.Status.Phase != "" {
		t.Error("the pod itself is changed")
	}
}

func TestAUIDInAFile(t *testing.T) {
	m := manifests{nodeName: "n", seen: time.Now}
	p := &corev1.Pod{}
	p.UID = "mine"
	if err := m.complete(p, "/f"); err == nil || !strings.Contains(err.Error(), "metadata.uid may not be set") {
		t.Errorf("%v", err)
	}
	// Where the file is, and on which node, makes another pod.
	uids := map[string]bool{}
	for _, node := range []string{"n", "m"} {
		for _, path := range []string{"/f", "/g"} {
			p := &corev1.Pod{Spec: corev1.PodSpec{Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}}}
			p.Namespace = "ns"
			if err := (manifests{nodeName: node, seen: time.Now}).complete(p, path); err != nil {
				t.Fatal(err)
			}
			if uids[string(p.UID)] = true; p.Namespace != "ns" || len(p.Spec.Tolerations) != 1 {
				t.Errorf("%+v", p)
			}
		}
	}
	if len(uids) != 4 {
		t.Errorf("UIDs %v", uids)
	}
}

package localvolume

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	volumehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/gantry-run/gantry/runtime/config"
)

// server is a manager over a directory and a model of the API, of which the cache may be behind.
type server struct {
	*testing.T
	*Manager
	api    *fake.Clientset
	cached cache.Indexer
	path   string
	used   bool
	events *record.FakeRecorder
}

func newServer(t *testing.T) *server {
	s := &server{T: t, api: fake.NewClientset(), path: filepath.Join(t.TempDir(), "volumes"), events: record.NewFakeRecorder(10)}
	s.cached = cache.NewIndexer(cache.MetaNamespaceKeyFunc, nil)
	s.restart()
	return s
}

// restart is a process that starts anew.
func (s *server) restart() {
	s.Manager = New(Config{
		API: s.api, Nodes: informers.NewSharedInformerFactory(s.api, 0).Core().V1().Nodes(), NodeName: "n1", Path: s.path, Capacity: 1 << 30,
		InUse: func(*os.File) (bool, error) { return s.used, nil }, RemoveAll: os.RemoveAll, Events: s.events, Log: slog.New(slog.DiscardHandler),
	})
	s.volumes = corelisters.NewPersistentVolumeLister(s.cached)
}

func (s *server) volume(name string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{config.LocalVolumeNode: "n1"}, Finalizers: []string{config.LocalVolumeFinalizer, "a/b"},
			Annotations: map[string]string{volumehelpers.AnnDynamicallyProvisioned: config.LocalDriver},
		},
		Spec: corev1.PersistentVolumeSpec{
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: filepath.Join(s.path, name)}},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
		},
	}
	for _, f := range change {
		f(v)
	}
	return v
}

// put puts a volume into the API and the cache.
func (s *server) put(v *corev1.PersistentVolume) *corev1.PersistentVolume {
	s.Helper()
	if err := errors.Join(s.api.Tracker().Add(v), s.cached.Add(v)); err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *server) get(name string) *corev1.PersistentVolume {
	s.Helper()
	v, err := s.api.CoreV1().PersistentVolumes().Get(s.Context(), name, metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return v
}

func (s *server) names() []string {
	list, _ := os.ReadDir(s.path)
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func (s *server) open(v *corev1.PersistentVolume) error {
	f, err := s.Open(s.Context(), v)
	if err == nil {
		f.Close()
	}
	return err
}

func TestAVolumeIsMadeOnce(t *testing.T) {
	s := newServer(t)
	v := s.put(s.volume("v"))
	if err := s.open(v); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.names(), []string{"v"}) || s.get("v").Annotations[config.LocalVolumeMade] == "" {
		t.Fatalf("made are %v, told %v", s.names(), s.get("v").Annotations)
	}
	if st, err := os.Stat(filepath.Join(s.path, "v")); err != nil || st.Mode().Perm() != 0o777 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if st, err := os.Stat(s.path); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("others reach it: %v, %v", st.Mode(), err)
	}
	data := filepath.Join(s.path, "v", "data")
	if err := os.WriteFile(data, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.restart()
	for _, seen := range []*corev1.PersistentVolume{v, s.get("v")} { // also as it was read before
		if err := s.open(seen); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(data); err != nil {
		t.Error(err)
	}
	select {
	case <-s.first:
	default:
		t.Error("nobody would see it deleted")
	}
}

// TestLostDataIsNotReplaced by an empty directory.
func TestLostDataIsNotReplaced(t *testing.T) {
	s := newServer(t)
	v := s.put(s.volume("v", func(v *corev1.PersistentVolume) { v.Annotations[config.LocalVolumeMade] = "2026-01-01" }))
	if err := s.open(v); err == nil || !strings.Contains(err.Error(), "the data of volume v is lost") || len(s.names()) > 0 {
		t.Errorf("%v, %v", err, s.names())
	}
}

func TestAVolumeOfAnotherPlace(t *testing.T) {
	s := newServer(t)
	for _, v := range []*corev1.PersistentVolume{
		s.volume("v", func(v *corev1.PersistentVolume) { v.Labels[config.LocalVolumeNode] = "n2" }),
		s.volume("v", func(v *corev1.PersistentVolume) { v.Spec.Local.Path = "/etc" }),
		s.volume("v", func(v *corev1.PersistentVolume) { v.Spec.Local.Path = filepath.Join(s.path, "w") }),
	} {
		if err := s.open(v); err == nil || !strings.Contains(err.Error(), "those of this one lie in "+s.path) || len(s.names()) > 0 {
			t.Errorf("%v, %v", err, s.names())
		}
	}
}

// TestACutOfTheMaking: whichever step was the last, the next attempt ends with one
// directory, and the object says so.
func TestACutOfTheMaking(t *testing.T) {
	for cut := range 3 {
		s := newServer(t)
		v := s.put(s.volume("v"))
		s.api.PrependReactor("update", "persistentvolumes", func(clienttesting.Action) (bool, runtime.Object, error) {
			return cut == 1, nil, errors.New("cut")
		})
		if cut > 0 {
			if err := s.open(v); (err != nil) != (cut == 1) {
				t.Fatal(err)
			}
		}
		if cut == 2 { // told, and not named yet
			if err := os.Rename(filepath.Join(s.path, "v"), filepath.Join(s.path, "v"+makingSuffix)); err != nil {
				t.Fatal(err)
			}
		}
		cut = 0
		s.restart()
		if err := s.open(s.get("v")); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.names(), []string{"v"}) || s.get("v").Annotations[config.LocalVolumeMade] == "" {
			t.Errorf("made are %v, told %v", s.names(), s.get("v").Annotations)
		}
	}
}

// TestAVolumeThatGoesWhileItIsMade is not made, and what was begun is removed.
func TestAVolumeThatGoesWhileItIsMade(t *testing.T) {
	s := newServer(t)
	v := s.volume("v") // the API has none any more
	if err := s.open(v); !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	if !slices.Equal(s.names(), []string{"v" + makingSuffix}) {
		t.Fatalf("there are %v", s.names())
	}
	s.sweep()
	name, _ := s.queue.Get()
	if err := s.reclaim(t.Context(), name); err != nil || len(s.names()) > 0 {
		t.Errorf("%v, left are %v", err, s.names())
	}
	// One that the cache does not have yet is not gone.
	s.put(s.volume("w"))
	if err := s.cached.Delete(s.get("w")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.path, "w"+makingSuffix), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.reclaim(t.Context(), "w"); err != nil || len(s.names()) != 1 {
		t.Errorf("%v, left are %v", err, s.names())
	}
}

// TestWhenDataIsRemoved: when its object is being deleted, its claim is gone and its policy
// says so; and not while a pod has it.
func TestWhenDataIsRemoved(t *testing.T) {
	going := func(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{} }
	phase := func(p corev1.PersistentVolumePhase) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) { v.Status.Phase = p }
	}
	retain := func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	foreign := func(v *corev1.PersistentVolume) { delete(v.Annotations, volumehelpers.AnnDynamicallyProvisioned) }
	let := func(v *corev1.PersistentVolume) { v.Finalizers = []string{"a/b"} }
	for name, tt := range map[string]struct {
		change  []func(*corev1.PersistentVolume)
		used    bool
		removed bool
	}{
		"released and deleted":    {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeReleased)}, false, true},
		"failed and deleted":      {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeFailed)}, false, true},
		"a pod has it":            {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeReleased)}, true, false},
		"released":                {[]func(*corev1.PersistentVolume){phase(corev1.VolumeReleased)}, false, false},
		"bound and deleted":       {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeBound)}, false, false},
		"retained":                {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeReleased), retain}, false, false},
		"somebody else's":         {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeReleased), foreign}, false, false},
		"that was told of before": {[]func(*corev1.PersistentVolume){going, phase(corev1.VolumeReleased), let}, false, false},
	} {
		s := newServer(t)
		s.used = tt.used
		v := s.put(s.volume("v", tt.change...))
		data := filepath.Join(s.path, "v", "sub", "data")
		if err := os.MkdirAll(filepath.Dir(data), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(data, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		err := s.reclaim(context.WithoutCancel(t.Context()), "v")
		if tt.used != errors.Is(err, errInUse) || err != nil && !tt.used {
			t.Errorf("%s: %v", name, err)
		}
		if tt.used != (len(s.events.Events) == 1) {
			t.Errorf("%s: %d events", name, len(s.events.Events))
		}
		if removed := len(s.names()) == 0; removed != tt.removed {
			t.Errorf("%s: left are %v", name, s.names())
		}
		if told := !slices.Equal(s.get("v").Finalizers, v.Finalizers); told != tt.removed || tt.removed && !slices.Equal(s.get("v").Finalizers, []string{"a/b"}) {
			t.Errorf("%s: finalizers %v", name, s.get("v").Finalizers)
		}
	}
	// A removal that was cut goes on.
	s := newServer(t)
	s.put(s.volume("v", going, phase(corev1.VolumeReleased)))
	if err := os.MkdirAll(filepath.Join(s.path, "v"+removingSuffix, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.reclaim(t.Context(), "v"); err != nil || len(s.names()) > 0 {
		t.Errorf("%v, left are %v", err, s.names())
	}
	// What no object knows is somebody's data.
	if err := os.MkdirAll(filepath.Join(s.path, "orphan"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.sweep()
	if err := s.reclaim(t.Context(), "orphan"); err != nil || !slices.Equal(s.names(), []string{"orphan"}) {
		t.Errorf("%v, left are %v", err, s.names())
	}
}

func TestTheOffer(t *testing.T) {
	s := newServer(t)
	if err := s.offer(t.Context()); !apierrors.IsNotFound(err) {
		t.Fatalf("without a Node: %v", err)
	}
	if err := s.api.Tracker().Add(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "node-uid"}}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.offer(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	n, err := s.api.StorageV1().CSINodes().Get(t.Context(), "n1", metav1.GetOptions{})
	if err != nil || n.Annotations[config.LocalPath] != s.path || n.Annotations[config.LocalCapacity] != "1073741824" || n.Annotations[config.LocalEnforced] != "false" ||
		len(n.Spec.Drivers) != 1 || n.Spec.Drivers[0].Name != config.LocalDriver || n.OwnerReferences[0].UID != "node-uid" {
		t.Errorf("%+v, %v", n, err)
	}
	writes := 0
	for _, a := range s.api.Actions() {
		if a.GetVerb() != "get" {
			writes++
		}
	}
	if writes != 1 {
		t.Errorf("written %d times", writes)
	}
}

func TestCapacity(t *testing.T) {
	for reserve, want := range map[string]int64{"0%": 1000, "20%": 800, "100%": 0, "300": 700, "0": 1000, "2k": -1000} {
		got, err := Reserved(1000, reserve)
		if err != nil || 1000-got != want {
			t.Errorf("of %s: %d, %v", reserve, 1000-got, err)
		}
	}
	for _, wrong := range []string{"", "-1%", "101%", "x%", "x", "-5Gi"} {
		if _, err := Reserved(1000, wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
	dir := t.TempDir()
	all, err1 := Capacity(dir, "0%")
	below, err2 := Capacity(filepath.Join(dir, "not", "there"), "0%")
	none, err3 := Capacity(dir, "100Ei")
	if err := errors.Join(err1, err2, err3); err != nil || all <= 0 || below != all || none != 0 {
		t.Errorf("%d, %d, %d, %v", all, below, none, err)
	}
}

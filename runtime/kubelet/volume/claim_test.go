package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// storage is the API's claims and volumes, and binds on paper: what is bound at a
// directory is a link to it.
type storage struct {
	*mounts
	drivers drivers
	claims  map[string]*corev1.PersistentVolumeClaim
	volumes map[string]*corev1.PersistentVolume
	own     string // the volume that the cluster provisioned
	ownDir  string
	reads   int
	binds   []string
}

func (s *storage) Claim(_ context.Context, _, name string) (*corev1.PersistentVolumeClaim, error) {
	s.reads++
	if c := s.claims[name]; c != nil {
		return c, nil
	}
	return nil, notFound("persistentvolumeclaims", name)
}

func (s *storage) PersistentVolume(_ context.Context, name string) (*corev1.PersistentVolume, error) {
	if v := s.volumes[name]; v != nil {
		return v, nil
	}
	return nil, notFound("persistentvolumes", name)
}

func (s *storage) Provisioned(v *corev1.PersistentVolume) bool { return v.Name == s.own }

func (s *storage) Open(_ context.Context, v *corev1.PersistentVolume) (*os.File, error) {
	if s.ownDir == "" {
		return nil, errors.New("its data is lost")
	}
	return os.OpenFile(s.ownDir, unix.O_PATH|unix.O_DIRECTORY, 0)
}

// Bind makes the mount point the same file as its source.
func (s *storage) Bind(f *os.File, at string, recursive bool) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	source, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return err
	}
	s.tmpfs[at] = 0
	how := " alone"
	if recursive {
		how = " with what is mounted in it"
	}
	s.binds = append(s.binds, source+how)
	return os.Link(source, at)
}

func boundClaim(name, volume string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "claim-uid"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: volume},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound},
	}
}

// hostVolume is a file of the server: what can be linked can be bound on paper.
func hostVolume(name, path string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: ptr.To(corev1.HostPathFileOrCreate)}},
		ClaimRef:               &corev1.ObjectReference{Namespace: "ns", Name: "c", UID: "claim-uid"},
	}}
}

func claimVolume(readOnly bool) corev1.Volume {
	return corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c", ReadOnly: readOnly}}}
}

func newStorage(t *testing.T) (*storage, *Manager, poddir.Layout, string) {
	t.Helper()
	s := &storage{drivers: drivers{}, mounts: &mounts{tmpfs: map[string]int64{}, busy: map[string]bool{}}, claims: map[string]*corev1.PersistentVolumeClaim{}, volumes: map[string]*corev1.PersistentVolume{}}
	file := filepath.Join(t.TempDir(), "data")
	s.claims["c"], s.volumes["pv"] = boundClaim("c", "pv"), hostVolume("pv", file)
	layout := poddir.Layout{Root: t.TempDir()}
	return s, s.manager(layout), layout, file
}

func (s *storage) manager(layout poddir.Layout) *Manager {
	return NewManager(layout, s.mounts, &refs{}, []Plugin{NewClaim(ClaimConfig{
		Layout: layout, Mounts: s.mounts, Binder: s, Claims: s, Local: s, Drivers: s.drivers,
		Node: func(context.Context) (*corev1.Node, error) {
			return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{corev1.LabelHostname: "n1"}}}, nil
		},
	})})
}

func setUp(m *Manager, p *corev1.Pod) error {
	return m.SetUp(context.Background(), p, &corev1.PodStatus{}, func() {})
}

// TestAClaimIsMounted once, whatever becomes of its objects later, and taken away without
// a look at them; what was in it stays.
func TestAClaimIsMounted(t *testing.T) {
	s, m, layout, file := newStorage(t)
	p := testPod(claimVolume(false))
	if err := setUp(m, p); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.binds, []string{file + " with what is mounted in it"}) {
		t.Errorf("bound are %q", s.binds)
	}
	v, err := m.Open(p, "v")
	if err != nil || v.ReadOnly || v.Path != filepath.Join(layout.Volumes("u"), "claim", "v") {
		t.Fatalf("%+v, %v", v, err)
	}
	v.Root.Close()
	s.claims["c"].DeletionTimestamp = &metav1.Time{}
	s.volumes = nil
	m = s.manager(layout) // of a process that starts anew
	if err := setUp(m, p); err != nil || len(s.binds) != 1 || s.reads != 1 {
		t.Errorf("%v, bound %d times, %d reads", err, len(s.binds), s.reads)
	}
	if err := m.TearDown("u"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the data is gone: %v", err)
	}
	if _, err := os.Stat(layout.Pod("u")); !os.IsNotExist(err) || len(s.tmpfs) > 0 {
		t.Errorf("left are %v, %v", err, s.tmpfs)
	}
}

func TestAReadOnlyClaim(t *testing.T) {
	_, m, _, _ := newStorage(t)
	p := testPod(claimVolume(true))
	if err := setUp(m, p); err != nil {
		t.Fatal(err)
	}
	v, err := m.Open(p, "v")
	if err != nil || !v.ReadOnly {
		t.Fatalf("%+v, %v", v, err)
	}
	v.Root.Close()
}

func TestAClaimThatAPodCannotHave(t *testing.T) {
	for want, change := range map[string]func(*storage, *corev1.Pod){
		`failed to fetch PVC from API server: persistentvolumeclaims "c" not found`: func(s *storage, _ *corev1.Pod) { s.claims = nil },
		"can't start pod because PVC is being deleted":                              func(s *storage, _ *corev1.Pod) { s.claims["c"].DeletionTimestamp = &metav1.Time{} },
		"error processing PVC ns/c: PVC is not bound":                               func(s *storage, _ *corev1.Pod) { s.claims["c"].Status.Phase = corev1.ClaimPending },
		"PVC is not bound":                      func(s *storage, _ *corev1.Pod) { s.claims["c"].Spec.VolumeName = "" },
		"failed to fetch PV pv from API server": func(s *storage, _ *corev1.Pod) { s.volumes = nil },
		"with nil pv.Spec.ClaimRef":             func(s *storage, _ *corev1.Pod) { s.volumes["pv"].Spec.ClaimRef = nil },
		"pv.Spec.ClaimRef.UID other that does not match expected claim-uid": func(s *storage, _ *corev1.Pod) { s.volumes["pv"].Spec.ClaimRef.UID = "other" },
		"volumeMode Block, which volumes of its type do not have": func(s *storage, _ *corev1.Pod) {
			s.volumes["pv"].Spec.VolumeMode = ptr.To(corev1.PersistentVolumeBlock)
		},
		"mountOptions": func(s *storage, _ *corev1.Pod) { s.volumes["pv"].Spec.MountOptions = []string{"ro"} },
		"MountVolume.NodeAffinity check failed": func(s *storage, _ *corev1.Pod) {
			s.volumes["pv"].Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"n2"}}},
			}}}}
		},
		"is of a type that this node has no driver of": func(s *storage, _ *corev1.Pod) {
			s.volumes["pv"].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{NFS: &corev1.NFSVolumeSource{}}
		},
		"is no directory, and a device has volumeMode Block": func(s *storage, _ *corev1.Pod) {
			s.volumes["pv"].Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/dev/null"}}
		},
		"its data is lost": func(s *storage, _ *corev1.Pod) { s.own = "pv" },
		"PVC ns/p-v was not created for pod ns/p": func(s *storage, p *corev1.Pod) {
			p.Spec.Volumes[0].VolumeSource = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}
			s.claims["p-v"] = boundClaim("p-v", "pv")
		},
	} {
		s, m, _, _ := newStorage(t)
		p := testPod(claimVolume(false))
		change(s, p)
		if err := setUp(m, p); err == nil || !strings.Contains(err.Error(), want) || len(s.binds) > 0 {
			t.Errorf("%v, bound %q; want %q", err, s.binds, want)
		}
	}
}

// TestAVolumeOfOnePod is not mounted in another before that has gone from the disk.
func TestAVolumeOfOnePod(t *testing.T) {
	s, m, _, _ := newStorage(t)
	first, second := testPod(claimVolume(false)), testPod(claimVolume(false))
	second.UID = "u2"
	if err := setUp(m, first); err != nil {
		t.Fatal(err)
	}
	if err := setUp(m, second); err != nil {
		t.Fatalf("a volume of many: %v", err)
	}
	if err := m.TearDown("u2"); err != nil {
		t.Fatal(err)
	}
	s.volumes["pv"].Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	if err := setUp(m, second); err == nil || !strings.Contains(err.Error(), "already in use by another pod") {
		t.Fatalf("got %v", err)
	}
	if err := m.TearDown("u"); err != nil {
		t.Fatal(err)
	}
	if err := setUp(m, second); err != nil {
		t.Errorf("after it left: %v", err)
	}
}

func TestTheGroupOfAVolume(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root gives files away: the group is this one's")
	}
	group := os.Getgid()
	dir := t.TempDir()
	for path, mode := range map[string]os.FileMode{"file": 0o600, "run": 0o700, "sub/deep": 0o444} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(dir, unix.O_PATH, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	modes := func() map[string]os.FileMode {
		out := map[string]os.FileMode{}
		for _, path := range []string{".", "file", "run", "sub", "sub/deep"} {
			st, err := os.Stat(filepath.Join(dir, path))
			if err != nil {
				t.Fatal(err)
			}
			out[path] = st.Mode() &^ os.ModeDir
		}
		return out
	}
	if err := SetGroup(f, group, corev1.FSGroupChangeAlways); err != nil {
		t.Fatal(err)
	}
	got := modes()
	for path, want := range map[string]os.FileMode{"file": 0o660, "run": 0o760, "sub": 0o770 | os.ModeSetgid, "sub/deep": 0o664} {
		if got[path] != want {
			t.Errorf("%s has mode %v, want %v", path, got[path], want)
		}
	}
	if got["."]&(os.ModeSetgid|0o770) != os.ModeSetgid|0o770 {
		t.Errorf("the volume has mode %v", got["."])
	}
	if st, err := os.Stat(outside); err != nil || st.Mode() != 0o600 {
		t.Errorf("outside of the volume: %v, %v", st.Mode(), err)
	}
	// What matches at the top is believed, where the pod says so.
	if err := os.Chmod(filepath.Join(dir, "file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := SetGroup(f, group, corev1.FSGroupChangeOnRootMismatch); err != nil || modes()["file"] != 0o600 {
		t.Errorf("%v, %v", err, modes())
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := SetGroup(f, group, corev1.FSGroupChangeOnRootMismatch); err != nil || modes()["file"] != 0o660 {
		t.Errorf("%v, %v", err, modes())
	}
}

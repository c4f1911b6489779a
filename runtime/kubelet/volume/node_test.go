package volume

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/gantry-run/gantry/runtime/kubelet/objects"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

const mi = 1 << 20

// mounts is a mount table on paper, by directory.
type mounts struct {
	tmpfs map[string]int64 // sizes
	busy  map[string]bool
	order []string // in which they were unmounted
}

func (m *mounts) Tmpfs(dir string, size int64) error { m.tmpfs[dir] = size; return nil }

func (m *mounts) IsTmpfs(dir string) bool { _, ok := m.tmpfs[dir]; return ok }

func (m *mounts) Below(dir string) (points []string, _ error) {
	for at := range m.tmpfs {
		if at == dir || strings.HasPrefix(at, dir+"/") {
			points = append(points, at)
		}
	}
	return points, nil
}

func (m *mounts) Unmount(dir string) error {
	for at := range m.tmpfs {
		if at == dir || strings.HasPrefix(at, dir+"/") {
			if m.busy[at] {
				return errors.New("busy")
			}
			m.order = append(m.order, at)
			delete(m.tmpfs, at)
		}
	}
	return nil
}

func (m *mounts) RemoveAll(dir string) error {
	for at := range m.tmpfs {
		if at == dir || strings.HasPrefix(at, dir+"/") {
			return fmt.Errorf("%s is deleted through", at)
		}
	}
	return os.RemoveAll(dir)
}

// refs are the objects of the API.
type refs struct {
	configMaps map[string]*corev1.ConfigMap
	secrets    map[string]*corev1.Secret
	follows    map[objects.Key]string // versions
	changed    map[objects.Key]func()
	bundles    []certificatesv1.ClusterTrustBundle
	reads      int
	released   []string
}

func notFound(kind, name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name)
}

func (r *refs) ConfigMap(_ context.Context, _, name string) (*corev1.ConfigMap, error) {
	r.reads++
	if cm := r.configMaps[name]; cm != nil {
		return cm, nil
	}
	return nil, notFound("configmaps", name)
}

func (r *refs) Secret(_ context.Context, _, name string) (*corev1.Secret, error) {
	r.reads++
	if s := r.secrets[name]; s != nil {
		return s, nil
	}
	return nil, notFound("secrets", name)
}

func (r *refs) TrustBundle(_ context.Context, name string) (*certificatesv1.ClusterTrustBundle, error) {
	for i := range r.bundles {
		if r.bundles[i].Name == name {
			return &r.bundles[i], nil
		}
	}
	return nil, notFound("clustertrustbundles", name)
}

func (r *refs) TrustBundles(_ context.Context, signer string, with labels.Selector) ([]certificatesv1.ClusterTrustBundle, error) {
	var out []certificatesv1.ClusterTrustBundle
	for _, b := range r.bundles {
		if b.Spec.SignerName == signer && with.Matches(labels.Set(b.Labels)) {
			out = append(out, b)
		}
	}
	return out, nil
}

func (r *refs) Follow(_ context.Context, key objects.Key, _, version string, changed func()) {
	r.follows[key], r.changed[key] = version, changed
}

func (r *refs) Release(uid string) { r.released = append(r.released, uid) }

type tokens struct{ err error }

func (t tokens) Token(_ context.Context, _ *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error) {
	return "token for " + p.Audience, t.err
}

// certificates have issued what is asked of signer a, and are asked of others.
type certificates struct{}

// bundle is one of a signer, with certificates whose bytes are these texts.
func bundle(name, signer, label string, certificates ...string) certificatesv1.ClusterTrustBundle {
	b := certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"l": label}}}
	b.Spec.SignerName = signer
	for _, c := range certificates {
		b.Spec.TrustBundle += "a note\n" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"H": "x"}, Bytes: []byte(c)}))
	}
	return b
}

// anchor is a certificate as a file has it.
func anchor(certificate string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(certificate)}))
}

// node is a manager with all plugins, in a directory of the test.
type node struct {
	t       *testing.T
	mounts  *mounts
	refs    *refs
	layout  poddir.Layout
	manager *Manager
}

func newNode(t *testing.T) *node {
	n := &node{
		t: t, mounts: &mounts{tmpfs: map[string]int64{}, busy: map[string]bool{}}, layout: poddir.Layout{Root: t.TempDir()},
		refs: &refs{
			configMaps: map[string]*corev1.ConfigMap{"cm": {ObjectMeta: metav1.ObjectMeta{ResourceVersion: "5"}, Data: map[string]string{"a": "1", "b": "2"}, BinaryData: map[string][]byte{"c": {3}}}},
			secrets:    map[string]*corev1.Secret{"s": {ObjectMeta: metav1.ObjectMeta{ResourceVersion: "6"}, Data: map[string][]byte{"k": []byte("v")}}},
			bundles:    []certificatesv1.ClusterTrustBundle{bundle("one", "s", "x", "B", "A", "B"), bundle("two", "s", "y", "C", "B"), bundle("other", "o", "y", "D")},
			follows:    map[objects.Key]string{}, changed: map[objects.Key]func(){},
		},
	}
	n.restart()
	return n
}

// restart forgets what the manager knew.
func (n *node) restart() {
	allocatable := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	n.manager = NewManager(n.layout, n.mounts, n.refs, Plugins(n.mounts, n.refs, tokens{}, certificates{}, allocatable, nil))
}

func testPod(volumes ...corev1.Volume) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Volumes: volumes, Containers: []corev1.Container{{Name: "c"}}}}
	p.Name, p.Namespace, p.UID = "p", "ns", "u"
	return p
}

// open is where a volume is, by its descriptor, and whether it is read-only.
func (n *node) open(p *corev1.Pod, volume string) (dir string, readOnly bool, err error) {
	v, err := n.manager.Open(p, volume)
	if err != nil {
		return "", false, err
	}
	defer v.Root.Close()
	dir, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", v.Root.Fd()))
	if err == nil && v.Path != "" && v.Path != dir {
		err = fmt.Errorf("its path is %s, and it is %s", v.Path, dir)
	}
	return dir, v.ReadOnly, err
}

func (n *node) setUp(p *corev1.Pod) error {
	return n.manager.SetUp(n.t.Context(), p, &corev1.PodStatus{PodIP: "10.0.0.7"}, func() {})
}

// files are the visible files of a volume with their content and mode.
func (n *node) files(p *corev1.Pod, volume string) string {
	n.t.Helper()
	dir, _, err := n.open(p, volume)
	if err != nil {
		n.t.Fatal(err)
	}
	var out []string
	err = filepath.WalkDir(dir+"/..data/", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		st, serr := os.Stat(path)
		if err != nil || serr != nil {
			return errors.Join(err, serr)
		}
		rel, err := filepath.Rel(dir+"/..data", path)
		out = append(out, fmt.Sprintf("%s=%s %o", rel, data, st.Mode().Perm()))
		return err
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.Join(out, ", ")
}

func volume(name string, source corev1.VolumeSource) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: source}
}

func projection(sources ...corev1.VolumeProjection) corev1.VolumeSource {
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}
}

func trust(p corev1.ClusterTrustBundleProjection) corev1.VolumeSource {
	return projection(corev1.VolumeProjection{ClusterTrustBundle: &p})
}

func ref(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }

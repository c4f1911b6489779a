package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/objects"
	"github.com/gantry-run/gantry/runtime/kubelet/podcertificate"
)

func (certificates) Credential(_ context.Context, _ *corev1.Pod, s podcertificate.Source, p *corev1.PodCertificateProjection, follow func(*certificatesv1.PodCertificateRequest)) (podcertificate.Credential, error) {
	if p.SignerName == "a" {
		return podcertificate.Credential{Key: fmt.Appendf(nil, "key %s/%d;", s.Volume, s.Index), Chain: []byte("chain")}, nil
	}
	follow(&certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "req-1", ResourceVersion: "3"}})
	return podcertificate.Credential{}, podcertificate.ErrPending
}

// TestContent: what files there are, with which modes, and what is in memory.
func TestContent(t *testing.T) {
	field := corev1.DownwardAPIVolumeFile{Path: "d/ip", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}, Mode: ptr.To[int32](0o400)}
	limit := corev1.DownwardAPIVolumeFile{Path: "mem", ResourceFieldRef: &corev1.ResourceFieldSelector{ContainerName: "c", Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}
	token := func(audience string) *corev1.ServiceAccountTokenProjection {
		return &corev1.ServiceAccountTokenProjection{Path: "token", Audience: audience}
	}
	for _, c := range []struct {
		name   string
		source corev1.VolumeSource
		edit   func(*corev1.Pod)
		memory bool
		want   string
		err    string
	}{
		{name: "configmap", source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm")}}, want: "a=1 644, b=2 644, c=\x03 644"},
		{name: "mode", source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm"), DefaultMode: ptr.To[int32](0o640), Items: []corev1.KeyToPath{{Key: "b", Path: "x/y"}, {Key: "a", Path: "z", Mode: ptr.To[int32](0o600)}}}}, want: "x/y=2 640, z=1 600"},
		{name: "missing key", source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm"), Items: []corev1.KeyToPath{{Key: "no", Path: "x"}}}}, err: `configmap cm has no key "no"`},
		{name: "optional key", source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm"), Optional: ptr.To(true), Items: []corev1.KeyToPath{{Key: "no", Path: "x"}, {Key: "a", Path: "a"}}}}, want: "a=1 644"},
		{name: "missing configmap", source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("no")}}, err: `configmaps "no" not found`},
		{name: "optional configmap", source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("no"), Optional: ptr.To(true)}}},
		{name: "secret", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}, memory: true, want: "k=v 644"},
		{name: "missing secret", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "no"}}, memory: true, err: `secrets "no" not found`},
		{name: "optional secret", source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "no", Optional: ptr.To(true)}}, memory: true},
		{name: "downward", source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{field, limit}}}, memory: true, want: "d/ip=10.0.0.7 400, mem=1024 644"},
		{name: "downward mistake", source: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{Path: "x", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec"}}}}}, memory: true, err: `field "spec"`},
		{name: "projected", source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: ptr.To[int32](0o440), Sources: []corev1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: ref("cm"), Items: []corev1.KeyToPath{{Key: "a", Path: "a"}}}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: ref("s")}}, {DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{field}}},
			{ServiceAccountToken: token("vault")},
		}}}, memory: true, want: "a=1 440, d/ip=10.0.0.7 400, k=v 440, token=token for vault 440"},
		{name: "token of one user", source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: token("")}}}},
			edit: func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.To(int64(os.Getuid()))}
			}, memory: true, want: "token=token for  600"},
		{name: "token of several users", source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: token("")}}}},
			edit: func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.To[int64](0)}
				p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: ptr.To[int64](7)}
				p.Spec.InitContainers = []corev1.Container{{Name: "first"}}
			}, memory: true, want: "token=token for  644"},
		{name: "token of a group", source: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: token("")}}}},
			edit: func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr.To(int64(os.Getgid()))}
			}, memory: true, want: "token=token for  640"},
		{name: "trust bundle", source: trust(corev1.ClusterTrustBundleProjection{Name: ptr.To("one"), Path: "t"}), memory: true, want: "t=" + anchor("A") + anchor("B") + " 644"},
		{name: "missing trust bundle", source: trust(corev1.ClusterTrustBundleProjection{Name: ptr.To("no"), Path: "t"}), memory: true, err: `clustertrustbundles "no" not found`},
		{name: "optional trust bundle", source: trust(corev1.ClusterTrustBundleProjection{Name: ptr.To("no"), Path: "t", Optional: ptr.To(true)}), memory: true, want: "t= 644"},
		{name: "trust bundles of a signer, each certificate once", source: trust(corev1.ClusterTrustBundleProjection{SignerName: ptr.To("s"), LabelSelector: &metav1.LabelSelector{}, Path: "t"}),
			memory: true, want: "t=" + anchor("A") + anchor("B") + anchor("C") + " 644"},
		{name: "trust bundles with a label", source: trust(corev1.ClusterTrustBundleProjection{SignerName: ptr.To("s"), LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"l": "y"}}, Path: "t"}),
			memory: true, want: "t=" + anchor("B") + anchor("C") + " 644"},
		{name: "trust bundles without a selector", source: trust(corev1.ClusterTrustBundleProjection{SignerName: ptr.To("s"), Path: "t"}), memory: true, err: "no cluster trust bundle of signer s has the labels"},
		{name: "optional trust bundles", source: trust(corev1.ClusterTrustBundleProjection{SignerName: ptr.To("s"), Path: "t", Optional: ptr.To(true)}), memory: true, want: "t= 644"},
		{name: "certificate", source: projection(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "a", CredentialBundlePath: "b", KeyPath: "k", CertificateChainPath: "c"}}),
			memory: true, want: "b=key v/0;chain 644, c=chain 644, k=key v/0; 644"},
		{name: "certificate of a group", source: projection(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "a", KeyPath: "k"}}),
			edit: func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr.To(int64(os.Getgid()))}
			}, memory: true, want: "k=key v/0; 640"},
		{name: "certificate of one user", source: projection(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "a", KeyPath: "k"}}),
			edit: func(p *corev1.Pod) {
				p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.To(int64(os.Getuid()))}
			}, memory: true, want: "k=key v/0; 600"},
		{name: "certificate that is not there yet", source: projection(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "b", KeyPath: "k"}}), memory: true, err: "has not issued the certificate yet"},
		{name: "source of nothing", source: projection(corev1.VolumeProjection{}), memory: true},
		{name: "unknown kind", source: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}}, err: "a kind that this node does not have"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, p := newNode(t), testPod(volume("v", c.source))
			if c.edit != nil {
				c.edit(p)
			}
			err := n.setUp(p)
			if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Fatalf("%v, want %q", err, c.err)
			}
			if (len(n.mounts.tmpfs) > 0) != c.memory {
				t.Errorf("in memory are %v", n.mounts.tmpfs)
			}
			if err == nil {
				if got := n.files(p, "v"); got != c.want {
					t.Errorf("files %s\nwant  %s", got, c.want)
				}
				if _, readOnly, err := n.open(p, "v"); !readOnly || err != nil {
					t.Errorf("read-only %v, %v", readOnly, err)
				}
			}
		})
	}
}

// TestWhatIsFollowed: a pod is told of trust bundles, whichever, and of its request.
func TestWhatIsFollowed(t *testing.T) {
	n, p := newNode(t), testPod(volume("v", trust(corev1.ClusterTrustBundleProjection{Name: ptr.To("one"), Path: "t"})),
		volume("w", projection(corev1.VolumeProjection{PodCertificate: &corev1.PodCertificateProjection{SignerName: "b", KeyPath: "k"}})))
	if err := n.setUp(p); !errors.Is(err, podcertificate.ErrPending) {
		t.Fatal(err)
	}
	want := map[objects.Key]string{{Kind: objects.ClusterTrustBundle}: "", {Kind: objects.PodCertificateRequest, Namespace: "ns", Name: "req-1"}: "3"}
	if !reflect.DeepEqual(n.refs.follows, want) {
		t.Errorf("follows %v, want %v", n.refs.follows, want)
	}
}

func TestEmptyDir(t *testing.T) {
	limited := func(memory string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
		}
	}
	size := func(s string) *resource.Quantity { return ptr.To(resource.MustParse(s)) }
	for _, c := range []struct {
		name  string
		empty corev1.EmptyDirVolumeSource
		edit  func(*corev1.Pod)
		want  int64 // of the tmpfs; 0: none
		mode  os.FileMode
	}{
		{"on disk", corev1.EmptyDirVolumeSource{SizeLimit: size("1Mi")}, nil, 0, 0o777 | os.ModeDir},
		{"with a group", corev1.EmptyDirVolumeSource{}, func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr.To(int64(os.Getgid()))}
		}, 0, 0o777 | os.ModeDir | os.ModeSetgid},
		{"in memory", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}, nil, 1024 * mi, 0o777 | os.ModeDir | os.ModeSticky},
		{"with a size", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: size("3Mi")}, nil, 3 * mi, 0o777 | os.ModeDir | os.ModeSticky},
		{"with a size of nothing", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: size("0")}, nil, 1024 * mi, 0o777 | os.ModeDir | os.ModeSticky},
		{"in a limited pod", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}, limited("64Mi"), 64 * mi, 0o777 | os.ModeDir | os.ModeSticky},
		{"larger than the pod's limit", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: size("256Mi")}, limited("64Mi"), 64 * mi, 0o777 | os.ModeDir | os.ModeSticky},
		{"smaller than the pod's limit", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: size("8Mi")}, limited("64Mi"), 8 * mi, 0o777 | os.ModeDir | os.ModeSticky},
		{"in a pod larger than the node", corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}, limited("2Gi"), 1024 * mi, 0o777 | os.ModeDir | os.ModeSticky},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, p := newNode(t), testPod(volume("v", corev1.VolumeSource{EmptyDir: &c.empty}))
			if c.edit != nil {
				c.edit(p)
			}
			if err := n.setUp(p); err != nil {
				t.Fatal(err)
			}
			dir, readOnly, err := n.open(p, "v")
			if err != nil || readOnly || n.mounts.tmpfs[dir] != c.want || n.mounts.IsTmpfs(dir) != (c.want > 0) {
				t.Errorf("at %s a tmpfs of %d, want %d; read-only %v, %v", dir, n.mounts.tmpfs[dir], c.want, readOnly, err)
			}
			if st, err := os.Stat(dir); err != nil || st.Mode() != c.mode {
				t.Errorf("mode %v, %v, want %v", st.Mode(), err, c.mode)
			}
			// What a container wrote survives a restart of the kubelet.
			if err := os.WriteFile(dir+"/kept", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			n.restart()
			if err := n.setUp(p); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(dir + "/kept"); err != nil {
				t.Error(err)
			}
			delete(n.mounts.tmpfs, dir) // the server was switched off
			if err := n.setUp(p); err != nil || n.mounts.IsTmpfs(dir) != (c.want > 0) {
				t.Errorf("after a reboot in memory: %v, %v", n.mounts.IsTmpfs(dir), err)
			}
		})
	}
}

func TestHostPath(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := map[corev1.HostPathType]string{
		corev1.HostPathDirectory: dir, corev1.HostPathFile: file, corev1.HostPathCharDev: "/dev/null",
	}
	for _, kind := range []corev1.HostPathType{corev1.HostPathDirectory, corev1.HostPathFile, corev1.HostPathCharDev, corev1.HostPathSocket, corev1.HostPathBlockDev} {
		for is, path := range kinds {
			n, p := newNode(t), testPod(volume("v", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}))
			if err := n.setUp(p); (err == nil) != (is == kind) {
				t.Errorf("a %s as a %s: %v", is, kind, err)
			}
		}
	}
	made := map[corev1.HostPathType]string{corev1.HostPathDirectoryOrCreate: dir + "/x/y", corev1.HostPathFileOrCreate: dir + "/z", corev1.HostPathUnset: dir + "/made"}
	for kind, path := range made {
		n, p := newNode(t), testPod(volume("v", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}))
		for range 2 {
			if err := n.setUp(p); err != nil {
				t.Error(err)
			}
		}
		if got, readOnly, err := n.open(p, "v"); got != path || readOnly || err != nil {
			t.Errorf("at %s, %v, %v", got, readOnly, err)
		}
		if st, err := os.Stat(path); err != nil || st.IsDir() != (kind != corev1.HostPathFileOrCreate) {
			t.Errorf("%s: %v", path, err)
		}
		if err := n.manager.TearDown("u"); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("after the pod %s: %v", path, err)
		}
	}
	missing := corev1.HostPathFile
	n := newNode(t)
	if err := n.setUp(testPod(volume("v", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir + "/no", Type: &missing}}))); err == nil || !strings.Contains(err.Error(), "type check failed") {
		t.Errorf("a file that is missing: %v", err)
	}
}

// TestAHostPathIsWhatWasChecked: what another pod puts at the path later is not opened as
// what was there, and a file is not made through a link.
func TestAHostPathIsWhatWasChecked(t *testing.T) {
	dir := t.TempDir()
	path, elsewhere := filepath.Join(dir, "x"), filepath.Join(dir, "elsewhere")
	kind := corev1.HostPathDirectory
	n, p := newNode(t), testPod(volume("v", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}))
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := n.setUp(p); err != nil {
		t.Fatal(err)
	}
	v, err := n.manager.Open(p, "v")
	if err != nil || v.Path != "" {
		t.Fatalf("path %q, %v: a path that others change", v.Path, err)
	}
	defer v.Root.Close()
	if err := errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path)); err != nil {
		t.Fatal(err)
	}
	if _, err := n.manager.Open(p, "v"); err == nil || !strings.Contains(err.Error(), path+" is not a Directory") {
		t.Errorf("a file that is there by now: %v", err)
	}
	kind = corev1.HostPathFileOrCreate
	if err := errors.Join(os.Remove(path), os.Symlink(elsewhere, path)); err != nil {
		t.Fatal(err)
	}
	if err := n.setUp(p); err == nil {
		t.Error("a link that leads nowhere is a file")
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("a file is made through a link")
	}
}

func manyVolumes() *corev1.Pod {
	return testPod(
		volume("disk", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
		volume("ram", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}),
		volume("conf", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm")}}),
		volume("keys", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}),
	)
}

// TestTearDown: also by a manager that did not make them, and of what only a later or
// earlier version knows.
func TestTearDown(t *testing.T) {
	n, p := newNode(t), manyVolumes()
	if err := n.setUp(p); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(n.layout.Volumes("u"), "later", "x")
	if err := os.MkdirAll(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(n.layout.Volumes("u"), "empty-dir", "disk", "mounted-by-a-container")
	n.mounts.tmpfs[foreign], n.mounts.tmpfs[inner] = 0, 0
	n.restart()
	ram := filepath.Join(n.layout.Volumes("u"), "empty-dir", "ram")
	n.mounts.busy[ram] = true
	if err := n.manager.TearDown("u"); err == nil || !strings.Contains(err.Error(), `volume "ram": busy`) {
		t.Errorf("while one is busy: %v", err)
	}
	if _, err := os.Stat(ram); err != nil || len(n.mounts.tmpfs) != 1 {
		t.Errorf("the busy one: %v; mounts %v", err, n.mounts.tmpfs)
	}
	n.mounts.busy = nil
	for range 2 { // the second time nothing is there
		if err := n.manager.TearDown("u"); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(n.layout.Pod("u")); !os.IsNotExist(err) || len(n.mounts.tmpfs) > 0 {
		t.Errorf("left are %v, mounts %v", err, n.mounts.tmpfs)
	}
	if !slices.Contains(n.refs.released, "u") {
		t.Error("its objects are still watched")
	}
}

func TestPathOfNoVolume(t *testing.T) {
	n := newNode(t)
	if _, _, err := n.open(manyVolumes(), "none"); err == nil || !strings.Contains(err.Error(), `volume "none" is mounted and not defined`) {
		t.Errorf("%v", err)
	}
}

func TestFollow(t *testing.T) {
	n, p := newNode(t), manyVolumes()
	p.Spec.Volumes = append(p.Spec.Volumes, volume("opt", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "no", Optional: ptr.To(true)}}))
	if err := n.setUp(p); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[objects.Key]string{
		{Kind: objects.ConfigMap, Namespace: "ns", Name: "cm"}: "5", {Kind: objects.Secret, Namespace: "ns", Name: "s"}: "6", {Kind: objects.Secret, Namespace: "ns", Name: "no"}: "",
	} {
		if got, ok := n.refs.follows[key]; !ok || got != want {
			t.Errorf("%+v is followed from %q, %v", key, got, ok)
		}
	}
}

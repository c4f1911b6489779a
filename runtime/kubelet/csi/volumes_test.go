package csi

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestAVolumeIsStagedOnceAndPublishedToEachPod(t *testing.T) {
	s := newServer(t)
	a, b := s.mountOf("a"), s.mountOf("b", func(m *Mount) { m.ReadOnly = true })
	for _, m := range []Mount{a, a, b} { // again it is left alone
		if err := s.Mount(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.publishes) != 2 || len(s.stages) != 2 || len(s.staged) != 1 {
		t.Fatalf("%d publishes, %d stages, %v", len(s.publishes), len(s.stages), s.staged)
	}
	st, p := s.stages[0], s.publishes[0]
	staging := s.shared + "/plugins/kubernetes.io/csi/csi.example.com/aaa9402664f1a41f40ebbc52c9993eb66aeb366602958fdfaa283b71e64db123/globalmount"
	target := s.shared + "/pods/pod-a/volumes/kubernetes.io~csi/pv/mount"
	if st.VolumeId != "h" || st.StagingTargetPath != staging || st.VolumeContext["a"] != "b" || len(st.VolumeContext) != 1 || st.VolumeCapability.GetMount().GetFsType() != "ext4" {
		t.Errorf("staged %v", st)
	}
	if p.VolumeId != "h" || p.StagingTargetPath != staging || p.TargetPath != target || p.Readonly || !s.publishes[1].Readonly || p.VolumeContext["a"] != "b" || len(p.VolumeContext) != 1 {
		t.Errorf("published %v", p)
	}
	at, ok := s.Mounted(a.Dir)
	if ro, _ := s.Mounted(b.Dir); !ok || at != (Mounted{Path: target}) || !ro.ReadOnly {
		t.Errorf("mounted %+v %t, %+v", at, ok, ro)
	}
	if err := s.Unmount(t.Context(), a.Dir); err != nil || s.orphans.Len() > 0 || len(s.staged) != 1 {
		t.Fatalf("after the first of two: %v, %d to unstage", err, s.orphans.Len())
	}
	if err := errors.Join(s.Unmount(t.Context(), b.Dir), s.unstageAll()); err != nil {
		t.Fatal(err)
	}
	s.clean("after both")
}

func TestADriverThatDoesNotStage(t *testing.T) {
	s := newServer(t, func(s *server) { s.can = nil })
	m := s.mountOf("a")
	if err := s.Mount(t.Context(), m); err != nil || len(s.stages) > 0 || s.publishes[0].StagingTargetPath != "" {
		t.Fatalf("%v, staged %v", err, s.stages)
	}
	if err := s.Unmount(t.Context(), m.Dir); err != nil {
		t.Fatal(err)
	}
	s.clean("afterwards")
}

func TestWhatADriverIsTold(t *testing.T) {
	s := newServer(t, func(s *server) {
		s.object.Spec.PodInfoOnMount = ptr.To(true)
		s.object.Spec.TokenRequests = []storagev1.TokenRequest{{Audience: "vault"}, {}}
	})
	m := s.mountOf("a", func(m *Mount) {
		m.Volume.Spec.MountOptions = []string{"noatime"}
		m.Volume.Spec.CSI.NodeStageSecretRef = &corev1.SecretReference{Namespace: "x", Name: "stage"}
		m.Volume.Spec.CSI.NodePublishSecretRef = &corev1.SecretReference{Namespace: "x", Name: "publish"}
	})
	if err := s.Mount(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	st, p := s.stages[0], s.publishes[0]
	if st.Secrets["of"] != "x/stage" || p.Secrets["of"] != "x/publish" || len(st.VolumeContext) != 1 || !slices.Equal(p.VolumeCapability.GetMount().MountFlags, []string{"noatime"}) {
		t.Errorf("staged %v, published %v", st, p)
	}
	var tokens map[string]struct{ Token string }
	if err := json.Unmarshal([]byte(p.VolumeContext["csi.storage.k8s.io/serviceAccount.tokens"]), &tokens); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"a": "b", "csi.storage.k8s.io/pod.name": "a", "csi.storage.k8s.io/pod.namespace": "ns", "csi.storage.k8s.io/pod.uid": "pod-a",
		"csi.storage.k8s.io/serviceAccount.name": "sa", "csi.storage.k8s.io/ephemeral": "false",
	} {
		if p.VolumeContext[key] != want {
			t.Errorf("%s is %q", key, p.VolumeContext[key])
		}
	}
	if tokens["vault"].Token != "of a for vault" || tokens[""].Token != "of a for " || len(p.VolumeContext) != 7 || len(m.Volume.Spec.CSI.VolumeAttributes) != 1 {
		t.Errorf("tokens %v, context %v", tokens, p.VolumeContext)
	}
	broken := s.mountOf("b", func(m *Mount) {
		m.Volume.Spec.CSI.VolumeHandle = "h2"
		m.Volume.Spec.CSI.NodeStageSecretRef = &corev1.SecretReference{Namespace: "x", Name: "gone"}
	})
	if err := s.Mount(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "fetching NodeStageSecretRef x/gone failed") || len(s.Volumes.staged) != 1 {
		t.Errorf("%v, %v", err, s.Volumes.staged)
	}
}

func TestTokensGoWhereTheDriverWantsThem(t *testing.T) {
	s := newServer(t, func(s *server) {
		s.object.Spec.TokenRequests, s.object.Spec.ServiceAccountTokenInSecrets = []storagev1.TokenRequest{{Audience: "v"}}, ptr.To(true)
	})
	if err := s.Mount(t.Context(), s.mountOf("a")); err != nil {
		t.Fatal(err)
	}
	if p := s.publishes[0]; p.Secrets[tokensKey] == "" || p.VolumeContext[tokensKey] != "" {
		t.Errorf("%v", p)
	}
}

func TestAnInlineVolume(t *testing.T) {
	inline := func(m *Mount) {
		m.Volume, m.Claim = nil, nil
		m.Inline = &corev1.CSIVolumeSource{Driver: driverName, VolumeAttributes: map[string]string{"k": "v"}, NodePublishSecretRef: &corev1.LocalObjectReference{Name: "s"}}
	}
	for want, object := range map[string]*storagev1.CSIDriver{
		`volume mode "Ephemeral" not supported by driver csi.example.com (no CSIDriver object)`:          nil,
		`volume mode "Ephemeral" not supported by driver csi.example.com (only supports ["Persistent"])`: {ObjectMeta: metav1.ObjectMeta{Name: driverName}},
	} {
		s := newServer(t, func(s *server) { s.object = object })
		if err := s.Mount(t.Context(), s.mountOf("a", inline)); err == nil || err.Error() != want || len(s.Volumes.published) > 0 {
			t.Errorf("%v", err)
		}
	}
	s := newServer(t, func(s *server) {
		s.object.Spec = storagev1.CSIDriverSpec{PodInfoOnMount: ptr.To(true), VolumeLifecycleModes: []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecycleEphemeral}}
	})
	if err := s.Mount(t.Context(), s.mountOf("b")); err == nil || err.Error() != `volume mode "Persistent" not supported by driver csi.example.com (only supports ["Ephemeral"])` {
		t.Errorf("%v", err)
	}
	m := s.mountOf("a", inline)
	if err := s.Mount(t.Context(), m); err != nil || len(s.stages) > 0 || len(s.InUse()) > 0 {
		t.Fatalf("%v, staged %v, in use %v", err, s.stages, s.InUse())
	}
	p := s.publishes[0]
	if p.VolumeId != ephemeralHandle("pod-a", "data") || p.VolumeContext["csi.storage.k8s.io/ephemeral"] != "true" || p.VolumeContext["k"] != "v" || p.Secrets["of"] != "ns/s" ||
		!strings.HasSuffix(p.TargetPath, "/pods/pod-a/volumes/kubernetes.io~csi/data/mount") {
		t.Errorf("published %v", p)
	}
	if err := s.Unmount(t.Context(), m.Dir); err != nil {
		t.Fatal(err)
	}
	s.clean("afterwards")
}

func TestABlockVolume(t *testing.T) {
	s := newServer(t)
	m := s.mountOf("a", func(m *Mount) { m.Volume.Spec.VolumeMode, m.Group = ptr.To(corev1.PersistentVolumeBlock), 5 })
	if err := s.Mount(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	dir := s.shared + "/plugins/kubernetes.io/csi/volumeDevices"
	st, p := s.stages[0], s.publishes[0]
	if st.StagingTargetPath != dir+"/staging/pv" || p.TargetPath != dir+"/publish/pv/pod-a" || st.VolumeCapability.GetBlock() == nil || p.VolumeCapability.GetBlock() == nil {
		t.Errorf("staged %v, published %v", st, p)
	}
	if at, ok := s.Mounted(m.Dir); !ok || !at.Block || at.Path != p.TargetPath || len(s.groups) > 0 {
		t.Errorf("%+v %t, groups %v", at, ok, s.groups)
	}
	if err := errors.Join(s.Unmount(t.Context(), m.Dir), s.unstageAll()); err != nil {
		t.Fatal(err)
	}
	s.clean("afterwards")
}

func TestTheGroupOfAVolume(t *testing.T) {
	none, file, fsType := storagev1.NoneFSGroupPolicy, storagev1.FileFSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy
	for name, tt := range map[string]struct {
		policy *storagev1.FSGroupPolicy
		change func(*Mount)
		want   bool
	}{
		"by default":        {nil, nil, true},
		"of a file system":  {&fsType, nil, true},
		"of no file system": {&fsType, func(m *Mount) { m.Volume.Spec.CSI.FSType = "" }, false},
		"of many nodes":     {&fsType, func(m *Mount) { m.Volume.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany} }, false},
		"of one pod": {&fsType, func(m *Mount) {
			m.Volume.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
		}, true},
		"none":                     {&none, nil, false},
		"any":                      {&file, func(m *Mount) { m.Volume.Spec.CSI.FSType = "" }, true},
		"any, that is not written": {&file, func(m *Mount) { m.ReadOnly = true }, false},
		"nobody asked":             {&file, func(m *Mount) { m.Group = -1 }, false},
	} {
		s := newServer(t, func(s *server) { s.object.Spec.FSGroupPolicy = tt.policy })
		m := s.mountOf("a", func(m *Mount) { m.Group = 7 })
		if tt.change != nil {
			tt.change(&m)
		}
		if err := s.Mount(t.Context(), m); err != nil || slices.Equal(s.groups, []int{7}) != tt.want || s.publishes[0].VolumeCapability.GetMount().GetVolumeMountGroup() != "" {
			t.Errorf("%s: %v, %v", name, err, s.groups)
		}
	}
	s := newServer(t, func(s *server) {
		s.can = append(s.can, spec.NodeServiceCapability_RPC_VOLUME_MOUNT_GROUP)
	})
	if err := s.Mount(t.Context(), s.mountOf("a", func(m *Mount) { m.Group = 7 })); err != nil || len(s.groups) > 0 ||
		s.publishes[0].VolumeCapability.GetMount().GetVolumeMountGroup() != "7" || s.stages[0].VolumeCapability.GetMount().GetVolumeMountGroup() != "7" {
		t.Errorf("a driver that does it: %v, %v, %v", err, s.groups, s.publishes[0])
	}
}

func TestAccessModes(t *testing.T) {
	type mode = spec.VolumeCapability_AccessMode_Mode
	for m, want := range map[corev1.PersistentVolumeAccessMode][2]mode{
		corev1.ReadWriteOnce:    {spec.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, spec.VolumeCapability_AccessMode_SINGLE_NODE_MULTI_WRITER},
		corev1.ReadWriteOncePod: {spec.VolumeCapability_AccessMode_SINGLE_NODE_WRITER, spec.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER},
		corev1.ReadOnlyMany:     {spec.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY, spec.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY},
		corev1.ReadWriteMany:    {spec.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER, spec.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
		"other":                 {spec.VolumeCapability_AccessMode_UNKNOWN, spec.VolumeCapability_AccessMode_UNKNOWN},
	} {
		if got := accessMode(m, nil); got != want[0] {
			t.Errorf("%s is %s", m, got)
		}
		if got := accessMode(m, capabilities{spec.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER: true}); got != want[1] {
			t.Errorf("%s is %s to a driver that tells them apart", m, got)
		}
	}
}

func TestAVolumeOfOnePod(t *testing.T) {
	s := newServer(t)
	one := func(m *Mount) {
		m.Volume.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
	}
	a, b := s.mountOf("a", one), s.mountOf("b", one)
	if err := s.Mount(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(t.Context(), b); err == nil || err.Error() != "volume uses the ReadWriteOncePod access mode and is already in use by another pod" || s.Known(b.Dir) {
		t.Errorf("%v", err)
	}
	s.restart(true)
	if err := s.Mount(t.Context(), b); err == nil {
		t.Error("forgotten with the process")
	}
	if err := errors.Join(s.Unmount(t.Context(), a.Dir), s.Mount(t.Context(), b)); err != nil {
		t.Error(err)
	}
}

func TestADriverThatWantsToBeToldAgain(t *testing.T) {
	s := newServer(t, func(s *server) { s.object.Spec.RequiresRepublish = ptr.To(true) })
	m := s.mountOf("a")
	if err := errors.Join(s.Refresh(t.Context(), m), s.Mount(t.Context(), m), s.Refresh(t.Context(), m)); err != nil || len(s.publishes) != 2 || len(s.stages) != 1 {
		t.Fatalf("%v, %d publishes, %d stages", err, len(s.publishes), len(s.stages))
	}
	if a, b := s.publishes[0], s.publishes[1]; a.TargetPath != b.TargetPath || a.StagingTargetPath != b.StagingTargetPath {
		t.Errorf("%v, and then %v", a, b)
	}
	s.fault = func(string) (error, error) { return status.Error(codes.Internal, "fault"), nil }
	if err := s.Refresh(t.Context(), m); err == nil {
		t.Error("no error")
	}
	if _, ok := s.Mounted(m.Dir); !ok {
		t.Error("the pod has lost its volume")
	}
}

func TestUsage(t *testing.T) {
	s := newServer(t)
	m := s.mountOf("a")
	if err := s.Mount(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Usage(t.Context(), m.Dir); ok {
		t.Error("of a driver that does not count")
	}
	s.can = append(s.can, spec.NodeServiceCapability_RPC_GET_VOLUME_STATS)
	u, ok := s.Usage(t.Context(), m.Dir)
	if !ok || *u.CapacityBytes != 10 || *u.UsedBytes != 3 || *u.AvailableBytes != 7 || *u.Inodes != 5 || *u.InodesUsed != 1 || *u.InodesFree != 4 {
		t.Errorf("%+v", u)
	}
	if _, ok := s.Usage(t.Context(), filepath.Join(m.Dir, "none")); ok {
		t.Error("of nothing")
	}
}

// TestOneVolumeAtATime: two pods of one volume do not deal with it at once, and those of
// another do not wait.
func TestOneVolumeAtATime(t *testing.T) {
	var l locks
	unlock := l.lock("a")
	l.lock("b")()
	got := make(chan struct{})
	go func() { defer l.lock("a")(); close(got) }()
	select {
	case <-got:
		t.Fatal("both have it")
	case <-time.After(10 * time.Millisecond):
	}
	unlock()
	<-got
}

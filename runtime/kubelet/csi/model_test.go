package csi

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	authnv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

const driverName = "csi.example.com"

// server is a model of a node: a driver behind a socket, what is mounted, the API, and the
// process under test. Each call of the driver and each write to the disk is a step.
type server struct {
	*testing.T
	*Volumes
	spec.UnimplementedNodeServer
	api    *fake.Clientset
	layout poddir.Layout
	shared string
	node   *corev1.Node
	events *record.FakeRecorder
	now    time.Time
	object *storagev1.CSIDriver
	groups []int
	wakes  int

	mu        sync.Mutex
	can       []spec.NodeServiceCapability_RPC_Type
	info      *spec.NodeGetInfoResponse
	staged    map[string]string // by path
	published map[string]string // by target
	points    []string
	stages    []*spec.NodeStageVolumeRequest
	publishes []*spec.NodePublishVolumeRequest
	expands   []*spec.NodeExpandVolumeRequest
	fault     func(call string) (before, after error)
	steps     int // that are left until the process dies; negative: it lives on
	died      bool
}

func newServer(t *testing.T, change ...func(*server)) *server {
	dir := t.TempDir()
	s := &server{
		T: t, layout: poddir.Layout{Root: filepath.Join(dir, "root")}, shared: filepath.Join(dir, "shared"), events: record.NewFakeRecorder(100), now: time.Unix(1e9, 0),
		node:   &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "node"}},
		object: &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: driverName}, Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(false)}},
		can:    []spec.NodeServiceCapability_RPC_Type{spec.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME},
		info:   &spec.NodeGetInfoResponse{NodeId: "id"},
		staged: map[string]string{}, published: map[string]string{}, steps: -1,
		fault: func(string) (error, error) { return nil, nil },
	}
	for _, f := range change {
		f(s)
	}
	s.api = fake.NewClientset(s.node)
	if s.object != nil {
		if err := s.api.Tracker().Add(s.object); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", s.socket())
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	spec.RegisterNodeServer(g, s)
	go g.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(g.Stop)
	s.restart(true)
	return s
}

func (s *server) socket() string { return filepath.Join(filepath.Dir(s.shared), "s") }

// restart is a process that starts anew; the driver registers with it, or has not yet.
func (s *server) restart(register bool) {
	s.Helper()
	s.mu.Lock()
	s.steps, s.died = -1, false
	s.mu.Unlock()
	log := slog.New(slog.DiscardHandler)
	d := NewDrivers(DriversConfig{API: s.api, NodeName: "n1", Log: log})
	s.Volumes = New(Config{
		API: s.api, NodeName: "n1", Layout: s.layout, Shared: s.shared, Disk: disk{s}, Mounts: s, Secrets: s, Tokens: s,
		SetGroup: func(_ *os.File, group int, _ corev1.PodFSGroupChangePolicy) error {
			s.groups = append(s.groups, group)
			return nil
		},
		Node: func() (*corev1.Node, error) { return s.node, nil }, NodeChanged: func() { s.wakes++ },
		Events: s.events, Now: func() time.Time { return s.now }, Log: log,
	}, d)
	if err := s.Load(); err != nil {
		s.Fatal(err)
	}
	if register {
		s.register()
	}
}

func (s *server) register() {
	s.Helper()
	if err := s.drivers.Register(s.Context(), driverName, s.socket(), []string{"1.0.0"}); err != nil {
		s.Fatal(err)
	}
}

// reboot is a server that starts anew: nothing is mounted.
func (s *server) reboot() {
	clear(s.staged)
	clear(s.published)
	s.points = nil
	s.restart(true)
}

var errDied = errors.New("the process died")

// step counts, and fails once the process is dead.
func (s *server) step() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.steps == 0 {
		s.died = true
	}
	if s.died {
		return errDied
	}
	s.steps--
	return nil
}

// disk is that of the host, for as long as the process lives.
type disk struct{ s *server }

func (d disk) Create(path string) (durable.File, error) {
	if err := d.s.step(); err != nil {
		return nil, err
	}
	return durable.OS{}.Create(path)
}

func (d disk) Rename(from, to string) error {
	if err := d.s.step(); err != nil {
		return err
	}
	return durable.OS{}.Rename(from, to)
}

func (d disk) Remove(path string) error {
	if strings.HasSuffix(path, ".json") {
		if err := d.s.step(); err != nil {
			return err
		}
	}
	return durable.OS{}.Remove(path)
}

func (d disk) Sync(dir string) error { return durable.OS{}.Sync(dir) }

// Below and RemoveAll are the kernel's, of mounts on paper.
func (s *server) Below(dir string) (out []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.points {
		if p == dir || strings.HasPrefix(p, dir+"/") {
			out = append(out, p)
		}
	}
	return out, nil
}

func (s *server) RemoveAll(dir string) error {
	if p, _ := s.Below(dir); len(p) > 0 {
		return errors.New(p[0] + " is still mounted")
	}
	return os.RemoveAll(dir)
}

func (s *server) Secret(_ context.Context, namespace, name string) (*corev1.Secret, error) {
	if name == "gone" {
		return nil, errors.New("not found")
	}
	return &corev1.Secret{Data: map[string][]byte{"of": []byte(namespace + "/" + name)}}, nil
}

func (s *server) Request(_ context.Context, p *corev1.Pod, of *corev1.ServiceAccountTokenProjection) (authnv1.TokenRequestStatus, error) {
	return authnv1.TokenRequestStatus{Token: "of " + p.Name + " for " + of.Audience}, nil
}

func (s *server) NodeGetCapabilities(context.Context, *spec.NodeGetCapabilitiesRequest) (*spec.NodeGetCapabilitiesResponse, error) {
	out := &spec.NodeGetCapabilitiesResponse{}
	for _, c := range s.can {
		out.Capabilities = append(out.Capabilities, &spec.NodeServiceCapability{Type: &spec.NodeServiceCapability_Rpc{Rpc: &spec.NodeServiceCapability_RPC{Type: c}}})
	}
	return out, nil
}

func (s *server) NodeGetInfo(context.Context, *spec.NodeGetInfoRequest) (*spec.NodeGetInfoResponse, error) {
	return s.info, nil
}

// do does what a call is for, unless a fault or the death of who calls keeps it from that. A
// process that dies while it waits does not see that it was done.
func (s *server) do(call string, effect func() error) error {
	before, after := s.fault(call)
	if before != nil {
		return before
	}
	if err := s.step(); err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	s.mu.Lock()
	err := effect()
	s.mu.Unlock()
	if err == nil {
		err = after
	}
	if s.step() != nil {
		return status.Error(codes.Unavailable, errDied.Error())
	}
	return err
}

// remembered says whether any record on the disk has a word: what is done is to be known
// before it is.
func (s *server) remembered(word string) bool {
	found := false
	_ = filepath.WalkDir(s.layout.Root, func(path string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".json") {
			data, _ := os.ReadFile(path)
			found = found || strings.Contains(string(data), `"`+word+`"`)
		}
		return nil
	})
	return found
}

func (s *server) NodeStageVolume(_ context.Context, r *spec.NodeStageVolumeRequest) (*spec.NodeStageVolumeResponse, error) {
	return &spec.NodeStageVolumeResponse{}, s.do("stage", func() error {
		if !s.remembered(r.StagingTargetPath) {
			s.Errorf("staging at %s is not remembered", r.StagingTargetPath)
		}
		if _, err := os.Stat(r.StagingTargetPath); err != nil {
			s.Errorf("staged at what is not there: %v", err)
		}
		s.stages = append(s.stages, r)
		s.staged[r.StagingTargetPath] = r.VolumeId
		if !slices.Contains(s.points, r.StagingTargetPath) {
			s.points = append(s.points, r.StagingTargetPath)
		}
		return nil
	})
}

func (s *server) NodeUnstageVolume(_ context.Context, r *spec.NodeUnstageVolumeRequest) (*spec.NodeUnstageVolumeResponse, error) {
	return &spec.NodeUnstageVolumeResponse{}, s.do("unstage", func() error {
		if slices.Contains(slices.Collect(maps.Values(s.published)), r.VolumeId) {
			s.Errorf("%s is unstaged while it is published", r.VolumeId)
		}
		delete(s.staged, r.StagingTargetPath)
		s.points = slices.DeleteFunc(s.points, func(p string) bool { return p == r.StagingTargetPath })
		return nil
	})
}

func (s *server) NodePublishVolume(_ context.Context, r *spec.NodePublishVolumeRequest) (*spec.NodePublishVolumeResponse, error) {
	return &spec.NodePublishVolumeResponse{}, s.do("publish", func() error {
		if !s.remembered(r.TargetPath) {
			s.Errorf("publishing at %s is not remembered", r.TargetPath)
		}
		if r.StagingTargetPath != "" && s.staged[r.StagingTargetPath] != r.VolumeId {
			s.Errorf("%s is published and not staged", r.VolumeId)
		}
		if err := os.MkdirAll(r.TargetPath, 0o755); err != nil {
			return err
		}
		s.publishes = append(s.publishes, r)
		s.published[r.TargetPath] = r.VolumeId
		if !slices.Contains(s.points, r.TargetPath) {
			s.points = append(s.points, r.TargetPath)
		}
		return nil
	})
}

func (s *server) NodeUnpublishVolume(_ context.Context, r *spec.NodeUnpublishVolumeRequest) (*spec.NodeUnpublishVolumeResponse, error) {
	return &spec.NodeUnpublishVolumeResponse{}, s.do("unpublish", func() error {
		delete(s.published, r.TargetPath)
		s.points = slices.DeleteFunc(s.points, func(p string) bool { return p == r.TargetPath })
		return os.RemoveAll(r.TargetPath)
	})
}

func (s *server) NodeExpandVolume(_ context.Context, r *spec.NodeExpandVolumeRequest) (*spec.NodeExpandVolumeResponse, error) {
	return &spec.NodeExpandVolumeResponse{}, s.do("expand", func() error { s.expands = append(s.expands, r); return nil })
}

func (s *server) NodeGetVolumeStats(context.Context, *spec.NodeGetVolumeStatsRequest) (*spec.NodeGetVolumeStatsResponse, error) {
	return &spec.NodeGetVolumeStatsResponse{Usage: []*spec.VolumeUsage{
		{Unit: spec.VolumeUsage_BYTES, Total: 10, Used: 3, Available: 7}, {Unit: spec.VolumeUsage_INODES, Total: 5, Used: 1, Available: 4},
	}}, nil
}

// mountOf is a claim's volume in a pod.
func (s *server) mountOf(uid string, change ...func(*Mount)) Mount {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: uid, UID: types.UID("pod-" + uid)}, Spec: corev1.PodSpec{ServiceAccountName: "sa"}}
	m := Mount{
		Pod: p, Name: "data", Group: -1, Changed: func() { s.wakes++ },
		Volume: &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{
				Driver: driverName, VolumeHandle: "h", FSType: "ext4", VolumeAttributes: map[string]string{"a": "b"},
			}},
		}},
		Claim: &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", ResourceVersion: "1"}},
	}
	for _, f := range change {
		f(&m)
	}
	m.Dir = Dir(s.layout, string(m.Pod.UID), m.Name)
	return m
}

// unstageAll is Run, for what is to be unstaged now.
func (s *server) unstageAll() error {
	var errs []error
	for s.orphans.Len() > 0 {
		k, _ := s.orphans.Get()
		errs = append(errs, s.unstage(s.Context(), k))
		s.orphans.Done(k)
	}
	return errors.Join(errs...)
}

// clean checks that nothing is left of any volume.
func (s *server) clean(when string) {
	s.Helper()
	if len(s.staged)+len(s.published)+len(s.points) > 0 || len(s.InUse()) > 0 || len(s.Volumes.published)+len(s.Volumes.staged) > 0 {
		s.Errorf("%s are left: staged %v, published %v, mounted %v, in use %v", when, s.staged, s.published, s.points, s.InUse())
	}
	left, _ := filepath.Glob(s.shared + "/pods/*")
	for _, dir := range []string{s.layout.Root, s.shared} {
		_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && (!e.IsDir() || slices.Contains([]string{"mount", "globalmount", "pv", "data"}, e.Name())) {
				left = append(left, path)
			}
			return nil
		})
	}
	if len(left) > 0 {
		s.Errorf("%s %v is left", when, left)
	}
}

package volume

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/csi"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// drivers is a model of them: what is mounted, by directory.
type drivers map[string]*driven

type driven struct {
	csi.Mount
	at        string
	waits     bool
	fails     error
	refreshed int
}

type waits struct{ error }

func (waits) Pending() bool { return true }

func (d drivers) Mount(_ context.Context, m csi.Mount) error {
	if of := d["next"]; of != nil {
		switch {
		case of.waits:
			return waits{errors.New("is not attached yet")}
		case of.fails != nil:
			return of.fails
		}
	}
	at := filepath.Join(filepath.Dir(m.Dir), "at-"+m.Name)
	d[m.Dir] = &driven{Mount: m, at: at}
	return os.MkdirAll(at, 0o755)
}

func (d drivers) Refresh(_ context.Context, m csi.Mount) error { d[m.Dir].refreshed++; return nil }

func (d drivers) Unmount(_ context.Context, dir string) error {
	if of := d[dir]; of != nil {
		os.Remove(of.at)
	}
	delete(d, dir)
	return os.RemoveAll(dir)
}

func (d drivers) Mounted(dir string) (csi.Mounted, bool) {
	of := d[dir]
	if of == nil {
		return csi.Mounted{}, false
	}
	return csi.Mounted{Path: of.at, ReadOnly: of.ReadOnly, Block: of.Volume != nil && isBlock(of.Volume)}, true
}

func (d drivers) Known(dir string) bool { return d[dir] != nil }
func (d drivers) Release(uid string)    { d["released"] = &driven{at: uid} }

func driverVolume(name string) *corev1.PersistentVolume {
	v := hostVolume(name, "")
	v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}}
	return v
}

// TestAClaimOfADriver is its driver's to mount, and is taken away by who knows nothing of claims.
func TestAClaimOfADriver(t *testing.T) {
	s, _, layout, _ := newStorage(t)
	m := s.withDrivers(layout)
	s.volumes["pv"] = driverVolume("pv")
	p := testPod(claimVolume(true))
	p.Spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr.To[int64](9)}
	if err := setUp(m, p); err != nil {
		t.Fatal(err)
	}
	dir := csi.Dir(layout, "u", "v")
	of := s.drivers[dir]
	if of == nil || of.Volume != s.volumes["pv"] || of.Claim != s.claims["c"] || !of.ReadOnly || of.Group != 9 || of.Name != "v" || len(s.binds) > 0 {
		t.Fatalf("mounted are %+v, bound %v", of, s.binds)
	}
	v, err := m.Open(p, "v")
	if err != nil || !v.ReadOnly || v.Path != of.at {
		t.Fatalf("%+v, %v", v, err)
	}
	v.Root.Close()
	if _, _, err := m.Device(p, "v"); err == nil || !strings.Contains(err.Error(), "volumeMode Filesystem") {
		t.Errorf("as a device: %v", err)
	}
	s.volumes = nil
	if err := setUp(m, p); err != nil {
		t.Errorf("what is mounted does not stay: %v", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.TearDown("u"); err != nil || len(s.drivers) != 1 || s.drivers["released"].at != "u" {
		t.Errorf("%v, left %v", err, s.drivers)
	}
}

func (s *storage) withDrivers(layout poddir.Layout) *Manager {
	m := s.manager(layout)
	m.plugins = append(m.plugins, NewCSI(s.drivers))
	return m
}

func TestAnInlineVolumeOfADriver(t *testing.T) {
	s, _, layout, _ := newStorage(t)
	m := s.withDrivers(layout)
	p := testPod(corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "d", ReadOnly: ptr.To(true)}}})
	if _, err := m.Open(p, "v"); err == nil || !strings.Contains(err.Error(), "is not mounted") {
		t.Errorf("%v", err)
	}
	if err := setUp(m, p); err != nil {
		t.Fatal(err)
	}
	of := s.drivers[csi.Dir(layout, "u", "v")]
	if of == nil || of.Inline != p.Spec.Volumes[0].CSI || !of.ReadOnly || of.Group != -1 {
		t.Errorf("%+v", of)
	}
}

// TestADeviceOfADriver is one where the pod has it as one, and nowhere else.
func TestADeviceOfADriver(t *testing.T) {
	for _, block := range []bool{false, true} {
		for _, device := range []bool{false, true} {
			s, _, layout, _ := newStorage(t)
			m := s.withDrivers(layout)
			s.volumes["pv"] = driverVolume("pv")
			mode := corev1.PersistentVolumeFilesystem
			if block {
				mode = corev1.PersistentVolumeBlock
			}
			s.volumes["pv"].Spec.VolumeMode = &mode
			p := testPod(claimVolume(false))
			c, where := corev1.Container{VolumeMounts: []corev1.VolumeMount{{Name: "v"}}}, "volumeMounts"
			if device {
				c, where = corev1.Container{VolumeDevices: []corev1.VolumeDevice{{Name: "v"}}}, "volumeDevices"
			}
			p.Spec.Containers = []corev1.Container{c}
			err := setUp(m, p)
			if block != device {
				if err == nil || !strings.Contains(err.Error(), "volume v has volumeMode "+string(mode)+", but is specified in "+where) {
					t.Errorf("%v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			path, _, err := m.Device(p, "v")
			if (err == nil) != block || block && path != s.drivers[csi.Dir(layout, "u", "v")].at {
				t.Errorf("%s: %v", path, err)
			}
			if v, err := m.Open(p, "v"); (err == nil) == block {
				t.Errorf("opened as a file system: %+v, %v", v, err)
			} else if err == nil {
				v.Root.Close()
			}
		}
	}
}

// TestWhoWaitsHasNotFailed, and what failed beside it is told.
func TestWhoWaitsHasNotFailed(t *testing.T) {
	s, _, layout, _ := newStorage(t)
	m := s.withDrivers(layout)
	s.volumes["pv"], s.drivers["next"] = driverVolume("pv"), &driven{waits: true}
	p := testPod(claimVolume(false))
	if err := setUp(m, p); !isPending(err) {
		t.Errorf("%v", err)
	}
	lost := claimVolume(false)
	lost.Name, lost.PersistentVolumeClaim = "w", &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "lost"}
	p.Spec.Volumes = append(p.Spec.Volumes, lost)
	if err := setUp(m, p); err == nil || isPending(err) || strings.Contains(err.Error(), "attached") || !strings.Contains(err.Error(), `volume "w"`) {
		t.Errorf("%v", err)
	}
	p.Spec.Volumes = p.Spec.Volumes[:1]
	s.drivers["next"] = &driven{fails: errors.New(`MountVolume.MountDevice failed for volume "pv" : no`)}
	if err := setUp(m, p); err == nil || err.Error() != `MountVolume.MountDevice failed for volume "pv" : no` {
		t.Errorf("%v", err)
	}
}

// TestVolumesOfDriversAreRefreshed from time to time, and no others of their kind.
func TestVolumesOfDriversAreRefreshed(t *testing.T) {
	s, _, layout, _ := newStorage(t)
	m := s.withDrivers(layout)
	p := testPod(claimVolume(false))
	next, err := m.Refresh(t.Context(), p, &corev1.PodStatus{}, func() {})
	if err != nil || !next.IsZero() {
		t.Fatalf("without a driver: %s, %v", next, err)
	}
	s.volumes["pv"] = driverVolume("pv")
	if err := setUp(m, p); err != nil {
		t.Fatal(err)
	}
	of := s.drivers[csi.Dir(layout, "u", "v")]
	if next, err = m.Refresh(t.Context(), p, &corev1.PodStatus{}, func() {}); err != nil || next.IsZero() || of.refreshed != 0 {
		t.Errorf("too early: %s, %v, %d", next, err, of.refreshed)
	}
	m.note("u", freshness{refreshed: time.Now().Add(-refreshPeriod)})
	if _, err = m.Refresh(t.Context(), p, &corev1.PodStatus{}, func() {}); err != nil || of.refreshed != 1 {
		t.Errorf("%v, refreshed %d times", err, of.refreshed)
	}
	m.Outdate("u")
	if _, err = m.Refresh(t.Context(), p, &corev1.PodStatus{}, func() {}); err != nil || of.refreshed != 2 {
		t.Errorf("%v, refreshed %d times", err, of.refreshed)
	}
}

// TestALocalDevice is bound for the pod, and no file is.
func TestALocalDevice(t *testing.T) {
	s, m, _, file := newStorage(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.volumes["pv"] = &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
		VolumeMode: ptr.To(corev1.PersistentVolumeBlock), ClaimRef: s.volumes["pv"].Spec.ClaimRef,
		PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: file}},
	}}
	if err := setUp(m, testPod(claimVolume(false))); err == nil || !strings.Contains(err.Error(), "is no block device") || slices.Contains(s.binds, file) {
		t.Errorf("%v, bound %v", err, s.binds)
	}
}

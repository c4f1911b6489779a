package csi

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func attachedTo(s *server, m Mount, change ...func(*storagev1.VolumeAttachment)) {
	a := &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "csi-31b9cf5a01ad6cd7ef5d2dc2c87dae1ba1c12a3a72d8bd5a8ab4a4ab4c5c9f6d"},
		Status:     storagev1.VolumeAttachmentStatus{Attached: true, AttachmentMetadata: map[string]string{"device": "/dev/x"}},
	}
	a.Name = attachmentName(driverName, "h", "n1")
	for _, f := range change {
		f(a)
	}
	_ = s.api.Tracker().Delete(storagev1.SchemeGroupVersion.WithResource("volumeattachments"), "", a.Name)
	if err := s.api.Tracker().Add(a); err != nil {
		s.Fatal(err)
	}
}

// TestAVolumeIsAttachedFirst: the node says that it uses it, then it is attached, then
// mounted; and the node says so until it is not staged any more.
func TestAVolumeIsAttachedFirst(t *testing.T) {
	for name, object := range map[string]*storagev1.CSIDriver{
		"nobody told of the driver": nil,
		"required":                  {ObjectMeta: metav1.ObjectMeta{Name: driverName}, Spec: storagev1.CSIDriverSpec{AttachRequired: ptr.To(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(s *server) { s.object = object })
			m := s.mountOf("a")
			const unique = corev1.UniqueVolumeName("kubernetes.io/csi/csi.example.com^h")
			pends := func(want string) {
				t.Helper()
				var p interface{ Pending() bool }
				if err := s.Mount(t.Context(), m); err == nil || !errors.As(err, &p) || !strings.Contains(err.Error(), want) {
					t.Fatalf("got %v, want it to wait: %s", err, want)
				}
				if !slices.Equal(s.InUse(), []corev1.UniqueVolumeName{unique}) {
					t.Fatalf("in use are %v", s.InUse())
				}
			}
			pends("is not marked as in use")
			s.node.Status.VolumesAttached = []corev1.AttachedVolume{{Name: unique}}
			attachedTo(s, m)
			pends("is not marked as in use")
			s.node.Status.VolumesInUse, s.node.Status.VolumesAttached = s.InUse(), nil
			pends("not attached according to node status")
			s.wakes = 0
			s.NodeSeen(s.node)
			if s.wakes != 1 {
				t.Errorf("the pod is woken %d times by its node", s.wakes)
			}
			s.node.Status.VolumesAttached = []corev1.AttachedVolume{{Name: unique}}
			attachedTo(s, m, func(a *storagev1.VolumeAttachment) { a.Status.Attached = false })
			pends("is not attached for volume attachment")
			attachedTo(s, m, func(a *storagev1.VolumeAttachment) {
				a.DeletionTimestamp, a.Finalizers = &metav1.Time{Time: s.now}, []string{"x"}
			})
			pends("is being deleted")
			attachedTo(s, m, func(a *storagev1.VolumeAttachment) {
				a.Status.Attached, a.Status.AttachError = false, &storagev1.VolumeError{Message: "no room"}
			})
			if err := s.Mount(t.Context(), m); err == nil || err.Error() != "no room" {
				t.Errorf("got %v", err)
			}
			attachedTo(s, m)
			s.node.Status.VolumesAttached = nil
			s.now = s.now.Add(attachPatience)
			var p interface{ Pending() bool }
			if err := s.Mount(t.Context(), m); errors.As(err, &p) || !strings.Contains(err.Error(), "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data]") {
				t.Errorf("after two minutes: %v", err)
			}
			s.node.Status.VolumesAttached = []corev1.AttachedVolume{{Name: unique}}
			if err := s.Mount(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if s.stages[0].PublishContext["device"] != "/dev/x" || s.publishes[0].PublishContext["device"] != "/dev/x" {
				t.Errorf("staged %v, published %v", s.stages[0], s.publishes[0])
			}
			s.restart(true)
			if !slices.Equal(s.InUse(), s.node.Status.VolumesInUse) {
				t.Errorf("after a restart %v is in use", s.InUse())
			}
			if err := s.Unmount(t.Context(), m.Dir); err != nil || len(s.InUse()) != 1 {
				t.Errorf("%v, staged, and in use are %v", err, s.InUse())
			}
			if err := s.unstageAll(); err != nil {
				t.Error(err)
			}
			s.clean("afterwards")
		})
	}
}

// TestAPodThatWaitsAndGoes leaves nothing that has to stay attached.
func TestAPodThatWaitsAndGoes(t *testing.T) {
	s := newServer(t, func(s *server) { s.object = nil })
	m := s.mountOf("a")
	if err := s.Mount(t.Context(), m); err == nil || len(s.InUse()) != 1 {
		t.Fatalf("%v, in use %v", err, s.InUse())
	}
	s.Release("other")
	if len(s.InUse()) != 1 {
		t.Error("another pod's is forgotten")
	}
	s.wakes = 0
	s.Release("pod-a")
	if len(s.InUse()) != 0 || s.wakes != 1 {
		t.Errorf("in use are %v, told %d times", s.InUse(), s.wakes)
	}
}

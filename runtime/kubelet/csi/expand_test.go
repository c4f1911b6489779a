package csi

import (
	"errors"
	"strings"
	"testing"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAVolumeGrows(t *testing.T) {
	size := func(q string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(q)}
	}
	setUp := func(t *testing.T, can ...spec.NodeServiceCapability_RPC_Type) (*server, Mount) {
		s := newServer(t, func(s *server) { s.can = append(s.can, can...) })
		m := s.mountOf("a", func(m *Mount) {
			m.Volume.Spec.Capacity, m.Claim.Status.Capacity = size("1Gi"), size("1Gi")
			m.Volume.Spec.CSI.NodeExpandSecretRef = &corev1.SecretReference{Namespace: "x", Name: "expand"}
			m.Claim.Status.Conditions = []corev1.PersistentVolumeClaimCondition{{Type: corev1.PersistentVolumeClaimFileSystemResizePending}, {Type: "other"}}
		})
		if err := errors.Join(s.api.Tracker().Add(m.Claim), s.Mount(t.Context(), m)); err != nil || len(s.expands) > 0 {
			t.Fatal(err, s.expands)
		}
		if err := s.Refresh(t.Context(), m); err != nil || len(s.expands) > 0 || len(s.publishes) != 1 {
			t.Fatal(err, s.expands)
		}
		m.Volume.Spec.Capacity = size("2Gi")
		m.Claim.Status.AllocatedResourceStatuses = map[corev1.ResourceName]corev1.ClaimResourceStatus{corev1.ResourceStorage: corev1.PersistentVolumeClaimNodeResizePending}
		return s, m
	}
	claim := func(s *server) corev1.PersistentVolumeClaimStatus {
		c, err := s.api.CoreV1().PersistentVolumeClaims("ns").Get(s.Context(), "c", metav1.GetOptions{})
		if err != nil {
			s.Fatal(err)
		}
		return c.Status
	}
	const expands = spec.NodeServiceCapability_RPC_EXPAND_VOLUME
	t.Run("by the driver", func(t *testing.T) {
		s, m := setUp(t, expands)
		if err := s.Refresh(t.Context(), m); err != nil || len(s.expands) != 1 {
			t.Fatal(err, s.expands)
		}
		e := s.expands[0]
		if e.VolumeId != "h" || e.CapacityRange.RequiredBytes != 2<<30 || !strings.HasSuffix(e.VolumePath, "/mount") || e.StagingTargetPath == "" || e.Secrets["of"] != "x/expand" || e.VolumeCapability.GetMount() == nil {
			t.Errorf("%v", e)
		}
		st := claim(s)
		if has := st.Capacity[corev1.ResourceStorage]; has.Value() != 2<<30 || len(st.AllocatedResourceStatuses) > 0 || len(st.Conditions) != 1 || st.Conditions[0].Type != "other" {
			t.Errorf("%+v", st)
		}
		if e := <-s.events.Events; e != `Normal FileSystemResizeSuccessful MountVolume.NodeExpandVolume succeeded for volume "pv"` {
			t.Error(e)
		}
	})
	t.Run("without the driver", func(t *testing.T) {
		s, m := setUp(t)
		if err := s.Refresh(t.Context(), m); err != nil || len(s.expands) > 0 {
			t.Fatal(err, s.expands)
		}
		if has := claim(s).Capacity[corev1.ResourceStorage]; has.Value() != 2<<30 {
			t.Errorf("%+v", claim(s))
		}
	})
	for code, infeasible := range map[codes.Code]bool{codes.Internal: false, codes.OutOfRange: true, codes.FailedPrecondition: false} {
		t.Run(code.String(), func(t *testing.T) {
			s, m := setUp(t, expands)
			s.fault = func(string) (error, error) { return status.Error(code, "fault"), nil }
			if err := s.Refresh(t.Context(), m); (err == nil) != infeasible {
				t.Errorf("%v", err)
			}
			is := claim(s).AllocatedResourceStatuses[corev1.ResourceStorage] == corev1.PersistentVolumeClaimNodeResizeInfeasible
			if has := claim(s).Capacity[corev1.ResourceStorage]; is != infeasible || has.Value() != 1<<30 {
				t.Errorf("%+v", claim(s))
			}
			m.Claim.Status = claim(s)
			s.fault = func(string) (error, error) { return nil, nil }
			if err := s.Refresh(t.Context(), m); err != nil || (len(s.expands) == 0) != infeasible {
				t.Errorf("tried again: %v, %v", err, s.expands)
			}
		})
	}
}

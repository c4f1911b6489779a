package csi

import (
	"slices"
	"strings"
	"testing"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func (s *server) csiNode() *storagev1.CSINode {
	s.Helper()
	n, err := s.api.StorageV1().CSINodes().Get(s.Context(), "n1", metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return n
}

func (s *server) apiNode() *corev1.Node {
	s.Helper()
	n, err := s.api.CoreV1().Nodes().Get(s.Context(), "n1", metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return n
}

// settle is Run, for what is to be done now.
func (s *server) settle() {
	s.Helper()
	for s.drivers.queue.Len() > 0 {
		name, _ := s.drivers.queue.Get()
		if _, err := s.drivers.reconcile(s.Context(), name); err != nil {
			s.Fatal(err)
		}
		s.drivers.queue.Done(name)
	}
}

func TestADriverRegisters(t *testing.T) {
	s := newServer(t, func(s *server) {
		s.info = &spec.NodeGetInfoResponse{NodeId: "id-1", MaxVolumesPerNode: 3, AccessibleTopology: &spec.Topology{Segments: map[string]string{"t/zone": "z", "t/node": "n"}}}
	})
	others := storagev1.CSINodeDriver{Name: "other", NodeID: "n1"}
	n := s.csiNode()
	d := n.Spec.Drivers[0]
	if len(n.Spec.Drivers) != 1 || d.Name != driverName || d.NodeID != "id-1" || *d.Allocatable.Count != 3 || !slices.Equal(d.TopologyKeys, []string{"t/node", "t/zone"}) ||
		n.OwnerReferences[0].UID != "node" || n.OwnerReferences[0].Kind != "Node" {
		t.Errorf("%+v", n)
	}
	node := s.apiNode()
	if node.Labels["t/zone"] != "z" || node.Labels["t/node"] != "n" || node.Annotations[nodeIDs] != `{"csi.example.com":"id-1"}` {
		t.Errorf("%+v", node.ObjectMeta)
	}
	n.Spec.Drivers = append(n.Spec.Drivers, others)
	if _, err := s.api.StorageV1().CSINodes().Update(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.drivers.Deregister(driverName, "/another")
	s.settle()
	if _, err := s.drivers.get(driverName); err != nil || len(s.csiNode().Spec.Drivers) != 2 {
		t.Errorf("forgotten for another one of its name: %v", err)
	}
	s.drivers.Deregister(driverName, s.socket())
	s.settle()
	if left := s.csiNode().Spec.Drivers; len(left) != 1 || left[0].Name != "other" {
		t.Errorf("left are %+v", left)
	}
	if node := s.apiNode(); node.Annotations[nodeIDs] != "" || node.Labels["t/zone"] != "z" {
		t.Errorf("%+v", node.ObjectMeta)
	}
}

func TestADriverThatIsNotTaken(t *testing.T) {
	s := newServer(t)
	for want, versions := range map[string][]string{
		"returned an empty list for supported versions":      nil,
		"none of the versions specified [\"2.0.0\"]":         {"2.0.0"},
		"already registered with a higher supported version": {"1.0.0"},
	} {
		if err := s.drivers.Validate(driverName, "", versions); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", versions, err)
		}
	}
	if err := s.drivers.Validate(driverName, "", []string{"1.0.0", "1.1.0"}); err != nil {
		t.Error(err)
	}
	for want, info := range map[string]*spec.NodeGetInfoResponse{
		"driverNodeID must not be empty": {},
		`detected topology value collision: driver reported "z":"b" but existing label is "z":"a"`: {NodeId: "i", AccessibleTopology: &spec.Topology{Segments: map[string]string{"z": "b"}}},
	} {
		s := newServer(t, func(s *server) { s.node.Labels = map[string]string{"z": "a"} })
		s.info = info
		if err := s.drivers.Register(t.Context(), "d", s.socket(), []string{"1.0.0"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := s.drivers.get("d"); err == nil {
			t.Error("it is registered")
		}
	}
	if err := s.drivers.Register(t.Context(), "away", "/nowhere", []string{"1.0.0"}); err == nil {
		t.Error("one that does not answer is registered")
	}
}

// TestANodeThatIsMadeAnew is told of its drivers.
func TestANodeThatIsMadeAnew(t *testing.T) {
	s := newServer(t)
	if s.drivers.NodeSeen(s.node); s.drivers.queue.Len() > 0 {
		t.Error("the same node")
	}
	anew := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "anew"}}
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	if err := s.api.Tracker().Delete(nodes, "", "n1"); err != nil {
		t.Fatal(err)
	}
	if err := s.api.Tracker().Add(anew); err != nil {
		t.Fatal(err)
	}
	if err := s.api.StorageV1().CSINodes().Delete(t.Context(), "n1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.drivers.NodeSeen(anew)
	s.settle()
	if n := s.csiNode(); len(n.Spec.Drivers) != 1 || n.OwnerReferences[0].UID != "anew" || s.apiNode().Annotations[nodeIDs] == "" {
		t.Errorf("%+v", n)
	}
}

// TestWhatADriverHasRoomForIsAskedAgain if the cluster was told so.
func TestWhatADriverHasRoomForIsAskedAgain(t *testing.T) {
	s := newServer(t, func(s *server) { s.object.Spec.NodeAllocatableUpdatePeriodSeconds = ptr.To[int64](10) })
	s.info.MaxVolumesPerNode = 9
	again, err := s.drivers.reconcile(t.Context(), driverName)
	if err != nil || again.Seconds() != 10 || *s.csiNode().Spec.Drivers[0].Allocatable.Count != 9 {
		t.Errorf("%v, again after %s, %+v", err, again, s.csiNode().Spec)
	}
}

package bootstrap

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// breakStore ends the etcd of masters, whose SSH goes on.
func (w *world) breakStore(names ...string) {
	for _, h := range w.spec(names...) {
		w.store.Break(install.PeerURL(h))
	}
}

func (w *world) createAll(t *testing.T, masters ...string) spec.Cluster {
	t.Helper()
	c := w.with(w.cluster(), masters...)
	r, err := w.engine.CreateCluster(t.Context(), c)
	succeed(t, r, err)
	c.ID = r.ClusterID
	return c
}

// The master by which a cluster is reached first may be just the one whose store is
// broken: others are asked then, by plans and by updates.
func TestAStoreIsReachedThroughAMasterWhoseEtcdAnswers(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "m3", "m4")
	have := w.createAll(t, "m1", "m2", "m3")
	w.breakStore("m1")
	found, err := w.engine.PreviewCluster(t.Context(), have, w.with(have, "m2", "m3", "m4"), w.spec("m1"))
	want := "Voters in the store now: 3 (m1, m2, m3); afterwards: 3 (m2, m3, m4), which bear the loss of 1. Down now: m1; with the others that leaves 0 to spare."
	if err != nil || len(found) != 2 || found[0] != want {
		t.Errorf("previewed: %q, %v", found, err)
	}
	w.breakStore("m2")
	found, err = w.engine.PreviewCluster(t.Context(), have, w.with(have, "m2", "m3", "m4"), w.spec("m1"))
	if err != nil || len(found) != 2 || !strings.Contains(found[0], "It has NO quorum: 1 of 3 voters answer, 2 must. Down: m1, m2.") {
		t.Errorf("without a quorum: %q, %v", found, err)
	}
}

func TestAMasterLeavesWhileAnothersStoreIsBroken(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "m3", "m4")
	have := w.createAll(t, "m1", "m2", "m3", "m4")
	w.breakStore("m1")
	r, err := w.engine.UpdateCluster(t.Context(), w.with(have, "m1", "m2", "m3"), ClusterChange{Leaving: w.spec("m4")})
	succeed(t, r, err)
	if got := w.store.Names(); !slices.Equal(got, []string{"m1", "m2", "m3"}) {
		t.Errorf("the store has %v", got)
	}
}

func TestVersionsOfMasters(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "w1")
	c := w.createAll(t, "m1", "m2")
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: "workers", Hosts: w.spec("w1")}, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	if got, err := w.engine.MasterVersions(t.Context(), c.Connection()); err != nil || !maps.Equal(got, map[string]string{"m1": "1.2.3", "m2": "1.2.3"}) {
		t.Errorf("%v, %v", got, err)
	}
	one := c.Connection() // m2 is no longer a master, and its Node is left
	one.Masters = w.spec("m1")
	if got, err := w.engine.MasterVersions(t.Context(), one); err != nil || !maps.Equal(got, map[string]string{"m1": "1.2.3"}) {
		t.Errorf("beside a Node of no master: %v, %v", got, err)
	}
	delete(w.hosts, "m1")
	delete(w.hosts, "m2")
	if got, err := w.engine.MasterVersions(t.Context(), c.Connection()); err == nil {
		t.Errorf("of masters that do not answer: %v", got)
	}
}

// An upgrade ends behind a master that does not come up: that one has the new version, and
// the others, which have its programs and run them not, the one before.
func TestWhichVersionsAFailedUpgradeLeaves(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2")
	c := w.createAll(t, "m1", "m2")
	starts := w.hosts["m1"].OnStart
	w.hosts["m1"].OnStart = func(string) error { return errors.New("it does not start") }
	newer := *smallBundle(t)
	newer.Version = "1.3.0"
	for _, program := range []string{"gantry", "containerd"} {
		w.hosts["m1"].SetFile(config.Binary(program), "another version's")
	}
	w.engine = w.run(t, &newer)
	w.hosts["m1"].StopUnit(config.Etcd.Unit())
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1", "m2"}})
	if err != nil || r.Hosts["m1"].State != Pending || r.Hosts["m2"].State != Pending || r.Hosts["m1"].Version != "1.3.0" || r.Hosts["m2"].Version != "1.2.3" {
		t.Errorf("%+v, %v", r.Hosts, err)
	}
	w.hosts["m1"].OnStart = starts
	if seen := w.engine.ObserveCluster(t.Context(), c).Hosts; seen["m1"].Version != "1.3.0" || seen["m2"].Version != "1.2.3" {
		t.Errorf("%+v", seen)
	}
}

func TestAllVolumesAreThoseOfWhatIsANode(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.createAll(t, "m1")
	for _, node := range []string{"m1", "gone"} {
		_, err := w.api.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
			ObjectMeta: metav1.ObjectMeta{Name: "on-" + node},
			Spec: corev1.PersistentVolumeSpec{
				Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
				PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/data"}},
				NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
				}}}}},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := w.engine.PreviewAllVolumes(t.Context(), c.Connection()); err != nil || !slices.Equal(got, []string{"m1: volume on-m1 (1Gi)"}) {
		t.Errorf("all: %q, %v", got, err)
	}
	if got, err := w.engine.PreviewVolumes(t.Context(), c.Connection(), w.spec("m1")); err != nil || len(got) != 1 {
		t.Errorf("of a master: %q, %v", got, err)
	}
	if got, err := w.engine.PreviewVolumes(t.Context(), c.Connection(), nil); err != nil || len(got) != 0 {
		t.Errorf("of none: %q, %v", got, err)
	}
}

package volume

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/objects"
)

// TestRefresh: content is compared with the API every minute, and at once when a watch or
// the pod's labels say so.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := newNode(t), manyVolumes()
		told := 0
		changed := func() { told++ }
		status := &corev1.PodStatus{}
		if err := n.manager.SetUp(t.Context(), p, status, changed); err != nil {
			t.Fatal(err)
		}
		reads := n.refs.reads
		check := func(when string, next time.Duration, read bool) {
			t.Helper()
			at, err := n.manager.Refresh(t.Context(), p, status, changed)
			if err != nil || time.Until(at) != next {
				t.Errorf("%s: again in %s, %v, want %s", when, time.Until(at), err, next)
			}
			if (n.refs.reads > reads) != read {
				t.Errorf("%s: the API was asked: %v", when, n.refs.reads > reads)
			}
			reads = n.refs.reads
		}
		time.Sleep(20 * time.Second)
		check("nothing happened", 40*time.Second, false)
		n.refs.configMaps["cm"].Data["a"] = "new"
		n.refs.changed[objects.Key{Kind: objects.ConfigMap, Namespace: "ns", Name: "cm"}]()
		if told != 1 {
			t.Errorf("told %d times of a change", told)
		}
		check("a watch told", 60*time.Second, true)
		if got := n.files(p, "conf"); got != "a=new 644, b=2 644, c=\x03 644" {
			t.Errorf("the change is not in the volume: %s", got)
		}
		check("once", 60*time.Second, false)
		n.manager.Outdate("u")
		check("outdated", 60*time.Second, true)
		time.Sleep(60 * time.Second)
		check("a minute later", 60*time.Second, true)
		n.manager.Outdate("other")
		check("another pod", 60*time.Second, false)
		plain := testPod(volume("disk", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}))
		if next, err := n.manager.Refresh(t.Context(), plain, status, changed); !next.IsZero() || err != nil {
			t.Errorf("a pod whose content never changes: %s, %v", next, err)
		}
		delete(n.refs.configMaps, "cm")
		n.manager.Outdate("u")
		if _, err := n.manager.Refresh(t.Context(), p, status, changed); err == nil {
			t.Error("an object that went is no error")
		}
		reads = n.refs.reads
		check("it is not asked for all the time", 60*time.Second, false)
	})
}

// TestVolumesAreIndependent: one that cannot be brought up to date does not hold up those
// behind it, and what never changes is left alone.
func TestVolumesAreIndependent(t *testing.T) {
	n, made := newNode(t), t.TempDir()+"/made"
	p := testPod(
		volume("conf", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref("cm")}}),
		volume("host", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: made}}),
		volume("keys", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}),
	)
	if err := n.setUp(p); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(made); err != nil {
		t.Fatal(err)
	}
	delete(n.refs.configMaps, "cm")
	n.refs.secrets["s"].Data["k"] = []byte("new")
	n.manager.Outdate("u")
	_, err := n.manager.Refresh(t.Context(), p, &corev1.PodStatus{}, func() {})
	if err == nil || !strings.Contains(err.Error(), `volume "conf"`) || strings.Contains(err.Error(), `volume "keys"`) {
		t.Errorf("%v", err)
	}
	if got := n.files(p, "keys"); got != "k=new 644" {
		t.Errorf("the volume behind it: %s", got)
	}
	if _, err := os.Stat(made); !os.IsNotExist(err) {
		t.Errorf("the path of the host was made again: %v", err)
	}
}

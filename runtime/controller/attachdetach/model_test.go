package attachdetach

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

const unique = corev1.UniqueVolumeName("kubernetes.io/csi/d^h")

func volume(change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
		AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		ClaimRef:               &corev1.ObjectReference{Namespace: "n", Name: "c", UID: "uid"},
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}},
	}}
	for _, f := range change {
		f(v)
	}
	return v
}

func claim() *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "c", UID: "uid"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}}
}

func user(name, node string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name)}, Spec: corev1.PodSpec{
		NodeName: node, Volumes: []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}}},
	}}
	for _, f := range change {
		f(p)
	}
	return p
}

func host(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
	for _, f := range change {
		f(n)
	}
	return n
}

func uses(n *corev1.Node) { n.Status.VolumesInUse = []corev1.UniqueVolumeName{unique} }

func dead(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }

func told(n *corev1.Node) { n.Status.VolumesAttached = []corev1.AttachedVolume{{Name: unique}} }

func attachment(node string, change ...func(*storagev1.VolumeAttachment)) *storagev1.VolumeAttachment {
	a := &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: attachmentName(volume(), node), UID: types.UID(node)},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: "d", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("pv")}},
		Status:     storagev1.VolumeAttachmentStatus{Attached: true},
	}
	for _, f := range change {
		f(a)
	}
	return a
}

// cluster is a controller with all that it watches.
type cluster struct {
	*testing.T
	*controllertest.Fixture
	*Controller
}

func start(t *testing.T, objects ...runtime.Object) *cluster {
	t.Helper()
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	go r.follow(t.Context())
	c := &cluster{t, f, r}
	c.until(func() bool { return r.watched.Load() != nil })
	f.API.ClearActions()
	return c
}

func (c *cluster) until(ok func() bool) {
	c.Helper()
	patience.Until(c, "it comes to that", ok)
}

// caughtUp waits until the caches have what the API has.
func (c *cluster) caughtUp() {
	c.Helper()
	same := func(api runtime.Object, err error, cached []any) bool {
		if err != nil {
			c.Fatal(err)
		}
		items := reflect.ValueOf(api).Elem().FieldByName("Items")
		have := map[string]any{}
		for _, o := range cached {
			m := o.(metav1.Object)
			if len(m.GetManagedFields()) > 0 {
				copied := o.(runtime.Object).DeepCopyObject()
				m = copied.(metav1.Object)
				m.SetManagedFields(nil)
				o = copied
			}
			have[m.GetNamespace()+"/"+m.GetName()] = o
		}
		if items.Len() != len(have) {
			return false
		}
		for i := range items.Len() {
			o := items.Index(i).Addr().Interface()
			m := o.(metav1.Object)
			m.SetManagedFields(nil) // caches drop them
			if !reflect.DeepEqual(have[m.GetNamespace()+"/"+m.GetName()], o) {
				return false
			}
		}
		return true
	}
	c.until(func() bool {
		vas, err := c.API.StorageV1().VolumeAttachments().List(c.Context(), metav1.ListOptions{})
		if !same(vas, err, c.watched.Load().attachments.List()) {
			return false
		}
		pods, err := c.API.CoreV1().Pods("").List(c.Context(), metav1.ListOptions{})
		if !same(pods, err, c.pods.List()) {
			return false
		}
		nodes, err := c.API.CoreV1().Nodes().List(c.Context(), metav1.ListOptions{})
		return same(nodes, err, c.Deps.Informers.Core().V1().Nodes().Informer().GetStore().List())
	})
}

func (c *cluster) reconcileAll() time.Duration {
	c.Helper()
	var again time.Duration
	for _, k := range []key{{volume: string(unique)}, {node: "n1"}, {node: "n2"}} {
		a, err := c.reconcile(c.Context(), k)
		if err != nil {
			c.Fatal(err)
		}
		again = max(again, a)
	}
	return again
}

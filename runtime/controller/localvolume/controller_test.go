package localvolume

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

const gi = int64(1) << 30

func class(change ...func(*storagev1.StorageClass)) *storagev1.StorageClass {
	c := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "local"}, Provisioner: config.LocalDriver,
		VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer), ReclaimPolicy: ptr.To(corev1.PersistentVolumeReclaimDelete),
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func claim(change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "c", UID: "u", Annotations: map[string]string{
			volumehelpers.AnnStorageProvisioner: config.LocalDriver, volumehelpers.AnnSelectedNode: "n1",
		}},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: ptr.To("local"),
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("2Gi")}},
		},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func offering(node string, bytes int64) *storagev1.CSINode {
	return &storagev1.CSINode{
		ObjectMeta: metav1.ObjectMeta{Name: node, Annotations: map[string]string{config.LocalPath: "/volumes", config.LocalCapacity: fmt.Sprint(bytes)}},
		Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: config.LocalDriver}}},
	}
}

func host(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name + "-host"}}}
}

func local(name, node string, size int64, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), Labels: map[string]string{config.LocalVolumeNode: node},
			Annotations: map[string]string{volumehelpers.AnnDynamicallyProvisioned: config.LocalDriver}, Finalizers: []string{config.LocalVolumeFinalizer},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{"storage": *resource.NewQuantity(size, resource.BinarySI)}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: "/volumes/" + name}},
		},
	}
	for _, f := range change {
		f(v)
	}
	return v
}

func start(t *testing.T, objects ...runtime.Object) (*controllertest.Fixture, *Controller) {
	t.Helper()
	f := controllertest.New(objects...)
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	return f, r
}

func TestAVolumeIsMadeOnTheNodeThatWasChosen(t *testing.T) {
	f, r := start(t, claim(), class(), offering("n1", 5*gi), host("n1"), local("other", "n1", 3*gi), local("elsewhere", "n2", 9*gi))
	if _, err := r.reconcile(t.Context(), key{namespace: "n", claim: "c"}); err != nil {
		t.Fatal(err)
	}
	v, err := f.API.CoreV1().PersistentVolumes().Get(t.Context(), "pvc-u", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	size := v.Spec.Capacity["storage"]
	if size.Value() != 2*gi || v.Spec.Local.Path != "/volumes/pvc-u" || v.Labels[config.LocalVolumeNode] != "n1" || !ours(v) ||
		!slices.Equal(v.Finalizers, []string{config.LocalVolumeFinalizer}) || v.Spec.ClaimRef.UID != "u" || v.Spec.ClaimRef.Name != "c" || v.Spec.ClaimRef.Namespace != "n" ||
		v.Spec.StorageClassName != "local" || v.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete {
		t.Errorf("made is %+v", v)
	}
	if volumehelpers.CheckNodeAffinity(v, map[string]string{corev1.LabelHostname: "n1-host"}) != nil || volumehelpers.CheckNodeAffinity(v, map[string]string{corev1.LabelHostname: "n2-host"}) == nil {
		t.Errorf("can be at %+v", v.Spec.NodeAffinity)
	}
	// Made again, after a cut before the binding, nothing changes.
	f.API.ClearActions()
	if _, err := r.reconcile(t.Context(), key{namespace: "n", claim: "c"}); err != nil {
		t.Fatal(err)
	}
}

// TestNoRoomIsGivenTwice: also not while the cache is behind what was just given.
func TestNoRoomIsGivenTwice(t *testing.T) {
	second := claim(func(c *corev1.PersistentVolumeClaim) { c.Name, c.UID = "d", "u2" })
	f, r := start(t, claim(), second, class(), offering("n1", 3*gi), host("n1"))
	r.volumes = emptyVolumes(t)
	for _, name := range []string{"c", "d"} {
		if _, err := r.reconcile(t.Context(), key{namespace: "n", claim: name}); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.Writes(); !slices.Equal(got, []string{"create persistentvolumes pvc-u", "update persistentvolumeclaims d"}) {
		t.Errorf("%v", got)
	}
	d, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil || d.Annotations[volumehelpers.AnnSelectedNode] != "" {
		t.Errorf("the scheduler's choice is not taken back: %v, %v", d.Annotations, err)
	}
	if told := strings.Join(f.Told(), "\n"); !strings.Contains(told, "node n1 has 1Gi left for volumes, and 2Gi is asked for") {
		t.Errorf("told %q", told)
	}
}

func TestWhatIsNotProvisioned(t *testing.T) {
	for want, tt := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		class *storagev1.StorageClass
	}{
		"needs volumeBindingMode WaitForFirstConsumer": {claim(), class(func(c *storagev1.StorageClass) { c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingImmediate) })},
		`there is no parameter "x"`:                    {claim(), class(func(c *storagev1.StorageClass) { c.Parameters = map[string]string{"x": "y"} })},
		"mountOptions":                                 {claim(), class(func(c *storagev1.StorageClass) { c.MountOptions = []string{"ro"} })},
		"a directory is no block device":               {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeMode = ptr.To(corev1.PersistentVolumeBlock) }), class()},
		"claim Selector is not supported":              {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.Selector = &metav1.LabelSelector{} }), class()},
		"a volume begins empty":                        {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.DataSourceRef = &corev1.TypedObjectReference{} }), class()},
		"volumeAttributesClassName is not supported":   {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeAttributesClassName = ptr.To("x") }), class()},
		"access mode ReadWriteMany is not supported": {claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = append(c.Spec.AccessModes, corev1.ReadWriteMany)
		}), class()},
	} {
		f, r := start(t, tt.claim, tt.class, offering("n1", 5*gi), host("n1"))
		_, err := r.reconcile(t.Context(), key{namespace: "n", claim: "c"})
		if told := strings.Join(f.Told(), "\n"); err != nil || len(f.Writes()) > 0 || !strings.Contains(told, want) {
			t.Errorf("%v, %v, told %q, want %q", err, f.Writes(), told, want)
		}
	}
	for name, c := range map[string]*corev1.PersistentVolumeClaim{
		"no node yet":  claim(func(c *corev1.PersistentVolumeClaim) { delete(c.Annotations, volumehelpers.AnnSelectedNode) }),
		"another's":    claim(func(c *corev1.PersistentVolumeClaim) { c.Annotations[volumehelpers.AnnStorageProvisioner] = "a.b/c" }),
		"has a volume": claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }),
		"is being deleted": claim(func(c *corev1.PersistentVolumeClaim) {
			c.DeletionTimestamp, c.Finalizers = &metav1.Time{Time: controllertest.Start}, []string{"a/b"}
		}),
	} {
		f, r := start(t, c, class(), offering("n1", 5*gi), host("n1"))
		if _, err := r.reconcile(t.Context(), key{namespace: "n", claim: "c"}); err != nil || len(f.Writes()) > 0 || len(f.Told()) > 0 {
			t.Errorf("%s: %v, %v", name, err, f.Writes())
		}
	}
	f, r := start(t, claim(), class(), host("n1"))
	if _, err := r.reconcile(t.Context(), key{namespace: "n", claim: "c"}); err != nil || !slices.Equal(f.Writes(), []string{"update persistentvolumeclaims c"}) {
		t.Errorf("on a node that offers nothing: %v, %v", err, f.Writes())
	}
}

// TestWhoRemovesTheData: its node does, as long as there is one and something to remove.
func TestWhoRemovesTheData(t *testing.T) {
	going := func(v *corev1.PersistentVolume) { v.DeletionTimestamp = &metav1.Time{Time: controllertest.Start} }
	phase := func(p corev1.PersistentVolumePhase) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) { v.Status.Phase = p }
	}
	made := func(v *corev1.PersistentVolume) { v.Annotations[config.LocalVolumeMade] = "then" }
	retain := func(v *corev1.PersistentVolume) {
		v.Spec.PersistentVolumeReclaimPolicy = corev1.PersistentVolumeReclaimRetain
	}
	foreign := func(v *corev1.PersistentVolume) { v.Annotations[volumehelpers.AnnDynamicallyProvisioned] = "a.b/c" }
	const lets, deletes = "update persistentvolumes v", "delete persistentvolumes v"
	for name, tt := range map[string]struct {
		v    *corev1.PersistentVolume
		node bool
		want []string
	}{
		"bound":                     {local("v", "n1", gi, phase(corev1.VolumeBound), made), true, nil},
		"released":                  {local("v", "n1", gi, phase(corev1.VolumeReleased), made), true, []string{deletes}},
		"released, retained":        {local("v", "n1", gi, phase(corev1.VolumeReleased), made, retain), true, nil},
		"released, of another":      {local("v", "n1", gi, phase(corev1.VolumeReleased), made, foreign), true, nil},
		"going":                     {local("v", "n1", gi, phase(corev1.VolumeReleased), made, going), true, nil},
		"going, never made":         {local("v", "n1", gi, phase(corev1.VolumeReleased), going), true, []string{lets}},
		"going, retained":           {local("v", "n1", gi, phase(corev1.VolumeReleased), made, going, retain), true, []string{lets}},
		"going, the server is gone": {local("v", "n1", gi, phase(corev1.VolumeReleased), made, going), false, []string{lets}},
		"going, bound":              {local("v", "n1", gi, phase(corev1.VolumeBound), going), false, nil},
	} {
		objects := []runtime.Object{tt.v}
		if tt.node {
			objects = append(objects, host("n1"))
		}
		f, r := start(t, objects...)
		if _, err := r.reconcile(t.Context(), key{volume: "v"}); err != nil || !slices.Equal(f.Writes(), tt.want) {
			t.Errorf("%s: %v, %v, want %v", name, err, f.Writes(), tt.want)
		}
	}
}

func TestCapacities(t *testing.T) {
	foreign := class(func(c *storagev1.StorageClass) { c.Name, c.Provisioner = "other", "a.b/c" })
	slow := class(func(c *storagev1.StorageClass) { c.Name = "slow" })
	f, r := start(t, class(), slow, foreign, offering("n1", 5*gi), host("n1"), host("n2"), local("v", "n1", 2*gi), local("w", "n2", 2*gi))
	sizes := func() map[string]string {
		list, err := f.API.StorageV1().CSIStorageCapacities("kube-system").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, c := range list.Items {
			out[c.StorageClassName+" "+c.NodeTopology.MatchLabels[corev1.LabelHostname]] = c.Capacity.String()
		}
		return out
	}
	for _, node := range []string{"n1", "n2", "n3"} {
		if err := r.publish(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
	if got := sizes(); len(got) != 2 || got["local n1-host"] != "3Gi" || got["slow n1-host"] != "3Gi" {
		t.Errorf("published are %v", got)
	}
	next, r := start(t, append(objectsOf(t, f), class(), offering("n1", gi), host("n1"), local("v", "n1", 2*gi))...)
	f = next
	if err := r.publish(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if got := sizes(); len(got) != 1 || got["local n1-host"] != "0" {
		t.Errorf("after a class went, and more was given than there is: %v", got)
	}
}

func objectsOf(t *testing.T, f *controllertest.Fixture) []runtime.Object {
	list, err := f.API.StorageV1().CSIStorageCapacities("kube-system").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []runtime.Object
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out
}

func TestExpansion(t *testing.T) {
	bound := func(size string) *corev1.PersistentVolumeClaim {
		return claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.VolumeName, c.Status.Phase = "v", corev1.ClaimBound
			c.Spec.Resources.Requests["storage"] = resource.MustParse(size)
			c.Status.Capacity = corev1.ResourceList{"storage": resource.MustParse("2Gi")}
		})
	}
	of := func(uid types.UID) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) { v.Spec.ClaimRef = &corev1.ObjectReference{UID: uid} }
	}
	const volume, status = "update persistentvolumes v", "update persistentvolumeclaims/status c"
	for name, tt := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		v     *corev1.PersistentVolume
		want  []string
		told  string
	}{
		"there is room":       {bound("4Gi"), local("v", "n1", 2*gi, of("u")), []string{status, volume}, "VolumeResizeSuccessful"},
		"to the last byte":    {bound("5Gi"), local("v", "n1", 2*gi, of("u")), []string{status, volume}, "VolumeResizeSuccessful"},
		"there is none":       {bound("6Gi"), local("v", "n1", 2*gi, of("u")), nil, "node n1 has 3Gi left for volumes, and 4Gi more is asked for"},
		"cut after the first": {bound("4Gi"), local("v", "n1", 4*gi, of("u")), []string{status}, "VolumeResizeSuccessful"},
		"another's":           {bound("4Gi"), local("v", "n1", 2*gi, of("x")), nil, ""},
		"as it is":            {bound("2Gi"), local("v", "n1", 2*gi, of("u")), nil, ""},
	} {
		f, r := start(t, tt.claim, tt.v, class(), offering("n1", 5*gi), host("n1"))
		_, err := r.reconcile(t.Context(), key{namespace: "n", claim: "c"})
		if told := strings.Join(f.Told(), "\n"); err != nil || !slices.Equal(f.Writes(), tt.want) || !strings.Contains(told, tt.told) {
			t.Errorf("%s: %v, %v, told %q", name, err, f.Writes(), told)
		}
		if len(tt.want) == 0 {
			continue
		}
		c, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "c", metav1.GetOptions{})
		if has, ask := c.Status.Capacity["storage"], c.Spec.Resources.Requests["storage"]; err != nil || has.Cmp(ask) != 0 {
			t.Errorf("%s: has %s, %v", name, has.String(), err)
		}
	}
}

// emptyVolumes is a cache that is behind.
func emptyVolumes(t *testing.T) corelisters.PersistentVolumeLister {
	t.Helper()
	f := controllertest.New()
	return f.Deps.Informers.Core().V1().PersistentVolumes().Lister()
}

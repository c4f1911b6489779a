package persistentvolume

import (
	"context"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	volumehelpers "k8s.io/component-helpers/storage/volume"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// claim is one that asks for 2Gi of class c.
func claim(change ...func(*corev1.PersistentVolumeClaim)) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "c", UID: "claim-uid"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: ptr.To("c"),
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("2Gi")}},
		},
		Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending},
	}
	for _, f := range change {
		f(c)
	}
	return c
}

// volume is a free one of class c.
func volume(name, size string, change ...func(*corev1.PersistentVolume)) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: "c",
			Capacity: corev1.ResourceList{"storage": resource.MustParse(size)}, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		},
		Status: corev1.PersistentVolumeStatus{Phase: corev1.VolumeAvailable},
	}
	for _, f := range change {
		f(v)
	}
	return v
}

func class(name, provisioner string, mode storagev1.VolumeBindingMode, annotations ...string) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{}}, Provisioner: provisioner, VolumeBindingMode: &mode}
	for _, a := range annotations {
		c.Annotations[a] = "true"
	}
	return c
}

func boundTo(name string) func(*corev1.PersistentVolumeClaim) {
	return func(c *corev1.PersistentVolumeClaim) {
		c.Spec.VolumeName, c.Status.Phase = name, corev1.ClaimBound
		c.Annotations = map[string]string{volumehelpers.AnnBindCompleted: "yes"}
	}
}

func of(uid types.UID, phase corev1.PersistentVolumePhase) func(*corev1.PersistentVolume) {
	return func(v *corev1.PersistentVolume) {
		v.Spec.ClaimRef = &corev1.ObjectReference{Kind: "PersistentVolumeClaim", Namespace: "n", Name: "c", UID: uid}
		v.Status.Phase = phase
	}
}

func byController(v *corev1.PersistentVolume) {
	v.Annotations = map[string]string{volumehelpers.AnnBoundByController: "yes"}
}

// settle reconciles what is in the API until nothing changes, as events would have it.
func settle(t *testing.T, objects ...runtime.Object) (*controllertest.Fixture, *corev1.PersistentVolumeClaim, map[string]*corev1.PersistentVolume) {
	t.Helper()
	f := controllertest.New(objects...)
	var c *corev1.PersistentVolumeClaim
	volumes := map[string]*corev1.PersistentVolume{}
	for round := 0; ; round++ {
		if round == 10 {
			t.Fatal("it goes on and on")
		}
		fresh := controllertest.New(objects...)
		r, err := New(fresh.Deps)
		if err != nil {
			t.Fatal(err)
		}
		fresh.Sync(t)
		list, err := fresh.API.CoreV1().PersistentVolumes().List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		fresh.API.ClearActions()
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "c"}); err != nil {
			t.Fatal(err)
		}
		for _, v := range list.Items {
			if len(fresh.Writes()) == 0 { // a cache that is behind would make it fail, and be tried again
				if _, err := r.reconcile(t.Context(), types.NamespacedName{Name: v.Name}); err != nil {
					t.Fatal(err)
				}
			}
		}
		writes := fresh.Writes()
		objects = stored(t, fresh)
		for _, e := range fresh.Told() {
			f.Deps.Events.Event(&corev1.PersistentVolumeClaim{}, strings.Fields(e)[0], strings.Fields(e)[1], strings.Join(strings.Fields(e)[2:], " "))
		}
		if len(writes) > 0 {
			continue
		}
		for _, o := range objects {
			switch o := o.(type) {
			case *corev1.PersistentVolumeClaim:
				c = o
			case *corev1.PersistentVolume:
				volumes[o.Name] = o
			}
		}
		return f, c, volumes
	}
}

// stored is what the API has now.
func stored(t *testing.T, f *controllertest.Fixture) []runtime.Object {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	var out []runtime.Object
	claims, err1 := f.API.CoreV1().PersistentVolumeClaims("").List(ctx, metav1.ListOptions{})
	volumes, err2 := f.API.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	classes, err3 := f.API.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{})
	pods, err4 := f.API.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range claims.Items {
		out = append(out, &claims.Items[i])
	}
	for i := range volumes.Items {
		out = append(out, &volumes.Items[i])
	}
	for i := range classes.Items {
		out = append(out, &classes.Items[i])
	}
	for i := range pods.Items {
		out = append(out, &pods.Items[i])
	}
	return out
}

const (
	immediate = storagev1.VolumeBindingImmediate
	delayed   = storagev1.VolumeBindingWaitForFirstConsumer
)

// TestWhichVolumeAClaimGets: the smallest that it may have, or the one that is meant for it.
func TestWhichVolumeAClaimGets(t *testing.T) {
	more := func(v *corev1.PersistentVolume) {
		v.Spec.AccessModes = append(v.Spec.AccessModes, corev1.ReadWriteMany)
	}
	for name, tt := range map[string]struct {
		class   *storagev1.StorageClass
		claim   *corev1.PersistentVolumeClaim
		volumes []runtime.Object
		want    string // "" for none
		told    string // part of an event
	}{
		"the smallest that is large enough": {nil, claim(), []runtime.Object{volume("a", "1Gi"), volume("b", "5Gi"), volume("d", "2Gi"), volume("e", "3Gi")}, "d", ""},
		"none is large enough":              {nil, claim(), []runtime.Object{volume("a", "1Gi")}, "", `storageclass.storage.k8s.io "c" not found`},
		"the fewest access modes first":     {nil, claim(), []runtime.Object{volume("a", "2Gi", more), volume("b", "3Gi")}, "b", ""},
		"more access modes will do":         {nil, claim(), []runtime.Object{volume("a", "2Gi", more)}, "a", ""},
		"not enough access modes": {nil, claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce, corev1.ReadOnlyMany}
		}), []runtime.Object{volume("a", "2Gi", more)}, "", ""},
		"the one that is meant for it": {nil, claim(), []runtime.Object{volume("a", "2Gi"), volume("b", "9Gi", of("", corev1.VolumeAvailable))}, "b", ""},
		"not one that is another's":    {nil, claim(), []runtime.Object{volume("a", "2Gi", of("of-another-of-the-name", corev1.VolumeReleased))}, "", ""},
		"of its class only":            {nil, claim(), []runtime.Object{volume("a", "2Gi", func(v *corev1.PersistentVolume) { v.Spec.StorageClassName = "" })}, "", ""},
		"by its selector": {nil, claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}
		}), []runtime.Object{volume("a", "2Gi"), volume("b", "7Gi", func(v *corev1.PersistentVolume) { v.Labels = map[string]string{"a": "b"} })}, "b", ""},
		"not of another mode": {nil, claim(), []runtime.Object{volume("a", "2Gi", func(v *corev1.PersistentVolume) { v.Spec.VolumeMode = ptr.To(corev1.PersistentVolumeBlock) })}, "", ""},
		"not one that goes": {nil, claim(), []runtime.Object{volume("a", "2Gi", func(v *corev1.PersistentVolume) {
			v.DeletionTimestamp, v.Finalizers = &metav1.Time{Time: controllertest.Start}, []string{"a/b"}
		})}, "", ""},
		"the scheduler chooses":                {class("c", "a.b/c", delayed), claim(), []runtime.Object{volume("a", "2Gi")}, "", "waiting for first consumer to be created before binding"},
		"what the scheduler chose":             {class("c", "a.b/c", delayed), claim(), []runtime.Object{volume("a", "2Gi", of("claim-uid", corev1.VolumeAvailable))}, "a", ""},
		"the one that it names":                {nil, claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "b" }), []runtime.Object{volume("a", "2Gi"), volume("b", "9Gi")}, "b", ""},
		"not the one that it names: too small": {nil, claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "b" }), []runtime.Object{volume("b", "1Gi")}, "", `Cannot bind to requested volume "b": requested PV is too small`},
		"not the one that it names: class": {nil, claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName, c.Spec.StorageClassName = "b", ptr.To("") }), []runtime.Object{volume("b", "2Gi")}, "",
			`Cannot bind to requested volume "b": storageClassName does not match`},
		"not the one that it names: modes": {nil, claim(func(c *corev1.PersistentVolumeClaim) {
			c.Spec.VolumeName, c.Spec.AccessModes = "b", []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOncePod}
		}), []runtime.Object{volume("b", "2Gi")}, "", `incompatible accessMode`},
		"not the one that it names: another's": {nil, claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "b" }), []runtime.Object{volume("b", "2Gi", of("x", corev1.VolumeBound), byController, func(v *corev1.PersistentVolume) { v.Spec.ClaimRef.Name = "other" })}, "",
			`volume "b" already bound to a different claim.`},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append(tt.volumes, tt.claim)
			if tt.class != nil {
				objects = append(objects, tt.class)
			}
			f, c, volumes := settle(t, objects...)
			got := ""
			if c.Status.Phase == corev1.ClaimBound {
				got = c.Spec.VolumeName
			}
			if got != tt.want {
				t.Fatalf("got %q, want %q (%+v)", got, tt.want, c)
			}
			if told := strings.Join(f.Told(), "\n"); !strings.Contains(told, tt.told) {
				t.Errorf("told %q, want %q", told, tt.told)
			}
			if got == "" {
				if c.Status.Phase != corev1.ClaimPending {
					t.Errorf("phase %s", c.Status.Phase)
				}
				return
			}
			v := volumes[got]
			size := c.Status.Capacity["storage"]
			if v.Spec.ClaimRef == nil || v.Spec.ClaimRef.UID != c.UID || v.Status.Phase != corev1.VolumeBound || size.Cmp(v.Spec.Capacity["storage"]) != 0 ||
				!slices.Equal(c.Status.AccessModes, v.Spec.AccessModes) || !metav1.HasAnnotation(c.ObjectMeta, volumehelpers.AnnBindCompleted) {
				t.Errorf("bound are %+v and %+v", c, v)
			}
			// Who named the other first says so, and is not overruled later.
			if meant := tt.claim.Spec.VolumeName != ""; metav1.HasAnnotation(c.ObjectMeta, volumehelpers.AnnBoundByController) == meant {
				t.Errorf("annotations of the claim %v", c.Annotations)
			}
		})
	}
}

func TestProvisioning(t *testing.T) {
	onNode := func(c *corev1.PersistentVolumeClaim) {
		c.Annotations = map[string]string{volumehelpers.AnnSelectedNode: "n1"}
	}
	noClass := func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = nil }
	for name, tt := range map[string]struct {
		claim           *corev1.PersistentVolumeClaim
		classes         []runtime.Object
		by, class, told string
	}{
		"of the class":         {claim(), []runtime.Object{class("c", "a.b/c", immediate)}, "a.b/c", "c", "external provisioner 'a.b/c'"},
		"waits for a pod":      {claim(), []runtime.Object{class("c", "a.b/c", delayed)}, "", "c", "WaitForFirstConsumer"},
		"on a node":            {claim(onNode), []runtime.Object{class("c", "a.b/c", delayed)}, "a.b/c", "c", "ExternalProvisioning"},
		"of nobody":            {claim(), []runtime.Object{class("c", volumehelpers.NotSupportedProvisioner, immediate)}, "", "c", "no volume plugin matched name: kubernetes.io/no-provisioner"},
		"no class, no default": {claim(noClass), []runtime.Object{class("c", "a.b/c", immediate)}, "", "", "no persistent volumes available for this claim and no storage class is set"},
		"the default":          {claim(noClass), []runtime.Object{class("c", "a.b/c", immediate), class("d", "d.e/f", immediate, defaultClass)}, "d.e/f", "d", ""},
		"of two, by name":      {claim(noClass), []runtime.Object{class("f", "a.b/c", immediate, betaDefaultClass), class("d", "d.e/f", immediate, defaultClass)}, "d.e/f", "d", ""},
		"no class is a class":  {claim(func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("") }), []runtime.Object{class("d", "d.e/f", immediate, defaultClass)}, "", "", "no storage class is set"},
	} {
		f, c, _ := settle(t, append(tt.classes, tt.claim)...)
		if got := c.Annotations[volumehelpers.AnnStorageProvisioner]; got != tt.by || c.Annotations[volumehelpers.AnnBetaStorageProvisioner] != tt.by {
			t.Errorf("%s: by %q, want %q", name, got, tt.by)
		}
		if got := ptr.Deref(c.Spec.StorageClassName, ""); got != tt.class {
			t.Errorf("%s: class %q, want %q", name, got, tt.class)
		}
		if told := strings.Join(f.Told(), "\n"); !strings.Contains(told, tt.told) {
			t.Errorf("%s: told %q, want %q", name, told, tt.told)
		}
	}
	pod := func(name, node string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}, Status: corev1.PodStatus{Phase: phase}, Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{{
			VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}},
		}}}}
	}
	for told, pods := range map[string][]runtime.Object{
		"waiting for pod p to be scheduled":        {pod("p", "", ""), pod("q", "", corev1.PodFailed), pod("r", "n1", "")},
		"waiting for pods p,q to be scheduled":     {pod("q", "", ""), pod("p", "", "")},
		"waiting for first consumer to be created": {pod("r", "n1", "")},
	} {
		f, _, _ := settle(t, append(pods, claim(), class("c", "a.b/c", delayed))...)
		if got := strings.Join(f.Told(), "\n"); !strings.Contains(got, told) {
			t.Errorf("told %q, want %q", got, told)
		}
	}
}

// TestWhatBecomesOfVolumes: a volume whose claim is gone is kept, or shows that nobody can
// delete it, or is its provisioner's.
func TestWhatBecomesOfVolumes(t *testing.T) {
	policy := func(p corev1.PersistentVolumeReclaimPolicy) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) { v.Spec.PersistentVolumeReclaimPolicy = p }
	}
	by := func(name string) func(*corev1.PersistentVolume) {
		return func(v *corev1.PersistentVolume) {
			v.Annotations = map[string]string{volumehelpers.AnnDynamicallyProvisioned: name}
		}
	}
	const provisioned, released, failed = "a.b/c", corev1.VolumeReleased, corev1.VolumeFailed
	elsewhere := claim(boundTo("other"))
	for name, tt := range map[string]struct {
		claim   *corev1.PersistentVolumeClaim
		volume  *corev1.PersistentVolume
		phase   corev1.PersistentVolumePhase
		bound   types.UID // "-": to no claim
		message string
	}{
		"new":                         {nil, volume("v", "1Gi", func(v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumePending }), corev1.VolumeAvailable, "-", ""},
		"kept for one to come":        {nil, volume("v", "1Gi", of("", corev1.VolumePending)), corev1.VolumeAvailable, "", ""},
		"retained":                    {nil, volume("v", "1Gi", of("gone", corev1.VolumeBound)), released, "gone", ""},
		"its provisioner's":           {nil, volume("v", "1Gi", of("gone", corev1.VolumeBound), policy("Delete"), by(provisioned)), released, "gone", ""},
		"a CSI driver's":              {nil, volume("v", "1Gi", of("gone", corev1.VolumeBound), policy("Delete"), func(v *corev1.PersistentVolume) { v.Spec.CSI = &corev1.CSIPersistentVolumeSource{} }), released, "gone", ""},
		"nobody's":                    {nil, volume("v", "1Gi", of("gone", corev1.VolumeBound), policy("Delete")), failed, "gone", "no deletable volume plugin matched"},
		"of a plugin that went":       {nil, volume("v", "1Gi", of("gone", corev1.VolumeBound), policy("Delete"), by("kubernetes.io/x")), failed, "gone", "no volume plugin matched name: kubernetes.io/x"},
		"recycled":                    {nil, volume("v", "1Gi", of("gone", corev1.VolumeBound), policy("Recycle")), failed, "gone", "No recycler plugin"},
		"another claim of the name":   {claim(), volume("v", "1Gi", of("gone", corev1.VolumeBound)), released, "gone", ""},
		"its claim has another":       {elsewhere, volume("v", "1Gi", of("claim-uid", corev1.VolumeBound), byController), corev1.VolumeAvailable, "-", ""},
		"so says a user":              {elsewhere, volume("v", "1Gi", of("claim-uid", corev1.VolumeBound)), corev1.VolumeAvailable, "", ""},
		"made for one that got other": {elsewhere, volume("v", "1Gi", of("claim-uid", corev1.VolumeBound), policy("Delete"), by(provisioned)), released, "claim-uid", ""},
	} {
		objects := []runtime.Object{tt.volume}
		if tt.claim != nil {
			objects = append(objects, tt.claim)
			if tt.claim.Spec.VolumeName == "other" {
				objects = append(objects, volume("other", "2Gi", of("claim-uid", corev1.VolumeBound)))
			}
		}
		_, _, volumes := settle(t, objects...)
		v, bound := volumes["v"], types.UID("-")
		if v.Spec.ClaimRef != nil {
			bound = v.Spec.ClaimRef.UID
		}
		if v.Status.Phase != tt.phase || bound != tt.bound || !strings.Contains(v.Status.Message, tt.message) {
			t.Errorf("%s: %s, bound to %q, %q; want %s, %q, %q", name, v.Status.Phase, bound, v.Status.Message, tt.phase, tt.bound, tt.message)
		}
	}
}

// TestAClaimIsLost: it was bound, and its volume is not there any more, or is another's.
func TestAClaimIsLost(t *testing.T) {
	for name, tt := range map[string]struct {
		claim  *corev1.PersistentVolumeClaim
		volume []runtime.Object
		phase  corev1.PersistentVolumeClaimPhase
		told   string
	}{
		"no volume":    {claim(boundTo("v")), nil, corev1.ClaimLost, "Bound claim has lost its PersistentVolume. Data on the volume is lost!"},
		"no name":      {claim(boundTo("")), nil, corev1.ClaimLost, "Bound claim has lost reference to PersistentVolume"},
		"another's":    {claim(boundTo("v")), []runtime.Object{volume("v", "2Gi", of("another", corev1.VolumeBound))}, corev1.ClaimLost, "ClaimMisbound"},
		"came unbound": {claim(boundTo("v")), []runtime.Object{volume("v", "2Gi")}, corev1.ClaimBound, ""},
		"all is well":  {claim(boundTo("v")), []runtime.Object{volume("v", "2Gi", of("claim-uid", corev1.VolumeBound))}, corev1.ClaimBound, ""},
	} {
		f, c, _ := settle(t, append(tt.volume, tt.claim)...)
		told := f.Told()
		if c.Status.Phase != tt.phase || !strings.Contains(strings.Join(told, "\n"), tt.told) || len(told) > 1 {
			t.Errorf("%s: %s, told %q", name, c.Status.Phase, told)
		}
	}
}

// TestAClaimOfADriverGrows by its driver's resizer, for which it waits.
func TestAClaimOfADriverGrows(t *testing.T) {
	for size, waits := range map[string]bool{"1Gi": true, "2Gi": false, "3Gi": false} {
		for _, csi := range []bool{true, false} {
			v := volume("v", size, of("claim-uid", corev1.VolumeBound))
			if csi {
				v.Spec.PersistentVolumeSource = corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "d", VolumeHandle: "h"}}
			}
			f, c, _ := settle(t, claim(boundTo("v")), v)
			told := strings.Contains(strings.Join(f.Told(), "\n"), "Normal ExternalExpanding waiting for an external controller to expand this PVC")
			if told != (waits && csi) || c.Status.Phase != corev1.ClaimBound {
				t.Errorf("%s of a driver %t: told %t, %s", size, csi, told, c.Status.Phase)
			}
		}
	}
}

// TestACutBindingIsCompleted: whatever write of the four was the last, the binding ends
// the same, and nothing of a volume that another claim got is touched.
func TestACutBindingIsCompleted(t *testing.T) {
	for cut := range 5 {
		v, c := volume("v", "2Gi"), claim()
		if cut > 0 {
			of("claim-uid", corev1.VolumeAvailable)(v)
			byController(v)
		}
		if cut > 1 {
			v.Status.Phase = corev1.VolumeBound
		}
		if cut > 2 {
			boundTo("v")(c)
			c.Annotations[volumehelpers.AnnBoundByController] = "yes"
			c.Status.Phase = corev1.ClaimPending
		}
		if cut > 3 {
			c.Status.Phase = corev1.ClaimBound
		}
		_, got, volumes := settle(t, v, c, volume("w", "2Gi"))
		if got.Status.Phase != corev1.ClaimBound || got.Spec.VolumeName != "v" || volumes["v"].Status.Phase != corev1.VolumeBound || volumes["w"].Spec.ClaimRef != nil {
			t.Errorf("cut after %d: %+v, %+v", cut, got, volumes)
		}
	}
}

package pvcprotection

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
	"github.com/gantry-run/gantry/runtime/controller/internal/podclaims"
)

func claim(name string, going bool, finalizers ...string) *corev1.PersistentVolumeClaim {
	c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, Finalizers: finalizers}}
	if going {
		c.DeletionTimestamp = &metav1.Time{Time: controllertest.Start}
	}
	return c
}

func onNode(node string, phase corev1.PodPhase, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "pod-uid"}, Status: corev1.PodStatus{Phase: phase}, Spec: corev1.PodSpec{NodeName: node, Volumes: []corev1.Volume{
		{Name: "x"}, {Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}},
	}}}
	for _, f := range change {
		f(p)
	}
	return p
}

// TestAClaimStaysWhileItIsUsed: by a pod on a node, whatever its phase.
func TestAClaimStaysWhileItIsUsed(t *testing.T) {
	ephemeral := func(p *corev1.Pod) {
		p.Spec.Volumes[1].VolumeSource = corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}
	}
	shut := func(p *corev1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: controllertest.Start}, ptr.To(int64(0))
	}
	owned := claim("p-v", true, Finalizer)
	owned.OwnerReferences = []metav1.OwnerReference{{UID: "pod-uid", Controller: ptr.To(true)}}
	const free = "update persistentvolumeclaims "
	for name, tt := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		pods  []runtime.Object
		want  []string
	}{
		"unused":                    {claim("c", true, Finalizer, "a/b"), nil, []string{free + "c"}},
		"used":                      {claim("c", true, Finalizer), []runtime.Object{onNode("n1", corev1.PodRunning)}, nil},
		"used by one that ended":    {claim("c", true, Finalizer), []runtime.Object{onNode("n1", corev1.PodSucceeded)}, nil},
		"wanted by one on no node":  {claim("c", true, Finalizer), []runtime.Object{onNode("", corev1.PodPending)}, []string{free + "c"}},
		"another's":                 {claim("d", true, Finalizer), []runtime.Object{onNode("n1", corev1.PodRunning)}, []string{free + "d"}},
		"not ours to keep":          {claim("c", true, "a/b"), nil, nil},
		"an ephemeral volume's":     {owned, []runtime.Object{onNode("n1", corev1.PodRunning, ephemeral)}, nil},
		"of a pod that was shut":    {owned, []runtime.Object{onNode("n1", corev1.PodRunning, ephemeral, shut)}, []string{free + "p-v"}},
		"of the name, not of it":    {claim("p-v", true, Finalizer), []runtime.Object{onNode("n1", corev1.PodRunning, ephemeral)}, []string{free + "p-v"}},
		"shut, and not ephemeral":   {claim("c", true, Finalizer), []runtime.Object{onNode("n1", corev1.PodRunning, shut)}, nil},
		"one that was made earlier": {claim("c", false), nil, []string{free + "c"}},
		"protected":                 {claim("c", false, Finalizer), nil, nil},
	} {
		f := controllertest.New(append(tt.pods, tt.claim)...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: tt.claim.Name}); err != nil {
			t.Fatal(err)
		}
		if got := f.Writes(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
		if name == "unused" {
			got, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "c", metav1.GetOptions{})
			if err != nil || !slices.Equal(got.Finalizers, []string{"a/b"}) {
				t.Errorf("finalizers %v, %v", got.Finalizers, err)
			}
		}
	}
}

// TestAPodThatTheCacheDoesNotShow keeps its claim.
func TestAPodThatTheCacheDoesNotShow(t *testing.T) {
	f := controllertest.New(claim("c", true, Finalizer))
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	if err := f.API.Tracker().Add(onNode("n1", corev1.PodRunning)); err != nil {
		t.Fatal(err)
	}
	r.pods = cacheOf()
	if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "c"}); err != nil || len(f.Writes()) > 0 {
		t.Errorf("%v, %v", err, f.Writes())
	}
}

// TestSinceWhenItIsUnused: only of a bound claim, and written when it changes.
func TestSinceWhenItIsUnused(t *testing.T) {
	bound := func(was ...corev1.ConditionStatus) *corev1.PersistentVolumeClaim {
		c := claim("c", false, Finalizer)
		c.Status.Phase = corev1.ClaimBound
		for _, s := range was {
			c.Status.Conditions = append(c.Status.Conditions, corev1.PersistentVolumeClaimCondition{Type: corev1.PersistentVolumeClaimUnused, Status: s})
		}
		return c
	}
	pending := bound()
	pending.Status.Phase = corev1.ClaimPending
	for name, tt := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		pods  []runtime.Object
		want  corev1.ConditionStatus
		wrote bool
	}{
		"new":                 {bound(), nil, corev1.ConditionTrue, true},
		"new, used":           {bound(), []runtime.Object{onNode("n1", corev1.PodRunning)}, corev1.ConditionFalse, true},
		"wanted":              {bound(), []runtime.Object{onNode("", corev1.PodPending)}, corev1.ConditionFalse, true},
		"of one that ended":   {bound(corev1.ConditionFalse), []runtime.Object{onNode("n1", corev1.PodFailed)}, corev1.ConditionTrue, true},
		"as it was":           {bound(corev1.ConditionTrue), nil, corev1.ConditionTrue, false},
		"as it was, used":     {bound(corev1.ConditionFalse), []runtime.Object{onNode("n1", corev1.PodRunning)}, corev1.ConditionFalse, false},
		"used again":          {bound(corev1.ConditionTrue), []runtime.Object{onNode("n1", corev1.PodRunning)}, corev1.ConditionFalse, true},
		"one that is pending": {pending, nil, "", false},
	} {
		f := controllertest.New(append(tt.pods, tt.claim)...)
		r, err := New(f.Deps)
		if err != nil {
			t.Fatal(err)
		}
		f.Sync(t)
		if _, err := r.reconcile(t.Context(), types.NamespacedName{Namespace: "n", Name: "c"}); err != nil {
			t.Fatal(err)
		}
		wrote := len(f.Writes()) > 0
		c, err := f.API.CoreV1().PersistentVolumeClaims("n").Get(t.Context(), "c", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var got corev1.ConditionStatus
		if len(c.Status.Conditions) > 0 {
			got = c.Status.Conditions[0].Status
		}
		if got != tt.want || wrote != tt.wrote || wrote && !c.Status.Conditions[0].LastTransitionTime.Time.Equal(controllertest.Start) {
			t.Errorf("%s: %q, written %v; want %q, %v", name, got, wrote, tt.want, tt.wrote)
		}
	}
}

// cacheOf is an indexed cache that holds nothing yet.
func cacheOf() cache.Indexer {
	f := controllertest.New()
	pods, err := podclaims.Index(f.Deps.Informers.Core().V1().Pods().Informer())
	if err != nil {
		panic(err)
	}
	return pods
}

package resourceclaim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

func pod(uid string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: types.UID(uid)}, Spec: corev1.PodSpec{
		ResourceClaims: []corev1.PodResourceClaim{{Name: "made", ResourceClaimTemplateName: ptr.To("t")}, {Name: "own", ResourceClaimName: ptr.To("c")}},
	}}
	for _, f := range change {
		f(p)
	}
	return p
}

// told says in the pod's status that a claim was made.
func told(name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "made", ResourceClaimName: &name}}
	}
}

func onNode(p *corev1.Pod)   { p.Spec.NodeName = "w" }
func deleting(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: controllertest.Start} }
func ended(p *corev1.Pod)    { p.Status.Phase = corev1.PodSucceeded }
func failed(p *corev1.Pod)   { p.Status.Phase = corev1.PodFailed }

func claim(name string, change ...func(*resourcev1.ResourceClaim)) *resourcev1.ResourceClaim {
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}}
	for _, f := range change {
		f(c)
	}
	return c
}

// of is a claim that was made for a pod.
func of(uid string) func(*resourcev1.ResourceClaim) {
	return func(c *resourcev1.ResourceClaim) {
		c.Annotations = map[string]string{resourcev1.PodResourceClaimAnnotation: "made"}
		c.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "p", UID: types.UID(uid), Controller: ptr.To(true)}}
	}
}

func allocated(c *resourcev1.ResourceClaim) {
	c.Finalizers = append(c.Finalizers, "other/finalizer", resourcev1.Finalizer)
	c.Status.Allocation = &resourcev1.AllocationResult{}
}

func going(c *resourcev1.ResourceClaim) {
	c.DeletionTimestamp = &metav1.Time{Time: controllertest.Start}
}

// reserved is for a pod, "name/uid", or for something else.
func reserved(for_ ...string) func(*resourcev1.ResourceClaim) {
	return func(c *resourcev1.ResourceClaim) {
		for _, f := range for_ {
			name, uid, isPod := strings.Cut(f, "/")
			r := resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: name, UID: types.UID(uid)}
			if !isPod {
				r = resourcev1.ResourceClaimConsumerReference{APIGroup: "example.com", Resource: "things", Name: name, UID: "x"}
			}
			c.Status.ReservedFor = append(c.Status.ReservedFor, r)
		}
	}
}

func template() *resourcev1.ResourceClaimTemplate {
	return &resourcev1.ResourceClaimTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "t"}, Spec: resourcev1.ResourceClaimTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}},
		Spec:       resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{{Name: "r"}}}},
	}}
}

func reconciled(t *testing.T, k key, there ...runtime.Object) (*controllertest.Fixture, error) {
	t.Helper()
	f := controllertest.New(there...)
	c, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	f.Sync(t)
	_, err = c.reconcile(t.Context(), k)
	return f, err
}

func TestClaimsOfPods(t *testing.T) {
	const create, tell, reserve = "create resourceclaims p-made-*", "patch pods/status p", "update resourceclaims/status c"
	for name, test := range map[string]struct {
		there []runtime.Object
		want  []string
		fails string
	}{
		"is made":                        {[]runtime.Object{pod("u"), template()}, []string{create, tell}, ""},
		"is there":                       {[]runtime.Object{pod("u", told("m")), template(), claim("m", of("u"))}, nil, ""},
		"is there, and not told":         {[]runtime.Object{pod("u"), template(), claim("m", of("u"))}, []string{tell}, ""},
		"of another name is not it":      {[]runtime.Object{pod("u"), template(), claim("m", of("u"), func(c *resourcev1.ResourceClaim) { c.Annotations = nil })}, []string{create, tell}, ""},
		"of another pod is not it":       {[]runtime.Object{pod("u"), template(), claim("m", of("v"))}, []string{create, tell}, ""},
		"that is deleted is not it":      {[]runtime.Object{pod("u"), template(), claim("m", of("u"), going)}, []string{create, tell}, ""},
		"was deleted":                    {[]runtime.Object{pod("u", told("m")), template()}, []string{create, tell}, ""},
		"was replaced by another pod's":  {[]runtime.Object{pod("u", told("m")), template(), claim("m", of("v"))}, []string{create, tell}, ""},
		"has no template":                {[]runtime.Object{pod("u")}, nil, `resource claim template "t"`},
		"pod is going":                   {[]runtime.Object{pod("u", deleting), template()}, nil, ""},
		"pod is gone":                    {[]runtime.Object{template()}, nil, ""},
		"is reserved for who is running": {[]runtime.Object{pod("u", told("m"), onNode), template(), claim("m", of("u")), claim("c", allocated)}, []string{reserve}, ""},
		"is reserved already":            {[]runtime.Object{pod("u", told("m"), onNode), template(), claim("m", of("u")), claim("c", allocated, reserved("p/u"))}, nil, ""},
		"is not allocated":               {[]runtime.Object{pod("u", told("m"), onNode), template(), claim("m", of("u")), claim("c")}, nil, ""},
		"is not there to be reserved":    {[]runtime.Object{pod("u", told("m"), onNode), template(), claim("m", of("u"))}, nil, ""},
		"is the scheduler's to reserve":  {[]runtime.Object{pod("u", told("m")), template(), claim("m", of("u")), claim("c", allocated)}, nil, ""},
	} {
		f, err := reconciled(t, key{podKind, types.NamespacedName{Namespace: "n", Name: "p"}}, test.there...)
		if got := f.Writes(); !slices.Equal(got, test.want) || (err != nil) != (test.fails != "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, test.want)
		}
		if events := strings.Join(f.Told(), "\n"); strings.Contains(events, "FailedResourceClaimCreation PodResourceClaim made: ") != (test.fails != "") {
			t.Errorf("%s: told %q", name, events)
		}
	}
}

func TestAClaimIsAsItsTemplateSays(t *testing.T) {
	c := claimOf(pod("u"), "made", template())
	o := metav1.GetControllerOf(c)
	if o == nil || o.UID != "u" || o.Kind != "Pod" || o.APIVersion != "v1" || c.Labels["a"] != "b" || c.Annotations["c"] != "d" || c.Annotations[resourcev1.PodResourceClaimAnnotation] != "made" || c.Spec.Devices.Requests[0].Name != "r" {
		t.Errorf("made is %+v", c)
	}
	if c.GenerateName != "p-made-" {
		t.Errorf("named %s", c.GenerateName)
	}
	long := pod("u")
	long.Name = strings.Repeat("p", 100)
	if c := claimOf(long, strings.Repeat("r", 60), template()); len(c.GenerateName) > longestBase || !strings.Contains(c.GenerateName, "pp-rr") {
		t.Errorf("named %s", c.GenerateName)
	}
}

func TestReservationsOfPodsThatHaveEnded(t *testing.T) {
	const status, update, remove = "update resourceclaims/status c", "update resourceclaims c", "delete resourceclaims c"
	for name, test := range map[string]struct {
		claim *resourcev1.ResourceClaim
		pods  []runtime.Object
		want  []string
		left  string // "reservations allocated finalizers"
	}{
		"is used":                       {claim("c", allocated, reserved("p/u")), []runtime.Object{pod("u")}, nil, "1 true 2"},
		"is used by who is going":       {claim("c", allocated, reserved("p/u")), []runtime.Object{pod("u", onNode, deleting)}, nil, "1 true 2"},
		"was for one never scheduled":   {claim("c", allocated, reserved("p/u")), []runtime.Object{pod("u", deleting)}, []string{update, status}, "0 false 1"},
		"was for one that ended":        {claim("c", allocated, reserved("p/u")), []runtime.Object{pod("u", onNode, ended)}, []string{update, status}, "0 false 1"},
		"was for one that failed":       {claim("c", allocated, reserved("p/u")), []runtime.Object{pod("u", onNode, failed)}, []string{update, status}, "0 false 1"},
		"was for one that is gone":      {claim("c", allocated, reserved("p/u")), nil, []string{update, status}, "0 false 1"},
		"was for one of that name":      {claim("c", allocated, reserved("p/u")), []runtime.Object{pod("v")}, []string{update, status}, "0 false 1"},
		"for one of two":                {claim("c", allocated, reserved("p/u", "q/w")), []runtime.Object{pod("u")}, []string{status}, "1 true 2"},
		"for something else":            {claim("c", allocated, reserved("thing", "p/u")), nil, []string{status}, "1 true 2"},
		"for nobody yet":                {claim("c", allocated), nil, nil, "0 true 2"},
		"was allocated by another":      {claim("c", reserved("p/u"), func(c *resourcev1.ResourceClaim) { c.Status.Allocation = &resourcev1.AllocationResult{} }), nil, []string{status}, "0 true 0"},
		"is deleted, and was not used":  {claim("c", allocated, going), nil, []string{update, status}, "0 false 1"},
		"is deleted, and not allocated": {claim("c", going, func(c *resourcev1.ResourceClaim) { c.Finalizers = []string{resourcev1.Finalizer} }), nil, []string{update}, "0 false 0"},
		"is deleted, and used":          {claim("c", allocated, reserved("p/u"), going), []runtime.Object{pod("u")}, nil, "1 true 2"},
		"was made for one that ended":   {claim("c", of("u"), allocated, reserved("p/u")), []runtime.Object{pod("u", ended)}, []string{remove, update, status}, ""},
		"was made for one replaced":     {claim("c", of("u")), []runtime.Object{pod("v")}, []string{remove}, ""},
		"was made for one that waits":   {claim("c", of("u")), []runtime.Object{pod("u")}, nil, "0 false 0"},
		"was made for one that is gone": {claim("c", of("u")), nil, nil, "0 false 0"},
		"was made for one, and is left": {claim("c", of("u"), going), []runtime.Object{pod("u", ended)}, nil, "0 false 0"},
	} {
		f, err := reconciled(t, key{claimKind, types.NamespacedName{Namespace: "n", Name: "c"}}, append(test.pods, test.claim)...)
		if got := f.Writes(); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, test.want)
		}
		left := ""
		if c, err := f.API.ResourceV1().ResourceClaims("n").Get(t.Context(), "c", metav1.GetOptions{}); err == nil {
			left = fmt.Sprint(len(c.Status.ReservedFor), " ", c.Status.Allocation != nil, " ", len(c.Finalizers))
		}
		if left != test.left {
			t.Errorf("%s: left is %q, want %q", name, left, test.left)
		}
	}
}

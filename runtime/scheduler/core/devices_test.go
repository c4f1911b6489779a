package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kube-scheduler/framework"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"
)

// yard is what the caches have of devices, and who writes what is allocated: its cache may
// lag behind what it wrote.
type yard struct {
	t               *testing.T
	claims, classes cache.Indexer
	slices          []*resourcev1.ResourceSlice
	lag             bool
	refuse          error
	calls           []string
	version         int
}

func newYard(t *testing.T, objects ...any) *yard {
	index := func() cache.Indexer {
		return cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	}
	y := &yard{t: t, claims: index(), classes: index(), version: 10}
	for _, o := range objects {
		switch o := o.(type) {
		case *resourcev1.ResourceClaim:
			y.put(o)
		case *resourcev1.ResourceSlice:
			y.slices = append(y.slices, o)
		case *resourcev1.DeviceClass:
			if err := y.classes.Add(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	return y
}

func (y *yard) put(c *resourcev1.ResourceClaim) {
	y.t.Helper()
	if err := y.claims.Add(c); err != nil {
		y.t.Fatal(err)
	}
}

func (y *yard) ListPatchedResourceSlices() ([]*resourcev1.ResourceSlice, error) { return y.slices, nil }

func (y *yard) Allocate(_ context.Context, p *corev1.Pod, c *resourcev1.ResourceClaim, a *resourcev1.AllocationResult) (*resourcev1.ResourceClaim, error) {
	if y.refuse != nil {
		return nil, y.refuse
	}
	y.version++
	c = c.DeepCopy()
	c.ResourceVersion = fmt.Sprint(y.version)
	given := "what it has"
	if a != nil {
		c.Status.Allocation = a
		given = a.Devices.Results[0].Device
	}
	c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: p.Name, UID: p.UID})
	y.calls = append(y.calls, c.Name+" gets "+given+" for "+p.Name)
	if !y.lag {
		y.put(c)
	}
	return c, nil
}

func (y *yard) Release(_ context.Context, p *corev1.Pod, c *resourcev1.ResourceClaim) error {
	y.calls = append(y.calls, p.Name+" leaves "+c.Name)
	return nil
}

func (y *yard) plugin() *dynamicResources {
	return newDynamicResources(Devices{Claims: resourcelisters.NewResourceClaimLister(y.claims), Classes: resourcelisters.NewDeviceClassLister(y.classes), Slices: y, Binder: y})
}

// deviceClaim asks for what a YAML of requests says.
func deviceClaim(t *testing.T, name, requests string) *resourcev1.ResourceClaim {
	t.Helper()
	c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "1"}}
	if err := yaml.UnmarshalStrict([]byte(requests), &c.Spec.Devices); err != nil {
		t.Fatal(err)
	}
	for i := range c.Spec.Devices.Requests {
		if e := c.Spec.Devices.Requests[i].Exactly; e != nil && e.AllocationMode == "" {
			e.AllocationMode = resourcev1.DeviceAllocationModeExactCount
			e.Count = max(e.Count, 1)
		}
		for k := range c.Spec.Devices.Requests[i].FirstAvailable {
			c.Spec.Devices.Requests[i].FirstAvailable[k].AllocationMode, c.Spec.Devices.Requests[i].FirstAvailable[k].Count = resourcev1.DeviceAllocationModeExactCount, 1
		}
	}
	return c
}

const anyDevice = "{requests: [{name: r, exactly: {deviceClassName: any}}]}"

// having has a device of node a, and is used by pods.
func having(c *resourcev1.ResourceClaim, device string, pods ...string) *resourcev1.ResourceClaim {
	c.Status.Allocation = &resourcev1.AllocationResult{
		NodeSelector: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}}}}}},
		Devices:      resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{Request: "r", Driver: "d.example.com", Pool: "a", Device: device}}},
	}
	for _, p := range pods {
		c.Status.ReservedFor = append(c.Status.ReservedFor, resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: p, UID: types.UID(p)})
	}
	return c
}

// devicesOn are those of a node, as YAML.
func devicesOn(t *testing.T, node, devices string) *resourcev1.ResourceSlice {
	t.Helper()
	s := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: node}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "d.example.com", NodeName: &node, Pool: resourcev1.ResourcePool{Name: node, ResourceSliceCount: 1, Generation: 1},
	}}
	if err := yaml.UnmarshalStrict([]byte(devices), &s.Spec.Devices); err != nil {
		t.Fatal(err)
	}
	return s
}

func anyClass() *resourcev1.DeviceClass {
	return &resourcev1.DeviceClass{ObjectMeta: metav1.ObjectMeta{Name: "any"}}
}

func podWith(name string, claims ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)}}
	for _, c := range claims {
		p.Spec.ResourceClaims = append(p.Spec.ResourceClaims, corev1.PodResourceClaim{Name: c, ResourceClaimName: ptr.To(c)})
	}
	return p
}

// fits says on which of the nodes a and b a pod fits, or why on none.
func fits(t *testing.T, pl *dynamicResources, p *corev1.Pod) (State, string) {
	t.Helper()
	s, info := twoNodes(), compile(t, p)
	st, _, status := pl.PreFilter(s, info)
	if !status.IsSuccess() {
		return nil, status.Code().String() + " " + status.Message()
	}
	var out []string
	for _, name := range []string{"a", "b"} {
		if status := pl.Filter(st, info, s.Node(name)); status.IsSuccess() {
			out = append(out, name)
		} else if status.Code() == framework.Error {
			out = append(out, status.Message())
		}
	}
	return st, strings.Join(out, " ")
}

func TestWhereDevicesLetAPodBe(t *testing.T) {
	const unresolvable = "UnschedulableAndUnresolvable "
	onA := func() *resourcev1.ResourceSlice { return devicesOn(t, "a", "[{name: x}]") }
	both := func() []any {
		return []any{anyClass(), onA(), devicesOn(t, "b", "[{name: x, attributes: {numa: {int: 1}}}, {name: w, attributes: {numa: {int: 1}}}]")}
	}
	going := deviceClaim(t, "c", anyDevice)
	going.DeletionTimestamp = &metav1.Time{}
	foreign := having(deviceClaim(t, "made", anyDevice), "x")
	made := podWith("p")
	made.Spec.ResourceClaims = []corev1.PodResourceClaim{{Name: "m", ResourceClaimTemplateName: ptr.To("t")}}
	told := made.DeepCopy()
	told.Status.ResourceClaimStatuses = []corev1.PodResourceClaimStatus{{Name: "m", ResourceClaimName: ptr.To("made")}}
	for name, test := range map[string]struct {
		pod  *corev1.Pod
		yard []any
		want string
	}{
		"no claim":                {podWith("p"), nil, "Skip "},
		"no such claim":           {podWith("p", "c"), both(), unresolvable + `resourceclaim.resource.k8s.io "c" not found`},
		"not made yet":            {made, both(), unresolvable + `pod "default/p": ResourceClaim not created yet`},
		"made for another":        {told, append(both(), foreign), unresolvable},
		"deleted":                 {podWith("p", "c"), append(both(), going), unresolvable + `resourceclaim "c" is being deleted`},
		"no class":                {podWith("p", "c"), []any{deviceClaim(t, "c", anyDevice), onA()}, unresolvable + "request r: device class any does not exist"},
		"no class of alternative": {podWith("p", "c"), append(both(), deviceClaim(t, "c", "{requests: [{name: r, firstAvailable: [{name: s, deviceClassName: any}, {name: t, deviceClassName: other}]}]}")), unresolvable + "request r/t: device class other does not exist"},
		"where one is":            {podWith("p", "c"), []any{anyClass(), onA(), deviceClaim(t, "c", anyDevice)}, "a"},
		"where any are":           {podWith("p", "c"), append(both(), deviceClaim(t, "c", anyDevice)), "a b"},
		"two of a kind":           {podWith("p", "c"), append(both(), deviceClaim(t, "c", "{requests: [{name: r, exactly: {deviceClassName: any, count: 2}}], constraints: [{matchAttribute: d.example.com/numa}]}")), "b"},
		"of a selector":           {podWith("p", "c"), append(both(), deviceClaim(t, "c", `{requests: [{name: r, exactly: {deviceClassName: any, selectors: [{cel: {expression: 'device.attributes["d.example.com"].?numa.orValue(0) == 1'}}]}}]}`)), "b"},
		"for two claims":          {podWith("p", "c", "d"), append(both(), deviceClaim(t, "c", anyDevice), deviceClaim(t, "d", anyDevice)), "b"},
		"another has it":          {podWith("p", "c"), append(both(), deviceClaim(t, "c", anyDevice), having(deviceClaim(t, "d", anyDevice), "x")), "b"},
		"an admin has it":         {podWith("p", "c"), append(both(), deviceClaim(t, "c", anyDevice), admin(having(deviceClaim(t, "d", anyDevice), "x"))), "a b"},
		"it has one":              {podWith("p", "c"), append(both(), having(deviceClaim(t, "c", anyDevice), "x")), "a"},
		"others use it too":       {podWith("p", "c"), append(both(), having(deviceClaim(t, "c", anyDevice), "x", "q")), "a"},
		"has one everywhere":      {podWith("p", "c"), append(both(), everywhere(having(deviceClaim(t, "c", anyDevice), "x"))), "a b"},
		"tainted":                 {podWith("p", "c"), []any{anyClass(), devicesOn(t, "a", "[{name: x, taints: [{key: k, effect: NoSchedule}]}]"), deviceClaim(t, "c", anyDevice)}, ""},
		"told only":               {podWith("p", "c"), []any{anyClass(), devicesOn(t, "a", "[{name: x, taints: [{key: k, effect: None}]}]"), deviceClaim(t, "c", anyDevice)}, "a"},
		"tolerated":               {podWith("p", "c"), []any{anyClass(), devicesOn(t, "a", "[{name: x, taints: [{key: k, effect: NoExecute}]}]"), deviceClaim(t, "c", "{requests: [{name: r, exactly: {deviceClassName: any, tolerations: [{operator: Exists}]}}]}")}, "a"},
		"a part of it":            {podWith("p", "c"), []any{anyClass(), devicesOn(t, "a", "[{name: x, allowMultipleAllocations: true, capacity: {memory: {value: 10}}}]"), deviceClaim(t, "c", "{requests: [{name: r, exactly: {deviceClassName: any, capacity: {requests: {memory: 4}}}}]}"), sharing(having(deviceClaim(t, "d", anyDevice), "x"), "6")}, "a"},
		"too large a part":        {podWith("p", "c"), []any{anyClass(), devicesOn(t, "a", "[{name: x, allowMultipleAllocations: true, capacity: {memory: {value: 10}}}]"), deviceClaim(t, "c", "{requests: [{name: r, exactly: {deviceClassName: any, capacity: {requests: {memory: 4}}}}]}"), sharing(having(deviceClaim(t, "d", anyDevice), "x"), "7")}, ""},
		"a broken selector":       {podWith("p", "c"), append(both(), deviceClaim(t, "c", `{requests: [{name: r, exactly: {deviceClassName: any, selectors: [{cel: {expression: 'device.attributes["d.example.com"].numa == 1'}}]}}]}`)), "no such key: numa"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, got := fits(t, newYard(t, test.yard...).plugin(), test.pod); got != test.want && (test.want == "" || !strings.Contains(got, test.want)) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func admin(c *resourcev1.ResourceClaim) *resourcev1.ResourceClaim {
	c.Status.Allocation.Devices.Results[0].AdminAccess = ptr.To(true)
	return c
}

func everywhere(c *resourcev1.ResourceClaim) *resourcev1.ResourceClaim {
	c.Status.Allocation.NodeSelector = nil
	return c
}

func sharing(c *resourcev1.ResourceClaim, memory string) *resourcev1.ResourceClaim {
	r := &c.Status.Allocation.Devices.Results[0]
	r.ShareID, r.ConsumedCapacity = ptr.To(types.UID("share")), map[resourcev1.QualifiedName]resource.Quantity{"memory": resource.MustParse(memory)}
	return c
}

// No two claims get one device, however far what was decided has come.
func TestDevicesAreGivenOnce(t *testing.T) {
	y := newYard(t, anyClass(), devicesOn(t, "a", "[{name: x}]"), deviceClaim(t, "c", anyDevice), deviceClaim(t, "d", anyDevice))
	y.lag = true
	pl, ctx := y.plugin(), t.Context()
	first, second := podWith("p", "c"), podWith("q", "d")
	st, got := fits(t, pl, first)
	if got != "a" {
		t.Fatal(got)
	}
	st2, _ := fits(t, pl, podWith("s", "c"))
	if status := pl.Reserve(ctx, st, compile(t, first), "b"); status.IsSuccess() {
		t.Error("reserved is what was not found")
	}
	if status := pl.Reserve(ctx, st, compile(t, first), "a"); !status.IsSuccess() {
		t.Fatal(status)
	}
	if status := pl.Reserve(ctx, st2, compile(t, podWith("s", "c")), "a"); status.IsSuccess() || !strings.Contains(status.Message(), "resource claim default/c is in the process of being allocated") {
		t.Errorf("the claim is allocated twice: %v", status)
	}
	if _, got := fits(t, pl, second); got != "" {
		t.Errorf("decided: the second fits on %q", got)
	}
	if _, got := fits(t, pl, podWith("s", "c")); !strings.Contains(got, "is in the process of being allocated") {
		t.Errorf("decided: another of the claim fits on %q", got)
	}
	pl.Unreserve(ctx, st, compile(t, first), "a")
	if st, got = fits(t, pl, second); got != "a" {
		t.Fatalf("given back: the second fits on %q", got)
	}
	if status := pl.Reserve(ctx, st, compile(t, second), "a"); !status.IsSuccess() {
		t.Fatal(status)
	}
	if status := pl.PreBind(ctx, st, compile(t, second), "a"); !status.IsSuccess() {
		t.Fatal(status)
	}
	if _, got := fits(t, pl, first); got != "" {
		t.Errorf("written, and the cache is behind: the first fits on %q", got)
	}
	if _, got := fits(t, pl, podWith("s", "d")); got != "a" {
		t.Errorf("written: another of the claim fits on %q", got)
	}
	gone := deviceClaim(t, "d", anyDevice)
	gone.ResourceVersion = "99"
	y.put(gone)
	if _, got := fits(t, pl, first); got != "a" {
		t.Errorf("given back since: the first fits on %q", got)
	}
	if want := []string{"d gets x for q"}; !slices.Equal(y.calls, want) {
		t.Errorf("written is %q, want %q", y.calls, want)
	}
}

func TestWhatIsWrittenOfDevices(t *testing.T) {
	y := newYard(t, anyClass(), devicesOn(t, "a", "[{name: x}, {name: w}]"), having(deviceClaim(t, "mine", anyDevice), "x", "p"), having(deviceClaim(t, "shared", anyDevice), "x", "q"), deviceClaim(t, "new", anyDevice))
	pl, ctx, p := y.plugin(), t.Context(), podWith("p", "mine", "shared", "new")
	st, got := fits(t, pl, p)
	if got != "a" {
		t.Fatal(got)
	}
	if status := pl.Reserve(ctx, st, compile(t, p), "a"); !status.IsSuccess() {
		t.Fatal(status)
	}
	if status := pl.PreBind(ctx, st, compile(t, p), "a"); !status.IsSuccess() {
		t.Fatal(status)
	}
	pl.Unreserve(ctx, st, compile(t, p), "a") // the binding itself has failed
	pl.Unreserve(ctx, st, compile(t, p), "a")
	if want := []string{"shared gets what it has for p", "new gets w for p", "p leaves shared", "p leaves new"}; !slices.Equal(y.calls, want) {
		t.Errorf("written is %q, want %q", y.calls, want)
	}
	y.refuse = errors.New("no")
	q := podWith("q", "new")
	st, _ = fits(t, pl, q)
	if status := pl.PreBind(ctx, st, compile(t, q), "a"); status.IsSuccess() {
		t.Error("what is not written is bound")
	}
}

func TestWhatHelpsPodsWithClaims(t *testing.T) {
	p := compile(t, podWith("p", "c"))
	plain, other, have := deviceClaim(t, "c", anyDevice), deviceClaim(t, "d", anyDevice), having(deviceClaim(t, "d", anyDevice), "x")
	elsewhere := deviceClaim(t, "c", anyDevice)
	elsewhere.Namespace = "other"
	for name, test := range map[string]struct {
		old, now any
		want     bool
	}{
		"its own":           {nil, plain, true},
		"its own, changed":  {plain, plain, true},
		"another's":         {nil, other, false},
		"of that name":      {nil, elsewhere, false},
		"another gets one":  {other, have, false},
		"gives it back":     {have, other, true},
		"goes":              {have, nil, true},
		"goes without":      {other, nil, false},
		"keeps what it has": {have, have, false},
	} {
		if got := claimHelps(p, test.old, test.now); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

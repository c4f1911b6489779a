package scheduler

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/internal/patience"
)

func TestAllocationsAreWritten(t *testing.T) {
	const name = "c"
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "u"}}
	claim := func(change ...func(*resourcev1.ResourceClaim)) *resourcev1.ResourceClaim {
		c := &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: "cu"}}
		for _, f := range change {
			f(c)
		}
		return c
	}
	has := func(c *resourcev1.ResourceClaim) { c.Status.Allocation = &resourcev1.AllocationResult{} }
	going := func(c *resourcev1.ResourceClaim) { c.DeletionTimestamp = &metav1.Time{} }
	another := func(c *resourcev1.ResourceClaim) { c.UID = "other" }
	result := &resourcev1.AllocationResult{}
	for what, test := range map[string]struct {
		known, there *resourcev1.ResourceClaim
		give         *resourcev1.AllocationResult
		conflicts    int
		want         string // "finalizers allocated reservations", or the error
	}{
		"a new one":                {claim(), claim(), result, 0, "1 true 1"},
		"one that has it":          {claim(has), claim(has), nil, 0, "0 true 1"},
		"after a conflict":         {claim(), claim(), result, 1, "1 true 1"},
		"is deleted":               {claim(going), claim(going), result, 0, "claim n/c got deleted in the meantime"},
		"was deleted":              {claim(), claim(going), result, 1, "claim n/c got deleted in the meantime"},
		"was replaced":             {claim(), claim(another), result, 1, "claim n/c got replaced in the meantime"},
		"was given by another":     {claim(), claim(has), result, 1, "claim n/c got allocated elsewhere in the meantime"},
		"was given back":           {claim(has), claim(), nil, 1, "claim n/c got deallocated in the meantime"},
		"the API does not take it": {claim(), nil, result, 0, "add finalizer to claim n/c"},
	} {
		api := fake.NewClientset()
		if test.there != nil {
			if err := api.Tracker().Add(test.there); err != nil {
				t.Fatal(err)
			}
		}
		left := test.conflicts
		api.PrependReactor("update", "resourceclaims", func(clienttesting.Action) (bool, runtime.Object, error) {
			left--
			if left >= 0 {
				return true, nil, apierrors.NewConflict(resourcev1.Resource("resourceclaims"), name, errors.New("changed"))
			}
			return false, nil, nil
		})
		got, err := deviceBinder{api}.Allocate(t.Context(), pod, test.known, test.give)
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			text = fmt.Sprint(len(got.Finalizers), " ", got.Status.Allocation != nil, " ", len(got.Status.ReservedFor))
		}
		if !strings.Contains(text, test.want) {
			t.Errorf("%s: %q, want %q", what, text, test.want)
		}
		if err != nil {
			continue
		}
		if err := (deviceBinder{api}).Release(t.Context(), pod, got); err != nil {
			t.Errorf("%s: release: %v", what, err)
		}
		if now, err := api.ResourceV1().ResourceClaims("n").Get(t.Context(), name, metav1.GetOptions{}); err != nil || len(now.Status.ReservedFor) != 0 {
			t.Errorf("%s: after release: %v, %v", what, now, err)
		}
	}
	if err := (deviceBinder{fake.NewClientset()}).Release(t.Context(), pod, claim()); err != nil {
		t.Errorf("a claim that is gone is given back: %v", err)
	}
}

// A rule taints the devices that it selects, and nothing is left of it when it is gone.
func TestTaintRulesReachTheDevices(t *testing.T) {
	slice := &resourcev1.ResourceSlice{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: resourcev1.ResourceSliceSpec{
		Driver: "d", Pool: resourcev1.ResourcePool{Name: "p", ResourceSliceCount: 1}, AllNodes: ptr.To(true), Devices: []resourcev1.Device{{Name: "x"}, {Name: "y"}},
	}}
	rule := &resourcev1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Spec: resourcev1.DeviceTaintRuleSpec{
		DeviceSelector: &resourcev1.DeviceTaintSelector{Driver: ptr.To("d"), Device: ptr.To("y")}, Taint: resourcev1.DeviceTaint{Key: "k", Effect: resourcev1.DeviceTaintEffectNoSchedule},
	}}
	api := fake.NewClientset(slice, rule)
	f := informers.NewSharedInformerFactory(api, 0)
	devices, tracker, err := devicesOf(t.Context(), f, api)
	if err != nil {
		t.Fatal(err)
	}
	defer tracker.Stop()
	f.Start(t.Context().Done())
	f.WaitForCacheSync(t.Context().Done())
	taints := func() string {
		list, err := devices.Slices.ListPatchedResourceSlices()
		if err != nil || len(list) != 1 {
			return ""
		}
		return fmt.Sprint(len(list[0].Spec.Devices[0].Taints), " ", len(list[0].Spec.Devices[1].Taints))
	}
	until := func(want string) {
		t.Helper()
		patience.Eventually(t, "the taints are followed", func() error {
			if got := taints(); got != want {
				return fmt.Errorf("taints %q, want %q", got, want)
			}
			return nil
		})
	}
	until("0 1")
	if err := api.ResourceV1().DeviceTaintRules().Delete(t.Context(), "r", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until("0 0")
}

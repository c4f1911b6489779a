package resourceclaim

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// TestWhatEachEventQueues: a pod that has claims, for itself; the claims of one that has
// ended, or has been replaced, as they are free; and for a claim the pods that name it,
// also when it is gone.
func TestWhatEachEventQueues(t *testing.T) {
	none := func(p *corev1.Pod) { p.Spec.ResourceClaims = nil }
	const p, c, m = "pod p", "ResourceClaim c", "ResourceClaim m"
	for name, tc := range map[string]struct {
		event func(*Controller)
		want  string
	}{
		"a pod with claims":  {func(r *Controller) { r.podSeen(pod("u")) }, p},
		"a pod without":      {func(r *Controller) { r.podSeen(pod("u", none)) }, ""},
		"a pod that changes": {func(r *Controller) { r.podChanged(pod("u", told("m")), pod("u", told("m"), onNode)) }, p},
		"a pod that ends":    {func(r *Controller) { r.podChanged(pod("u", told("m"), onNode), pod("u", told("m"), onNode, ended)) }, strings.Join([]string{c, m, p}, ", ")},
		"a pod that has ended": {func(r *Controller) {
			r.podChanged(pod("u", told("m"), onNode, ended), pod("u", told("m"), onNode, ended))
		}, p},
		"a pod that another one has replaced":   {func(r *Controller) { r.podChanged(pod("u", told("m")), pod("v")) }, strings.Join([]string{c, m, p}, ", ")},
		"a pod that is gone":                    {func(r *Controller) { r.podGone(pod("u", told("m"))) }, strings.Join([]string{c, m}, ", ")},
		"a claim that pods name":                {func(r *Controller) { r.claimSeen(claim("c")) }, strings.Join([]string{c, p}, ", ")},
		"a claim that nobody names":             {func(r *Controller) { r.claimSeen(claim("x")) }, "ResourceClaim x"},
		"a claim that is gone and pods name":    {func(r *Controller) { r.claimGone(claim("c")) }, p},
		"a claim that is gone, of another pod":  {func(r *Controller) { r.claimGone(claim("x")) }, ""},
		"a pod that ends before it is anywhere": {func(r *Controller) { r.podChanged(pod("u", told("m")), pod("u", told("m"), deleting)) }, strings.Join([]string{c, m, p}, ", ")},
	} {
		f := controllertest.New()
		r, err := New(f.Deps)
		if err == nil {
			err = r.byClaim.Add(pod("u", told("m")))
		}
		if err != nil {
			t.Fatal(err)
		}
		tc.event(r)
		var got []string
		for _, k := range r.loop.TakeQueued() {
			got = append(got, fmt.Sprint(k.kind, " ", k.Name))
		}
		slices.Sort(got)
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%s: queued are %q", name, got)
		}
	}
}

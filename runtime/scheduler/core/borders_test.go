package core

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// TestWhichNodesAPodNames: all terms have to, and each of a term's fields narrows it.
func TestWhichNodesAPodNames(t *testing.T) {
	field := func(key string, op corev1.NodeSelectorOperator, values ...string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: op, Values: values}
	}
	fields := func(list ...corev1.NodeSelectorRequirement) corev1.NodeSelectorTerm {
		return corev1.NodeSelectorTerm{MatchFields: list}
	}
	const in, notIn = corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn
	for name, tt := range map[string]struct {
		terms []corev1.NodeSelectorTerm
		want  string // "*" for any
	}{
		"no terms":                 {nil, "*"},
		"one":                      {[]corev1.NodeSelectorTerm{nodeNamed("a")}, "a"},
		"two of a term":            {[]corev1.NodeSelectorTerm{nodeNamed("a", "b")}, "a b"},
		"either term":              {[]corev1.NodeSelectorTerm{nodeNamed("a"), nodeNamed("b")}, "a b"},
		"a term that names none":   {[]corev1.NodeSelectorTerm{nodeNamed("a"), inZone("z")}, "*"},
		"all but one":              {[]corev1.NodeSelectorTerm{fields(field("metadata.name", notIn, "a"))}, "*"},
		"another field":            {[]corev1.NodeSelectorTerm{fields(field("spec.name", in, "a"))}, "*"},
		"a name and not another":   {[]corev1.NodeSelectorTerm{fields(field("metadata.name", in, "a"), field("metadata.name", notIn, "b"))}, "a"},
		"two fields of a term":     {[]corev1.NodeSelectorTerm{fields(field("metadata.name", in, "a", "b"), field("metadata.name", in, "b", "c"))}, "b"},
		"two fields that exclude":  {[]corev1.NodeSelectorTerm{fields(field("metadata.name", in, "a"), field("metadata.name", in, "c"))}, ""},
		"not another, then a name": {[]corev1.NodeSelectorTerm{fields(field("metadata.name", notIn, "b"), field("metadata.name", in, "a"))}, "a"},
	} {
		p := makePod("p", "", "")
		if tt.terms != nil {
			requiringNode(tt.terms...)(p)
		}
		got := "*"
		if names := namedNodes(p); names != nil {
			got = strings.Join(sets.List(names), " ")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestWhoIsOfLowerPriority(t *testing.T) {
	s := snapshotOf(t, []*corev1.Node{makeNode("n", "4", "4Gi")}, on{"n", makePod("p", "1", "1Gi", priority(5))}, on{"n", makePod("q", "1", "1Gi", priority(9))})
	for than, want := range map[int32]bool{4: false, 5: false, 6: true, 10: true} {
		if got := s.hasPriorityBelow(than); got != want {
			t.Errorf("below %d: %v", than, got)
		}
	}
	for uid, want := range map[types.UID]string{"p": "n", "elsewhere": ""} {
		if node, ok := s.NodeOf(uid); node != want || ok != (want != "") {
			t.Errorf("%s is on %q (%v)", uid, node, ok)
		}
	}
}

// TestWhichChangesGiveRoom to a pod that asks for a CPU, a GiB and a device.
func TestWhichChangesGiveRoom(t *testing.T) {
	const device = "example.com/device"
	p := compile(t, makePod("p", "1", "1Gi", requesting(device, "1")))
	has := func(cpu string, edit ...func(*corev1.Node)) *corev1.Node {
		return makeNode("n", cpu, "4Gi", append(edit, allocatable(device, "1"))...)
	}
	for name, tt := range map[string]struct {
		old, now any
		want     bool
	}{
		"a new node":               {nil, has("1"), true},
		"a new one, too small":     {nil, has("900m"), false},
		"a new one, no devices":    {nil, makeNode("n", "4", "4Gi"), false},
		"it goes":                  {has("1"), nil, false},
		"no change":                {has("1"), has("1"), false},
		"it shrinks":               {has("2"), has("1"), false},
		"it grows":                 {has("1"), has("2"), true},
		"it grows, and is small":   {has("700m"), has("800m"), false},
		"it has devices now":       {makeNode("n", "1", "4Gi"), has("1"), true},
		"more of one, less of CPU": {has("2"), has("1", allocatable(corev1.ResourceMemory, "5Gi")), true},
	} {
		if got := nodeHasRoom(p, tt.old, tt.now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for name, tt := range map[string]struct {
		edit func(*corev1.Pod)
		want bool
	}{
		"the same":       {func(*corev1.Pod) {}, false},
		"less CPU":       {requesting(corev1.ResourceCPU, "999m"), true},
		"more CPU":       {requesting(corev1.ResourceCPU, "2"), false},
		"less memory":    {requesting(corev1.ResourceMemory, "1Mi"), true},
		"more memory":    {requesting(corev1.ResourceMemory, "2Gi"), false},
		"less storage":   {requesting(corev1.ResourceEphemeralStorage, "1Gi"), true},
		"more storage":   {requesting(corev1.ResourceEphemeralStorage, "3Gi"), false},
		"fewer devices":  {requesting(device, "0"), true},
		"more devices":   {requesting(device, "3"), false},
		"a new resource": {requesting("example.com/other", "1"), false},
	} {
		ask := []func(*corev1.Pod){requesting(device, "2"), requesting(corev1.ResourceEphemeralStorage, "2Gi")}
		was := compile(t, makePod("p", "1", "1Gi", ask...))
		is := compile(t, makePod("p", "1", "1Gi", slices.Concat(ask, []func(*corev1.Pod){tt.edit})...))
		if got := lessRequested(is, was); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

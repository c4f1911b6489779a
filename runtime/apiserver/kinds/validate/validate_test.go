package validate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestRules(t *testing.T) {
	at := field.NewPath("f")
	in := func(s string) *intstr.IntOrString { v := intstr.Parse(s); return &v }
	for _, tt := range []struct {
		name string
		errs field.ErrorList
		want string // part of the one error; empty for none
	}{
		{"required", Required("", at), "f: Required value"},
		{"given", Required("a", at), ""},
		{"label", DNSLabel("a.b", at), "f: Invalid value"},
		{"no label", DNSLabel("", at), "f: Required value"},
		{"good label", DNSLabel("a-b", at), ""},
		{"subdomain", DNSSubdomain("a..b", at), "f: Invalid value"},
		{"no subdomain", DNSSubdomain("", at), "f: Required value"},
		{"good subdomain", DNSSubdomain("a.b", at), ""},
		{"qualified", QualifiedName("a/b", at), ""},
		{"changed", Immutable(1, 2, at), "field is immutable"},
		{"unchanged", Immutable([]string{}, []string(nil), at), ""},
		{"one of", OneOf("c", at, "a", "b"), "Unsupported value"},
		{"none of", OneOf("", at, "a", "b"), "Required value"},
		{"the last", OneOf("b", at, "a", "b"), ""},
		{"one or none", OneOfOrEmpty("", at, "a"), ""},
		{"zero", NonNegative(int32(0), at), ""},
		{"less than zero", NonNegative(int64(-1), at), "must be greater than or equal to 0"},
		{"missing number", NonNegativePtr[int32](nil, at), ""},
		{"pointer below zero", NonNegativePtr(new(int32(-1)), at), "must be greater than or equal to 0"},
		{"one", Positive(int32(1), at), ""},
		{"not positive", Positive(int32(0), at), "must be greater than zero"},
		{"as many", AtMost(2, 2, at, "g"), ""},
		{"too many", AtMost(3, 2, at, "g"), "cannot be greater than g"},
		{"too few", AtMost(-1, 2, at, "g"), "must be greater than or equal to 0"},
		{"no quantity", NonNegativeQuantity(resource.MustParse("0"), at), ""},
		{"quantity", NonNegativeQuantity(resource.MustParse("-1"), at), "must be greater than or equal to 0"},
		{"some quantity", PositiveQuantity(resource.MustParse("1m"), at), ""},
		{"zero quantity", PositiveQuantity(resource.MustParse("0"), at), "must be greater than zero"},
		{"no percentage", IntOrPercent(nil, 100, at), ""},
		{"percentage", IntOrPercent(in("100%"), 100, at), ""},
		{"percentage above", IntOrPercent(in("101%"), 100, at), "must not be greater than 100%"},
		{"percentage without limit", IntOrPercent(in("101%"), 0, at), ""},
		{"number", IntOrPercent(in("-1"), 100, at), "must be greater than or equal to 0"},
		{"number above", IntOrPercent(in("200"), 100, at), ""},
		{"neither", IntOrPercent(in("a"), 100, at), "f: Invalid value"},
		{"port", PortNumber(65536, at), "must be between 1 and 65535"},
		{"port by number", PortOrName(intstr.FromInt32(0), at), "must be between 1 and 65535"},
		{"port by name", PortOrName(intstr.FromString("Web"), at), "f: Invalid value"},
		{"good port", PortOrName(intstr.FromString("web"), at), ""},
		{"protocol", Protocol("ICMP", at), "Unsupported value"},
		{"sctp", Protocol(corev1.ProtocolSCTP, at), ""},
		{"size", TooLong(3, 3, at), ""},
		{"size above", TooLong(4, 3, at), "Too long"},
		{"seen", UniqueName("a", sets.New("a"), at), "f.name: Duplicate value"},
		{"resources", ResourceList(corev1.ResourceList{"cpu": resource.MustParse("-1")}, at), "f[cpu]: Invalid value"},
		{"no selector", LabelSelector(nil, at), ""},
		{"selector", LabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{"/": ""}}, at), "f.matchLabels: Invalid value"},
		{"expression", LabelSelector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}, at), "f.matchExpressions[0].operator"},
		{"endpoint", EndpointIP("10.0.0.1", at), ""},
		{"endpoint of the node", EndpointIP("::1", at), "loopback"},
		{"address", IP("10.0.0.1", at), ""},
		{"leading zeros", IP("10.0.0.01", at), "f: Invalid value"},
		{"leading zeros that were there", IP("10.0.0.01", at, "10.0.0.01"), ""},
		{"v4 in v6", IP("::ffff:10.0.0.1", at), "f: Invalid value"},
		{"range", CIDR("10.0.0.0/8", at), ""},
		{"bits beyond the prefix", CIDR("10.0.0.1/8", at), "f: Invalid value"},
		{"metadata of a template", TemplateMeta(&metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, at), ""},
		{"name in a template", TemplateMeta(&metav1.ObjectMeta{Name: "a"}, at), "f.name: Forbidden: cannot be set"},
		{"label of a template", TemplateMeta(&metav1.ObjectMeta{Labels: map[string]string{"/": "b"}}, at), "f.labels: Invalid value"},
		{"first collision", CollisionCount(new(int32), nil, at), ""},
		{"collisions forgotten", CollisionCount(nil, new(int32), at), "cannot be decremented"},
	} {
		got := ""
		if err := tt.errs.ToAggregate(); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNamesOfPathSegments(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prefix bool
		bad    int
	}{{"a:b", false, 0}, {".", false, 1}, {"..", false, 1}, {".", true, 0}, {"a/b", false, 1}, {"a%/b", true, 2}} {
		if got := PathSegmentName(tt.name, tt.prefix); len(got) != tt.bad {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

func TestIsZero(t *testing.T) {
	for text, want := range map[string]bool{"0": true, "0%": true, "1": false, "1%": false, "a": true} {
		v := intstr.Parse(text)
		if IsZero(&v) != want {
			t.Errorf("%s: %t", text, !want)
		}
	}
	if IsZero(nil) {
		t.Error("what is missing is no zero")
	}
}

func TestWorkloadSelector(t *testing.T) {
	spec := field.NewPath("spec")
	for name, tt := range map[string]struct {
		selector *metav1.LabelSelector
		errors   int
	}{
		"none":        {nil, 2},
		"empty":       {&metav1.LabelSelector{}, 1},
		"matches":     {&metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, 0},
		"does not":    {&metav1.LabelSelector{MatchLabels: map[string]string{"a": "c"}}, 1},
		"expression":  {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists"}}}, 0},
		"nonsense":    {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}, 2},
		"both, wrong": {&metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "c", Operator: "Exists"}}}, 1},
	} {
		if errs := WorkloadSelector(tt.selector, map[string]string{"a": "b"}, spec); len(errs) != tt.errors {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

func TestReplicaCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		replicas, labeled, ready, available int32
		want                                string
	}{
		"fine":      {3, 3, 3, 3, ""},
		"replicas":  {-1, -1, -1, -1, "status.replicas"},
		"labeled":   {3, 4, 3, 3, "status.fullyLabeledReplicas"},
		"ready":     {3, 3, 4, 3, "status.readyReplicas"},
		"available": {3, 3, 2, 3, "status.availableReplicas"},
		"above all": {3, 3, 3, 4, "status.availableReplicas"},
	} {
		errs := ReplicaCounts(tt.replicas, tt.labeled, tt.ready, tt.available, field.NewPath("status"))
		if (tt.want == "") != (len(errs) == 0) || len(errs) > 0 && errs[0].Field != tt.want {
			t.Errorf("%s: %v", name, errs)
		}
	}
}

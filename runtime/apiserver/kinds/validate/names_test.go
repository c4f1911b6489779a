package validate

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// told are errors in one text, parted by "; ".
func told(errs field.ErrorList) string {
	var out []string
	for _, err := range errs {
		out = append(out, err.ErrorBody())
	}
	return strings.Join(out, "; ")
}

// TestWhatAContainerMayAskFor: what Kubernetes has for containers, and resources with a
// domain that is not its own. Each is told of all that is wrong with it.
func TestWhatAContainerMayAskFor(t *testing.T) {
	const standard, forContainers, extended = "must be a standard resource type or fully qualified", "must be a standard resource for containers", "doesn't follow extended resource name standard"
	for name, want := range map[corev1.ResourceName][]string{
		"cpu": nil, "memory": nil, "ephemeral-storage": nil, "hugepages-2Mi": nil, "example.com/gpu": nil, "kubernetes.io/batch-cpu": nil,
		"storage": {forContainers}, "pods": {forContainers}, "limits.cpu": {forContainers}, "requests.hugepages-2Mi": {forContainers}, "services.nodeports": {forContainers},
		"gpu": {standard, forContainers}, "requests.example.com/gpu": {extended},
		"a b": {"name part must consist of", forContainers}, "/x": {"prefix part must be non-empty", extended},
	} {
		got := ContainerResourceName(name, field.NewPath("f"))
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.Contains(got[i].ErrorBody(), want[i])
		}
		if !ok {
			t.Errorf("%s: %s", name, told(got))
		}
	}
}

// TestSignersHaveADomainAndAPath, each within its length.
func TestSignersHaveADomainAndAPath(t *testing.T) {
	long := func(n int) string { // labels of 63 characters, so many characters in all
		return strings.Repeat(strings.Repeat("a", 63)+".", n/64) + strings.Repeat("a", n%64)
	}
	for name, want := range map[string]string{
		"": "Required value", "example.com/a": "", "a.example.com/b.c-d": "", "example.com": "must be a fully qualified domain and path", "example.com/a/b": "must be a fully qualified domain and path",
		"com/a": "should be a domain with at least two segments", "Example.com/a": `validating label "Example"`, "example..com/a": `validating label ""`, "example.com/": `validating label ""`,
		"example.com/a..b": `validating label ""`, "example.com/A": `validating label "A"`,
		long(253) + "/a": "", long(254) + "/a": "Too long: may not be more than 253", "example.com/" + long(317): "", "example.com/" + long(318): "Too long: may not be more than 317",
	} {
		got := SignerName(name, field.NewPath("f"))
		if text := told(got); (text == "") != (want == "") || !strings.Contains(text, want) || len(got) > 1 && !strings.Contains(name, "..") {
			t.Errorf("%.40s of %d: %s", name, len(name), text)
		}
	}
	// Of several labels that are none the first is told, with all that is wrong with it.
	if got := told(SignerName("B.A/c", field.NewPath("f"))); !strings.Contains(got, `"B"`) || strings.Contains(got, `"A"`) {
		t.Errorf("%s", got)
	}
}

// TestWhichSignersAreKubernetes: those of its domain, and of domains below it.
func TestWhichSignersAreKubernetes(t *testing.T) {
	for name, want := range map[string]bool{
		"kubernetes.io/x": true, "kubernetes.io/kubelet-serving": true, "a.kubernetes.io/x": true, "kubernetes.io": true,
		"notkubernetes.io/x": false, "kubernetes.io.example.com/x": false, "example.com/kubernetes.io": false, "gantry.run/renewal": false,
	} {
		if got := IsKubernetesSigner(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// TestANameOfABundleIsItsSigners.
func TestANameOfABundleIsItsSigners(t *testing.T) {
	for _, tc := range []struct {
		signer, name string
		prefix       bool
		want         string
	}{
		{"", "roots", false, ""}, {"", "roots-", true, ""}, {"", "a:b", false, `must not have ":"`}, {"", "Roots", false, "lowercase RFC 1123 subdomain"},
		{"example.com/a", "example.com:a:roots", false, ""}, {"example.com/a", "example.com:a:roots-", true, ""}, {"example.com/a", "roots", false, "must be named with prefix example.com:a:"},
		{"example.com/a", "example.com:b:roots", false, "must be named with prefix"}, {"example.com/a", "example.com:a:b:c", false, "lowercase RFC 1123 subdomain"},
	} {
		got := strings.Join(TrustBundleName(tc.signer, tc.name, tc.prefix), "; ")
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%q of %q: %s", tc.name, tc.signer, got)
		}
	}
}

// TestASelectorOfEitherKindIsOne: of labels, of expressions, or of as many of both.
func TestASelectorOfEitherKindIsOne(t *testing.T) {
	both := &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}, MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists"}}}
	if errs := WorkloadSelector(both, map[string]string{"a": "b"}, field.NewPath("spec")); len(errs) > 0 {
		t.Errorf("%v", errs)
	}
}

package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

func TestClaimsOfAPod(t *testing.T) {
	const claims = "resourceClaims: [{name: a, resourceClaimName: x}, {name: b, resourceClaimTemplateName: y}]"
	for manifest, want := range map[string]string{
		"{" + claims + "}": "",
		"{" + claims + ", containers: [{resources: {claims: [{name: a}, {name: b, request: r}, {name: b, request: s}]}}]}": "",
		"{resourceClaims: [{resourceClaimName: x}]}":                                                            "spec.resourceClaims[0].name: Required value",
		"{resourceClaims: [{name: A, resourceClaimName: x}]}":                                                   "spec.resourceClaims[0].name: Invalid value",
		"{resourceClaims: [{name: a, resourceClaimName: x}, {name: a, resourceClaimName: y}]}":                  "spec.resourceClaims[1].name: Duplicate value: \"a\"",
		"{resourceClaims: [{name: a}]}":                                                                         "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
		"{resourceClaims: [{name: a, resourceClaimName: x, resourceClaimTemplateName: y}]}":                     "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
		"{resourceClaims: [{name: a, resourceClaimName: X}]}":                                                   "spec.resourceClaims[0].resourceClaimName: Invalid value",
		"{resourceClaims: [{name: a, resourceClaimTemplateName: X}]}":                                           "spec.resourceClaims[0].resourceClaimTemplateName: Invalid value",
		"{containers: [{resources: {claims: [{name: a}]}}]}":                                                    "spec.containers[0].resources.claims[0]: Not found: \"a\": must be one of the names in pod.spec.resourceClaims which is empty",
		"{" + claims + ", initContainers: [{resources: {claims: [{name: c}]}}]}":                                "spec.initContainers[0].resources.claims[0]: Not found: \"c\": must be one of the names in pod.spec.resourceClaims: a, b",
		"{" + claims + ", containers: [{resources: {claims: [{}]}}]}":                                           "spec.containers[0].resources.claims[0]: Required value",
		"{" + claims + ", containers: [{resources: {claims: [{name: a}, {name: a}]}}]}":                         "claims[1]: Duplicate value: \"a\"",
		"{" + claims + ", containers: [{resources: {claims: [{name: a}, {name: a, request: r}]}}]}":             "claims[1]: Duplicate value: \"a\"",
		"{" + claims + ", containers: [{resources: {claims: [{name: a, request: r}, {name: a}]}}]}":             "claims[1]: Duplicate value: \"a\"",
		"{" + claims + ", containers: [{resources: {claims: [{name: a, request: r}, {name: a, request: r}]}}]}": "claims[1]: Duplicate value: \"a/r\"",
		"{" + claims + ", containers: [{resources: {claims: [{name: a, request: R}]}}]}":                        "claims[0].request: Invalid value",
	} {
		_, errs := validatePodClaims(podSpec(t, manifest), nil, field.NewPath("spec"))
		got := ""
		if err := errs.ToAggregate(); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.Contains(got, want) || len(errs) > 1 {
			t.Errorf("%s\n got %q\nwant %q", manifest, got, want)
		}
	}
}

func TestClaimsThatAPodsStatusTells(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{{Name: "a"}, {Name: "b"}}}}
	for want, statuses := range map[string][]corev1.PodResourceClaimStatus{
		"": {{Name: "a", ResourceClaimName: ptr.To("x")}, {Name: "b"}},
		"status.resourceClaimStatuses[0].name: Invalid value: \"c\": must match the name of an entry in `spec.resourceClaims`": {{Name: "c"}},
		"status.resourceClaimStatuses[1].name: Duplicate value":                                                                {{Name: "a"}, {Name: "a"}},
		"status.resourceClaimStatuses[0].resourceClaimName: Invalid value":                                                     {{Name: "a", ResourceClaimName: ptr.To("X")}},
	} {
		p.Status.ResourceClaimStatuses = statuses
		got := ""
		if err := validatePodClaimStatuses(p).ToAggregate(); err != nil {
			got = err.Error()
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

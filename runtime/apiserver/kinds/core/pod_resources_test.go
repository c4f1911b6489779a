package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestResourcesOfAPodAsAWhole(t *testing.T) {
	for name, c := range map[string]struct{ spec, want string }{
		"none":            {`{containers: [{resources: {limits: {ephemeral-storage: 1Gi}}}]}`, ""},
		"what it may ask": {`{resources: {limits: {cpu: 1, memory: 1Gi, hugepages-2Mi: 2Mi}, requests: {cpu: 1, memory: 1Gi, hugepages-2Mi: 2Mi}}, containers: [{}]}`, ""},
		"a limit of storage": {`{resources: {limits: {ephemeral-storage: 5Mi}}, containers: [{}]}`,
			`spec.resources.limits[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"`},
		"a request of something else": {`{resources: {requests: {ephemeral-storage: 1}, limits: {cpu: 1}}, containers: [{}]}`, `spec.resources.requests[ephemeral-storage]: Unsupported value`},
		"claims":                      {`{resources: {claims: [{name: c}]}, containers: [{}]}`, "claims may not be set for Resources at pod-level"},
		"as much as all":              {`{resources: {requests: {cpu: 2}}, containers: [{resources: {requests: {cpu: 1}}}, {resources: {requests: {cpu: 1}}}]}`, ""},
		"less than all": {`{resources: {requests: {cpu: 1999m}}, containers: [{resources: {requests: {cpu: 1}}}, {resources: {requests: {cpu: 1}}}]}`,
			`spec.resources.requests[cpu]: Invalid value: "1999m": must be greater than or equal to aggregate container requests of 2`},
		"of another resource":      {`{resources: {requests: {cpu: 1}}, containers: [{resources: {requests: {memory: 1Gi}}}]}`, ""},
		"limits of all together":   {`{resources: {limits: {cpu: 1}}, containers: [{resources: {limits: {cpu: 1}}}, {resources: {limits: {cpu: 1}}}]}`, ""},
		"one over the pod's limit": {`{resources: {limits: {cpu: 1}}, containers: [{}, {resources: {limits: {cpu: 1001m}}}]}`, `spec.resources.containers[1][cpu].limits: Invalid value: "1001m": must be less than or equal to pod limits of 1`},
		"huge pages of all together": {`{resources: {limits: {cpu: 1, hugepages-2Mi: 2Mi}, requests: {hugepages-2Mi: 2Mi}}, containers: [{resources: {limits: {hugepages-2Mi: 2Mi}}}, {resources: {limits: {hugepages-2Mi: 2Mi}}}]}`,
			`spec.resources.limits[hugepages-2Mi]: Invalid value: "2Mi": must be greater than or equal to aggregate container limits of 4Mi`},
	} {
		var s corev1.PodSpec
		parse(t, c.spec, &s)
		got := validatePodResources(&s, field.NewPath("spec")).ToAggregate()
		switch {
		case c.want == "" && got != nil, c.want != "" && (got == nil || len(got.Errors()) != 1 || !strings.Contains(got.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
	}
}

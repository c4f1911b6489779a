package core

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestAddressesAskedFor(t *testing.T) {
	v4, v6 := corev1.IPv4Protocol, corev1.IPv6Protocol
	spec := func(policy corev1.IPFamilyPolicy, families []corev1.IPFamily, ips ...string) *corev1.Service {
		s := &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: ips, IPFamilies: families}}
		if policy != "" {
			s.Spec.IPFamilyPolicy = &policy
		}
		if len(ips) > 0 {
			s.Spec.ClusterIP = ips[0]
		}
		return s
	}
	one, both := []corev1.IPFamily{v4}, []corev1.IPFamily{v4, v6}
	const single, prefer = corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyPreferDualStack
	for name, tt := range map[string]struct {
		svc, old *corev1.Service
		want     string
	}{
		"nothing":                  {spec("", nil), nil, ""},
		"two of one family":        {spec(single, nil, "10.0.0.1", "fd00::1"), nil, "when multiple cluster IPs are specified"},
		"two families of one":      {spec(single, both), nil, "when multiple IP families are specified"},
		"two":                      {spec(prefer, both, "10.0.0.1", "fd00::1"), nil, ""},
		"no address":               {spec("", nil, "here"), nil, "spec.clusterIPs[0]: Invalid value"},
		"leading zeros":            {spec("", nil, "10.0.0.01"), nil, "spec.clusterIPs[0]: Invalid value"},
		"leading zeros it had":     {spec("", one, "10.0.0.01"), spec("", one, "10.0.0.01"), ""},
		"lets one go unasked":      {spec(prefer, both, "10.0.0.1"), spec(prefer, both, "10.0.0.1", "fd00::1"), "to release the secondary cluster IP"},
		"lets a family go unasked": {spec(prefer, one, "10.0.0.1", "fd00::1"), spec(prefer, both, "10.0.0.1", "fd00::1"), "to release the secondary IP family"},
		"lets one go":              {spec(single, one, "10.0.0.1"), spec(prefer, both, "10.0.0.1", "fd00::1"), ""},
	} {
		got := ""
		if err := validateAddresses(tt.svc, tt.old).ToAggregate(); err != nil {
			got = err.Error()
		}
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	// Who asks for one family alone need not say which addresses go.
	s, old := spec(single, both, "10.0.0.1", "fd00::1"), spec(prefer, both, "10.0.0.1", "fd00::1")
	releaseSecond(&s.Spec, &old.Spec)
	if !slices.Equal(s.Spec.ClusterIPs, []string{"10.0.0.1"}) || !slices.Equal(s.Spec.IPFamilies, one) {
		t.Errorf("%v, %v", s.Spec.ClusterIPs, s.Spec.IPFamilies)
	}
}

func TestFamilyPolicyOfAService(t *testing.T) {
	for name, tt := range map[string]struct {
		spec corev1.ServiceSpec
		old  *corev1.IPFamilyPolicy
		want corev1.IPFamilyPolicy
	}{
		"one":                  {corev1.ServiceSpec{}, nil, corev1.IPFamilyPolicySingleStack},
		"headless of pods":     {corev1.ServiceSpec{ClusterIP: "None", Selector: map[string]string{"a": "b"}}, nil, corev1.IPFamilyPolicySingleStack},
		"headless of others":   {corev1.ServiceSpec{ClusterIP: "None"}, nil, corev1.IPFamilyPolicyRequireDualStack},
		"that of before":       {corev1.ServiceSpec{}, ptr.To(corev1.IPFamilyPolicyPreferDualStack), corev1.IPFamilyPolicyPreferDualStack},
		"another than before":  {corev1.ServiceSpec{IPFamilyPolicy: ptr.To(corev1.IPFamilyPolicySingleStack)}, ptr.To(corev1.IPFamilyPolicyPreferDualStack), corev1.IPFamilyPolicySingleStack},
		"none of another name": {corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName}, nil, ""},
	} {
		defaultFamilyPolicy(&tt.spec, tt.old)
		if got := ptr.Deref(tt.spec.IPFamilyPolicy, ""); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// cidrs are ServiceCIDRs in memory.
type cidrs []networkingv1.ServiceCIDR

func (c cidrs) ServiceCIDRs(context.Context) ([]networkingv1.ServiceCIDR, error) { return c, nil }

func cidr(name string, ready bool, ranges ...string) networkingv1.ServiceCIDR {
	c := networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: ranges}}
	if ready {
		c.Status.Conditions = []metav1.Condition{{Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue}}
	}
	return c
}

func TestWhichRanges(t *testing.T) {
	ending := cidr("b", true, "10.9.0.0/24")
	ending.DeletionTimestamp = &metav1.Time{}
	def := cidr(DefaultCIDR, true, "10.0.0.0/29")
	for what, tt := range map[string]struct {
		list             cidrs
		allocatable, all string
	}{
		"none yet":                {nil, "[10.0.0.0/29]", "[10.0.0.0/29]"},
		"the configured one":      {cidrs{def}, "[10.0.0.0/29]", "[10.0.0.0/29]"},
		"not ready":               {cidrs{cidr(DefaultCIDR, false, "10.0.0.0/29")}, "[]", "[10.0.0.0/29]"},
		"a second, first":         {cidrs{cidr("a", true, "10.0.0.0/28"), def}, "[10.0.0.0/29 10.0.0.0/28]", "[10.0.0.0/29 10.0.0.0/28]"},
		"a second without it":     {cidrs{cidr("a", true, "10.9.0.0/24")}, "[10.0.0.0/29 10.9.0.0/24]", "[10.0.0.0/29 10.9.0.0/24]"},
		"one that goes":           {cidrs{def, ending}, "[10.0.0.0/29]", "[10.0.0.0/29 10.9.0.0/24]"},
		"one of another family":   {cidrs{def, cidr("c", true, "fd00::/112")}, "[10.0.0.0/29]", "[10.0.0.0/29]"},
		"one of both":             {cidrs{def, cidr("c", true, "fd00::/112", "10.9.0.0/24")}, "[10.0.0.0/29 10.9.0.0/24]", "[10.0.0.0/29 10.9.0.0/24]"},
		"two of the same range":   {cidrs{def, cidr("c", true, "10.0.0.0/29")}, "[10.0.0.0/29]", "[10.0.0.0/29]"},
		"ready by another's word": {cidrs{cidr(DefaultCIDR, false, "10.0.0.0/29"), cidr("c", true, "10.0.0.0/29")}, "[10.0.0.0/29]", "[10.0.0.0/29]"},
	} {
		a := allocator(t, newMemory(nil), sequence(t, 0))
		a.AllocateFrom(tt.list)
		allocatable, err1 := a.allocatable(t.Context())
		all, err2 := a.all(t.Context())
		if err1 != nil || err2 != nil || fmt.Sprint(allocatable) != tt.allocatable || fmt.Sprint(all) != tt.all {
			t.Errorf("%s: %v of %v, %v, %v", what, allocatable, all, err1, err2)
		}
	}
}

func TestTheNextRangeIsUsed(t *testing.T) {
	l := newMemory(nil)
	for i := range 5 {
		l.held[fmt.Sprintf("ip/10.0.0.%d", i+2)] = "team/other/9"
	}
	a := allocator(t, l, sequence(t, 0))
	second := cidr("second", true, "10.9.0.0/29")
	a.AllocateFrom(cidrs{cidr(DefaultCIDR, true, "10.0.0.0/29"), second})
	s := service(corev1.ServiceSpec{})
	if _, err := a.Allocate(t.Context(), s, nil, false); err != nil || s.Spec.ClusterIP != "10.9.0.1" {
		t.Errorf("%s, %v", s.Spec.ClusterIP, err)
	}
	// Of one that goes nothing is given, and what is held of it is kept.
	second.DeletionTimestamp = &metav1.Time{}
	a.AllocateFrom(cidrs{cidr(DefaultCIDR, true, "10.0.0.0/29"), second})
	if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{}), nil, false); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if _, err := a.Allocate(t.Context(), service(corev1.ServiceSpec{ClusterIP: "10.9.0.2"}), nil, false); !isInvalid(err, "spec.clusterIPs") {
		t.Errorf("one by name: %v", err)
	}
	if _, err := a.Allocate(t.Context(), s.DeepCopy(), s, false); err != nil {
		t.Errorf("an update of one that has an address of it: %v", err)
	}
	if is, err := a.IsServiceAddress(t.Context(), netip.MustParseAddr("10.9.0.2")); !is || err != nil {
		t.Errorf("what it gave is no Service's address: %v", err)
	}
}

func TestUsable(t *testing.T) {
	for _, tt := range []struct {
		cidr, ip string
		want     bool
	}{
		{"10.0.0.0/29", "10.0.0.1", true}, {"10.0.0.0/29", "10.0.0.6", true}, {"10.0.0.0/29", "10.0.0.0", false}, {"10.0.0.0/29", "10.0.0.7", false}, {"10.0.0.0/29", "10.0.0.8", false},
		{"fd00::/112", "fd00::1", true}, {"fd00::/112", "fd00::ffff", true}, {"fd00::/112", "fd00::", false}, {"fd00::/112", "fd00::1:0", false},
		{"10.0.0.0/31", "10.0.0.1", false}, {"10.0.0.0/32", "10.0.0.0", false}, {"10.0.0.0/29", "fd00::1", false},
	} {
		if got := usable(netip.MustParsePrefix(tt.cidr), netip.MustParseAddr(tt.ip)); got != tt.want {
			t.Errorf("%s of %s: %t", tt.ip, tt.cidr, got)
		}
	}
}

// TestBands: those of upstream, by which a cluster's static addresses stay free.
func TestBands(t *testing.T) {
	for cidr, want := range map[string]int64{"10.0.0.0/28": 0, "10.0.0.0/27": 16, "10.0.0.0/24": 16, "10.0.0.0/23": 32, "10.0.0.0/20": 256, "10.0.0.0/12": 256, "fd00::/64": 256} {
		if _, band := sizeOf(netip.MustParsePrefix(cidr)); band != want {
			t.Errorf("%s: %d", cidr, band)
		}
	}
	for n, want := range map[int64]int64{16: 0, 17: 16, 512: 16, 544: 17, 2768: 86, 65535: 128} {
		if got := bandOf(n, 32, 128); got != want {
			t.Errorf("%d ports: %d", n, got)
		}
	}
}

// TestTheBandIsTakenLast: of /27, the lower 16 addresses are given when all others are.
func TestTheBandIsTakenLast(t *testing.T) {
	l := newMemory(nil)
	a := allocator(t, l, func(int64) int64 { return 0 })
	a.AllocateFrom(cidrs{cidr(DefaultCIDR, true, "10.1.0.0/27")})
	var got []string
	for i := range 30 {
		s := service(corev1.ServiceSpec{})
		s.Name = fmt.Sprint(i)
		if _, err := a.Allocate(t.Context(), s, nil, false); err != nil {
			t.Fatal(err)
		}
		got = append(got, s.Spec.ClusterIP)
	}
	if got[0] != "10.1.0.17" || got[13] != "10.1.0.30" || got[14] != "10.1.0.1" || got[29] != "10.1.0.16" {
		t.Errorf("%v", got)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 30 {
		t.Errorf("given twice: %v", got)
	}
}

package proxy

import (
	"bytes"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

func TestChainsAreNamedByWhatTheyDo(t *testing.T) {
	for want, s := range map[string]spread{
		"in2":                      {endpoints: 2},
		"im2":                      {endpoints: 2, masquerade: true},
		"in3-local1-80":            {endpoints: 3, weight: Weight{Local: 1, Percent: 80}},
		"in3-affinity1":            {endpoints: 3, affinity: time.Second},
		"im3-local2-50-affinity90": {endpoints: 3, masquerade: true, weight: Weight{Local: 2, Percent: 50}, affinity: 90 * time.Second},
	} {
		if got := s.name(plane{prefix: "i"}); got != want {
			t.Errorf("%+v: %q, want %q", s, got, want)
		}
	}
}

// TestWhatIsNotServedIsToldOnce, and again when it was served in between.
func TestWhatIsNotServedIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	p := &Proxy{log: slog.New(slog.NewTextHandler(&log, nil)), told: map[types.NamespacedName][]string{}}
	a, b := types.NamespacedName{Namespace: "n", Name: "a"}, types.NamespacedName{Namespace: "n", Name: "b"}
	for i, tt := range []struct {
		of      types.NamespacedName
		ignored []string
		tells   int // lines
		known   int // services of which something is known
	}{
		{a, nil, 0, 0},
		{a, []string{"x"}, 1, 1},
		{a, []string{"x"}, 0, 1},
		{b, []string{"x"}, 1, 2},
		{a, []string{"x", "y"}, 1, 2},
		{a, []string{"y"}, 0, 2},
		{a, nil, 0, 1},
		{a, []string{"y"}, 1, 2},
	} {
		log.Reset()
		p.tell(tt.of, tt.ignored)
		if n := strings.Count(log.String(), "\n"); n != tt.tells || len(p.told) != tt.known {
			t.Errorf("%d: %d lines, want %d; %d are known, want %d", i, n, tt.tells, len(p.told), tt.known)
		}
	}
}

func TestWhoseAddressItIs(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeHostName, Address: "n"},
	}}}
	n := newNodeAddresses(t.Context(), fake.NewClientset(node), func() {})
	for ip, want := range map[string]bool{"192.0.2.1": true, "192.0.2.2": false} {
		if got := n.contains(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is a node's: %v", ip, got)
		}
	}
	moved := node.DeepCopy()
	moved.Status.Addresses[0].Address = "192.0.2.2"
	if n.move(node, node) || !n.move(node, moved) {
		t.Error("the node's move is not seen, or one that was none")
	}
	for ip, want := range map[string]bool{"192.0.2.1": false, "192.0.2.2": true} {
		if got := n.contains(netip.MustParseAddr(ip)); got != want {
			t.Errorf("after the move %s is a node's: %v", ip, got)
		}
	}
}

func TestWhichAddressesComeAndGo(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	type counts = map[netip.Addr]int
	for name, tt := range map[string]struct {
		have, remove, add counts
		want              counts
		came, went        []netip.Addr
	}{
		"nothing":                   {counts{a: 1}, counts{}, counts{}, counts{a: 1}, nil, nil},
		"the first":                 {counts{}, counts{}, counts{a: 2}, counts{a: 2}, []netip.Addr{a}, nil},
		"one more":                  {counts{a: 1}, counts{}, counts{a: 1}, counts{a: 2}, nil, nil},
		"one less":                  {counts{a: 2}, counts{a: -1}, counts{}, counts{a: 1}, nil, nil},
		"the last":                  {counts{a: 2}, counts{a: -2}, counts{}, counts{}, nil, []netip.Addr{a}},
		"taken off and added":       {counts{a: 1}, counts{a: -1}, counts{a: 1}, counts{a: 1}, nil, nil},
		"one goes, the other comes": {counts{a: 1}, counts{a: -1}, counts{b: 1}, counts{b: 1}, []netip.Addr{b}, []netip.Addr{a}},
	} {
		came, went := recount(tt.have, tt.remove, tt.add)
		if !slices.Equal(came, tt.came) || !slices.Equal(went, tt.went) || !maps.Equal(tt.have, tt.want) {
			t.Errorf("%s: came %v, went %v, left %v", name, came, went, tt.have)
		}
	}
}

package proxy

import (
	"net"
	"reflect"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestWhichUDPConnectionsAreStale(t *testing.T) {
	udp, tcp := front("10.96.0.1", "UDP", 53), front("10.96.0.1", "TCP", 53)
	one, both, other, none := to("10.0.0.1:53"), to("10.0.0.1:53", "10.0.0.2:53"), to("10.0.0.2:53"), Backend{Refuse: reject}
	for what, tc := range map[string]struct {
		before Rules
		change Change
		want   []Frontend
	}{
		"nothing changes":            {Rules{udp: one}, Change{}, nil},
		"the frontend is new":        {Rules{}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"it got its first endpoint":  {Rules{udp: none}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"it got another":             {Rules{udp: one}, Change{Set: Rules{udp: both}}, nil},
		"it lost one of two":         {Rules{udp: both}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"it lost one, and got one":   {Rules{udp: one}, Change{Set: Rules{udp: other}}, []Frontend{udp}},
		"it lost its last":           {Rules{udp: one}, Change{Set: Rules{udp: none}}, []Frontend{udp}},
		"it lost one inside":         {Rules{udp: {Endpoints: one.Endpoints, Inside: both.Endpoints}}, Change{Set: Rules{udp: {Endpoints: one.Endpoints, Inside: other.Endpoints}}}, []Frontend{udp}},
		"inside is as outside now":   {Rules{udp: {Endpoints: one.Endpoints, Inside: other.Endpoints}}, Change{Set: Rules{udp: one}}, []Frontend{udp}},
		"inside got one more":        {Rules{udp: {Endpoints: one.Endpoints, Inside: one.Endpoints}}, Change{Set: Rules{udp: {Endpoints: one.Endpoints, Inside: both.Endpoints}}}, nil},
		"its endpoints stay":         {Rules{udp: both}, Change{Set: Rules{udp: both}}, nil},
		"it is gone":                 {Rules{udp: one}, Change{Remove: Rules{udp: one}}, []Frontend{udp}},
		"TCP is new":                 {Rules{}, Change{Set: Rules{tcp: one}}, nil},
		"TCP lost one":               {Rules{tcp: both}, Change{Set: Rules{tcp: one}}, nil},
		"TCP is gone":                {Rules{tcp: one}, Change{Remove: Rules{tcp: one}}, nil},
		"TCP is gone, and UDP is":    {Rules{}, Change{Remove: Rules{tcp: one, udp: one}}, []Frontend{udp}},
		"TCP and UDP lost their one": {Rules{tcp: one, udp: one}, Change{Set: Rules{tcp: none, udp: none}}, []Frontend{udp}},
	} {
		if got := staleUDP(tc.before, tc.change); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
	}
}

func TestWhichTCPConnectionsAreStale(t *testing.T) {
	udp, tcp := front("10.96.0.1", "UDP", 80), front("10.96.0.1", "TCP", 80)
	one, both, none := to("10.0.0.1:80"), to("10.0.0.1:80", "10.0.0.2:80"), Backend{Refuse: reject}
	way := func(ep string) route { return route{tcp, at(ep)} }
	for what, tc := range map[string]struct {
		before Rules
		change Change
		want   []route
	}{
		"nothing changes":                {Rules{tcp: one}, Change{}, nil},
		"it got its first endpoint":      {Rules{tcp: none}, Change{Set: Rules{tcp: one}}, nil},
		"it got another":                 {Rules{tcp: one}, Change{Set: Rules{tcp: both}}, nil},
		"it lost one of two":             {Rules{tcp: both}, Change{Set: Rules{tcp: one}}, []route{way("10.0.0.2:80")}},
		"it lost its last":               {Rules{tcp: one}, Change{Set: Rules{tcp: none}}, []route{way("10.0.0.1:80")}},
		"it lost one inside":             {Rules{tcp: {Endpoints: one.Endpoints, Inside: both.Endpoints}}, Change{Set: Rules{tcp: one}}, []route{way("10.0.0.2:80")}},
		"one is only for inside now":     {Rules{tcp: both}, Change{Set: Rules{tcp: {Endpoints: one.Endpoints, Inside: both.Endpoints}}}, nil},
		"it is gone":                     {Rules{tcp: both}, Change{Remove: Rules{tcp: both}}, []route{way("10.0.0.1:80"), way("10.0.0.2:80")}},
		"UDP lost one":                   {Rules{udp: both}, Change{Set: Rules{udp: one}}, nil},
		"UDP is gone":                    {Rules{udp: both}, Change{Remove: Rules{udp: both}}, nil},
		"it is another endpoint, port a": {Rules{tcp: one}, Change{Set: Rules{tcp: to("10.0.0.1:81")}}, []route{way("10.0.0.1:80")}},
	} {
		want := map[route]bool{}
		for _, r := range tc.want {
			want[r] = true
		}
		if got := lostTCP(tc.before, tc.change); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
}

func TestWhichEntriesAreForgotten(t *testing.T) {
	s := stale{
		udp: map[Frontend]bool{front("10.96.0.1", "UDP", 53): true},
		tcp: map[route]bool{{front("10.96.0.1", "TCP", 80), at("10.0.0.1:8080")}: true},
	}
	flow := func(change func(*netlink.ConntrackFlow)) *netlink.ConntrackFlow {
		f := &netlink.ConntrackFlow{ProtoInfo: &netlink.ProtoInfoTCP{State: synSent}}
		f.Forward = netlink.IPTuple{Protocol: unix.IPPROTO_TCP, DstIP: net.IPv4(10, 96, 0, 1), DstPort: 80, SrcIP: net.IPv4(10, 231, 1, 2), SrcPort: 4000}
		f.Reverse = netlink.IPTuple{Protocol: unix.IPPROTO_TCP, SrcIP: net.IPv4(10, 0, 0, 1).To4(), SrcPort: 8080, DstIP: net.IPv4(10, 231, 1, 2), DstPort: 4000}
		change(f)
		return f
	}
	for what, tc := range map[string]struct {
		change func(*netlink.ConntrackFlow)
		want   bool
	}{
		"a connection that is not open yet": {func(*netlink.ConntrackFlow) {}, true},
		"one that is open":                  {func(f *netlink.ConntrackFlow) { f.ProtoInfo = &netlink.ProtoInfoTCP{State: 3} }, false},
		"one of an unknown state":           {func(f *netlink.ConntrackFlow) { f.ProtoInfo = nil }, false},
		"one to another endpoint":           {func(f *netlink.ConntrackFlow) { f.Reverse.SrcIP = net.IPv4(10, 0, 0, 2) }, false},
		"one to another of its ports":       {func(f *netlink.ConntrackFlow) { f.Reverse.SrcPort = 8081 }, false},
		"one to another frontend":           {func(f *netlink.ConntrackFlow) { f.Forward.DstIP = net.IPv4(10, 96, 0, 2) }, false},
		"one to another of its ports here":  {func(f *netlink.ConntrackFlow) { f.Forward.DstPort = 81 }, false},
		"UDP of a frontend that lost one": {func(f *netlink.ConntrackFlow) {
			f.Forward.Protocol, f.Forward.DstPort, f.ProtoInfo = unix.IPPROTO_UDP, 53, nil
		}, true},
		"UDP of another":   {func(f *netlink.ConntrackFlow) { f.Forward.Protocol, f.ProtoInfo = unix.IPPROTO_UDP, nil }, false},
		"another protocol": {func(f *netlink.ConntrackFlow) { f.Forward.Protocol = unix.IPPROTO_SCTP }, false},
	} {
		if got := s.MatchConntrackFlow(flow(tc.change)); got != tc.want {
			t.Errorf("%s: forgotten %t, want %t", what, got, tc.want)
		}
	}
}

package proxy

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// to are the endpoints of a backend, in order.
func to(eps ...string) Backend {
	b := Backend{}
	for _, s := range eps {
		b.Endpoints = append(b.Endpoints, at(s))
	}
	return b
}

func front(ip string, protocol corev1.Protocol, port uint16) Frontend {
	return Frontend{IP: netip.MustParseAddr(ip), Protocol: protocol, Port: port}
}

func TestWhichServicesHaveRules(t *testing.T) {
	external := func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"203.0.113.7"} }
	for name, tc := range map[string]struct {
		change func(*corev1.Service)
		want   int // frontends
	}{
		"of a cluster IP":             {func(*corev1.Service) {}, 1},
		"of an external IP too":       {external, 2},
		"headless":                    {func(s *corev1.Service) { external(s); s.Spec.ClusterIP = corev1.ClusterIPNone }, 0},
		"of an external name":         {func(s *corev1.Service) { external(s); s.Spec.Type = corev1.ServiceTypeExternalName }, 0},
		"of another proxy":            {func(s *corev1.Service) { s.Labels = map[string]string{serviceProxyName: "x"} }, 0},
		"of another, not named":       {func(s *corev1.Service) { s.Labels = map[string]string{serviceProxyName: ""} }, 0},
		"with another label":          {func(s *corev1.Service) { s.Labels = map[string]string{"app": "x"} }, 1},
		"with a node port":            {func(s *corev1.Service) { s.Spec.Ports[0].NodePort = 30000 }, 2},
		"of IPv6 only":                {func(s *corev1.Service) { s.Spec.ClusterIP = "fd00::5" }, 0},
		"of what is not an address":   {func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"here"} }, 1},
		"without a port":              {func(s *corev1.Service) { s.Spec.Ports = nil }, 0},
		"of a load balancer, by name": {func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: "x"}} }, 1},
	} {
		if got := Compile(here, service(tc.change), slice(ep("10.0.1.1", "here"))).Rules; len(got) != tc.want {
			t.Errorf("%s: %v, want %d", name, got, tc.want)
		}
	}
}

func TestFrontends(t *testing.T) {
	vip, proxy := corev1.LoadBalancerIPModeVIP, corev1.LoadBalancerIPModeProxy
	outside := to("10.0.1.1:8080")
	outside.Masquerade = true
	for name, tc := range map[string]struct {
		change func(*corev1.Service)
		want   Rules
	}{
		"IPv4 is the second of two families": {func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.ClusterIPs = "fd00::5", []string{"fd00::5", "10.96.0.6"}
		}, Rules{front("10.96.0.6", "TCP", 80): to("10.0.1.1:8080")}},
		"a protocol that is not said": {func(s *corev1.Service) { s.Spec.Ports[0].Protocol = "" },
			Rules{front("10.96.0.5", "TCP", 80): to("10.0.1.1:8080")}},
		"external IPs": {func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"203.0.113.7", "203.0.113.8"} },
			Rules{front("10.96.0.5", "TCP", 80): to("10.0.1.1:8080"), front("203.0.113.7", "TCP", 80): outside, front("203.0.113.8", "TCP", 80): outside}},
		"load balancers, but for those that stand between": {func(s *corev1.Service) {
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{
				{IP: "198.51.100.1", IPMode: &proxy}, {Hostname: "lb"}, {Hostname: "lb", IPMode: &vip},
				{IP: "198.51.100.2", IPMode: &vip}, {IP: "198.51.100.3"},
			}
		}, Rules{front("10.96.0.5", "TCP", 80): to("10.0.1.1:8080"), front("198.51.100.2", "TCP", 80): outside, front("198.51.100.3", "TCP", 80): outside}},
		"each port its own": {func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 80})
		}, Rules{front("10.96.0.5", "TCP", 80): to("10.0.1.1:8080"), front("10.96.0.5", "UDP", 80): {Refuse: reject}}},
		"with affinity from inside and outside": {func(s *corev1.Service) {
			s.Spec.SessionAffinity, s.Spec.ExternalIPs = corev1.ServiceAffinityClientIP, []string{"203.0.113.7"}
		}, Rules{
			front("10.96.0.5", "TCP", 80):   {Endpoints: outside.Endpoints, Affinity: 3 * time.Hour},
			front("203.0.113.7", "TCP", 80): {Endpoints: outside.Endpoints, Affinity: 3 * time.Hour, Masquerade: true},
		}},
	} {
		if got := Compile(here, service(tc.change), slice(ep("10.0.1.1", "here"))).Rules; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\ngot  %v\nwant %v", name, got, tc.want)
		}
	}
}

func TestTrafficPolicies(t *testing.T) {
	local, everywhere := corev1.ServiceInternalTrafficPolicyLocal, corev1.ServiceInternalTrafficPolicyCluster
	for name, tc := range map[string]struct {
		internal *corev1.ServiceInternalTrafficPolicy
		external corev1.ServiceExternalTrafficPolicy
		eps      []*discoveryv1.EndpointSlice
		// what connections from inside and from outside meet
		inside, outside Backend
	}{
		"none is said":    {nil, "", slice(ep("10.0.2.1", "there")), to("10.0.2.1:8080"), masqueraded("10.0.2.1:8080")},
		"both everywhere": {&everywhere, "Cluster", slice(ep("10.0.2.1", "there")), to("10.0.2.1:8080"), masqueraded("10.0.2.1:8080")},
		"internal local":  {&local, "Cluster", slice(ep("10.0.2.1", "there")), Backend{Refuse: drop}, masqueraded("10.0.2.1:8080")},
		"external local":  {&everywhere, "Local", slice(ep("10.0.2.1", "there")), to("10.0.2.1:8080"), Backend{Refuse: drop, Inside: to("10.0.2.1:8080").Endpoints}},
		"both local": {&local, "Local", slice(ep("10.0.2.1", "there"), ep("10.0.1.1", "here")), to("10.0.1.1:8080"),
			Backend{Endpoints: to("10.0.1.1:8080").Endpoints, Inside: to("10.0.1.1:8080", "10.0.2.1:8080").Endpoints, Weight: Weight{Local: 1, Percent: 80}}},
		"nobody serves": {&local, "Local", nil, Backend{Refuse: reject}, Backend{Refuse: reject}},
		"local, not ready": {&local, "Local", slice(ep("10.0.1.1", "here", unready), ep("10.0.2.1", "there")), Backend{Refuse: drop},
			Backend{Refuse: drop, Inside: to("10.0.2.1:8080").Endpoints}},
		"local, and ends": {&local, "Local", slice(ep("10.0.1.1", "here", terminating), ep("10.0.2.1", "there")), to("10.0.1.1:8080"),
			Backend{Endpoints: to("10.0.1.1:8080").Endpoints, Inside: to("10.0.2.1:8080").Endpoints}},
	} {
		got := Compile(here, service(func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy, s.Spec.ExternalTrafficPolicy, s.Spec.Ports[0].NodePort = tc.internal, tc.external, 30000
		}), tc.eps).Rules
		// Whether a frontend that refuses masquerades is without effect.
		outside := got[front("192.168.0.1", "TCP", 30000)]
		outside.Masquerade = outside.Masquerade && len(outside.Endpoints) > 0
		if inside := got[front("10.96.0.5", "TCP", 80)]; !inside.equal(tc.inside) || !outside.equal(tc.outside) {
			t.Errorf("%s: inside %v, want %v; outside %v, want %v", name, inside, tc.inside, outside, tc.outside)
		}
	}
}

func masqueraded(eps ...string) Backend {
	b := to(eps...)
	b.Masquerade = true
	return b
}

func TestAffinity(t *testing.T) {
	for name, tc := range map[string]struct {
		kind   corev1.ServiceAffinity
		config *corev1.SessionAffinityConfig
		want   time.Duration
	}{
		"none is said":    {"", nil, 0},
		"none":            {corev1.ServiceAffinityNone, &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(60))}}, 0},
		"no config":       {corev1.ServiceAffinityClientIP, nil, 3 * time.Hour},
		"an empty config": {corev1.ServiceAffinityClientIP, &corev1.SessionAffinityConfig{}, 3 * time.Hour},
		"no time":         {corev1.ServiceAffinityClientIP, &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{}}, 3 * time.Hour},
		"a minute":        {corev1.ServiceAffinityClientIP, &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(60))}}, time.Minute},
	} {
		svc := service(func(s *corev1.Service) { s.Spec.SessionAffinity, s.Spec.SessionAffinityConfig = tc.kind, tc.config })
		if got := affinity(svc); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

func TestWhichEndpointsOfAPort(t *testing.T) {
	port := func(name *string, protocol *corev1.Protocol, number *int32) discoveryv1.EndpointPort {
		return discoveryv1.EndpointPort{Name: name, Protocol: protocol, Port: number}
	}
	tcp, udp, http, other := corev1.ProtocolTCP, corev1.ProtocolUDP, "http", "other"
	of := func(kind discoveryv1.AddressType, addr string, ports ...discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{AddressType: kind, Ports: ports, Endpoints: []discoveryv1.Endpoint{ep(addr, "there")}}
	}
	v4, v6 := discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6
	good := port(&http, &tcp, ptr(int32(8080)))
	for name, tc := range map[string]struct {
		slices []*discoveryv1.EndpointSlice
		port   corev1.ServicePort
		want   []string
	}{
		"none": {nil, corev1.ServicePort{Name: "http"}, nil},
		"IPv6 is passed over": {[]*discoveryv1.EndpointSlice{of(v6, "fd00::1", good), of(v4, "10.0.0.1", good)},
			corev1.ServicePort{Name: "http", Protocol: tcp}, []string{"10.0.0.1:8080"}},
		"all slices, in order": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.2", good), of(v4, "10.0.0.1", good)},
			corev1.ServicePort{Name: "http", Protocol: tcp}, []string{"10.0.0.1:8080", "10.0.0.2:8080"}},
		"one that two slices have": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.2", good), of(v4, "10.0.0.1", good), of(v4, "10.0.0.2", good)},
			corev1.ServicePort{Name: "http", Protocol: tcp}, []string{"10.0.0.1:8080", "10.0.0.2:8080"}},
		"a port without a number is passed over": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.1", port(&http, &tcp, nil), good)},
			corev1.ServicePort{Name: "http", Protocol: tcp}, []string{"10.0.0.1:8080"}},
		"a port of another name is passed over": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.1", port(&other, &tcp, ptr(int32(1))), good)},
			corev1.ServicePort{Name: "http", Protocol: tcp}, []string{"10.0.0.1:8080"}},
		"a port of another protocol is passed over": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.1", port(&http, &udp, ptr(int32(1))), good)},
			corev1.ServicePort{Name: "http", Protocol: tcp}, []string{"10.0.0.1:8080"}},
		"UDP": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.1", port(&http, nil, ptr(int32(1))), port(&http, &udp, ptr(int32(2))))},
			corev1.ServicePort{Name: "http", Protocol: udp}, []string{"10.0.0.1:2"}},
		"neither name nor protocol": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.1", port(nil, nil, ptr(int32(1))))},
			corev1.ServicePort{}, []string{"10.0.0.1:1"}},
		"a name where none is asked for": {[]*discoveryv1.EndpointSlice{of(v4, "10.0.0.1", good)}, corev1.ServicePort{}, nil},
	} {
		var got []string
		for _, e := range endpointsOf(here, tc.slices, tc.port) {
			got = append(got, e.addr.String())
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestWhichConditionsAreUsable(t *testing.T) {
	yes, no := ptr(true), ptr(false)
	for _, tc := range []struct {
		ready, serving, ends *bool
		usable, wanted       bool // wanted: before those that end
	}{
		{nil, nil, nil, true, true},
		{yes, nil, nil, true, true},
		{yes, no, nil, true, true}, // publishNotReadyAddresses
		{yes, yes, yes, true, true},
		{nil, no, nil, true, true},
		{no, nil, nil, false, false},
		{no, no, nil, false, false},
		{no, yes, nil, false, false},
		{no, yes, no, false, false},
		{no, yes, yes, true, false},
		{no, nil, yes, true, false},
		{no, no, yes, false, false},
	} {
		e := ep("10.0.0.1", "there")
		e.Conditions.Ready, e.Conditions.Serving, e.Conditions.Terminating = tc.ready, tc.serving, tc.ends
		got, ok := usable(here, &e, 80)
		if ok != tc.usable || got.ready != tc.wanted {
			t.Errorf("%v: %+v, want usable %v, ready %v", e.Conditions, got, tc.usable, tc.wanted)
		}
	}
	for want, addresses := range map[string][]string{"10.0.0.1:80": {"10.0.0.1", "10.0.0.2"}, "": {"here", "10.0.0.2"}, "6": {"fd00::1", "10.0.0.2"}, "none": nil} {
		e := discoveryv1.Endpoint{Addresses: addresses}
		if got, ok := usable(here, &e, 80); ok != (want == "10.0.0.1:80") || ok && got.addr.String() != want {
			t.Errorf("of %q: %+v, %v; only the first counts", addresses, got, ok)
		}
	}
	for _, tc := range []struct {
		node            Node
		ep              discoveryv1.Endpoint
		local, sameZone bool
	}{
		{here, ep("10.0.0.1", "here", zone("z1")), true, true},
		{here, ep("10.0.0.1", "there", zone("z2")), false, false},
		{here, ep("10.0.0.1", "there"), false, false},
		{here, discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}}, false, false},
		{Node{Name: "here"}, ep("10.0.0.1", "here"), true, false},
		{Node{Name: "here"}, ep("10.0.0.1", "here", zone("z1")), true, false},
	} {
		if got, ok := usable(tc.node, &tc.ep, 80); !ok || got.local != tc.local || got.sameZone != tc.sameZone {
			t.Errorf("%+v: %+v, want local %v, same zone %v", tc.ep, got, tc.local, tc.sameZone)
		}
	}
}

func TestBackend(t *testing.T) {
	near := endpoint{addr: at("10.0.0.1:1"), node: "a", local: true, ready: true}
	zoned := endpoint{addr: at("10.0.0.2:1"), node: "b", sameZone: true, ready: true}
	far := endpoint{addr: at("10.0.0.3:1"), node: "c", ready: true}
	weighted := func(percent int, eps ...string) Backend {
		b := to(eps...)
		b.Weight = Weight{Local: 1, Percent: percent}
		return b
	}
	ends := func(e endpoint) endpoint { e.ready = false; return e }
	all := []endpoint{near, zoned, far}
	for name, tc := range map[string]struct {
		eps          []endpoint
		localOnly    bool
		distribution *string
		want         Backend
	}{
		"none":                                {nil, false, nil, Backend{Refuse: reject}},
		"none, local wanted":                  {nil, true, nil, Backend{Refuse: reject}},
		"none is local":                       {[]endpoint{zoned, far}, true, nil, Backend{Refuse: drop}},
		"only the local":                      {all, true, ptr(corev1.ServiceTrafficDistributionPreferClose), to("10.0.0.1:1")},
		"most to the local":                   {all, false, nil, weighted(80, "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")},
		"most to the local one of two":        {[]endpoint{zoned, {addr: at("10.0.0.9:1"), node: "a", local: true, ready: true}}, false, nil, weighted(80, "10.0.0.9:1", "10.0.0.2:1")},
		"the same zone first":                 {all, false, ptr(corev1.ServiceTrafficDistributionPreferSameZone), to("10.0.0.2:1")},
		"the old name of it":                  {all, false, ptr(corev1.ServiceTrafficDistributionPreferClose), to("10.0.0.2:1")},
		"the same node":                       {all, false, ptr(corev1.ServiceTrafficDistributionPreferSameNode), to("10.0.0.1:1")},
		"not on the node, in the zone":        {[]endpoint{zoned, far}, false, ptr(corev1.ServiceTrafficDistributionPreferSameNode), to("10.0.0.2:1")},
		"neither on the node nor in the zone": {[]endpoint{far, {addr: at("10.0.0.4:1"), node: "d", ready: true}}, false, ptr(corev1.ServiceTrafficDistributionPreferSameNode), to("10.0.0.3:1", "10.0.0.4:1")},
		"none in the zone":                    {[]endpoint{near, far}, false, ptr(corev1.ServiceTrafficDistributionPreferSameZone), to("10.0.0.1:1", "10.0.0.3:1")},
		"none is near":                        {[]endpoint{zoned, far}, false, nil, to("10.0.0.2:1", "10.0.0.3:1")},
		"ready before near":                   {[]endpoint{ends(near), ends(zoned), far}, false, nil, to("10.0.0.3:1")},
		"all end, most to the local":          {[]endpoint{ends(near), ends(far)}, false, nil, weighted(80, "10.0.0.1:1", "10.0.0.3:1")},
		"all end, the zone first":             {[]endpoint{ends(near), ends(zoned)}, false, ptr(corev1.ServiceTrafficDistributionPreferClose), to("10.0.0.2:1")},
		"ready before the same zone":          {[]endpoint{ends(zoned), far}, false, ptr(corev1.ServiceTrafficDistributionPreferClose), to("10.0.0.3:1")},
		"the local one ends, and far":         {[]endpoint{ends(near), far}, true, nil, to("10.0.0.1:1")},
	} {
		if got := here.backend(tc.eps, tc.localOnly, tc.distribution); !got.equal(tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

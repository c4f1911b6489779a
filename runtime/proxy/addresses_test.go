package proxy

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/addr"
)

// cluster is a node with the cluster around it; 192.168.0.9 is another's address.
var cluster = Node{
	Name: "here", IPs: addr.MustIPs("192.168.0.1"), Pods: addr.MustPrefixes("10.0.0.0/16"), Services: addr.MustPrefixes("10.96.0.0/16"),
	IsNode: func(ip netip.Addr) bool { return ip.String() == "192.168.0.9" },
}

// An address belongs to whom the cluster gave it: what a Service says itself takes
// none of the cluster's own.
func TestAddressesOfTheClusterAreNotTaken(t *testing.T) {
	for what, tc := range map[string]struct {
		external, balanced []string
		want               []string // frontends' addresses beside the cluster IP
		why                string   // of what is ignored
	}{
		"from elsewhere":              {[]string{"203.0.113.7"}, []string{"198.51.100.1"}, []string{"198.51.100.1", "203.0.113.7"}, ""},
		"a cluster IP":                {[]string{"10.96.0.10"}, nil, nil, "external IP 10.96.0.10 lies in the service range 10.96.0.0/16"},
		"a pod's":                     {[]string{"10.0.1.7"}, nil, nil, "external IP 10.0.1.7 lies in the pod range 10.0.0.0/16"},
		"this node's":                 {[]string{"192.168.0.1"}, nil, nil, "external IP 192.168.0.1 is the address of a node"},
		"another node's":              {[]string{"192.168.0.9"}, nil, nil, "external IP 192.168.0.9 is the address of a node"},
		"a neighbour's":               {[]string{"192.168.0.8"}, nil, []string{"192.168.0.8"}, ""},
		"balanced, a cluster IP":      {nil, []string{"10.96.0.10"}, nil, "load balancer IP 10.96.0.10 lies in the service range"},
		"balanced, a pod's":           {nil, []string{"10.0.1.7"}, nil, "load balancer IP 10.0.1.7 lies in the pod range"},
		"balanced by a node":          {nil, []string{"192.168.0.9"}, []string{"192.168.0.9"}, ""},
		"one of two":                  {[]string{"10.96.0.10", "203.0.113.7"}, nil, []string{"203.0.113.7"}, "external IP 10.96.0.10"},
		"what is no address, nor two": {[]string{"here"}, nil, nil, ""},
	} {
		svc := service(func(s *corev1.Service) {
			s.Spec.ExternalIPs = tc.external
			for _, ip := range tc.balanced {
				s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: ip})
			}
		})
		got := Compile(cluster, svc, slice(ep("10.0.1.1", "here")))
		var ips []string
		for f := range got.Rules {
			if f.IP.String() != "10.96.0.5" {
				ips = append(ips, f.IP.String())
			}
		}
		slices.Sort(ips)
		told := strings.Join(got.Ignored, "; ")
		if !slices.Equal(ips, tc.want) || !strings.Contains(told, tc.why) || (tc.why == "") != (told == "") {
			t.Errorf("%s: %v, want %v; told %q, want %q", what, ips, tc.want, told, tc.why)
		}
	}
}

func TestByWhatRightAFrontendIsClaimed(t *testing.T) {
	born := metav1.Unix(7, 0)
	svc := service(func(s *corev1.Service) {
		s.UID, s.CreationTimestamp = "u", born
		s.Spec.Ports[0].NodePort = 30000
		s.Spec.ExternalIPs = []string{"203.0.113.7", "198.51.100.1"}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.1"}, {IP: "198.51.100.2"}}
	})
	got := Compile(cluster, svc, slice(ep("10.0.1.1", "here")))
	for f, want := range map[Frontend]Rank{
		front("10.96.0.5", "TCP", 80): ClusterIP, front("192.168.0.1", "TCP", 30000): NodePort, front("198.51.100.2", "TCP", 80): LoadBalancerIP,
		front("203.0.113.7", "TCP", 80): ExternalIP, front("198.51.100.1", "TCP", 80): LoadBalancerIP, // it is both
	} {
		if _, ok := got.Rules[f]; !ok || got.Ranks[f] != want {
			t.Errorf("%v: %v, rank %d, want %d", f, ok, got.Ranks[f], want)
		}
	}
	if len(got.Rules) != 5 || got.UID != "u" || !got.Created.Equal(born.Time) {
		t.Errorf("%+v", got)
	}
}

func TestSourceRanges(t *testing.T) {
	vip := front("198.51.100.1", "TCP", 80)
	for what, tc := range map[string]struct {
		kind   corev1.ServiceType
		ranges []string
		want   string
		all    bool // may connect
	}{
		"none":                    {corev1.ServiceTypeLoadBalancer, nil, "", true},
		"one":                     {corev1.ServiceTypeLoadBalancer, []string{"203.0.113.0/24"}, "203.0.113.0/24", false},
		"two, with spaces":        {corev1.ServiceTypeLoadBalancer, []string{" 203.0.113.0/24", "203.0.114.7/32 "}, "203.0.113.0/24,203.0.114.7/32", false},
		"IPv6 only: nobody":       {corev1.ServiceTypeLoadBalancer, []string{"fd00::/8"}, "", false},
		"with the node":           {corev1.ServiceTypeLoadBalancer, []string{"192.168.0.0/24"}, "192.168.0.0/24,198.51.100.1/32", false},
		"host bits":               {corev1.ServiceTypeLoadBalancer, []string{"203.0.113.9/24"}, "203.0.113.0/24", false},
		"of one that is balanced": {corev1.ServiceTypeClusterIP, []string{"203.0.113.0/24"}, "", true},
	} {
		svc := service(func(s *corev1.Service) {
			s.Spec.Type, s.Spec.LoadBalancerSourceRanges, s.Spec.ExternalIPs = tc.kind, tc.ranges, []string{"203.0.113.7"}
			s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.1"}}
		})
		got := Compile(cluster, svc, slice(ep("10.0.1.1", "here"))).Rules
		if b := got[vip]; b.Sources.String() != tc.want || (b.Sources == nil) != tc.all {
			t.Errorf("%s: %q (all %v), want %q", what, b.Sources, b.Sources == nil, tc.want)
		}
		for f, b := range got { // the cluster IP and external IPs are not the load balancer's
			if f != vip && b.Sources != nil {
				t.Errorf("%s: %v is restricted to %s", what, f, b.Sources)
			}
		}
	}
}

func TestWhatLoadBalancersAreTold(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*corev1.Service)
		want   int // local endpoints; -1: nothing is told
	}{
		"local":            {func(*corev1.Service) {}, 2},
		"everywhere":       {func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = "Cluster" }, -1},
		"a node port":      {func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort }, -1},
		"no port":          {func(s *corev1.Service) { s.Spec.HealthCheckNodePort = 0 }, -1},
		"of another proxy": {func(s *corev1.Service) { s.Labels = map[string]string{serviceProxyName: ""} }, -1},
		"two ports": {func(s *corev1.Service) {
			s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "http", Port: 81})
		}, 2},
	} {
		svc := service(func(s *corev1.Service) {
			s.Spec.Type, s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceTypeLoadBalancer, "Local", 31000
			tc.change(s)
		})
		got := Compile(cluster, svc, slice(ep("10.0.1.1", "here"), ep("10.0.1.2", "here"), ep("10.0.1.3", "here", terminating), ep("10.0.2.1", "there"))).Health
		if (got == nil) != (tc.want < 0) || got != nil && (*got != HealthCheck{31000, tc.want}) {
			t.Errorf("%s: %+v, want %d", what, got, tc.want)
		}
	}
}

package spec

import (
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/addr"
)

func TestANodeCannotHaveAnothersName(t *testing.T) {
	network := Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), DefaultDNSDomain, ""}
	cluster := func(hosts ...Host) error {
		return Cluster{Name: "demo", Network: network, Masters: hosts}.Validate()
	}
	pool := func(hosts ...Host) error {
		return Pool{Name: "p", Hosts: hosts}.ValidateIn(Connection{Network: network, Masters: []Host{{Name: "m1", Address: "alpha", NodeIPs: addr.MustIPs("192.0.2.1")}}})
	}
	at := func(name, address string) Host {
		return Host{Name: name, Address: address, NodeIPs: addr.MustIPs("192.0.2.9")}
	}
	other := Host{Name: "w2", Address: "beta", NodeIPs: addr.MustIPs("192.0.2.8")}
	for what, tc := range map[string]struct {
		name string
		want string
	}{
		"a plain one":                    {"w1", ""},
		"of a Service":                   {"kube-dns", ""},
		"one that begins so":             {"kubernetes-1", ""},
		"of the API servers":             {"kubernetes", `["kubernetes"]: a node cannot have this name: clients verify API servers by it`},
		"of every server":                {"localhost", "every server is known to itself by it"},
		"of the front proxy":             {"front-proxy-client", "a process of the control plane is known by it"},
		"of the API server, to kubelets": {"kube-apiserver-kubelet-client", "a process of the control plane is known by it"},
		"of the API server, to etcd":     {"kube-apiserver-etcd-client", "a process of the control plane is known by it"},
		"of the API servers, with a dot": {"kubernetes.default", "must not contain dots"},
		"of a system user":               {"system:masters", "lower case alphanumeric"},
		"the address of another host":    {"beta", `["beta"]: the name is the address of "w2"`},
	} {
		for where, validate := range map[string]func(...Host) error{"masters": cluster, "hosts": pool} {
			err := validate(at(tc.name, "192.0.2.9"), other)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), where+"[")) {
				t.Errorf("%s, among %s: %v, want %q", what, where, err, tc.want)
			}
		}
	}
	if err := pool(at("alpha", "192.0.2.9")); err == nil || !strings.Contains(err.Error(), `hosts["alpha"]: the name is the address of master m1`) {
		t.Errorf("the address of a master: %v", err)
	}
	if err := cluster(Host{Name: "gamma", Address: "gamma", NodeIPs: addr.MustIPs("192.0.2.9")}); err != nil {
		t.Errorf("named as its own address: %v", err)
	}
}

func TestHowLongCertificatesMayLive(t *testing.T) {
	for lifetime, ok := range map[time.Duration]bool{
		0: true, time.Minute: false, 10*time.Minute - time.Second: false, 10 * time.Minute: true, 8760 * time.Hour: true, 8760*time.Hour + time.Second: false, -time.Hour: false,
	} {
		c := Cluster{Name: "demo", Network: Network{addr.MustPrefixes(DefaultPodCIDR), addr.MustPrefixes(DefaultServiceCIDR), DefaultDNSDomain, ""}, Masters: []Host{{Name: "m1", Address: "192.0.2.1"}}, CertificateLifetime: lifetime}
		if err := c.Validate(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "certificate_lifetime: ") {
			t.Errorf("%s: %v", lifetime, err)
		}
	}
}

package discovery

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleSlice = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], nodeName: n1, hostname: a}]
ports: [{name: a, port: 80, appProtocol: example.com/h2}, {name: b, port: 81}]
`

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleSlice, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("type", "addressType: IPv4", "addressType: IPX", "addressType: Unsupported value"),
		c("address of no type", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]", "addressType: ''\nendpoints: [{addresses: [nowhere]", "addressType: Required value"),
		c("no type", "addressType: IPv4\n", "", "addressType: Required value"),
		c("loopback", "10.0.0.1", "127.0.0.1", "may not be in the loopback range"),
		c("nobody", "10.0.0.1", "0.0.0.0", "may not be unspecified"),
		c("link", "10.0.0.1", "169.254.1.1", "may not be in the link-local range"),
		c("multicast", "10.0.0.1", "224.0.0.1", "may not be in the link-local multicast range"),
		c("address", "10.0.0.1", "here", "must be a valid IP address"),
		c("another family", "10.0.0.1", "'fd00::1'", "must be an IPv4 address"),
		c("v4 of v6", "addressType: IPv4", "addressType: IPv6", "must be an IPv6 address"),
		c("leading zeros", "10.0.0.1", "10.0.0.01", "must not have leading 0s"),
		c("long form of v6", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]", "addressType: IPv6\nendpoints: [{addresses: ['fd00:0::1']", "endpoints[0].addresses[0]: Invalid value"),
		c("name", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]", "addressType: FQDN\nendpoints: [{addresses: [a.example.com]", ""),
		c("no name", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]", "addressType: FQDN\nendpoints: [{addresses: [a]", "endpoints[0].addresses[0]: Invalid value"),
		c("no address", "[10.0.0.1]", "[]", "endpoints[0].addresses: Required value"),
		c("a hundred addresses", "[10.0.0.1]", "["+strings.Repeat("10.0.0.1,", 99)+"10.0.0.1]", ""),
		c("one more", "[10.0.0.1]", "["+strings.Repeat("10.0.0.1,", 100)+"10.0.0.1]", "endpoints[0].addresses: Too many"),
		c("a thousand endpoints", "endpoints: [", "endpoints: ["+strings.Repeat("{addresses: [10.0.0.2]},", 999), ""),
		c("one more endpoint", "endpoints: [", "endpoints: ["+strings.Repeat("{addresses: [10.0.0.2]},", 1000), "endpoints: Too many"),
		c("node", "nodeName: n1", "nodeName: N_1", "endpoints[0].nodeName: Invalid value"),
		c("host", "hostname: a", "hostname: A_", "endpoints[0].hostname: Invalid value"),
		c("any port", "port: 80", "port: 70000", ""),
		c("no node", "nodeName: n1", "nodeName: ''", "endpoints[0].nodeName: Invalid value"),
		c("hints", "hostname: a", "hints: {forZones: [{name: z}, {name: y}], forNodes: [{name: n}, {name: m}]}", ""),
		c("zone twice", "hostname: a", "hints: {forZones: [{name: z}, {name: z}]}", "endpoints[0].hints.forZones[1].name: Duplicate value"),
		c("zone", "hostname: a", "hints: {forZones: [{name: /}]}", "endpoints[0].hints.forZones[0].name: Invalid value"),
		c("node twice", "hostname: a", "hints: {forNodes: [{name: n}, {name: n}]}", "endpoints[0].hints.forNodes[1].name: Duplicate value"),
		c("hinted node", "hostname: a", "hints: {forNodes: [{name: N_1}]}", "endpoints[0].hints.forNodes[0].name: Invalid value"),
		c("eight zones", "hostname: a", "hints: {forZones: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}, {name: f}, {name: g}, {name: h}]}", ""),
		c("nine zones", "hostname: a", "hints: {forZones: ["+strings.Repeat("{name: a}, ", 9)+"]}", "endpoints[0].hints.forZones: Too many"),
		c("nine nodes", "hostname: a", "hints: {forNodes: ["+strings.Repeat("{name: a}, ", 9)+"]}", "endpoints[0].hints.forNodes: Too many"),
		c("port name", "name: a, port", "name: A, port", "ports[0].name: Invalid value"),
		c("port twice", "name: b, port", "name: a, port", "ports[1].name: Duplicate value"),
		c("protocol", "port: 80", "port: 80, protocol: X", "ports[0].protocol: Unsupported value"),
		c("app protocol", "example.com/h2", "'/'", "ports[0].appProtocol: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("type", "addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]", "addressType: IPv6\nendpoints: [{addresses: ['fd00::1']", "addressType: Invalid value"),
		c("endpoints", "10.0.0.1", "10.0.0.2", ""),
	})
}

func TestCells(t *testing.T) {
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "slice", Manifest: `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}, {addresses: [10.0.0.3]}, {addresses: [10.0.0.4]}]
ports: [{port: 80}]
`, Want: "web-1 | IPv4 | 80 | 10.0.0.1,10.0.0.2,10.0.0.3 + 1 more... | <unknown>"},
		{Name: "names", Manifest: "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\naddressType: IPv4\nports: [{name: web}, {}]", Want: "s | IPv4 | web,* | <unset> | <unknown>"},
	})
}

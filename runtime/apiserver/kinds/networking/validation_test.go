package networking

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const samplePolicy = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  podSelector: {matchLabels: {a: b}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {podSelector: {}, namespaceSelector: {}}], ports: [{port: 80, endPort: 90}, {port: web, protocol: UDP}]}]
  egress: [{to: [{podSelector: {matchLabels: {c: d}}}], ports: [{port: 53}]}]
`

const sampleIngress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i}
spec:
  ingressClassName: web
  defaultBackend: {resource: {kind: Bucket, name: b}}
  tls: [{hosts: [a.example.com]}]
  rules: [{host: "*.example.com", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
status: {loadBalancer: {ingress: [{ip: 10.0.0.1}, {hostname: lb}]}}
`

const sampleClass = `
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: c}
spec: {controller: example.com/a, parameters: {apiGroup: g, kind: K, name: nm, scope: Namespace, namespace: ns}}
`

func TestNetworkPolicyValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePolicy, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("selector", "{a: b}", "{'/': b}", "spec.podSelector"),
		c("types", "[Ingress, Egress]", "[Ingress, Egress, Ingress]", "may not specify more than two policyTypes"),
		c("type", "[Ingress, Egress]", "[Sideways]", "spec.policyTypes[0]: Unsupported value"),
		c("port", "port: 80, endPort", "port: 0, endPort", "spec.ingress[0].ports[0].port: Invalid value"),
		c("protocol", "protocol: UDP", "protocol: X", "ports[1].protocol: Unsupported value"),
		c("end without a beginning", "port: 80, endPort: 90", "endPort: 90", "may not be specified when `port` is not specified"),
		c("end of a name", "port: 80, endPort: 90", "port: web, endPort: 90", "may not be specified when `port` is non-numeric"),
		c("end before the beginning", "endPort: 90", "endPort: 79", "must be greater than or equal to `port`"),
		c("end at the beginning", "endPort: 90", "endPort: 80", ""),
		c("end", "endPort: 90", "endPort: 70000", "endPort: Invalid value"),
		c("no peer", "{podSelector: {}, namespaceSelector: {}}", "{}", "must specify a peer"),
		c("block and pods", "{ipBlock", "{podSelector: {}, ipBlock", "may not specify both ipBlock and another peer"),
		c("block and namespaces", "{ipBlock", "{namespaceSelector: {}, ipBlock", "may not specify both ipBlock and another peer"),
		c("block", "10.0.0.0/8", "10.0.0.0/80", "ipBlock.cidr: Invalid value"),
		c("no block", "cidr: 10.0.0.0/8, ", "", "ipBlock.cidr: Required value"),
		c("outside the block", "10.1.0.0/16", "11.1.0.0/16", "must be a strict subset of `cidr`"),
		c("all of the block", "10.1.0.0/16", "10.0.0.0/8", "must be a strict subset of `cidr`"),
		c("exception", "10.1.0.0/16", "10.1.0.0/160", "except[0]: Invalid value"),
		c("bits beyond the prefix", "10.0.0.0/8", "10.0.0.1/8", "ipBlock.cidr: Invalid value"),
		c("peer's pods", "{c: d}", "{'/': d}", "spec.egress[0].to[0].podSelector"),
	})
}

func TestIngressValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleIngress, from, to, want)
	}
	k := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleClass, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("class", "ingressClassName: web", "ingressClassName: W", "spec.ingressClassName: Invalid value"),
		c("no class", "ingressClassName: web", "ingressClassName: ''", "spec.ingressClassName: Invalid value"),
		c("host that is an address", `"*.example.com"`, "10.0.0.1", "must be a DNS name, not an IP address"),
		c("backend kind", "kind: Bucket, ", "", "spec.defaultBackend.resource.kind: Required value"),
		c("backend name", ", name: b}", "}", "spec.defaultBackend.resource.name: Required value"),
		c("two backends", "{resource: {", "{service: {name: a, port: {number: 1}}, resource: {", "cannot set both resource and service backends"),
		c("no backend", "backend: {service: {name: web, port: {number: 80}}}", "backend: {}", "paths[0].backend: Invalid value: \"\": resource or service backend is required"),
		c("backend group", "kind: Bucket, ", "apiGroup: A_, kind: Bucket, ", "spec.defaultBackend.resource"),
		c("backend that is a path", ", name: b}", ", name: b/c}", "spec.defaultBackend.resource.name: Invalid value"),
		c("double slash", "path: /,", "path: /a//b,", "must not contain '//'"),
		c("end above", "path: /,", "path: /a/..,", "cannot end with '/..'"),
		c("double slash of the controller", "path: /, pathType: Prefix", "path: /a//b, pathType: ImplementationSpecific", ""),
		c("tls secret", "[a.example.com]", "[a.example.com], secretName: A_", "spec.tls[0].secretName: Invalid value"),
		c("tls host", "[a.example.com]", "[A_]", "spec.tls[0].hosts[0]: Invalid value"),
		c("host", `"*.example.com"`, "A_", "spec.rules[0].host: Invalid value"),
		c("star", `"*.example.com"`, `"*example.com"`, "spec.rules[0].host: Invalid value"),
		c("no paths", "paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]", "paths: []", "http.paths: Required value"),
		c("path", "path: /", "path: a", "must be an absolute path"),
		c("path of the controller", "path: /, pathType: Prefix", "pathType: ImplementationSpecific", ""),
		c("odd path of the controller", "path: /, pathType: Prefix", "path: a, pathType: ImplementationSpecific", "must be an absolute path"),
		c("no path", "path: /, pathType", "pathType", "must be an absolute path"),
		c("path type", "pathType: Prefix", "pathType: X", "pathType: Unsupported value"),
		c("no path type", "pathType: Prefix, ", "", "pathType must be specified"),
		c("service", "{name: web, port", "{name: w_b, port", "service.name: Invalid value"),
		c("no service", "{name: web, port", "{port", "service.name: Required value"),
		c("port", "{number: 80}", "{number: 70000}", "service.port.number: Invalid value"),
		c("port name", "{number: 80}", "{name: '-'}", "service.port.name: Invalid value"),
		c("both ports", "{number: 80}", "{number: 80, name: a}", "paths[0].backend: Invalid value: \"\": cannot set both port name & port number"),
		c("no port", "{number: 80}", "{}", "paths[0].backend: Required value: port name or number is required"),
		kindtest.Change("no rules", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: {}", "", "", "either `defaultBackend` or `rules` must be specified"),
		k("fine", "", "", ""),
		k("controller", "example.com/a", "a", "spec.controller: Invalid value"),
		k("long controller", "example.com/a", "example.com/"+strings.Repeat("a", 240), "spec.controller: Too long"),
		k("group of parameters", "apiGroup: g", "apiGroup: G_", "spec.parameters.apiGroup: Invalid value"),
		k("namespace of parameters", "namespace: ns", "namespace: N_", "spec.parameters.namespace: Invalid value"),
		k("kind", "kind: K, ", "", "spec.parameters.kind: Required value"),
		k("name", "name: nm, scope", "scope", "spec.parameters.name: Required value"),
		k("scope", "scope: Namespace", "scope: Planet", "spec.parameters.scope: Unsupported value"),
		k("no namespace", ", namespace: ns", "", "`parameters.scope` is set to 'Namespace'"),
		k("a namespace of the cluster", "scope: Namespace", "scope: Cluster", "`parameters.scope` is set to 'Cluster'"),
		k("cluster", "scope: Namespace, namespace: ns", "scope: Cluster", ""),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{k("controller", "example.com/a", "example.com/b", "field is immutable"), k("parameters", "name: nm,", "name: other,", "")})
}

func TestCells(t *testing.T) {
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "policy", Manifest: samplePolicy, Want: "p | a=b | <unknown>"},
		{Name: "ingress", Manifest: sampleIngress, Want: "i | web | *.example.com | 10.0.0.1,lb | 80, 443 | <unknown>"},
		{Name: "class", Manifest: sampleClass, Want: "c | example.com/a | K.g/nm | <unknown>"},
	})
}

const (
	sampleCIDR    = "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: c}\nspec: {cidrs: [10.96.0.0/16]}"
	sampleDual    = "apiVersion: networking.k8s.io/v1\nkind: ServiceCIDR\nmetadata: {name: c}\nspec: {cidrs: [10.96.0.0/16, 'fd00::/112']}"
	sampleAddress = "apiVersion: networking.k8s.io/v1\nkind: IPAddress\nmetadata: {name: 10.96.0.1}\nspec: {parentRef: {resource: services, namespace: default, name: kubernetes}}"
)

func TestAddressValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleCIDR, from, to, want)
	}
	d := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleDual, from, to, want)
	}
	a := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleAddress, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		d("both families", "", "", ""),
		c("none", "[10.96.0.0/16]", "[]", "spec.cidrs: Required value: at least one CIDR required"),
		c("not in one form", "10.96.0.0/16", "10.96.0.1/16", "spec.cidrs[0]: Invalid value"),
		c("no range", "10.96.0.0/16", "x", "spec.cidrs[0]: Invalid value"),
		d("one family", "'fd00::/112'", "10.97.0.0/16", "may specify no more than one IP for each IP family"),
		d("three", "'fd00::/112'", "'fd00::/112', 10.97.0.0/16", "may only hold up to 2 values"),
		a("fine", "", "", ""),
		a("no parent", "{parentRef: {resource: services, namespace: default, name: kubernetes}}", "{}", "spec.parentRef: Required value"),
		a("no resource", "resource: services, ", "", "spec.parentRef.resource: Required value"),
		a("no name", "name: kubernetes", "name: ''", "spec.parentRef.name: Required value"),
		a("of another group", "resource: services", "group: gateway.networking.k8s.io, resource: gateways", ""),
		a("group", "resource: services", "group: G_, resource: services", "spec.parentRef.group: Invalid value"),
		a("resource", "resource: services", "resource: a/b", "spec.parentRef.resource: Invalid value"),
		a("name", "name: kubernetes", "name: ..", "spec.parentRef.name: Invalid value"),
		a("namespace", "namespace: default", "namespace: a%b", "spec.parentRef.namespace: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("another range", "10.96.0.0/16", "10.97.0.0/16", "spec.cidrs[0]: Invalid value"),
		c("one more", "[10.96.0.0/16]", "[10.96.0.0/16, 'fd00::/112']", ""),
		c("one more of the same family", "[10.96.0.0/16]", "[10.96.0.0/16, 10.97.0.0/16]", "may specify no more than one IP for each IP family"),
		c("another and one more", "[10.96.0.0/16]", "[10.97.0.0/16, 'fd00::/112']", "spec.cidrs[0]: Invalid value"),
		c("none any more", "[10.96.0.0/16]", "[]", "spec.cidrs: Invalid value"),
		d("one less", ", 'fd00::/112'", "", "spec.cidrs: Invalid value"),
		a("another parent", "name: kubernetes", "name: other", "spec.parentRef: Invalid value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "range", Manifest: sampleDual, Want: "c | 10.96.0.0/16,fd00::/112 | <unknown>"},
		{Name: "address", Manifest: sampleAddress, Want: "10.96.0.1 | services/default/kubernetes"},
	})
}

func TestAnAddressIsItsName(t *testing.T) {
	for name, want := range map[string]bool{
		"10.96.0.1": true, "fd00::1": true, "": false, "web": false, "10.96.0.01": false, "10.96.0.1/32": false, "fd00:0::1": false, "FD00::1": false, "::ffff:10.96.0.1": false,
	} {
		if got := ipAddressName(name, false); (len(got) == 0) != want {
			t.Errorf("%q: %q", name, got)
		}
	}
}

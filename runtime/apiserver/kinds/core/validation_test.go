package core

import (
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

const sampleService = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: ClusterIP
  clusterIP: 10.96.0.20
  selector: {app: web}
  ports:
  - {name: http, port: 80}
`

const sampleBalancer = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.20
  clusterIPs: [10.96.0.20]
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  externalTrafficPolicy: Local
  healthCheckNodePort: 30009
  externalIPs: [198.51.100.1]
  loadBalancerSourceRanges: [10.0.0.0/8]
  loadBalancerClass: example.com/lb
  trafficDistribution: PreferClose
  ports: [{name: a, port: 80, nodePort: 30001, appProtocol: example.com/h2}, {name: b, port: 81, targetPort: web}]
`

func TestServiceValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleService, from, to, want)
	}
	b := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleBalancer, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("type", "type: ClusterIP", "type: Pipe", "spec.type: Unsupported value"),
		c("two ports, one nameless", "  - {name: http, port: 80}", "  - {port: 80}\n  - {name: b, port: 81}", "spec.ports[0].name: Required value"),
		c("port names", "  - {name: http, port: 80}", "  - {name: b, port: 80}\n  - {name: b, port: 81}", "spec.ports[1].name: Duplicate value"),
		c("ports twice", "  - {name: http, port: 80}", "  - {name: a, port: 80}\n  - {name: b, port: 80}", "spec.ports[1]: Duplicate value: \"TCP/80\""),
		c("a port of two protocols", "  - {name: http, port: 80}", "  - {name: a, port: 80}\n  - {name: b, port: 80, protocol: UDP}", ""),
		c("no ports", "  ports:\n  - {name: http, port: 80}", "", "spec.ports: Required value"),
		c("headless without ports", "clusterIP: 10.96.0.20\n  selector: {app: web}\n  ports:\n  - {name: http, port: 80}", "clusterIP: None", ""),
		c("headless at node ports", "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: NodePort\n  clusterIP: None", "may not be set to 'None' for NodePort services"),
		c("port", "port: 80", "port: 0", "spec.ports[0].port: Invalid value"),
		c("port name", "name: http", "name: H", "spec.ports[0].name: Invalid value"),
		c("target port", "port: 80", "port: 80, targetPort: 65536", "spec.ports[0].targetPort: Invalid value"),
		c("protocol", "port: 80", "port: 80, protocol: X", "spec.ports[0].protocol: Unsupported value"),
		c("selector", "{app: web}", "{'/': web}", "spec.selector: Invalid value"),
		c("affinity", "type: ClusterIP", "sessionAffinity: Always", "spec.sessionAffinity: Unsupported value"),
		c("cluster IP", "10.96.0.20", "10.96.0.300", "spec.clusterIPs[0]: Invalid value"),
		c("first cluster IP", "clusterIP: 10.96.0.20", "clusterIP: 10.96.0.20\n  clusterIPs: [10.96.0.21]", "first value must match `clusterIP`"),
		c("node port of a ClusterIP", "port: 80", "port: 80, nodePort: 30000", "may not be used when `type` is 'ClusterIP'"),
		c("external name", "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName\n  externalName: a_b.example.com", "spec.externalName: Invalid value"),
		c("external name with a dot", "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName\n  externalName: b.example.com.", ""),
		c("no external name", "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName", "spec.externalName: Required value"),
		c("external name and address", "type: ClusterIP", "type: ExternalName\n  externalName: a.example.com", "spec.clusterIPs: Forbidden: may not be set for ExternalName services"),
		c("external name and family", "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName\n  externalName: a.example.com\n  ipFamilies: [IPv4]", "spec.ipFamilies: Forbidden"),
		c("external name and policy", "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName\n  externalName: a.example.com\n  ipFamilyPolicy: SingleStack", "spec.ipFamilyPolicy: Forbidden"),
		c("traffic policy", "type: ClusterIP", "externalTrafficPolicy: Local", "may only be set for externally-accessible services"),
		c("source ranges", "type: ClusterIP", "loadBalancerSourceRanges: [10.0.0.0/8]", "may only be used when `type` is 'LoadBalancer'"),
		c("node ports of a balancer", "type: ClusterIP", "allocateLoadBalancerNodePorts: false", "may only be used when `type` is 'LoadBalancer'"),
		b("balancer", "", "", ""),
		c("family twice", "type: ClusterIP", "ipFamilies: [IPv4, IPv4]", "spec.ipFamilies[1]: Duplicate value"),
		c("no family", "type: ClusterIP", "ipFamilies: ['']", "spec.ipFamilies[0]: Unsupported value"),
		c("family policy", "type: ClusterIP", "ipFamilyPolicy: Any", "spec.ipFamilyPolicy: Unsupported value"),
		c("another family's address", "type: ClusterIP", "ipFamilies: [IPv6]", "spec.clusterIPs[0]: Invalid value: \"10.96.0.20\": expected an IPv6 value as indicated by `ipFamilies[0]`"),
		c("two addresses of a family", "type: ClusterIP", "clusterIPs: [10.96.0.20, 10.96.0.21]", "may specify no more than one IP for each IP family"),
		c("an address of each family", "type: ClusterIP", "clusterIPs: [10.96.0.20, 'fd00::1']", ""),
		c("three addresses", "type: ClusterIP", "clusterIPs: [10.96.0.20, 'fd00::1', 'fd00::2']", "may only hold up to 2 values"),
		c("headless with an address", "clusterIP: 10.96.0.20", "clusterIP: None\n  clusterIPs: [None, 10.96.0.20]", "'None' must be the first and only value"),
		c("topology", "namespace: default}", "namespace: default, annotations: {service.kubernetes.io/topology-mode: Auto, service.kubernetes.io/topology-aware-hints: auto}}", "must match annotations[service.kubernetes.io/topology-aware-hints]"),
		b("distribution of nothing", "PreferClose", "''", "spec.trafficDistribution: Unsupported value"),
		b("node port twice", "port: 81,", "port: 81, nodePort: 30001,", "spec.ports[1].nodePort: Duplicate value"),
		b("app protocol", "example.com/h2", "'/'", "spec.ports[0].appProtocol: Invalid value"),
		b("affinity for ever", "timeoutSeconds: 60", "timeoutSeconds: 86401", "must be greater than 0 and less than 86400"),
		b("affinity for a day", "timeoutSeconds: 60", "timeoutSeconds: 86400", ""),
		b("no affinity", "timeoutSeconds: 60", "timeoutSeconds: 0", "must be greater than 0"),
		b("external IP", "198.51.100.1", "a", "must be a valid IP address"),
		b("external IP of nobody", "198.51.100.1", "0.0.0.0", "may not be unspecified"),
		b("external IP of oneself", "198.51.100.1", "127.0.0.1", "may not be in the loopback range"),
		b("external IP of the link", "198.51.100.1", "169.254.0.1", "may not be in the link-local range"),
		b("source range", "10.0.0.0/8", "10.0.0.0/40", "spec.LoadBalancerSourceRanges[0]: Invalid value"),
		c("each source range", "type: ClusterIP", "loadBalancerSourceRanges: [10.0.0.0/8, 11.0.0.0/8]", "spec.LoadBalancerSourceRanges: Forbidden"),
		b("external IP of many", "198.51.100.1", "224.0.0.1", "may not be in the link-local multicast range"),
		b("class", "example.com/lb", "'/'", "spec.loadBalancerClass: Invalid value"),
		c("class of a ClusterIP", "type: ClusterIP", "loadBalancerClass: example.com/lb", "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"),
		c("source ranges by annotation", "namespace: default}", "namespace: default, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: 10.0.0.0/8}}", "may only be used when `type` is 'LoadBalancer'"),
		c("external IPs have a policy", "type: ClusterIP", "externalIPs: [198.51.100.1]\n  externalTrafficPolicy: Local", ""),
		b("external policy", "externalTrafficPolicy: Local", "externalTrafficPolicy: Far", "spec.externalTrafficPolicy: Unsupported value"),
		b("internal policy", "externalTrafficPolicy: Local", "externalTrafficPolicy: Local\n  internalTrafficPolicy: Far", "spec.internalTrafficPolicy: Unsupported value"),
		b("distribution", "PreferClose", "PreferFar", "spec.trafficDistribution: Unsupported value"),
		kindtest.Change("external name without ports", "apiVersion: v1\nkind: Service\nspec: {type: ExternalName, externalName: a.example.com}", "", "", ""),
	})
	stored := strings.Replace(sampleService, "clusterIP: 10.96.0.20", "clusterIP: 10.96.0.20\n  clusterIPs: [10.96.0.20]\n  ipFamilies: [IPv4]", 1)
	u := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, stored, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		kindtest.Change("a balancer's address", sampleBalancer, "", "status: {loadBalancer: {ingress: [{ip: 198.51.100.1}, {hostname: a.example.com}]}}", ""),
		kindtest.Change("no address", sampleBalancer, "", "status: {loadBalancer: {ingress: [{ip: a}]}}", "status.loadBalancer.ingress[0].ip: Invalid value"),
		kindtest.Change("no mode", sampleBalancer, "", "status: {loadBalancer: {ingress: [{ip: 198.51.100.1, ipMode: Far}]}}", "status.loadBalancer.ingress[0].ipMode: Unsupported value"),
		kindtest.Change("a mode of nothing", sampleBalancer, "", "status: {loadBalancer: {ingress: [{hostname: a, ipMode: VIP}]}}", "status.loadBalancer.ingress[0].ipMode: Forbidden"),
		kindtest.Change("no name", sampleBalancer, "", "status: {loadBalancer: {ingress: [{hostname: A_}]}}", "status.loadBalancer.ingress[0].hostname: Invalid value"),
		kindtest.Change("an address for a name", sampleBalancer, "", "status: {loadBalancer: {ingress: [{hostname: 10.0.0.1}]}}", "must be a DNS name, not an IP address"),
		kindtest.Change("without a balancer", sampleService, "", "status: {loadBalancer: {ingress: [{ip: 198.51.100.1}]}}", "may only be used when `spec.type` is 'LoadBalancer'"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		u("address", "clusterIP: 10.96.0.20\n  clusterIPs: [10.96.0.20]", "clusterIP: 10.96.0.21", "spec.clusterIPs[0]: Invalid value: [\"10.96.0.21\"]: may not change once set"),
		u("address of old clients", "clusterIP: 10.96.0.20\n", "clusterIP: 10.96.0.21\n", "spec.clusterIPs[0]: Invalid value: [\"10.96.0.21\"]: may not change once set"),
		u("without address keeps it", "  clusterIP: 10.96.0.20\n  clusterIPs: [10.96.0.20]\n", "", ""),
		u("turned headless", "clusterIP: 10.96.0.20\n  clusterIPs: [10.96.0.20]", "clusterIP: None\n  clusterIPs: [None]", "may not change once set"),
		u("another family", "ipFamilies: [IPv4]", "ipFamilies: [IPv6]", "spec.clusterIPs[0]"),
		u("another family first", "ipFamilies: [IPv4]", "ipFamilies: [IPv6, IPv4]", "spec.ipFamilies[0]: Invalid value"),
		u("a second family", "ipFamilies: [IPv4]", "ipFamilies: [IPv4, IPv6]", ""),
		u("turned external", "type: ClusterIP\n  clusterIP: 10.96.0.20\n  clusterIPs: [10.96.0.20]\n  ipFamilies: [IPv4]", "type: ExternalName\n  externalName: a.example.com", ""),
		b("balancer's class", "example.com/lb", "example.com/other", "spec.loadBalancerClass: Invalid value: \"example.com/other\": may not change once set"),
		b("another health check port", "30009", "30010", "spec.healthCheckNodePort: Forbidden: field is immutable"),
		b("no health check port keeps it", "  healthCheckNodePort: 30009\n", "", ""),
		b("no node port keeps it", "nodePort: 30001, ", "", ""),
	})
}

// A change of the type takes along what depended on it, unless the client changed that
// too.
func TestServiceUpdateDropsWhatDependsOnTheType(t *testing.T) {
	balancer := strings.Replace(sampleBalancer, "  externalIPs: [198.51.100.1]\n  loadBalancerSourceRanges: [10.0.0.0/8]\n", "", 1)
	k, old := kindtest.Row(t, Kinds(), balancer)
	old.(*corev1.Service).Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.51.100.9"}}
	for _, tt := range []struct{ name, from, to, refusal string }{
		{"to ClusterIP", "LoadBalancer", "ClusterIP", ""},
		{"to ClusterIP with another node port", "LoadBalancer", "ClusterIP\n  ports: [{port: 80, nodePort: 30005}]", "may not be used when `type` is 'ClusterIP'"},
		{"to ClusterIP with another class", "example.com/lb", "example.com/b\n  type: ClusterIP", "spec.loadBalancerClass"},
		{"to ClusterIP with another health check port", "30009", "30010\n  type: ClusterIP", "spec.healthCheckNodePort"},
		{"to ClusterIP with another policy", "Policy: Local", "Policy: Cluster\n  type: ClusterIP", "may only be set for externally-accessible services"},
		{"to ClusterIP with a decision about node ports", "LoadBalancer", "ClusterIP\n  allocateLoadBalancerNodePorts: false", "spec.allocateLoadBalancerNodePorts"},
	} {
		manifest := strings.Replace(balancer, tt.from, tt.to, 1)
		if strings.Contains(tt.to, "\n  type:") {
			manifest = strings.Replace(manifest, "  type: LoadBalancer\n", "", 1)
		}
		if strings.Contains(tt.to, "ports:") {
			manifest = manifest[:strings.LastIndex(manifest, "  ports:")]
		}
		_, obj := kindtest.Row(t, Kinds(), manifest)
		svc := obj.(*corev1.Service)
		if !strings.Contains(manifest, "allocateLoadBalancerNodePorts") { // as a patch of the old object has it
			svc.Spec.AllocateLoadBalancerNodePorts = old.(*corev1.Service).Spec.AllocateLoadBalancerNodePorts
		}
		svc.Status = *old.(*corev1.Service).Status.DeepCopy()
		k.PrepareForUpdate(svc, old)
		once := svc.DeepCopy()
		k.PrepareForUpdate(svc, old)
		if !reflect.DeepEqual(svc, once) {
			t.Errorf("%s: the second time changes it: %+v", tt.name, svc.Spec)
		}
		if svc.Status.LoadBalancer.Ingress != nil {
			t.Errorf("%s: it keeps the balancer's address", tt.name)
		}
		errs := k.Validate(svc).ToAggregate()
		if tt.refusal == "" && errs != nil || tt.refusal != "" && (errs == nil || !strings.Contains(errs.Error(), tt.refusal)) {
			t.Errorf("%s: %v", tt.name, errs)
		}
	}
}

func TestServiceUpdateKeepsWhatWasGiven(t *testing.T) {
	prepared := func(manifest, from, to string) string {
		k, old := kindtest.Row(t, Kinds(), manifest)
		_, obj := kindtest.Row(t, Kinds(), strings.Replace(manifest, from, to, 1))
		k.PrepareForUpdate(obj, old)
		s := specOf(obj)
		var ports []string
		for _, p := range s.Ports {
			ports = append(ports, servicePorts(s.Ports[:0]), p.Name)
			if p.NodePort != 0 {
				ports = append(ports, "+node")
			}
		}
		return s.ClusterIP + " " + strings.Join(ports, " ") + " " + string(s.ExternalTrafficPolicy)
	}
	none := " <none>"
	for _, tt := range []struct{ name, manifest, from, to, want string }{
		{"address and node port", sampleBalancer, "nodePort: 30001, ", "", "10.96.0.20" + none + " a +node" + none + " b Local"},
		{"another number under the same name", sampleBalancer, "port: 80, nodePort: 30001", "port: 82", "10.96.0.20" + none + " a +node" + none + " b Local"},
		{"another name gets none", sampleBalancer, "name: a, port: 80, nodePort: 30001", "name: c, port: 80", "10.96.0.20" + none + " c" + none + " b Local"},
		{"the port of another entry", sampleBalancer, "{name: a, port: 80, nodePort: 30001, appProtocol: example.com/h2}, {name: b, port: 81, targetPort: web}",
			"{name: a, port: 80}, {name: b, port: 81, nodePort: 30001}", "10.96.0.20" + none + " a" + none + " b +node Local"},
		{"no node ports any more", sampleBalancer, "LoadBalancer", "ClusterIP", "10.96.0.20" + none + " a" + none + " b Local"},
		{"an external name needs no address", sampleService, "type: ClusterIP", "type: ExternalName\n  externalName: a.example.com", none + " http "},
	} {
		if got := prepared(tt.manifest, tt.from, tt.to); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestConfigValidation(t *testing.T) {
	const config = "apiVersion: v1\nkind: ConfigMap\nimmutable: true\ndata: {KEY: v}\nbinaryData: {bin: YQ==}"
	const secret = "apiVersion: v1\nkind: Secret\nimmutable: true\ntype: kubernetes.io/tls\ndata: {tls.crt: YQ==, tls.key: YQ==}"
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, config, from, to, want) }
	s := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, secret, from, to, want) }
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("key", "KEY", "a/b", "data[a/b]: Invalid value"),
		c("binary key", "bin:", "a/b:", "binaryData[a/b]: Invalid value"),
		c("key twice", "bin:", "KEY:", "duplicate of key present in binaryData"),
		c("too big", "KEY: v", "KEY: "+strings.Repeat("a", 1<<20+1), "Too long"),
		c("just not too big", "KEY: v", "KEY: "+strings.Repeat("a", 1<<20-1), ""),
		s("key", "tls.key", "a/b", "data[a/b]: Invalid value"),
		s("no certificate", "tls.crt: YQ==, ", "", "data[tls.crt]: Required value"),
		s("no key", ", tls.key: YQ==", "", "data[tls.key]: Required value"),
		s("a token of nobody", "kubernetes.io/tls", "kubernetes.io/service-account-token", "metadata.annotations[kubernetes.io/service-account.name]: Required value"),
		s("no registry", "kubernetes.io/tls", "kubernetes.io/dockerconfigjson", "data[.dockerconfigjson]: Required value"),
		s("no old registry", "kubernetes.io/tls", "kubernetes.io/dockercfg", "data[.dockercfg]: Required value"),
		s("registry of no JSON", "type: kubernetes.io/tls\ndata: {", "type: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: YQ==, ", "<secret contents redacted>"),
		s("registry", "type: kubernetes.io/tls\ndata: {", "type: kubernetes.io/dockerconfigjson\ndata: {.dockerconfigjson: e30=, ", ""),
		s("nobody", "kubernetes.io/tls", "kubernetes.io/basic-auth", "data[username]: Required value"),
		s("a password is enough", "type: kubernetes.io/tls\ndata: {", "type: kubernetes.io/basic-auth\ndata: {password: YQ==, ", ""),
		s("a user is enough", "type: kubernetes.io/tls\ndata: {", "type: kubernetes.io/basic-auth\ndata: {username: YQ==, ", ""),
		s("no ssh key", "kubernetes.io/tls", "kubernetes.io/ssh-auth", "data[ssh-privatekey]: Required value"),
		s("text becomes data", "data: {tls.crt: YQ==, tls.key: YQ==}", "stringData: {tls.crt: a, tls.key: b}", ""),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("nothing", "", "", ""),
		c("data", "KEY: v", "KEY: w", "data: Forbidden: field is immutable when `immutable` is set"),
		c("binary data", "YQ==", "Yg==", "binaryData: Forbidden"),
		c("no longer immutable", "immutable: true\n", "", "immutable: Forbidden"),
		s("type", "kubernetes.io/tls", "example.com/a", "field is immutable"),
		s("data", "tls.key: YQ==", "tls.key: Yg==", "data: Forbidden"),
		s("no longer immutable", "immutable: true\n", "", "immutable: Forbidden"),
		kindtest.Change("mutable data", "apiVersion: v1\nkind: ConfigMap\ndata: {a: b}", "a: b", "a: c", ""),
		kindtest.Change("mutable secret", "apiVersion: v1\nkind: Secret\nstringData: {a: b}", "a: b", "a: c", ""),
	})
}

func TestNodeValidation(t *testing.T) {
	const node = `
apiVersion: v1
kind: Node
spec: {podCIDR: 10.1.0.0/24, providerID: p1, taints: [{key: a, value: b, effect: NoSchedule}]}
status: {capacity: {cpu: 4}, addresses: [{type: InternalIP, address: 10.0.0.1}]}
`
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, node, from, to, want) }
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("taint effect", "NoSchedule", "Never", "metadata.taints[0].effect: Unsupported value"),
		c("taint key", "key: a", "key: '/'", "metadata.taints[0].key: Invalid value"),
		c("taint value", "value: b", "value: '/'", "metadata.taints[0].value: Invalid value"),
		c("taint twice", "taints: [", "taints: [{key: a, effect: NoSchedule}, ", "taints must be unique by key and effect pair"),
		c("taint of another effect", "taints: [", "taints: [{key: a, effect: NoExecute}, ", ""),
		c("pod network", "podCIDR: 10.1.0.0/24", "podCIDR: 10.1.0.0/40", "spec.podCIDRs[0]: Invalid value"),
		c("three networks", "podCIDR: 10.1.0.0/24", "podCIDRs: [10.1.0.0/24, 10.2.0.0/24, 10.3.0.0/24]", "no more than one CIDR for each IP family"),
		c("two networks", "podCIDR: 10.1.0.0/24", "podCIDRs: [10.1.0.0/24, 'fd00::/64']", ""),
		c("capacity", "{cpu: 4}", "{cpu: -4}", "status.capacity.cpu: Invalid value"),
		c("address twice", "addresses: [", "addresses: [{type: InternalIP, address: 10.0.0.1}, ", "status.addresses[1]: Duplicate value"),
		c("preemption policy", "providerID: p1", "podPreemptionPolicy: {}", "spec.podPreemptionPolicy: Forbidden"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("nothing", "", "", ""),
		c("pod network", "10.1.0.0", "10.2.0.0", "may not change podCIDR"),
		c("provider", "providerID: p1", "providerID: p2", "field cannot be modified once set"),
		c("taint", "effect: NoSchedule", "effect: NoExecute", ""),
		kindtest.Change("first pod network", "apiVersion: v1\nkind: Node\nspec: {unschedulable: true}", "unschedulable: true", "podCIDR: 10.1.0.0/24, providerID: p", ""),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("allocatable", "status: {", "status: {allocatable: {cpu: -1}, ", "status.allocatable.cpu: Invalid value"),
		c("fine", "cpu: 4", "cpu: 8", ""),
	})
}

func TestNamespaceValidation(t *testing.T) {
	const live = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspec: {finalizers: [kubernetes]}\nstatus: {phase: Active}"
	const dying = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z'}\nspec: {finalizers: [kubernetes]}\nstatus: {phase: Terminating}"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		kindtest.Change("finalizer", live, "[kubernetes]", "['/']", "spec.finalizers: Invalid value"),
		kindtest.Change("finalizer of nobody", live, "[kubernetes]", "[a]", "neither a standard finalizer name nor is it fully qualified"),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		kindtest.Change("active", live, "", "", ""),
		kindtest.Change("left out", live, "phase: Active", "", ""),
		kindtest.Change("terminating", dying, "", "", ""),
		kindtest.Change("terminating, not deleted", live, "phase: Active", "phase: Terminating", "may only be 'Active' if `deletionTimestamp` is empty"),
		kindtest.Change("deleted and active", dying, "phase: Terminating", "phase: Active", "may only be 'Terminating' if `deletionTimestamp` is not empty"),
	})
}

func TestStorageValidation(t *testing.T) {
	const volume = `
apiVersion: v1
kind: PersistentVolume
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: fast
  local: {path: /disk}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}
`
	const claim = `
apiVersion: v1
kind: PersistentVolumeClaim
spec: {storageClassName: a, accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}, selector: {matchLabels: {a: b}}}
status: {phase: Bound, capacity: {storage: 1Gi}}
`
	v := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, volume, from, to, want) }
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, claim, from, to, want) }
	affinity := "  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}\n"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		v("access modes", "[ReadWriteOnce]", "[]", "spec.accessModes: Required value"),
		v("access mode", "[ReadWriteOnce]", "[Write]", "spec.accessModes: Unsupported value"),
		v("one pod and others", "[ReadWriteOnce]", "[ReadWriteOncePod, ReadWriteOnce]", "may not use ReadWriteOncePod with other access modes"),
		v("one pod", "[ReadWriteOnce]", "[ReadWriteOncePod]", ""),
		v("no capacity", "capacity: {storage: 1Gi}", "capacity: {}", "spec.capacity: Required value"),
		v("no room", "storage: 1Gi", "storage: 0", "must be greater than zero"),
		v("class", "storageClassName: fast", "storageClassName: F_", "spec.storageClassName: Invalid value"),
		v("reclaim", "storageClassName: fast", "persistentVolumeReclaimPolicy: Burn", "spec.persistentVolumeReclaimPolicy: Unsupported value"),
		v("mode", "storageClassName: fast", "volumeMode: Tape", "spec.volumeMode: Unsupported value"),
		v("affinity of nothing", "{required: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}", "{}", "must specify required node constraints"),
		v("affinity", "operator: Exists", "operator: X", "not a valid selector operator"),
		v("local everywhere", affinity, "", "Local volume requires node affinity"),
		v("no local path", "{path: /disk}", "{path: ''}", "spec.local.path: Required value"),
		v("no source", "  local: {path: /disk}\n", "", "must specify a volume type"),
		v("two sources", "local: {path: /disk}", "local: {path: /disk}\n  hostPath: {path: /x}", "spec.local: Forbidden: may not specify more than 1 volume type"),
		v("host path above", "local: {path: /disk}", "hostPath: {path: /a/..}", "must not contain '..'"),
		v("no host path", "local: {path: /disk}", "hostPath: {path: ''}", "spec.hostPath.path: Required value"),
		v("driver", "local: {path: /disk}", "csi: {volumeHandle: a}", "spec.csi.driver: Required value"),
		v("name of a driver", "local: {path: /disk}", "csi: {driver: a_b, volumeHandle: a}", "spec.csi.driver: Invalid value"),
		v("secret of a driver", "local: {path: /disk}", "csi: {driver: a, volumeHandle: a, nodePublishSecretRef: {name: B, namespace: c}}", "spec.csi.nodePublishSecretRef.name: Invalid value"),
		v("secret of no namespace", "local: {path: /disk}", "csi: {driver: a, volumeHandle: a, controllerExpandSecretRef: {name: b}}", "spec.csi.controllerExpandSecretRef.namespace: Required value"),
		v("two capacities", "storage: 1Gi}", "storage: 1Gi, cpu: 1}", "spec.capacity: Unsupported value"),
		v("attributes class of no driver", "storageClassName: fast", "volumeAttributesClassName: gold", "spec.csi: Required value"),
		v("recycled root", "local: {path: /disk}", "hostPath: {path: /}\n  persistentVolumeReclaimPolicy: Recycle", "may not be 'recycle' for a hostPath mount of '/'"),
		v("handle", "local: {path: /disk}", "csi: {driver: a}", "spec.csi.volumeHandle: Required value"),

		c("access modes", "[ReadWriteOnce]", "[]", "spec.accessModes: Required value"),
		c("selector", "{a: b}", "{'/': b}", "spec.selector"),
		c("no request", "resources: {requests: {storage: 2Gi}}, ", "", "spec.resources[storage]: Required value"),
		c("no room", "storage: 2Gi", "storage: 0", "must be greater than zero"),
		c("class", "storageClassName: a", "storageClassName: A_", "spec.storageClassName: Invalid value"),
		c("no class on purpose", "storageClassName: a", "storageClassName: ''", ""),
		c("mode", "storageClassName: a", "volumeMode: X", "spec.volumeMode: Unsupported value"),
		c("mode twice", "[ReadWriteOnce]", "[ReadWriteOncePod, ReadWriteOncePod]", ""),
		c("source", "storageClassName: a", "dataSource: {kind: PersistentVolumeClaim, name: b}", ""),
		c("source without a name", "storageClassName: a", "dataSourceRef: {kind: PersistentVolumeClaim}", "spec.dataSourceRef.name: Required value"),
		c("source of another kind", "storageClassName: a", "dataSourceRef: {kind: Pod, name: b}", "must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
		c("source of a bad group", "storageClassName: a", "dataSourceRef: {apiGroup: A_, kind: B, name: b}", "spec.dataSourceRef.apiGroup: Invalid value"),
		c("two sources", "storageClassName: a", "dataSource: {kind: PersistentVolumeClaim, name: a}, dataSourceRef: {kind: PersistentVolumeClaim, name: b}", "must match dataSourceRef"),
		c("a source elsewhere", "storageClassName: a", "dataSource: {kind: PersistentVolumeClaim, name: a}, dataSourceRef: {kind: PersistentVolumeClaim, name: a, namespace: n}", ""),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		v("source", "/disk", "/other", "spec.persistentvolumesource is immutable after creation"),
		v("mode", "storageClassName: fast", "volumeMode: Block", "field is immutable"),
		v("affinity", "key: a", "key: b", "field is immutable"),
		kindtest.Change("first affinity", strings.Replace(strings.Replace(volume, affinity, "", 1), "local: {path: /disk}", "hostPath: {path: /x}", 1), "spec:\n", "spec:\n"+affinity, ""),
		c("nothing", "", "", ""),
		c("class", "Name: a", "Name: b", "spec is immutable after creation"),
		c("more storage", "storage: 2Gi", "storage: 3Gi", ""),
		c("less storage than asked for", "storage: 2Gi", "storage: 1500Mi", ""),
		c("less storage than there is", "storage: 2Gi", "storage: 1Gi", "field can not be less than status.capacity"),
		c("bound", "storageClassName: a", "storageClassName: a, volumeName: v", ""),
		c("attributes class", "storageClassName: a", "storageClassName: a, volumeAttributesClassName: b", ""),
		kindtest.Change("a class that appears", strings.Replace(claim, "storageClassName: a, ", "", 1), "spec: {", "spec: {storageClassName: b, ", ""),
		kindtest.Change("another volume", strings.Replace(claim, "spec: {", "spec: {volumeName: v, ", 1), "volumeName: v", "volumeName: w", "spec is immutable after creation"),
		kindtest.Change("more for one that waits", strings.Replace(claim, "phase: Bound", "phase: Pending", 1), "storage: 2Gi", "storage: 3Gi", "spec: Forbidden: spec is immutable after creation"),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("capacity", "capacity: {storage: 1Gi}", "capacity: {storage: -1}", "status.capacity[storage]: Invalid value"),
		c("fine", "capacity: {storage: 1Gi}", "capacity: {storage: 2Gi}", ""),
	})
}

func TestQuotaValidation(t *testing.T) {
	const limits = `
apiVersion: v1
kind: LimitRange
spec: {limits: [{type: Container, min: {cpu: 1}, max: {cpu: 4}, default: {cpu: 3}, defaultRequest: {cpu: 2}, maxLimitRequestRatio: {cpu: 2}}]}
`
	const quota = `
apiVersion: v1
kind: ResourceQuota
spec: {hard: {pods: 1}, scopes: [BestEffort, Terminating], scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}, {scopeName: BestEffort, operator: Exists}]}}
status: {hard: {pods: 1}, used: {pods: 0}}
`
	l := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, limits, from, to, want) }
	q := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, quota, from, to, want) }
	kindtest.Create(t, Kinds(), []kindtest.Case{
		l("fine", "", "", ""),
		l("type", "type: Container, ", "", "spec.limits[0].type: Invalid value"),
		l("type twice", "limits: [", "limits: [{type: Container}, ", "spec.limits[1].type: Duplicate value"),
		l("default of a pod", "type: Container", "type: Pod", "may not be specified when `type` is 'Pod'"),
		l("min above max", "min: {cpu: 1}", "min: {cpu: 5}", "min value 5 is greater than max value 4"),
		l("min above request", "defaultRequest: {cpu: 2}", "defaultRequest: {cpu: 500m}", "min value 1 is greater than default request value 500m"),
		l("request above default", "defaultRequest: {cpu: 2}", "defaultRequest: {cpu: 3500m}", "default request value 3500m is greater than default limit value 3"),
		l("default above max", "default: {cpu: 3}", "default: {cpu: 5}", "default value 5 is greater than max value 4"),
		l("all the same", "min: {cpu: 1}, max: {cpu: 4}, default: {cpu: 3}, defaultRequest: {cpu: 2}, maxLimitRequestRatio: {cpu: 2}",
			"min: {cpu: 1}, max: {cpu: 1}, default: {cpu: 1}, defaultRequest: {cpu: 1}, maxLimitRequestRatio: {cpu: 1}", ""),
		l("ratio", "maxLimitRequestRatio: {cpu: 2}", "maxLimitRequestRatio: {cpu: 500m}", "ratio 500m is less than 1"),
		l("ratio of one", "maxLimitRequestRatio: {cpu: 2}", "maxLimitRequestRatio: {cpu: 1}", ""),
		l("ratio above the bounds", "maxLimitRequestRatio: {cpu: 2}", "maxLimitRequestRatio: {cpu: 4100m}", "ratio 4100m is greater than max/min = 4.000000"),
		l("ratio at the bounds", "maxLimitRequestRatio: {cpu: 2}", "maxLimitRequestRatio: {cpu: 4}", ""),
		l("default below min", "default: {cpu: 3}, defaultRequest: {cpu: 2}", "default: {cpu: 500m}", "min value 1 is greater than default value 500m"),
		l("another type", "type: Container", "type: Volume", "must be a standard limit type or fully qualified"),
		l("a type with a domain", "type: Container", "type: example.com/Volume", ""),
		l("claims without storage", "type: Container", "type: PersistentVolumeClaim", "either minimum or maximum storage value is required"),
		l("claims", "type: Container, min: {cpu: 1}", "type: PersistentVolumeClaim, min: {storage: 1}", ""),
		l("storage of containers", "max: {cpu: 4}", "max: {storage: 4}", "must be a standard resource for containers"),
		l("no such resource", "max: {cpu: 4}", "max: {clowns: 4}", "must be a standard resource type or fully qualified"),
		l("a quota's resource", "max: {cpu: 4}", "max: {requests.example.com/gpu: 4}", "doesn't follow extended resource name standard"),
		l("devices", "default: {cpu: 3}, defaultRequest: {cpu: 2}", "default: {example.com/gpu: 3}, defaultRequest: {example.com/gpu: 2}", "default value 3 must equal to defaultRequest value 2 in example.com/gpu"),
		q("fine", "", "", ""),
		q("hard", "spec: {hard: {pods: 1}", "spec: {hard: {pods: -1}", "spec.hard[pods]: Invalid value"),
		q("scope", "[BestEffort, Terminating]", "[Good]", "spec.scopes: Invalid value: \"Good\": unsupported scope"),
		q("parts of a pod", "spec: {hard: {pods: 1}", "spec: {hard: {pods: 1500m}", "must be an integer"),
		q("parts of a config map", "spec: {hard: {pods: 1}, scopes: [BestEffort, Terminating], ", "spec: {hard: {count/configmaps: 1500m}, ", "must be an integer"),
		q("no such resource", "spec: {hard: {pods: 1}", "spec: {hard: {clowns: 1}", "must be a standard resource for quota"),
		q("storage of everything", "spec: {hard: {pods: 1}", "spec: {hard: {storage: 1}", "must be a standard resource for quota"),
		q("custom counts in a scope", "spec: {hard: {pods: 1}", "spec: {hard: {count/deployments.apps: 1}", ""),
		q("services in a scope", "spec: {hard: {pods: 1}", "spec: {hard: {services: 1}", "unsupported scope applied to resource"),
		q("cpu of those that ask for none", "spec: {hard: {pods: 1}", "spec: {hard: {cpu: 1}", "spec.scopes: Invalid value: \"BestEffort\": unsupported scope applied to resource"),
		q("claims of pods' scopes", "spec: {hard: {pods: 1}, scopes: [BestEffort, Terminating], scopeSelector: {matchExpressions: [", "spec: {hard: {persistentvolumeclaims: 1}, scopeSelector: {matchExpressions: [{scopeName: VolumeAttributesClass, operator: Exists}, ", "scopeSelector.matchExpressions: Invalid value"),
		q("efforts of some name", "{scopeName: BestEffort, operator: Exists}", "{scopeName: BestEffort, operator: In, values: [a]}", "must be 'Exists' when scope is any of"),
		q("both efforts selected", "{scopeName: BestEffort, operator: Exists}", "{scopeName: BestEffort, operator: Exists}, {scopeName: NotBestEffort, operator: Exists}", "conflicting scopes"),
		q("both efforts", "[BestEffort, Terminating]", "[BestEffort, NotBestEffort]", "conflicting scopes"),
		q("both ends", "[BestEffort, Terminating]", "[NotTerminating, Terminating]", "conflicting scopes"),
		q("selector scope", "scopeName: PriorityClass", "scopeName: X", "matchExpressions.scopeName: Invalid value: \"X\": unsupported scope"),
		q("in nothing", "operator: In, values: [high]", "operator: In", "must be at least one value"),
		q("not in nothing", "operator: In, values: [high]", "operator: NotIn", "must be at least one value"),
		q("exists with values", "operator: Exists", "operator: Exists, values: [a]", "must be no value"),
		q("operator", "operator: Exists", "operator: Like", "not a valid selector operator"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{q("scopes", "[BestEffort, Terminating]", "[BestEffort]", "spec.scopes: Invalid value"), q("the same scopes", "[BestEffort, Terminating]", "[Terminating, BestEffort]", ""), q("hard", "pods: 1", "pods: 2", "")})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{q("used", "used: {pods: 0}", "used: {pods: -1}", "status.used[pods]: Invalid value"), q("fine", "used: {pods: 0}", "used: {pods: 1}", "")})
}

func TestOtherCoreValidation(t *testing.T) {
	const rc = `
apiVersion: v1
kind: ReplicationController
metadata: {name: web}
spec: {replicas: 2, selector: {app: web}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: b}]}}}
status: {replicas: 2, fullyLabeledReplicas: 2, readyReplicas: 2, availableReplicas: 1}
`
	const template = "apiVersion: v1\nkind: PodTemplate\ntemplate: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}"
	const endpoints = "apiVersion: v1\nkind: Endpoints\nsubsets: [{addresses: [{ip: 10.0.0.1, hostname: a}], notReadyAddresses: [{ip: 10.0.0.2}], ports: [{name: a, port: 80}, {name: b, port: 81}]}]"
	const event = "apiVersion: v1\nkind: Event\nmetadata: {namespace: a}\ninvolvedObject: {kind: Pod, namespace: a}\neventTime: '2026-01-01T00:00:00.000000Z'\nreportingComponent: r\nreportingInstance: i\naction: x\nreason: y\ntype: Normal\n"
	r := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, rc, from, to, want) }
	e := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, endpoints, from, to, want)
	}
	for _, x := range []struct{ name, from, to, want string }{
		{"node", "hostname: a", "nodeName: N_1", "subsets[0].addresses[0].nodeName: Invalid value"},
		{"no node", "hostname: a", "nodeName: ''", "subsets[0].addresses[0].nodeName: Invalid value"},
		{"app protocol", "name: a, port: 80", "name: a, port: 80, appProtocol: '/'", "subsets[0].ports[0].appProtocol: Invalid value"},
		{"an app protocol", "name: a, port: 80", "name: a, port: 80, appProtocol: http", ""},
	} {
		kindtest.Create(t, Kinds(), []kindtest.Case{e(x.name, x.from, x.to, x.want)})
	}
	v := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, event, from, to, want) }
	kindtest.Create(t, Kinds(), []kindtest.Case{
		r("fine", "", "", ""),
		r("replicas", "replicas: 2, selector", "replicas: -1, selector", "spec.replicas: Invalid value"),
		r("ready seconds", "replicas: 2, selector", "minReadySeconds: -1, selector", "spec.minReadySeconds: Invalid value"),
		r("selector of others", "selector: {app: web}", "selector: {app: other}", "`selector` does not match template `labels`"),
		r("selector of the template", "selector: {app: web}, ", "", ""),
		r("no selector at all", "selector: {app: web}, template: {metadata: {labels: {app: web}}, ", "template: {", "spec.selector: Required value"),
		r("no template", ", template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: b}]}}", "", "spec.template: Required value"),
		r("restart policy", "spec: {containers", "spec: {restartPolicy: Never, containers", "spec.template.spec.restartPolicy: Unsupported value"),
		r("deadline", "spec: {containers", "spec: {activeDeadlineSeconds: 5, containers", "activeDeadlineSeconds in this kind is not Supported"),
		kindtest.Change("template", template, "restartPolicy: Never", "restartPolicy: X", "template.spec.restartPolicy: Unsupported value"),
		kindtest.Change("debug containers in a template", template, "containers:", "ephemeralContainers: [{name: x, image: z}], containers:", "ephemeral containers not allowed in pod template"),
		kindtest.Change("template labels", template, "template: {", "template: {metadata: {labels: {'/': a}}, ", "template.labels: Invalid value"),
		e("fine", "", "", ""),
		e("nobody", "addresses: [{ip: 10.0.0.1, hostname: a}], notReadyAddresses: [{ip: 10.0.0.2}], ", "", "must specify `addresses` or `notReadyAddresses`"),
		e("only unready", "addresses: [{ip: 10.0.0.1, hostname: a}], ", "", ""),
		e("address", "ip: 10.0.0.1", "ip: a", "subsets[0].addresses[0].ip: Invalid value"),
		e("unready address", "ip: 10.0.0.2", "ip: 127.0.0.1", "subsets[0].notReadyAddresses[0].ip: Invalid value"),
		e("host name", "hostname: a", "hostname: A", "subsets[0].addresses[0].hostname: Invalid value"),
		e("nameless of two", "{name: a, port: 80}", "{port: 80}", "subsets[0].ports[0].name: Required value"),
		e("nameless alone", "{name: a, port: 80}, {name: b, port: 81}", "{port: 80}", ""),
		e("port", "port: 80", "port: 0", "subsets[0].ports[0].port: Invalid value"),
		e("port name", "name: a, port", "name: A, port", "subsets[0].ports[0].name: Invalid value"),
		e("protocol", "port: 80", "port: 80, protocol: X", "subsets[0].ports[0].protocol: Unsupported value"),
		v("fine", "", "", ""),
		v("of another namespace", "Pod, namespace: a", "Pod, namespace: b", ""),
		v("of no namespace", "Pod, namespace: a", "Pod", "involvedObject.namespace: Invalid value"),
		kindtest.Change("an old one of another namespace", "apiVersion: v1\nkind: Event\nmetadata: {namespace: a}\ninvolvedObject: {kind: Pod, namespace: b}", "", "", "involvedObject.namespace: Invalid value"),
		v("of a cluster's object", "Pod, namespace: a", "Node", "does not match event.namespace"),
		v("controller", "reportingComponent: r\n", "", "reportingComponent: Required value"),
		v("instance", "reportingInstance: i\n", "", "reportingInstance: Required value"),
		v("action", "action: x\n", "", "action: Required value"),
		v("reason", "reason: y\n", "", "reason: Required value"),
		v("any type", "type: Normal", "type: Odd", ""),
		v("an old one is held to less", "eventTime: '2026-01-01T00:00:00.000000Z'\nreportingComponent: r\n", "", ""),
		kindtest.Change("of a node", "apiVersion: v1\nkind: Event\nmetadata: {namespace: default}\ninvolvedObject: {kind: Node}", "", "", ""),
		kindtest.Change("of a node, by the system", "apiVersion: v1\nkind: Event\nmetadata: {namespace: kube-system}\ninvolvedObject: {kind: Node}", "", "", "involvedObject.namespace: Invalid value"),
		kindtest.Change("of a node, by the system, with its time", "apiVersion: v1\nkind: Event\nmetadata: {namespace: kube-system}\ninvolvedObject: {kind: Node}\neventTime: '2026-01-01T00:00:00.000000Z'\nreportingComponent: r\nreportingInstance: i\naction: x\nreason: y\ntype: Normal", "", "", ""),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		r("fine", "", "", ""),
		r("more ready than there are", "readyReplicas: 2", "readyReplicas: 3", "status.readyReplicas: Invalid value: 3: cannot be greater than status.replicas"),
		r("more available than ready", "readyReplicas: 2, availableReplicas: 1", "readyReplicas: 1, availableReplicas: 2", "cannot be greater than readyReplicas"),
		r("more labeled than there are", "fullyLabeledReplicas: 2", "fullyLabeledReplicas: 3", "status.fullyLabeledReplicas: Invalid value"),
		r("negative", "status: {replicas: 2", "status: {replicas: -2", "status.replicas: Invalid value"),
	})
}

func specOf(obj runtime.Object) corev1.ServiceSpec { return obj.(*corev1.Service).Spec }

func TestCoreCells(t *testing.T) {
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "node", Manifest: `
apiVersion: v1
kind: Node
metadata: {name: m1, creationTimestamp: "2026-01-01T11:50:00Z", labels: {node-role.kubernetes.io/control-plane: "", kubernetes.io/role: edge}}
spec: {unschedulable: true}
status:
  conditions: [{type: Ready, status: "True"}]
  addresses: [{type: InternalIP, address: 10.0.0.1}]
  nodeInfo: {kubeletVersion: v1, osImage: Debian, kernelVersion: "6.1", containerRuntimeVersion: containerd://2.4.2}
`, Want: "m1 | Ready,SchedulingDisabled | control-plane,edge | 10m | v1 | (10.0.0.1) | (<none>) | (Debian) | (6.1) | (containerd://2.4.2)"},
		{Name: "node port", Manifest: `
apiVersion: v1
kind: Service
metadata: {name: web, creationTimestamp: "2026-01-01T11:59:30Z"}
spec: {type: NodePort, clusterIP: 10.96.0.9, selector: {b: c, a: b}, ports: [{name: a, port: 80, nodePort: 30080}, {name: b, port: 53, protocol: UDP}]}
`, Want: "web | NodePort | 10.96.0.9 | <none> | 80:30080/TCP,53/UDP | 30s | (a=b,b=c)"},
		{Name: "balancer that waits", Manifest: `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, ports: [{port: 80}]}
`, Want: "web | LoadBalancer | <none> | <pending> | 80/TCP | <unknown> | (<none>)"},
		{Name: "event", Manifest: `
apiVersion: v1
kind: Event
metadata: {name: web.1, namespace: default}
involvedObject: {kind: Pod, name: web, namespace: default}
reason: Killing
message: "Stopping container\n"
type: Normal
source: {component: kubelet, host: n1}
firstTimestamp: "2026-01-01T11:00:00Z"
lastTimestamp: "2026-01-01T11:59:00Z"
count: 3
`, Want: "60s | Normal | Killing | pod/web | () | (kubelet, n1) | Stopping container | (60m) | (3) | (web.1)"},
		{Name: "claim", Manifest: `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {volumeName: v1, storageClassName: fast, accessModes: [ReadWriteOnce]}
status: {phase: Bound, capacity: {storage: 5Gi}, accessModes: [ReadOnlyMany, ReadWriteOnce]}
`, Want: "data | Bound | v1 | 5Gi | RWO,ROX | fast | <unset> | <unknown> | (Filesystem)"},
	})
}

func TestNodesHaveNoConfigurationOfTheirOwn(t *testing.T) {
	k, obj := kindtest.Row(t, Kinds(), "apiVersion: v1\nkind: Node\nmetadata: {name: a}\nspec: {configSource: {}}\nstatus: {config: {lastKnownGood: {}}}")
	k.Drop(obj)
	if n := obj.(*corev1.Node); n.Spec.ConfigSource != nil || n.Status.Config != nil { //nolint:staticcheck // clients may still send it
		t.Errorf("%+v", n)
	}
}

func TestNamespaceIsPrepared(t *testing.T) {
	k, obj := kindtest.Row(t, Kinds(), "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}")
	k.PrepareForCreate(obj)
	n := obj.(*corev1.Namespace)
	if n.Labels[corev1.LabelMetadataName] != "a" || len(n.Spec.Finalizers) != 1 || n.Status.Phase != corev1.NamespaceActive {
		t.Errorf("%+v", n)
	}
}

// What the server gave a service stays through an update that does not say it.
func TestServiceKeepsItsNodePort(t *testing.T) {
	manifest := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: NodePort, clusterIP: 10.96.0.3, ports: [{port: 80, nodePort: 30001}]}"
	k, old := kindtest.Row(t, Kinds(), manifest)
	_, obj := kindtest.Row(t, Kinds(), strings.NewReplacer(", nodePort: 30001", "", "clusterIP: 10.96.0.3, ", "").Replace(manifest))
	k.PrepareForUpdate(obj, old)
	s := obj.(*corev1.Service).Spec
	if s.Ports[0].NodePort != 30001 || s.ClusterIP != "10.96.0.3" {
		t.Errorf("%+v", s)
	}
	_, obj = kindtest.Row(t, Kinds(), strings.Replace(manifest, "NodePort", "ClusterIP", 1))
	k.PrepareForUpdate(obj, old)
	if s := obj.(*corev1.Service).Spec; s.Ports[0].NodePort != 0 || s.ExternalTrafficPolicy != "" {
		t.Errorf("%+v", s)
	}
}

func TestServiceWarnings(t *testing.T) {
	for name, tt := range map[string]struct{ spec, want string }{
		"none":               {"{clusterIP: 10.0.0.1, externalName: ''}", ""},
		"headless":           {"{clusterIP: None, externalIPs: [198.51.100.1], loadBalancerIP: 198.51.100.1, sessionAffinity: ClientIP}", "spec.loadBalancerIP is ignored for headless services|spec.externalIPs is ignored for headless services|spec.SessionAffinity is ignored for headless services"},
		"external IPs":       {"{externalIPs: [198.51.100.1]}", "spec.externalIPs is deprecated and may no longer be implemented in some clusters"},
		"of another name":    {"{type: ExternalName, externalName: a, externalIPs: [198.51.100.1]}", `spec.externalIPs is ignored when spec.type is "ExternalName"`},
		"another name":       {"{externalName: a}", `spec.externalName is ignored when spec.type is not "ExternalName"`},
		"an older word":      {"{trafficDistribution: PreferClose}", `spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"`},
		"ambiguous":          {"{loadBalancerIP: 010.1.2.3}", `spec.loadBalancerIP: non-standard IP address "010.1.2.3" is invalid: use "10.1.2.3"`},
		"no address at all":  {"{loadBalancerIP: here, loadBalancerSourceRanges: [there]}", ""},
		"ambiguous networks": {"{loadBalancerSourceRanges: [10.1.2.3/8]}", `spec.loadBalancerSourceRanges[0]: CIDR value "10.1.2.3/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.1.2.3/32"?)`},
	} {
		k, obj := kindtest.Row(t, Kinds(), "apiVersion: v1\nkind: Service\nspec: "+tt.spec)
		if got := strings.Join(k.Warnings(obj), "|"); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

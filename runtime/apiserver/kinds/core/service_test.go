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

func specOf(obj runtime.Object) corev1.ServiceSpec { return obj.(*corev1.Service).Spec }

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

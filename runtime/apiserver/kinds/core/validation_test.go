package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

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
		c("capacity", "{cpu: 4}", "{cpu: -4}", "status.capacity[cpu]: Invalid value"),
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
		c("allocatable", "status: {", "status: {allocatable: {cpu: -1}, ", "status.allocatable[cpu]: Invalid value"),
		c("fine", "cpu: 4", "cpu: 8", ""),
	})
}

func TestNamespaceValidation(t *testing.T) {
	const live = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\nspec: {finalizers: [kubernetes]}\nstatus: {phase: Active}"
	const dying = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, deletionTimestamp: '2026-01-01T00:00:00Z'}\nspec: {finalizers: [kubernetes]}\nstatus: {phase: Terminating}"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		kindtest.Change("finalizer", live, "[kubernetes]", "['/']", "spec.finalizers[0]: Invalid value"),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		kindtest.Change("active", live, "", "", ""),
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
		c("a source elsewhere", "storageClassName: a", "dataSource: {kind: PersistentVolumeClaim, name: a}, dataSourceRef: {kind: PersistentVolumeClaim, name: a, namespace: n}", "may not be specified when dataSourceRef.namespace is specified"),
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

func TestNamespaceIsPrepared(t *testing.T) {
	k, obj := kindtest.Row(t, Kinds(), "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}")
	k.PrepareForCreate(obj)
	n := obj.(*corev1.Namespace)
	if n.Labels[corev1.LabelMetadataName] != "a" || len(n.Spec.Finalizers) != 1 || n.Status.Phase != corev1.NamespaceActive {
		t.Errorf("%+v", n)
	}
}

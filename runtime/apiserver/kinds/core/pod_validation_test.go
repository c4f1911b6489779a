package core

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

// samplePod uses most of what a pod may say.
const samplePod = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec:
  nodeSelector: {disk: ssd}
  serviceAccountName: web
  hostname: web
  subdomain: shop
  priorityClassName: high
  runtimeClassName: fast
  preemptionPolicy: Never
  terminationGracePeriodSeconds: 20
  activeDeadlineSeconds: 100
  imagePullSecrets: [{name: pull}]
  os: {name: linux}
  overhead: {cpu: 10m}
  hostAliases: [{ip: 10.0.0.1, hostnames: [a.example.com]}]
  readinessGates: [{conditionType: example.com/ok}]
  dnsPolicy: None
  dnsConfig: {nameservers: [10.0.0.53], searches: [a.example.com, .], options: [{name: ndots, value: "2"}]}
  securityContext: {runAsUser: 1, runAsGroup: 2, fsGroup: 3, supplementalGroups: [4], fsGroupChangePolicy: Always, supplementalGroupsPolicy: Strict,
    seccompProfile: {type: Localhost, localhostProfile: profiles/a.json}, appArmorProfile: {type: RuntimeDefault}, sysctls: [{name: a, value: b}]}
  tolerations:
  - {key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 10}
  - {key: c, operator: Equal, value: d}
  - {key: e, operator: Gt, value: "5"}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [z]}, {key: gpu, operator: Exists},
        {key: cores, operator: Gt, values: ["4"]}], matchFields: [{key: metadata.name, operator: In, values: [n1]}]}]}
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 100, preference: {matchExpressions: [{key: disk, operator: DoesNotExist}]}}]
    podAffinity:
      preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {labelSelector: {matchLabels: {a: b}}, topologyKey: zone, matchLabelKeys: [v]}}]
    podAntiAffinity:
      requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {}, topologyKey: host, namespaces: [other]}]
  topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, minDomains: 2, labelSelector: {matchLabels: {a: b}}, matchLabelKeys: [v]}]
  evictionResponders: [{name: example.com/drain, priority: 1000}]
  initContainers:
  - {name: setup, image: "setup:1"}
  - {name: proxy, image: "proxy:1", restartPolicy: Always, startupProbe: {tcpSocket: {port: 1}}}
  containers:
  - name: web
    image: nginx:1.27
    imagePullPolicy: Always
    ports: [{name: http, containerPort: 80, hostPort: 8080, hostIP: 10.0.0.2}]
    env:
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
    - {name: KEY, valueFrom: {configMapKeyRef: {name: config, key: k}}}
    - {name: PASS, valueFrom: {secretKeyRef: {name: secret, key: p}}}
    envFrom: [{prefix: A_, configMapRef: {name: config}}, {secretRef: {name: secret}}]
    resources: {requests: {cpu: 100m, example.com/gpu: 1}, limits: {cpu: 200m, example.com/gpu: 1}}
    volumeMounts: [{name: data, mountPath: /data, subPath: a/b}, {name: cfg, mountPath: /cfg, readOnly: true, recursiveReadOnly: Enabled}]
    volumeDevices: [{name: disk, devicePath: /dev/x}]
    securityContext: {privileged: true, runAsUser: 5, procMount: Default, capabilities: {add: [NET_ADMIN]}}
    readinessProbe: {httpGet: {path: /, port: http, httpHeaders: [{name: X-A, value: b}]}}
    livenessProbe: {exec: {command: [ls]}, terminationGracePeriodSeconds: 5}
    startupProbe: {grpc: {port: 9}}
    lifecycle: {preStop: {sleep: {seconds: 20}}, postStart: {httpGet: {port: 80}}}
  volumes:
  - {name: data, emptyDir: {sizeLimit: 1Gi, medium: Memory}}
  - {name: cfg, configMap: {name: config, items: [{key: k, path: k.txt, mode: 0600}]}}
  - {name: sec, secret: {secretName: secret, defaultMode: 0400}}
  - {name: host, hostPath: {path: /var/x, type: Directory}}
  - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: cpu, resourceFieldRef: {containerName: web, resource: requests.cpu}}]}}
  - {name: all, projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 600}}, {secret: {name: s}}, {clusterTrustBundle: {name: "example.com:a:b", path: t}}, {podCertificate: {signerName: example.com/a, keyType: ED25519, keyPath: key}}]}}
  - {name: disk, persistentVolumeClaim: {claimName: c}}
  - {name: share, nfs: {server: s, path: /x}}
  - {name: img, image: {reference: a, pullPolicy: Never}}
  - {name: own, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}
`

func TestPodValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePod, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("all is well", "", "", ""),
		c("node selector", "disk: ssd", "disk: '/'", "spec.nodeSelector: Invalid value"),
		c("service account", "serviceAccountName: web", "serviceAccountName: A_B", "spec.serviceAccountName: Invalid value"),
		c("hostname", "hostname: web", "hostname: a.b", "spec.hostname: Invalid value"),
		c("subdomain", "subdomain: shop", "subdomain: S", "spec.subdomain: Invalid value"),
		c("priority class", "priorityClassName: high", "priorityClassName: '-'", "spec.priorityClassName: Invalid value"),
		c("runtime class", "runtimeClassName: fast", "runtimeClassName: ''", "spec.runtimeClassName: Required value"),
		c("preemption policy", "preemptionPolicy: Never", "preemptionPolicy: Maybe", "spec.preemptionPolicy: Unsupported value"),
		c("node name", "  hostname: web", "  nodeName: N_1", "spec.nodeName: Invalid value"),
		c("scheduler", "  hostname: web", "  schedulingGates: [{name: a}, {name: a}]", "spec.schedulingGates[1]: Duplicate value"),
		c("grace period", "terminationGracePeriodSeconds: 20", "terminationGracePeriodSeconds: -1", "spec.terminationGracePeriodSeconds: Invalid value"),
		c("a hook longer than the grace period", "terminationGracePeriodSeconds: 20", "terminationGracePeriodSeconds: 19", "lifecycle.preStop.sleep: Invalid value: 20"),
		c("deadline", "activeDeadlineSeconds: 100", "activeDeadlineSeconds: 0", "spec.activeDeadlineSeconds: Invalid value"),
		c("pull secret", "[{name: pull}]", "[{}]", "spec.imagePullSecrets[0].name: Required value"),
		c("os", "os: {name: linux}", "os: {name: plan9}", "spec.os.name: Unsupported value"),
		c("overhead", "{cpu: 10m}", "{cpu: -10m}", "spec.overhead[cpu]: Invalid value"),
		c("host alias", "ip: 10.0.0.1", "ip: 10.0.0", "spec.hostAliases[0].ip: Invalid value"),
		c("host alias name", "hostnames: [a.example.com]", "hostnames: [A_]", "spec.hostAliases[0].hostnames[0]: Invalid value"),
		c("readiness gate", "example.com/ok", "'/'", "spec.readinessGates[0].conditionType: Invalid value"),
		c("restart policy", "  hostname: web", "  restartPolicy: Sometimes", "spec.restartPolicy: Unsupported value"),
		c("DNS policy", "dnsPolicy: None", "dnsPolicy: Mine", "spec.dnsPolicy: Unsupported value"),
		c("no nameserver", "nameservers: [10.0.0.53], ", "", "must provide at least one DNS nameserver"),
		c("too many nameservers", "[10.0.0.53]", "[10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4]", "must not have more than 3 nameservers"),
		c("three nameservers", "[10.0.0.53]", "[10.0.0.1, 10.0.0.2, 10.0.0.3]", ""),
		c("nameserver", "10.0.0.53", "a", "spec.dnsConfig.nameservers[0]: Invalid value"),
		c("search", "searches: [a.example.com", "searches: ['a b'", "spec.dnsConfig.searches[0]: Invalid value"),
		c("DNS option", "{name: ndots, ", "{", "spec.dnsConfig.options[0].name: Required value"),

		c("user", "runAsUser: 1,", "runAsUser: -1,", "spec.securityContext.runAsUser: Invalid value"),
		c("group", "runAsGroup: 2", "runAsGroup: -1", "spec.securityContext.runAsGroup: Invalid value"),
		c("fs group", "fsGroup: 3", "fsGroup: -1", "spec.securityContext.fsGroup: Invalid value"),
		c("supplemental group", "[4]", "[-4]", "spec.securityContext.supplementalGroups[0]: Invalid value"),
		c("change policy", "fsGroupChangePolicy: Always", "fsGroupChangePolicy: Once", "fsGroupChangePolicy: Unsupported value"),
		c("groups policy", "supplementalGroupsPolicy: Strict", "supplementalGroupsPolicy: Loose", "supplementalGroupsPolicy: Unsupported value"),
		c("seccomp type", "{type: Localhost, localhostProfile: profiles/a.json}", "{type: None}", "seccompProfile.type: Unsupported value"),
		c("seccomp without profile", ", localhostProfile: profiles/a.json", "", "seccompProfile.localhostProfile: Required value"),
		c("seccomp with a profile too many", "type: Localhost", "type: Unconfined", "can only be set when seccomp type is Localhost"),
		c("seccomp profile", "profiles/a.json", "/a.json", "must be a relative path"),
		c("seccomp profile above", "profiles/a.json", "a/../../b", "must not contain '..'"),
		c("app armor", "appArmorProfile: {type: RuntimeDefault}", "appArmorProfile: {type: X}", "appArmorProfile.type: Unsupported value"),
		c("sysctl twice", "[{name: a, value: b}]", "[{name: a, value: b}, {name: a, value: c}]", "sysctls[1].name: Duplicate value"),
		c("sysctl name", "{name: a, value: b}", "{name: net/ipv4.x_y-z, value: b}", ""),
		c("sysctl ends in a hyphen", "{name: a, value: b}", "{name: foo-, value: b}", "sysctls[0].name: Invalid value: \"foo-\": must have at most 253 characters and match regex"),
		c("sysctl of empty segments", "{name: a, value: b}", "{name: bar.., value: b}", "sysctls[0].name: Invalid value: \"bar..\""),
		c("sysctl", "{name: a, value: b}", "{value: b}", "sysctls[0].name: Required value"),
		c("shared processes and the host's", "  hostname: web", "  shareProcessNamespace: true\n  hostPID: true", "ShareProcessNamespace and HostPID cannot both be enabled"),
		c("the host's processes alone", "  hostname: web", "  hostPID: true", ""),
		c("user namespace and the host's", "  hostname: web", "  hostUsers: false\n  hostIPC: true", "spec.securityContext.hostIPC: Forbidden: when `hostUsers` is false"),
		c("the host's users and the rest", "  hostname: web", "  hostUsers: true\n  hostIPC: true", ""),

		c("toleration of no key", "{key: a, operator: Exists,", "{operator: Equal,", "operator must be Exists when `key` is empty"),
		c("toleration of all", "{key: a, operator: Exists,", "{operator: Exists,", ""),
		c("toleration key", "key: a, operator: Exists", "key: '/', operator: Exists", "tolerations[0].key: Invalid value"),
		c("toleration for a time", "effect: NoExecute", "effect: NoSchedule", "effect must be 'NoExecute' when `tolerationSeconds` is set"),
		c("toleration value", "value: d", "value: '/'", "tolerations[1].value: Invalid value"),
		c("toleration operator", "operator: Equal", "operator: Like", "tolerations[1].operator: Unsupported value"),
		c("exists with a value", "operator: Equal", "operator: Exists", "value must be empty when `operator` is 'Exists'"),
		c("number to compare", `operator: Gt, value: "5"`, `operator: Lt, value: five`, "value must be an integer when `operator` is 'Lt'"),
		c("taint effect", "value: d}", "value: d, effect: Never}", "tolerations[1].effect: Unsupported value"),

		c("in nothing", "operator: In, values: [z]", "operator: In", "must be specified when `operator` is 'In' or 'NotIn'"),
		c("exists with values", "{key: gpu, operator: Exists}", "{key: gpu, operator: Exists, values: [a]}", "may not be specified when `operator` is 'Exists'"),
		c("greater than two", `operator: Gt, values: ["4"]`, `operator: Gt, values: ["4", "5"]`, "must be specified single value"),
		c("greater than a word", `operator: Gt, values: ["4"]`, "operator: Lt, values: [four]", "must be an integer when `operator` is 'Lt' or 'Gt'"),
		c("node operator", "{key: gpu, operator: Exists}", "{key: gpu, operator: Is}", "not a valid selector operator"),
		c("node key", "{key: gpu, operator: Exists}", "{key: '/', operator: Exists}", "matchExpressions[1].key: Invalid value"),
		c("match field", "key: metadata.name", "key: metadata.uid", "matchFields[0].key: Invalid value"),
		c("match field operator", "operator: In, values: [n1]", "operator: Exists, values: [n1]", "matchFields[0].operator: Invalid value"),
		c("match field values", "values: [n1]", "values: [n1, n2]", "must be only one value"),
		c("no terms", "nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [z]}, {key: gpu, operator: Exists},\n        {key: cores, operator: Gt, values: [\"4\"]}], matchFields: [{key: metadata.name, operator: In, values: [n1]}]}]", "nodeSelectorTerms: []", "must have at least one node selector term"),
		c("weight", "weight: 100", "weight: 101", "preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value"),
		c("no weight", "{weight: 1, pod", "{weight: 0, pod", "weight: Invalid value: 0: must be in the range 1-100"),
		c("pod term key", "topologyKey: host", "topologyKey: ''", "topologyKey: Required value: can not be empty"),
		c("pod term namespace", "namespaces: [other]", "namespaces: [O]", "namespaces[0]: Invalid value"),
		c("pod term selector", "{labelSelector: {}, topologyKey: host", "{labelSelector: {matchLabels: {'/': a}}, topologyKey: host", "podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].labelSelector"),
		c("keys without a selector", "labelSelector: {matchLabels: {a: b}}, topologyKey: zone, matchLabelKeys", "topologyKey: zone, matchLabelKeys", "must not be specified when labelSelector is not set"),

		c("skew", "maxSkew: 1", "maxSkew: 0", "maxSkew: Invalid value"),
		c("spread key", "{maxSkew: 1, topologyKey: zone", "{maxSkew: 1, topologyKey: ''", "topologySpreadConstraints[0].topologyKey: Required value"),
		c("unsatisfiable", "whenUnsatisfiable: DoNotSchedule, minDomains: 2", "whenUnsatisfiable: Shrug", "whenUnsatisfiable: Unsupported value"),
		c("domains", "minDomains: 2", "minDomains: 0", "minDomains: Invalid value"),
		c("domains of a wish", "whenUnsatisfiable: DoNotSchedule", "whenUnsatisfiable: ScheduleAnyway", "can only use minDomains if whenUnsatisfiable=DoNotSchedule"),
		c("spread twice", "topologySpreadConstraints: [", "topologySpreadConstraints: [{maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}, ", "Duplicate value"),
		c("inclusion policy", "minDomains: 2,", "minDomains: 2, nodeTaintsPolicy: Perhaps,", "nodeTaintsPolicy: Unsupported value"),
	})
}

func TestContainerValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePod, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("no name", "- name: web\n    image", "- image", "spec.containers[0].name: Required value"),
		c("name", "name: web\n    image", "name: Web_\n    image", "spec.containers[0].name: Invalid value"),
		c("name twice", "{name: setup, image", "{name: web, image", "Duplicate value: \"web\""),
		c("image", "image: nginx:1.27", "image: ''", "spec.containers[0].image: Required value"),
		c("image with space", "image: nginx:1.27", "image: ' nginx'", "must not have leading or trailing whitespace"),
		c("pull policy", "imagePullPolicy: Always", "imagePullPolicy: Often", "imagePullPolicy: Unsupported value"),
		c("message policy", "imagePullPolicy: Always", "terminationMessagePolicy: None", "terminationMessagePolicy: Unsupported value"),
		c("container restart policy", "restartPolicy: Always, startupProbe", "restartPolicy: Now, startupProbe", "restartPolicy: Unsupported value"),
		c("probe of an init container", ", restartPolicy: Always, startupProbe", ", startupProbe", "startupProbe: Forbidden: may not be set for init containers without restartPolicy=Always"),

		c("port name", "{name: http, containerPort", "{name: HTTP, containerPort", "ports[0].name: Invalid value"),
		c("port name twice", "ports: [{name: http", "ports: [{name: http, containerPort: 1}, {name: http", "Duplicate value"),
		c("no port", "containerPort: 80, ", "", "containerPort: Required value"),
		c("port", "containerPort: 80", "containerPort: 65536", "containerPort: Invalid value"),
		c("host port", "hostPort: 8080", "hostPort: 65536", "hostPort: Invalid value"),
		c("host port twice", "ports: [{name: http", "ports: [{containerPort: 81, hostPort: 8080, hostIP: 10.0.0.2}, {name: http", "ports[1].hostPort: Duplicate value"),
		c("host port of another address", "ports: [{name: http", "ports: [{containerPort: 81, hostPort: 8080, hostIP: 10.0.0.3}, {name: http", ""),
		c("host network", "  hostname: web", "  hostNetwork: true", "must match `containerPort` when `hostNetwork` is true"),
		c("host IP", "hostIP: 10.0.0.2", "hostIP: here", "hostIP: Invalid value"),
		c("protocol", "containerPort: 80", "protocol: ICMP, containerPort: 80", "protocol: Unsupported value"),

		c("no env name", "- {name: NODE, ", "- {", "env[0].name: Required value"),
		c("env name", "name: NODE", "name: a=b", "env[0].name: Invalid value"),
		c("value and source", "{name: NODE, ", "{name: NODE, value: a, ", "may not be specified when `value` is not empty"),
		c("no source", "valueFrom: {fieldRef: {fieldPath: spec.nodeName}}", "valueFrom: {}", "must specify one of: `fieldRef`"),
		c("two sources", "fieldRef: {fieldPath: spec.nodeName}", "fieldRef: {fieldPath: spec.nodeName}, secretKeyRef: {name: a, key: b}", "may not have more than one field specified"),
		c("field", "spec.nodeName", "spec.other", "fieldRef.fieldPath: Invalid value: \"spec.other\": error converting fieldPath"),
		c("field of others", "metadata.labels['app']", "spec.containers['app']", "does not support subscript"),
		c("label", "metadata.labels['app']", "metadata.labels['/']", "valueFrom.fieldRef: Invalid value"),
		c("resource field", "resource: limits.cpu", "resource: limits.gpu", "resourceFieldRef.resource: Unsupported value"),
		c("resource field kind", "resource: limits.cpu", "resource: usage.cpu", "resourceFieldRef.resource: Unsupported value"),
		c("huge pages", "resource: limits.cpu", "resource: limits.hugepages-2Mi", ""),
		c("divisor", "resource: limits.cpu", "resource: limits.cpu, divisor: -1", "divisor: Invalid value"),
		c("key", "{name: config, key: k}", "{name: config, key: a/b}", "configMapKeyRef.key: Invalid value"),
		c("no key", "{name: config, key: k}", "{name: config}", "configMapKeyRef.key: Required value"),
		c("no name of a map", "{name: config, key: k}", "{key: k}", "configMapKeyRef.name: Invalid value"),
		c("no name of a secret", "{name: secret, key: p}", "{key: p}", "secretKeyRef.name: Invalid value"),
		c("prefix", "prefix: A_", "prefix: 'a='", "envFrom[0].prefix: Invalid value"),
		c("env of nothing", "{prefix: A_, configMapRef: {name: config}}", "{prefix: A_}", "must specify one of: `configMapRef` or `secretRef`"),
		c("env of both", "configMapRef: {name: config}", "configMapRef: {name: config}, secretRef: {name: a}", "envFrom: Invalid value"),
		c("env of a name", "configMapRef: {name: config}", "configMapRef: {name: A}", "envFrom[0].configMapRef.name: Invalid value"),

		c("request above limit", "requests: {cpu: 100m", "requests: {cpu: 300m", "must be less than or equal to cpu limit of 200m"),
		c("negative request", "requests: {cpu: 100m", "requests: {cpu: -1", "requests[cpu]: Invalid value"),
		c("negative limit", "limits: {cpu: 200m", "limits: {cpu: -1", "must be greater than or equal to 0"),
		c("resource name", "requests: {cpu: 100m", "requests: {'/': 1", "Invalid value"),
		c("request below the limit of what is whole", "{cpu: 200m, example.com/gpu: 1}", "{cpu: 200m, example.com/gpu: 2}", "must be equal to example.com/gpu limit of 2"),
		c("whole without a limit", "{cpu: 200m, example.com/gpu: 1}", "{cpu: 200m}", "Limit must be set for non overcommitable resources"),

		c("mount of nothing", "{name: data, mountPath", "{name: other, mountPath", "volumeMounts[0].name: Not found"),
		c("mount without a name", "{name: data, mountPath", "{mountPath", "volumeMounts[0].name: Required value"),
		c("no mount path", "mountPath: /data, ", "", "mountPath: Required value"),
		c("mount path twice", "mountPath: /cfg", "mountPath: /data", "must be unique"),
		c("two sub paths", "subPath: a/b", "subPath: a/b, subPathExpr: $(A)", "mutually exclusive"),
		c("sub path", "subPath: a/b", "subPath: /a", "subPath: Invalid value"),
		c("sub path above", "subPath: a/b", "subPath: a/..", "must not contain '..'"),
		c("propagation", "subPath: a/b", "mountPropagation: Both", "mountPropagation: Unsupported value"),
		c("propagation to the host", "subPath: a/b", "mountPropagation: Bidirectional", ""),
		kindtest.Change("propagation of who says nothing", strings.Replace(samplePod, "privileged: true, ", "", 1), "subPath: a/b", "mountPropagation: Bidirectional", "available only to privileged containers"),
		c("read only all the way", "readOnly: true, recursive", "recursive", "may only be specified when readOnly is true"),
		c("read only and propagation", "recursiveReadOnly: Enabled", "recursiveReadOnly: Enabled, mountPropagation: HostToContainer", "may only be specified when mountPropagation is None or not specified"),
		c("read only and no propagation", "recursiveReadOnly: Enabled", "recursiveReadOnly: Enabled, mountPropagation: None", ""),
		c("device path", "devicePath: /dev/x", "devicePath: dev/x", "must be an absolute path"),
		c("device twice", "volumeDevices: [", "volumeDevices: [{name: disk, devicePath: /dev/y}, ", "volumeDevices[1].name: Invalid value: \"disk\": must be unique"),
		c("device that is mounted", "volumeMounts: [", "volumeMounts: [{name: disk, mountPath: /m}, ", "must not already exist in volumeMounts"),
		c("device out of its way", "devicePath: /dev/x", "devicePath: /dev/../x", "can not contain backsteps"),
		c("device of files", "{name: disk, devicePath", "{name: data, devicePath", "can only use volume source type of PersistentVolumeClaim or Ephemeral"),
		c("device at a mount", "devicePath: /dev/x", "devicePath: /data", "must be unique"),

		c("container user", "runAsUser: 5", "runAsUser: -5", "securityContext.runAsUser: Invalid value"),
		c("proc mount", "procMount: Default", "procMount: Some", "procMount: Unsupported value"),
		c("proc mount of the host's users", "procMount: Default", "procMount: Unmasked", "procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`"),
		kindtest.Change("proc mount of own users", strings.Replace(samplePod, "  hostname: web", "  hostUsers: false\n  hostname: web", 1), "procMount: Default", "procMount: Unmasked", ""),
		c("privileged and not to escalate", "privileged: true, runAsUser", "privileged: true, allowPrivilegeEscalation: false, runAsUser", "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
		c("privileged and to escalate", "privileged: true, runAsUser", "privileged: true, allowPrivilegeEscalation: true, runAsUser", ""),
		c("admin and not to escalate", "privileged: true, runAsUser: 5, procMount: Default, capabilities: {add: [NET_ADMIN]}", "allowPrivilegeEscalation: false, capabilities: {add: [CAP_SYS_ADMIN]}", "CAP_SYS_ADMIN"),

		c("no handler", "exec: {command: [ls]}, ", "", "livenessProbe: Required value: must specify a handler type"),
		c("two handlers", "exec: {command: [ls]}", "exec: {command: [ls]}, tcpSocket: {port: 0}", "livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"),
		c("no command", "command: [ls]", "command: []", "exec.command: Required value"),
		c("probe port", "port: http,", "port: 70000,", "httpGet.port: Invalid value"),
		c("probe port name", "port: http,", "port: '-',", "httpGet.port: Invalid value"),
		c("probe scheme", "path: /, port", "path: /, scheme: FTP, port", "httpGet.scheme: Unsupported value"),
		c("header", "{name: X-A,", "{name: 'X A',", "httpGet.httpHeaders: Invalid value"),
		c("grpc port", "grpc: {port: 9}", "grpc: {port: 0}", "grpc.port: Invalid value"),
		c("tcp port", "tcpSocket: {port: 1}", "tcpSocket: {port: 0}", "tcpSocket.port: Invalid value"),
		c("period", "grpc: {port: 9}", "grpc: {port: 9}, periodSeconds: -1", "periodSeconds: Invalid value"),
		c("successes of what restarts", "grpc: {port: 9}", "grpc: {port: 9}, successThreshold: 2", "must be 1"),
		c("successes of readiness", "readinessProbe: {", "readinessProbe: {successThreshold: 2, ", ""),
		c("probe grace", "terminationGracePeriodSeconds: 5", "terminationGracePeriodSeconds: 0", "must be greater than zero"),
		c("readiness grace", "readinessProbe: {", "readinessProbe: {terminationGracePeriodSeconds: 5, ", "must not be set for readinessProbes"),
		c("sleep", "seconds: 20}", "seconds: -1}", "must be non-negative"),
		c("hook without a handler", "preStop: {sleep: {seconds: 20}}", "preStop: {}", "preStop: Required value"),
	})
}

func TestVolumeValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePod, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("name", "{name: share, nfs", "{name: S, nfs", "volumes[7].name: Invalid value"),
		c("twice", "{name: share, nfs", "{name: data, nfs", "Duplicate value"),
		c("two sources", "emptyDir: {sizeLimit", "hostPath: {path: /x}, emptyDir: {sizeLimit", "hostPath: Forbidden: may not specify more than 1 volume type"),
		c("size", "sizeLimit: 1Gi", "sizeLimit: -1", "emptyDir.sizeLimit: Forbidden"),
		c("medium", "medium: Memory", "medium: Air", "emptyDir.medium: Unsupported value"),
		c("huge pages", "medium: Memory", "medium: HugePages-2Mi", ""),
		c("no host path", "path: /var/x, type", "type", "hostPath.path: Required value"),
		c("host path above", "path: /var/x", "path: /var/../x", "must not contain '..'"),
		c("host path type", "type: Directory", "type: Door", "hostPath.type: Unsupported value"),
		c("secret", "secretName: secret, ", "", "secret.secretName: Required value"),
		c("mode", "defaultMode: 0400", "defaultMode: 01000", "defaultMode: Invalid value"),
		c("widest mode", "defaultMode: 0400", "defaultMode: 0777", ""),
		c("config map", "configMap: {name: config, items", "configMap: {items", "configMap.name: Required value"),
		c("item key", "{key: k, path: k.txt", "{path: k.txt", "items[0].key: Required value"),
		c("item path", "path: k.txt", "path: /k.txt", "items[0].path: Invalid value"),
		c("item path of dots", "path: k.txt", "path: ..k", "must not start with '..'"),
		c("item mode", "mode: 0600", "mode: 01000", "items[0].mode: Invalid value"),
		c("no item path", "key: k, path: k.txt", "key: k", "items[0].path: Required value"),
		c("downward nothing", "{path: labels, fieldRef: {fieldPath: metadata.labels}}", "{path: labels}", "downwardAPI: Required value: one of fieldRef and resourceFieldRef is required"),
		c("downward both", "{path: labels, fieldRef", "{path: labels, resourceFieldRef: {containerName: web, resource: limits.cpu}, fieldRef", "can not be specified simultaneously"),
		c("downward field", "fieldPath: metadata.labels}", "fieldPath: spec.nodeName}", "fieldPath: Unsupported value"),
		c("downward container", "containerName: web, ", "", "containerName: Required value"),
		c("token life", "expirationSeconds: 600", "expirationSeconds: 599", "may not specify a duration less than 10 minutes"),
		c("token path", "path: token,", "path: /token,", "projected.path: Invalid value"),
		c("bundle of no name", `{name: "example.com:a:b", path: t}`, "{path: t}", "clusterTrustBundle: Required value: either name or signerName must be specified"),
		c("bundle of both", `{name: "example.com:a:b", path: t}`, "{name: a, signerName: example.com/a, path: t}", "only one of name and signerName may be used"),
		c("bundle name", `{name: "example.com:a:b", path: t}`, "{name: A_B, path: t}", "clusterTrustBundle.name: Invalid value: \"A_B\": not a valid clustertrustbundlename"),
		c("bundle with labels", `{name: "example.com:a:b", path: t}`, "{name: a, labelSelector: {}, path: t}", "labelSelector must be unset if name is specified"),
		c("bundles of a signer", `{name: "example.com:a:b", path: t}`, "{signerName: example.com/a, labelSelector: {matchLabels: {a: b}}, path: t}", ""),
		c("bundles of nobody", `{name: "example.com:a:b", path: t}`, "{signerName: a, path: t}", "signerName: Invalid value: \"a\": must be a fully qualified domain and path"),
		c("bundles' labels", `{name: "example.com:a:b", path: t}`, "{signerName: example.com/a, labelSelector: {matchLabels: {a: /}}, path: t}", "labelSelector.matchLabels: Invalid value"),
		c("bundle path", `b", path: t}`, `b"}`, "clusterTrustBundle.path: Required value"),
		c("certificate key type", "keyType: ED25519", "keyType: RSA2048", "podCertificate.keyType: Unsupported value: \"RSA2048\""),
		c("certificate signer", "signerName: example.com/a, keyType", "signerName: a, keyType", "podCertificate.signerName: Invalid value"),
		c("certificate life", "keyPath: key", "keyPath: key, maxExpirationSeconds: 3600", ""),
		c("certificate too short", "keyPath: key", "keyPath: key, maxExpirationSeconds: 3599", "if provided, maxExpirationSeconds must be >= 3600"),
		c("certificate too long", "keyPath: key", "keyPath: key, maxExpirationSeconds: 7862401", "if provided, maxExpirationSeconds must be <= 7862400"),
		c("certificate of Kubernetes too long", "signerName: example.com/a, keyType: ED25519, keyPath: key", "signerName: kubernetes.io/a, keyType: ED25519, keyPath: key, maxExpirationSeconds: 86401", "if provided, maxExpirationSeconds must be <= 86400"),
		c("certificate in no file", ", keyPath: key", "", "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
		c("certificate's file elsewhere", "keyPath: key", "certificateChainPath: ../x", "certificateChainPath: Invalid value"),
		c("certificate's notes", "keyPath: key", "keyPath: key, userAnnotations: {a: b}", "userAnnotations: Invalid value"),
		c("a file twice", "keyPath: key", "keyPath: key, credentialBundlePath: t", "projected: Invalid value: \"t\": conflicting duplicate paths"),
		c("an item twice", "{secret: {name: s}}", "{secret: {name: s, items: [{key: a, path: t}]}}", "projected: Invalid value: \"t\": conflicting duplicate paths"),
		c("projected of nothing", "{secret: {name: s}}", "{}", ""),
		c("projected of two", "{secret: {name: s}}", "{secret: {name: s}, configMap: {name: c}}", "may not specify more than 1 volume type"),
		c("projected name", "{secret: {name: s}}", "{secret: {}}", "sources[1].secret.name: Required value"),
		c("claim", "claimName: c", "claimName: ''", "persistentVolumeClaim.claimName: Required value"),
		c("nfs path", "path: /x}", "path: x}", "must be an absolute path"),
		c("nfs server", "server: s, ", "", "nfs.server: Required value"),
		c("image pull", "pullPolicy: Never", "pullPolicy: X", "image.pullPolicy: Unsupported value"),
		c("own claim", "accessModes: [ReadWriteOnce], resources", "resources", "volumeClaimTemplate.spec.accessModes: Required value"),
		c("no template", "ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}", "ephemeral: {}", "volumeClaimTemplate: Required value"),
		c("driver", "nfs: {server: s, path: /x}", "csi: {}", "csi.driver: Required value"),
		c("name of a driver", "nfs: {server: s, path: /x}", "csi: {driver: a_b}", "csi.driver: Invalid value"),
		c("secret of a driver", "nfs: {server: s, path: /x}", "csi: {driver: a, nodePublishSecretRef: {}}", "csi.nodePublishSecretRef.name: Required value"),
	})
}

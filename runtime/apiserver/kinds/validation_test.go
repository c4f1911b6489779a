package kinds

import (
	"strings"
	"testing"
)

const (
	samplePod = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec:
  nodeSelector: {disk: ssd}
  tolerations: [{key: a, operator: Exists, effect: NoExecute, tolerationSeconds: 10}]
  activeDeadlineSeconds: 100
  containers:
  - name: web
    image: nginx:1.27
    ports: [{name: http, containerPort: 80}]
    env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
    resources: {requests: {cpu: 100m}, limits: {cpu: 200m}}
    volumeMounts: [{name: data, mountPath: /data}]
    readinessProbe: {httpGet: {path: /, port: http}}
  volumes: [{name: data, emptyDir: {}}]
`
	sampleService = `
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
	sampleDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
`
	sampleJob = `
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: default, uid: u-1}
spec:
  completions: 1
  template:
    spec: {restartPolicy: Never, containers: [{name: a, image: busybox}]}
`
	sampleCronJob = `
apiVersion: batch/v1
kind: CronJob
metadata: {name: often, namespace: default}
spec:
  schedule: "*/5 8-18 * jan,jul mon-fri"
  jobTemplate: {spec: {template: {spec: {restartPolicy: OnFailure, containers: [{name: a, image: busybox}]}}}}
`
	sampleStatefulSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1", volumeMounts: [{name: data, mountPath: /var}]}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`
)

func TestValidate(t *testing.T) {
	tests := []struct{ name, manifest, from, to, want string }{
		{"pod", samplePod, "", "", ""},
		{"no containers", samplePod, samplePod[strings.Index(samplePod, "  containers:"):], "  containers: []\n", "spec.containers: Required value"},
		{"name", samplePod, "name: web\n    image", "name: Web_\n    image", "spec.containers[0].name: Invalid value"},
		{"image", samplePod, "image: nginx:1.27", `image: ""`, "spec.containers[0].image: Required value"},
		{"mount of nothing", samplePod, "[{name: data, mountPath", "[{name: other, mountPath", "spec.containers[0].volumeMounts[0].name: Not found"},
		{"request above limit", samplePod, "requests: {cpu: 100m}", "requests: {cpu: 300m}", "must be less than or equal to cpu limit of 200m"},
		{"negative limit", samplePod, "limits: {cpu: 200m}", "limits: {cpu: -1}", "must be greater than or equal to 0"},
		{"port", samplePod, "containerPort: 80", "containerPort: 70000", "spec.containers[0].ports[0].containerPort: Invalid value"},
		{"field of env", samplePod, "fieldPath: spec.nodeName", "fieldPath: spec.other", "fieldRef.fieldPath: Unsupported value"},
		{"two sources", samplePod, "emptyDir: {}", "emptyDir: {}, hostPath: {path: /x}", "may not specify more than 1 volume type"},
		{"restart policy", samplePod, "  activeDeadlineSeconds: 100", "  restartPolicy: Sometimes", "spec.restartPolicy: Unsupported value"},
		{"probe without handler", samplePod, "{httpGet: {path: /, port: http}}", "{periodSeconds: 3}", "must specify a handler type"},
		{"toleration", samplePod, "effect: NoExecute", "effect: NoSchedule", "effect must be 'NoExecute'"},
		{"empty affinity term key", samplePod, "  activeDeadlineSeconds: 100",
			"  affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{labelSelector: {}, topologyKey: \"\"}]}}", "topologyKey: Required value"},
		{"spread", samplePod, "  activeDeadlineSeconds: 100",
			"  topologySpreadConstraints: [{maxSkew: 0, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]", "maxSkew: Invalid value"},
		{"init container twice", samplePod, "  activeDeadlineSeconds: 100", "  initContainers: [{name: web, image: i}]", "spec.initContainers[0].name: Duplicate value"},
		{"service account", samplePod, "  activeDeadlineSeconds: 100", "  serviceAccountName: A_B", "spec.serviceAccountName: Invalid value"},

		{"service", sampleService, "", "", ""},
		{"two ports, one nameless", sampleService, "  - {name: http, port: 80}", "  - {port: 80}\n  - {name: b, port: 81}", "spec.ports[0].name: Required value"},
		{"no ports", sampleService, "  ports:\n  - {name: http, port: 80}", "", "spec.ports: Required value"},
		{"headless without ports", sampleService, "clusterIP: 10.96.0.20\n  selector: {app: web}\n  ports:\n  - {name: http, port: 80}", "clusterIP: None", ""},
		{"cluster IP", sampleService, "10.96.0.20", "10.96.0.300", "spec.clusterIPs[0]: Invalid value"},
		{"node port of a ClusterIP", sampleService, "port: 80", "port: 80, nodePort: 30000", "may not be used when `type` is 'ClusterIP'"},
		{"external name", sampleService, "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName\n  externalName: a_b.example.com", "spec.externalName: Invalid value"},
		{"traffic policy", sampleService, "type: ClusterIP", "externalTrafficPolicy: Local", "may only be set for externally-accessible services"},

		{"deployment", sampleDeployment, "", "", ""},
		{"selector", sampleDeployment, "{app: web, tier: front}", "{app: other}", "`selector` does not match template `labels`"},
		{"no selector", sampleDeployment, "  selector: {matchLabels: {app: web}}\n", "", "spec.selector: Required value"},
		{"recreate", sampleDeployment, "type: RollingUpdate", "type: Recreate", "spec.strategy.rollingUpdate: Forbidden"},
		{"no pace", sampleDeployment, "{maxSurge: 1}", "{maxSurge: 0, maxUnavailable: 0}", "may not be 0 when `maxSurge` is 0"},
		{"replicas", sampleDeployment, "replicas: 2", "replicas: -1", "spec.replicas: Invalid value"},
		{"restart policy of a deployment", sampleDeployment, "spec: {containers", "spec: {restartPolicy: Never, containers", "spec.template.spec.restartPolicy: Unsupported value"},

		{"stateful set mounts its claims", sampleStatefulSet, "", "", ""},
		{"job", sampleJob, "", "", ""},
		{"job restart policy", sampleJob, "restartPolicy: Never, ", "", "spec.template.spec.restartPolicy: Unsupported value"},
		{"job selector", sampleJob, "  completions: 1", "  selector: {matchLabels: {a: b}}", "spec.selector: Invalid value"},
		{"cron job", sampleCronJob, "", "", ""},
		{"cron: every", sampleCronJob, `"*/5 8-18 * jan,jul mon-fri"`, `"@every 90s"`, ""},
		{"cron: word", sampleCronJob, `"*/5 8-18 * jan,jul mon-fri"`, `"@often"`, "unrecognized descriptor"},
		{"cron: fields", sampleCronJob, "* jan,jul mon-fri", "*", "expected exactly 5 fields"},
		{"cron: range", sampleCronJob, "8-18", "18-8", "beyond end of range"},
		{"cron: minute", sampleCronJob, "*/5", "60", "60 is not between 0 and 59"},
		{"cron: zone", sampleCronJob, "jobTemplate:", "timeZone: Nowhere/Else\n  jobTemplate:", "spec.timeZone: Invalid value"},

		{"config map key", "apiVersion: v1\nkind: ConfigMap\ndata: {KEY: v}", "KEY", "a/b", "data[a/b]: Invalid value"},
		{"secret of TLS", "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\n", "", "", "data[tls.crt]: Required value"},
		{"node taint", "apiVersion: v1\nkind: Node\nspec: {taints: [{key: a, effect: NoSchedule}]}", "NoSchedule", "Never", "spec.taints[0].effect: Unsupported value"},
		{"role", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules: [{verbs: [get], apiGroups: [''], resources: [pods]}]", "", "", ""},
		{"role without verbs", "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nrules: [{verbs: [get], apiGroups: [''], resources: [pods]}]", "verbs: [get], ", "", "rules[0].verbs: Required value"},
		{"binding", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {kind: ClusterRole, name: view}\nsubjects: [{kind: User, name: a}]", "", "", ""},
		{"binding to what", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: view}", "kind: ClusterRole,", "kind: Role,", "roleRef.kind: Unsupported value"},
		{"lease", "apiVersion: coordination.k8s.io/v1\nkind: Lease\nspec: {leaseDurationSeconds: 40}", "40", "0", "must be greater than zero"},
		{"slice", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]\nports: []", "10.0.0.1", "127.0.0.1", "loopback"},
		{"policy", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]}", "10.1.0.0/16", "11.1.0.0/16", "must be a strict subset of `cidr`"},
		{"budget", "apiVersion: policy/v1\nkind: PodDisruptionBudget\nspec: {minAvailable: 1}", "minAvailable: 1", "minAvailable: 120%", "must not be greater than 100%"},
		{"autoscaler", "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec: {maxReplicas: 3, scaleTargetRef: {kind: Deployment, name: web}}", "maxReplicas: 3", "maxReplicas: 0", "spec.maxReplicas: Invalid value"},
		{"claim", "apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}", "[ReadWriteOnce]", "[]", "spec.accessModes: Required value"},
		{"ingress", "apiVersion: networking.k8s.io/v1\nkind: Ingress\nspec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}", "path: /", "path: a", "must be an absolute path"},
		{"signing request", "apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nspec: {request: YQ==, signerName: example.com/a, usages: [client auth]}", "", "", "PEM block type"},
		{"priority", "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: a}\nvalue: 5", "name: a", "name: system-mine", "reserved for system use"},
		{"webhook", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nwebhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: 'https://a/'}}]", "https://a/", "http://a/", "'https' is the only allowed URL scheme"},
		{"flow schema", "apiVersion: flowcontrol.apiserver.k8s.io/v1\nkind: FlowSchema\nspec: {matchingPrecedence: 5, priorityLevelConfiguration: {name: a}}", "5", "10001", "must be in the range 1-10000"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.from != "" && tt.want != "" && !strings.Contains(tt.name, "cron") {
				// Without the change the manifest is good.
				validate(t, tt.manifest, "")
			}
			if !strings.Contains(tt.manifest, tt.from) {
				t.Fatalf("%q is not in the manifest", tt.from)
			}
			validate(t, strings.Replace(tt.manifest, tt.from, tt.to, 1), tt.want)
		})
	}
}

func TestValidateUpdate(t *testing.T) {
	tests := []struct{ name, manifest, from, to, want string }{
		{"pod image", samplePod, "nginx:1.27", "nginx:1.28", ""},
		{"pod command", samplePod, "    ports:", "    command: [sh]\n    ports:", "pod updates may not change fields other than"},
		{"pod node selector", samplePod, "disk: ssd", "disk: hdd", "pod updates may not change fields other than"},
		{"toleration added", samplePod, "[{key: a,", "[{key: b, operator: Exists}, {key: a,", ""},
		{"toleration taken away", samplePod, "{key: a,", "{key: b,", "existing toleration can not be modified"},
		{"toleration for longer", samplePod, "tolerationSeconds: 10", "tolerationSeconds: 20", ""},
		{"deadline shorter", samplePod, "Seconds: 100", "Seconds: 50", ""},
		{"deadline longer", samplePod, "Seconds: 100", "Seconds: 150", "must be less than or equal to previous value"},

		{"service address", sampleService, "10.96.0.20", "10.96.0.21", "field is immutable"},
		{"service without address keeps it", sampleService, "  clusterIP: 10.96.0.20\n", "", ""},
		{"service turned external", sampleService, "type: ClusterIP\n  clusterIP: 10.96.0.20", "type: ExternalName\n  externalName: a.example.com", ""},

		{"deployment scale", sampleDeployment, "replicas: 2", "replicas: 5", ""},
		{"deployment selector", sampleDeployment, "{matchLabels: {app: web}}", "{matchLabels: {tier: front}}", "spec.selector: Invalid value"},
		{"stateful set template", sampleStatefulSet, "db:1", "db:2", ""},
		{"stateful set service", sampleStatefulSet, "serviceName: db", "serviceName: dc", "spec: Forbidden"},
		{"secret type", "apiVersion: v1\nkind: Secret\ntype: a.example.com/b", "a.example.com/b", "Opaque", "field is immutable"},
		{"immutable config", "apiVersion: v1\nkind: ConfigMap\nimmutable: true\ndata: {a: b}", "a: b", "a: c", "field is immutable when `immutable` is set"},
		{"role of a binding", "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {kind: Role, name: a}", "name: a", "name: b", "cannot change roleRef"},
		{"pod CIDR", "apiVersion: v1\nkind: Node\nspec: {podCIDR: 10.1.0.0/24}", "10.1.0.0", "10.2.0.0", "may not change podCIDR"},
		{"slice address type", "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: []\nports: []", "IPv4", "IPv6", "addressType: Invalid value"},
		{"priority", "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nvalue: 5", "5", "6", "may not be changed in an update"},
		{"storage class", "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nprovisioner: a.example.com\nparameters: {a: b}", "a: b", "a: c", "parameters: Invalid value: null: field is immutable"},
		{"claim", "apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {storageClassName: a, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}", "Name: a", "Name: b", "spec is immutable after creation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { update(t, tt.manifest, tt.from, tt.to, tt.want) })
	}
}

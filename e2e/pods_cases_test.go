//go:build lab

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/jsonpath"
)

// podCase is a pod and what must become of it.
type podCase struct {
	name string
	spec string
	// logs are texts that a container's log must hold ("!text": must not hold).
	logs map[string][]string
	// status are JSON paths below status, and their values.
	status map[string]string
	// events are reasons, or reasons with a part of the message behind a colon.
	events []string
}

// podObjects are what the pods refer to.
const podObjects = `
apiVersion: v1
kind: Namespace
metadata: {name: pods}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: pods}
data: {color: blue, size: large}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: pods}
stringData: {password: open sesame}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: pods}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: pods}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: pods}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: pods}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: pods}]
`

func podCases() []podCase {
	done := map[string]string{"{.phase}": "Succeeded"}
	return []podCase{{
		name: "env",
		spec: `
restartPolicy: Never
containers:
- name: c
  image: IMAGE
  args: [env]
  resources: {limits: {cpu: 200m, memory: 64Mi}, requests: {memory: 32Mi}}
  envFrom: [{prefix: P_, configMapRef: {name: settings}}]
  env:
  - {name: PLAIN, value: one}
  - {name: REF, value: "$(PLAIN) $(MISSING) $$(PLAIN)"}
  - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: APP, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
  - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
  - {name: MEM, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}
  - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
  - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
  - {name: OPTIONAL, valueFrom: {secretKeyRef: {name: nowhere, key: x, optional: true}}}`,
		logs: map[string][]string{"c": {
			"PLAIN=one\n", "REF=one $(MISSING) $(PLAIN)\n", "POD=env\n", "APP=env\n", "CPU=200\n", "MEM=32\n", "COLOR=blue\n",
			"PASSWORD=open sesame\n", "P_size=large\n", "HOSTNAME=env\n", "KUBERNETES_SERVICE_HOST=", "WEB_SERVICE_PORT=80\n", "!OPTIONAL",
		}},
		status: map[string]string{"{.phase}": "Succeeded", "{.qosClass}": "Burstable", "{.containerStatuses[0].state.terminated.reason}": "Completed"},
		events: []string{"Scheduled", "Pulled:already present", "Created:c", "Started:c"},
	}, {
		name: "volumes",
		spec: `
restartPolicy: Never
initContainers:
- {name: first, image: IMAGE, args: [write, /shared/note, from first], volumeMounts: [{name: shared, mountPath: /shared}]}
containers:
- name: reads
  image: IMAGE
  args: [cat, /shared/note, /config/color, /secret/deep/password, /down/note, /all/size, /all/labels, /one, /proc/mounts]
  volumeMounts:
  - {name: shared, mountPath: /shared}
  - {name: memory, mountPath: /memory}
  - {name: config, mountPath: /config}
  - {name: secret, mountPath: /secret}
  - {name: down, mountPath: /down}
  - {name: all, mountPath: /all}
  - {name: config, mountPath: /one, subPath: size}
- name: lists
  image: IMAGE
  args: [ls, /secret/deep, /host]
  volumeMounts: [{name: secret, mountPath: /secret}, {name: host, mountPath: /host, readOnly: true}]
volumes:
- {name: shared, emptyDir: {}}
- {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
- {name: config, configMap: {name: settings}}
- {name: secret, secret: {secretName: hidden, items: [{key: password, path: deep/password, mode: 0440}]}}
- {name: down, downwardAPI: {items: [{path: note, fieldRef: {fieldPath: "metadata.annotations['note']"}}]}}
- name: all
  projected: {sources: [{configMap: {name: settings}}, {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]}
- {name: host, hostPath: {path: /etc/gantry, type: Directory}}`,
		logs: map[string][]string{
			"reads": {"from first\n", "blue", "open sesame", "before", "large", `app="volumes"`, "tmpfs /memory tmpfs rw,", "size=1024k"},
			"lists": {"-r--r----- 0 0 password", " pki\n"},
		},
		status: done,
	}, {
		name: "api",
		spec: `
restartPolicy: Never
serviceAccountName: reader
containers:
- {name: c, image: IMAGE, args: [api, /api/v1/namespaces/pods/configmaps/settings, /api/v1/namespaces/pods/secrets/hidden]}`,
		logs: map[string][]string{"c": {"200 OK", `"color":"blue"`, "403 Forbidden", `system:serviceaccount:pods:reader\" cannot get resource`}},
	}, {
		name: "dns",
		spec: `
restartPolicy: Never
hostAliases: [{ip: 10.9.8.7, hostnames: [alias.example]}]
dnsConfig: {searches: [pods.svc.cluster.local], options: [{name: attempts, value: "3"}]}
containers:
- {name: c, image: IMAGE, args: [lookup, web, web.pods, kubernetes.default.svc.cluster.local, alias.example]}
- {name: files, image: IMAGE, args: [cat, /etc/resolv.conf, /etc/hosts]}`,
		logs: map[string][]string{"c": {"alias.example [10.9.8.7]"}, "files": {"search pods.svc.cluster.local svc.cluster.local", "attempts:3", "ndots:5", "\tdns\n"}},
	}, {
		name: "dns-none",
		spec: `
restartPolicy: Never
dnsPolicy: None
dnsConfig: {nameservers: [10.1.2.3], searches: [corp.example]}
containers:
- {name: c, image: IMAGE, args: [cat, /etc/resolv.conf]}`,
		logs: map[string][]string{"c": {"search corp.example\nnameserver 10.1.2.3\n", "!cluster.local"}},
	}, {
		name: "command",
		spec: `
restartPolicy: Never
containers:
- {name: c, image: IMAGE, command: [/hello, exit], args: ["3", "$(WORD)"], env: [{name: WORD, value: spoken}]}`,
		logs: map[string][]string{"c": {"spoken"}},
		status: map[string]string{
			"{.phase}": "Failed", "{.containerStatuses[0].state.terminated.exitCode}": "3", "{.containerStatuses[0].restartCount}": "0",
			"{.containerStatuses[0].state.terminated.reason}": "Error", "{.containerStatuses[0].state.terminated.message}": "spoken",
		},
	}, {
		name: "crash",
		spec: `
containers:
- {name: c, image: IMAGE, args: [exit, "1", crashed]}`,
		status: map[string]string{"{.phase}": "Running", "{.containerStatuses[0].state.waiting.reason}": "CrashLoopBackOff", "{.containerStatuses[0].lastState.terminated.exitCode}": "1"},
		events: []string{"BackOff:restarting failed container c in pod crash_pods"},
	}, {
		name: "on-failure",
		spec: `
restartPolicy: OnFailure
containers:
- {name: bad, image: IMAGE, args: [exit, "1"]}
- {name: good, image: IMAGE, args: [exit, "0"]}`,
		status: map[string]string{"{.phase}": "Running", "{.containerStatuses[1].state.terminated.exitCode}": "0", "{.containerStatuses[0].state.waiting.reason}": "CrashLoopBackOff"},
	}, {
		name: "init-fails",
		spec: `
restartPolicy: Never
initContainers:
- {name: bad, image: IMAGE, args: [exit, "7"]}
containers:
- {name: never, image: IMAGE}`,
		status: map[string]string{"{.phase}": "Failed", "{.initContainerStatuses[0].state.terminated.exitCode}": "7", "{.containerStatuses[0].state.waiting.reason}": "PodInitializing"},
	}, {
		name: "oom",
		spec: `
restartPolicy: Never
containers:
- {name: c, image: IMAGE, args: [eat, "100"], resources: {limits: {memory: 32Mi}}}`,
		status: map[string]string{"{.phase}": "Failed", "{.containerStatuses[0].state.terminated.reason}": "OOMKilled", "{.containerStatuses[0].state.terminated.exitCode}": "137"},
	}, {
		name: "deadline",
		spec: `
activeDeadlineSeconds: 3
containers:
- {name: c, image: IMAGE, args: [sleep]}`,
		status: map[string]string{"{.phase}": "Failed", "{.reason}": "DeadlineExceeded"},
	}, {
		name: "sidecar",
		spec: `
restartPolicy: Never
initContainers:
- name: side
  image: IMAGE
  restartPolicy: Always
  startupProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 60}
containers:
- {name: main, image: IMAGE, args: [get, "http://localhost:8080/"]}`,
		logs:   map[string][]string{"main": {"client="}, "side": {"GET / from"}},
		status: map[string]string{"{.phase}": "Succeeded", "{.initContainerStatuses[0].state.terminated.exitCode}": "0"},
	}, {
		name: "probes",
		spec: `
containers:
- name: web
  image: IMAGE
  ports: [{name: http, containerPort: 8080}]
  startupProbe: {exec: {command: [/hello, get, "http://localhost:8080/healthz"]}, periodSeconds: 1, timeoutSeconds: 20, failureThreshold: 60}
  readinessProbe: {tcpSocket: {port: http}, periodSeconds: 1, timeoutSeconds: 5}
  livenessProbe: {httpGet: {path: /healthz, port: http, httpHeaders: [{name: Host, value: here}]}, periodSeconds: 1, timeoutSeconds: 20}
`,
		status: map[string]string{"{.containerStatuses[0].ready}": "true", "{.containerStatuses[0].started}": "true"},
	}, {
		name: "not-ready",
		spec: `
containers:
- name: c
  image: IMAGE
  args: [sleep]
  readinessProbe: {tcpSocket: {port: 9}, periodSeconds: 1}`,
		status: map[string]string{
			"{.containerStatuses[0].ready}": "false", "{.containerStatuses[0].started}": "true",
			`{.conditions[?(@.type=="Ready")].status}`: "False", `{.conditions[?(@.type=="Ready")].reason}`: "ContainersNotReady",
		},
		events: []string{"Unhealthy:Readiness probe failed"},
	}, {
		name: "shared-pid",
		spec: `
shareProcessNamespace: true
containers:
- {name: sleeps, image: IMAGE, args: [sleep, 100h]}
- {name: looks, image: IMAGE, args: [ps]}`,
		logs:   map[string][]string{"looks": {"1 gantry-hold", "/hello sleep 100h", "/hello ps"}},
		status: map[string]string{"{.containerStatuses[0].ready}": "true"},
	}, {
		name: "security",
		spec: `
restartPolicy: Never
securityContext: {runAsUser: 1000, runAsGroup: 2000, fsGroup: 3000, supplementalGroups: [4000]}
volumes: [{name: v, emptyDir: {}}]
containers:
- name: plain
  image: IMAGE
  args: [id]
- name: drops
  image: IMAGE
  args: [id]
  securityContext: {runAsUser: 0, allowPrivilegeEscalation: false, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}, seccompProfile: {type: RuntimeDefault}}
- name: privileged
  image: IMAGE
  args: [id]
  securityContext: {privileged: true, runAsUser: 0}
- name: volume
  image: IMAGE
  args: [ls, /]
  volumeMounts: [{name: v, mountPath: /volume}]
- name: readonly
  image: IMAGE
  args: [write, /tmp/x, text]
  securityContext: {readOnlyRootFilesystem: true, runAsUser: 0}`,
		logs: map[string][]string{
			"plain":      {"uid=1000 gid=2000 groups=[", "3000", "4000", "NoNewPrivs:\t0"},
			"drops":      {"uid=0", "CapEff:\t0000000000000400", "NoNewPrivs:\t1", "Seccomp:\t2"},
			"privileged": {"CapEff:\t000001ff"},
			"volume":     {"dgrwxrwxrwx 0 3000 volume"},
			"readonly":   {"read-only file system"},
		},
	}, {
		name: "non-root",
		spec: `
securityContext: {runAsNonRoot: true}
containers:
- {name: c, image: IMAGE}`,
		status: map[string]string{"{.containerStatuses[0].state.waiting.reason}": "CreateContainerConfigError"},
		events: []string{"Failed:runAsNonRoot"},
	}, {
		name: "too-big",
		spec: `
containers:
- {name: c, image: IMAGE, resources: {requests: {cpu: "1000"}}}`,
		status: map[string]string{"{.phase}": "Pending"},
		events: []string{"FailedScheduling:Insufficient cpu"},
	}, {
		name: "no-image",
		spec: `
containers:
- {name: c, image: "localhost:5999/nothing:1", imagePullPolicy: Always}`,
		status: map[string]string{"{.phase}": "Pending", "{.containerStatuses[0].state.waiting.reason}": "ImagePullBackOff"},
		events: []string{"Pulling", "Failed:Failed to pull image", "BackOff:Back-off pulling image"},
	}}
}

// check says what is missing of what a case expects.
func (p *pods) check(ctx context.Context, c podCase) error {
	pod, err := p.get(ctx, c.name)
	if err != nil {
		return err
	}
	status, err := json.Marshal(pod.Status)
	if err != nil {
		return err
	}
	var fields any
	if err := json.Unmarshal(status, &fields); err != nil {
		return err
	}
	for path, want := range c.status {
		var got bytes.Buffer
		j := jsonpath.New("status").AllowMissingKeys(true)
		if err := j.Parse(path); err != nil {
			return err
		}
		if err := j.Execute(&got, fields); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if got.String() != want {
			return fmt.Errorf("status %s is %q, want %q: %s", path, &got, want, brief(pod))
		}
	}
	for container, texts := range c.logs {
		log, err := p.log(ctx, c.name, container)
		if err != nil {
			return fmt.Errorf("%w: %s", err, brief(pod))
		}
		for _, text := range texts {
			text, unwanted := strings.CutPrefix(text, "!")
			if strings.Contains(log, text) == unwanted {
				return fmt.Errorf("log of %s: %q is wrong about %q", container, log, text)
			}
		}
	}
	return p.checkEvents(ctx, c.name, c.events)
}

func (p *pods) checkEvents(ctx context.Context, pod string, want []string) error {
	if len(want) == 0 {
		return nil
	}
	list, err := p.api.CoreV1().Events(podsNamespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod})
	if err != nil {
		return err
	}
	var all strings.Builder
	for _, e := range list.Items {
		fmt.Fprintf(&all, "%s %s\n", e.Reason, e.Message)
	}
next:
	for _, w := range want {
		reason, part, _ := strings.Cut(w, ":")
		for line := range strings.Lines(all.String()) {
			if strings.HasPrefix(line, reason+" ") && strings.Contains(line, part) {
				continue next
			}
		}
		return fmt.Errorf("no event %q of pod %s among:\n%s", w, pod, &all)
	}
	return nil
}

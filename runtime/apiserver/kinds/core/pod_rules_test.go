package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

const barePod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b}\nspec: {containers: [{name: a, image: b}]}"

func TestPodSecurityRules(t *testing.T) {
	c := func(name, to, want string) kindtest.Case {
		return kindtest.Change(name, barePod, "spec: {", "spec: {"+to+", ", want)
	}
	in := func(name, to, want string) kindtest.Case {
		return kindtest.Change(name, barePod, "image: b", "image: b, "+to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("users and network", "hostUsers: false, hostNetwork: true", "spec.hostNetwork: Forbidden: when `hostUsers` is false"),
		c("users and processes", "hostUsers: false, hostPID: true", "spec.HostPID: Forbidden"),
		c("SELinux policy", "securityContext: {seLinuxChangePolicy: Slow}", "seLinuxChangePolicy: Unsupported value"),
		c("user", "securityContext: {runAsUser: -1}", "spec.securityContext.runAsUser: Invalid value"),
		in("proc of all", "securityContext: {procMount: Unmasked}", "procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`"),
		kindtest.Change("proc of its own users", strings.Replace(barePod, "spec: {", "spec: {hostUsers: false, ", 1), "image: b", "image: b, securityContext: {procMount: Unmasked}", ""),
		in("no such proc", "securityContext: {procMount: Half}", "procMount: Unsupported value"),
		c("no system", "os: {}", "spec.os.name: Required value"),
		c("no such system", "os: {name: plan9}", "spec.os: Unsupported value"),
		c("windows options on linux", "os: {name: linux}, securityContext: {windowsOptions: {}}", "spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"),
		c("linux options on windows", "os: {name: windows}, securityContext: {fsGroup: 1}", "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod"),
		c("processes on windows", "os: {name: windows}, shareProcessNamespace: false", "spec.shareProcessNamespace: Forbidden"),
		c("resources on windows", "os: {name: windows}, resources: {limits: {cpu: 1}}", "spec.resources: Forbidden: may not be set for a windows pod"),
		c("windows user", `securityContext: {windowsOptions: {runAsUserName: "a:b"}}`, "windowsOptions.runAsUserName: Invalid value"),
		c("windows domain", `securityContext: {windowsOptions: {runAsUserName: 'a\b\c'}}`, "cannot contain more than one backslash"),
		c("windows credential", `securityContext: {windowsOptions: {gmsaCredentialSpec: ""}}`, "gmsaCredentialSpec cannot be an empty string"),
		c("host process and none", "hostNetwork: true, securityContext: {windowsOptions: {hostProcess: true}}, initContainers: [{name: i, image: b, securityContext: {windowsOptions: {hostProcess: false}}}]", "pod hostProcess value must be identical"),
		c("host process without the network", "securityContext: {windowsOptions: {hostProcess: true}}", "spec.hostNetwork: Invalid value"),
	})
}

func TestPodAnnotationRules(t *testing.T) {
	c := func(name, annotation, want string) kindtest.Case {
		return kindtest.Change(name, barePod, "namespace: b}", "namespace: b, annotations: {"+annotation+"}}", want)
	}
	const cost = "controller.kubernetes.io/pod-deletion-cost"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("cost", cost+`: "-5"`, ""),
		c("no number", cost+": five", "must be a 32bit integer"),
		c("plus", cost+`: "+5"`, "must be a 32bit integer"),
		c("leading zero", cost+`: "05"`, "must be a 32bit integer"),
		c("zero", cost+`: "0"`, ""),
		c("too much", cost+`: "2147483648"`, "must be a 32bit integer"),
		c("tolerations", "scheduler.alpha.kubernetes.io/tolerations: '['", "metadata.annotations: Invalid value"),
		c("seccomp", "seccomp.security.alpha.kubernetes.io/pod: none", "must be a valid seccomp profile"),
		c("seccomp of a container", "container.seccomp.security.alpha.kubernetes.io/a: localhost/../a", "must not contain '..'"),
		c("seccomp of the runtime", "seccomp.security.alpha.kubernetes.io/pod: runtime/default", ""),
	})
	kindtest.Create(t, Kinds(), []kindtest.Case{
		kindtest.Change("two profiles", strings.Replace(barePod, "namespace: b}", "namespace: b, annotations: {seccomp.security.alpha.kubernetes.io/pod: unconfined}}", 1),
			"spec: {", "spec: {securityContext: {seccompProfile: {type: RuntimeDefault}}, ", "seccomp type in annotation and field must match"),
	})
}

func TestResourceRules(t *testing.T) {
	in := func(name, resources, want string) kindtest.Case {
		return kindtest.Change(name, barePod, "image: b", "image: b, resources: {"+resources+"}", want)
	}
	of := func(name, resources, want string) kindtest.Case {
		return kindtest.Change(name, barePod, "containers: [{name: a, image: b}]", "containers: [{name: a, image: b, resources: {requests: {cpu: 2}, limits: {cpu: 3}}}], resources: {"+resources+"}", want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		in("above the limit", "requests: {cpu: 2}, limits: {cpu: 1}", "requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"),
		in("huge pages alone", "limits: {hugepages-2Mi: 2Mi}, requests: {hugepages-2Mi: 2Mi}", "HugePages require cpu or memory"),
		in("huge pages", "limits: {cpu: 1, hugepages-2Mi: 2Mi}, requests: {hugepages-2Mi: 2Mi}", ""),
		in("half a huge page", "limits: {cpu: 1, hugepages-2Mi: 3Mi}, requests: {hugepages-2Mi: 3Mi}", "is not positive integer multiple of hugepages-2Mi"),
		in("a device without a limit", "requests: {example.com/a: 1}", "Limit must be set for non overcommitable resources"),
		in("fewer devices than the limit", "requests: {example.com/a: 1}, limits: {example.com/a: 2}", "must be equal to example.com/a limit of 2"),
		in("half a device", "requests: {example.com/a: 500m}, limits: {example.com/a: 500m}", "must be an integer"),
		of("less than its containers", "requests: {cpu: 1}", "spec.resources.requests[cpu]: Invalid value: \"1\": must be greater than or equal to aggregate container requests of 2"),
		of("less than a container may", "requests: {cpu: 2}, limits: {cpu: 2}", "must be less than or equal to pod limits of 2"),
		of("enough", "requests: {cpu: 2}, limits: {cpu: 3}", ""),
		of("a device", "requests: {example.com/a: 1}, limits: {example.com/a: 1}", "spec.resources.requests[example.com/a]: Unsupported value"),
		of("claims", "claims: [{name: x}]", "spec.resources.claims: Forbidden"),
	})
}

// What a pod asks for as a whole is completed from its containers.
func TestPodResourceDefaults(t *testing.T) {
	q := resource.MustParse
	list := func(cpu string) corev1.ResourceList { return corev1.ResourceList{corev1.ResourceCPU: q(cpu)} }
	for name, tt := range map[string]struct {
		pod             *corev1.ResourceRequirements
		request, limit  string // of the container
		wantReq, wantLi string
	}{
		"requests of the containers":  {&corev1.ResourceRequirements{Limits: list("4")}, "1", "2", "1", "4"},
		"requests of the limit":       {&corev1.ResourceRequirements{Limits: list("4")}, "", "", "4", "4"},
		"limits of the containers":    {&corev1.ResourceRequirements{Requests: list("1")}, "1", "2", "1", "2"},
		"limits above the requests":   {&corev1.ResourceRequirements{Requests: list("3")}, "1", "2", "3", "3"},
		"no limit where one has none": {&corev1.ResourceRequirements{Requests: list("3")}, "1", "", "3", ""},
		"nothing asked":               {&corev1.ResourceRequirements{}, "1", "2", "", ""},
	} {
		c := corev1.Container{}
		if tt.request != "" {
			c.Resources.Requests = list(tt.request)
		}
		if tt.limit != "" {
			c.Resources.Limits = list(tt.limit)
		}
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{c}, Resources: tt.pod}}
		defaultPodResources(p)
		for what, got := range map[string][2]string{
			"requests": {cpuOf(p.Spec.Resources.Requests), tt.wantReq},
			"limits":   {cpuOf(p.Spec.Resources.Limits), tt.wantLi},
		} {
			if got[0] != got[1] {
				t.Errorf("%s: %s %q, want %q", name, what, got[0], got[1])
			}
		}
	}
}

func cpuOf(list corev1.ResourceList) string {
	q, ok := list[corev1.ResourceCPU]
	if !ok {
		return ""
	}
	return q.String()
}

func TestMountRules(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePod, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("propagation", "mountPath: /data, subPath: a/b", "mountPath: /data, mountPropagation: Up", "volumeMounts.mountPropagation: Unsupported value"),
		c("both sub paths", "mountPath: /data, subPath: a/b", "mountPath: /data, subPath: a/b, subPathExpr: a", "subPathExpr and subPath are mutually exclusive"),
		c("recursion of what is written", "readOnly: true, recursiveReadOnly: Enabled", "recursiveReadOnly: Enabled", "may only be specified when readOnly is true"),
		c("recursion", "recursiveReadOnly: Enabled", "recursiveReadOnly: Deep", "recursiveReadOnly: Unsupported value"),
		c("a device twice", "devicePath: /dev/x}", "devicePath: /dev/x}, {name: disk, devicePath: /dev/y}", "volumeDevices[1].name: Invalid value: \"disk\": must be unique"),
		c("a path twice", "devicePath: /dev/x}", "devicePath: /dev/x}, {name: own, devicePath: /dev/x}", "volumeDevices[1].devicePath: Invalid value: \"/dev/x\": must be unique"),
		c("a device of files", "{name: disk, devicePath", "{name: host, devicePath", "for block mode"),
		c("a device above", "devicePath: /dev/x", "devicePath: /dev/../x", "can not contain backsteps"),
	})
	const unprivileged = "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: b, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, emptyDir: {}}]}"
	kindtest.Create(t, Kinds(), []kindtest.Case{
		kindtest.Change("propagation to the host", unprivileged, "mountPath: /v", "mountPath: /v, mountPropagation: Bidirectional", "available only to privileged containers"),
		kindtest.Change("mounted twice", unprivileged, "mountPath: /v}", "mountPath: /v}, {name: v, mountPath: /v}", "volumeMounts[1].mountPath: Invalid value: \"/v\": must be unique"),
		kindtest.Change("no such volume", unprivileged, "{name: v, mountPath", "{name: w, mountPath", "volumeMounts[0].name: Not found"),
	})
}

func TestPodStatusRules(t *testing.T) {
	const pod = `
apiVersion: v1
kind: Pod
spec: {containers: [{name: a, image: b, resources: {requests: {example.com/a: 1}, limits: {example.com/a: 1}, claims: [{name: gpu}]}}]}
status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}], hostIP: 10.0.0.2, hostIPs: [{ip: 10.0.0.2}], containerStatuses: [{name: a, user: {linux: {uid: 1, gid: 2}},
  allocatedResourcesStatus: [{name: example.com/a, resources: [{resourceID: x, health: Healthy}]}, {name: "claim:gpu"}]}]}
`
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, pod, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("nothing", "", "", ""),
		c("two of a family", "podIPs: [{ip: 10.0.0.1}]", "podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.9}]", "may specify no more than one IP for each IP family"),
		c("one of each", "podIPs: [{ip: 10.0.0.1}]", "podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]", ""),
		c("another host", "hostIP: 10.0.0.2", "hostIP: 10.0.0.9", "must be equal to `hostIP`"),
		c("condition", "podIP:", "conditions: [{type: /}], podIP:", "status.conditions[0].Type: Invalid value"),
		c("generation of a condition", "podIP:", "conditions: [{type: Ready, observedGeneration: -1}], podIP:", "must be a non-negative integer"),
		c("user", "uid: 1", "uid: 4294967296", "uid: Invalid value"),
		c("group", "gid: 2", "gid: -1", "gid: Invalid value"),
		c("health", "health: Healthy", "health: Well", "health: Unsupported value"),
		c("a device twice", "{resourceID: x, health: Healthy}", "{resourceID: x, health: Healthy}, {resourceID: x, health: Unhealthy}", "Duplicate value"),
		c("what it did not ask for", "{name: example.com/a, resources", "{name: example.com/b, resources", "must match one of the container's resource requests"),
		c("another claim", "claim:gpu", "claim:tpu", "must match one of the container's resource claims"),
		c("no mapping", "podIP:", "extendedResourceClaimStatus: {resourceClaimName: a}, podIP:", "at least one request mapping is required"),
		c("of no container", "podIP:", "extendedResourceClaimStatus: {resourceClaimName: a, requestMappings: [{containerName: z, resourceName: example.com/a, requestName: r}]}, podIP:", "containerName: Invalid value"),
		c("mapped", "podIP:", "extendedResourceClaimStatus: {resourceClaimName: a, requestMappings: [{containerName: a, resourceName: example.com/a, requestName: r}]}, podIP:", ""),
	})
}

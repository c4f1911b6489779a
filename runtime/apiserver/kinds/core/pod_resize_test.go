package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const resizable = `
restartPolicy: Always
initContainers:
- {name: init, image: "i:1", resources: {requests: {cpu: 1}}}
- {name: side, image: "i:1", restartPolicy: Always, resources: {requests: {cpu: 1}}}
containers:
- {name: a, image: "i:1", resources: {requests: {cpu: 1, memory: 1Gi, example.com/gpu: 1}, limits: {memory: 2Gi, example.com/gpu: 1}}}
- {name: b, image: "i:1"}
`

// resizedPod is a pod as it is, and as a write to pods/resize leaves it.
func resizedPod(t *testing.T, edit func(p *corev1.Pod)) (p, old *corev1.Pod) {
	t.Helper()
	old = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns"}, Spec: *podSpec(t, resizable)}
	SetObjectDefaults_Pod(old)
	defaultPod(old)
	p = old.DeepCopy()
	edit(p)
	defaultPod(p)
	preparePodResize(p, old)
	return p, old
}

// TestPrepareResize: nothing but resources is taken from the write.
func TestPrepareResize(t *testing.T) {
	more := podSpec(t, `{containers: [{resources: {requests: {cpu: 7}}}]}`).Containers[0].Resources
	p, old := resizedPod(t, func(p *corev1.Pod) {
		p.Spec.Containers[0].Image, p.Spec.Containers[1].Resources, p.Spec.InitContainers[1].Resources = "other", more, more
		p.Spec.Tolerations, p.Spec.NodeName = []corev1.Toleration{{Key: "x"}}, "n"
		p.Spec.Resources = &more
	})
	want := old.DeepCopy()
	want.Spec.Containers[1].Resources, want.Spec.InitContainers[1].Resources, want.Spec.Resources = more, more, &more
	if !equality.Semantic.DeepEqual(p.Spec, want.Spec) {
		t.Errorf("%+v", p.Spec)
	}
	// One that does not know the resources of pods keeps them.
	p, old = resizedPod(t, func(*corev1.Pod) {})
	old.Spec.Resources = &more
	if preparePodResize(p, old); p.Spec.Resources == nil {
		t.Error("the pod's own resources are dropped")
	}
}

func TestPodResize(t *testing.T) {
	list := func(s string) corev1.ResourceList {
		return podSpec(t, "{containers: [{resources: {requests: "+s+"}}]}").Containers[0].Resources.Requests
	}
	for name, tt := range map[string]struct {
		edit func(p *corev1.Pod)
		was  func(old *corev1.Pod)
		want string
	}{
		"nothing":           {edit: func(*corev1.Pod) {}},
		"a request":         {edit: func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests["cpu"] = list("{cpu: 2}")["cpu"] }},
		"a limit":           {edit: func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Limits["memory"] = list("{memory: 3Gi}")["memory"] }},
		"a limit is added":  {edit: func(p *corev1.Pod) { p.Spec.Containers[1].Resources.Limits = list("{cpu: 2}") }},
		"an init container": {edit: func(p *corev1.Pod) { p.Spec.InitContainers[0].Resources.Requests = list("{cpu: 2}") }},
		"a sidecar":         {edit: func(p *corev1.Pod) { p.Spec.InitContainers[1].Resources.Requests = list("{cpu: 2}") }},
		"of the pod": {edit: func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("{cpu: 9, memory: 9Gi}")}
		}},
		"above its limit": {edit: func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["memory"] = list("{memory: 3Gi}")["memory"]
		},
			want: "must be less than or equal to memory limit of 2Gi"},
		"a request is removed": {edit: func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Requests, "cpu") },
			want: "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"},
		"a limit is removed": {edit: func(p *corev1.Pod) { delete(p.Spec.Containers[0].Resources.Limits, "memory") },
			want: "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"},
		"another resource": {edit: func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["ephemeral-storage"] = list("{ephemeral-storage: 1Gi}")["ephemeral-storage"]
		}, want: "spec: Forbidden: only cpu and memory resources are mutable"},
		"another resource of a sidecar": {edit: func(p *corev1.Pod) {
			p.Spec.InitContainers[1].Resources.Requests = list("{cpu: 1, ephemeral-storage: 1Gi}")
		},
			want: "spec.initContainers[1]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable"},
		"another resource of the pod": {edit: func(p *corev1.Pod) {
			p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("{cpu: 9, hugepages-2Mi: 2Mi}")}
		},
			want: "only cpu and memory resources are mutable at pod-level"},
		"the pod's are removed": {edit: func(p *corev1.Pod) { p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("{cpu: 9}")} },
			was: func(old *corev1.Pod) {
				old.Spec.Resources = &corev1.ResourceRequirements{Requests: list("{cpu: 9}"), Limits: list("{memory: 9Gi}")}
			}, want: "pod-level resource limits cannot be removed"},
		"a policy": {edit: func(p *corev1.Pod) {
			p.Spec.Containers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: corev1.NotRequired}}
		}, want: "only cpu and memory resources are mutable"},
		"the QoS class": {edit: func(p *corev1.Pod) {
			for i := range p.Spec.Containers {
				p.Spec.Containers[i].Resources = corev1.ResourceRequirements{Limits: list("{cpu: 1, memory: 1Gi}")}
			}
			for i := range p.Spec.InitContainers {
				p.Spec.InitContainers[i].Resources = corev1.ResourceRequirements{Limits: list("{cpu: 1, memory: 1Gi}")}
			}
		}, want: "Pod QOS Class may not change as a result of resizing"},
		"one container more": {edit: func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, p.Spec.Containers[0]) }, want: "spec.containers: Forbidden: containers may not be added or removed on resize"},
		"one less":           {edit: func(p *corev1.Pod) { p.Spec.InitContainers = p.Spec.InitContainers[:1] }, want: "spec.initContainers: Forbidden: initContainers may not be added or removed on resize"},
		"another order": {edit: func(p *corev1.Pod) {
			p.Spec.Containers[0], p.Spec.Containers[1] = p.Spec.Containers[1], p.Spec.Containers[0]
		}, want: "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"},
		"a mirror": {edit: func(*corev1.Pod) {}, was: func(old *corev1.Pod) {
			old.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		}, want: "static pods cannot be resized"},
		"of Windows": {edit: func(*corev1.Pod) {}, was: func(old *corev1.Pod) { old.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, want: "windows pods cannot be resized"},
		"of a node that cannot": {edit: func(*corev1.Pod) {}, was: func(old *corev1.Pod) {
			old.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "b"}, {Name: "a", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
		}, want: "Pod running on node without support for resize"},
		"of a node that can": {edit: func(*corev1.Pod) {}, was: func(old *corev1.Pod) {
			old.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, Resources: &corev1.ResourceRequirements{}}}
		}},
		"an init container that would restart": {edit: func(p *corev1.Pod) { p.Spec.InitContainers[0].Resources.Requests = list("{cpu: 2}") }, was: func(old *corev1.Pod) {
			old.Spec.InitContainers[0].ResizePolicy = []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: corev1.RestartContainer}}
		}, want: "only cpu and memory"},
	} {
		p, old := resizedPod(t, tt.edit)
		if tt.was != nil {
			tt.was(old)
		}
		err := validatePodResize(p, old).ToAggregate()
		if tt.want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestInitContainersDoNotRestartByAResize.
func TestInitContainersDoNotRestartByAResize(t *testing.T) {
	p, old := resizedPod(t, func(p *corev1.Pod) {})
	restart := []corev1.ContainerResizePolicy{{ResourceName: "cpu", RestartPolicy: corev1.RestartContainer}}
	for _, pod := range []*corev1.Pod{p, old} {
		pod.Spec.InitContainers[0].ResizePolicy, pod.Spec.InitContainers[1].ResizePolicy = restart, restart
	}
	p.Spec.InitContainers[0].Resources = podSpec(t, `{containers: [{resources: {requests: {cpu: 2}}}]}`).Containers[0].Resources
	if err := validatePodResize(p, old).ToAggregate(); err == nil || !strings.Contains(err.Error(), "spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer cannot be resized") {
		t.Errorf("%v", err)
	}
}

// TestRestartAndResizePolicies of containers, by kind.
func TestRestartAndResizePolicies(t *testing.T) {
	for manifest, want := range map[string]string{
		`{containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}, {action: RestartAllContainers, exitCodes: {operator: NotIn}}]}]}`: "",
		`{containers: [{name: a, restartPolicyRules: [{action: Restart, exitCodes: {operator: In}}]}]}`:                                                                                                  "containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
		`{initContainers: [{name: a, restartPolicyRules: [{action: Restart, exitCodes: {operator: In}}]}]}`:                                                                                              "initContainers[0].restartPolicy: Required value",
		`{containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Wait, exitCodes: {operator: In}}]}]}`:                                                                               "restartPolicyRules[0].action: Unsupported value",
		`{containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Restart}]}]}`:                                                                                                       "restartPolicyRules[0].exitCodes: Required value",
		`{containers: [{name: a, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: Is}}]}]}`:                                                                            "restartPolicyRules[0].exitCodes.operator: Unsupported value",
		`{containers: [{name: a, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}]}`:                                                                                                "",
		`{containers: [{name: a, resizePolicy: [{resourceName: disk, restartPolicy: NotRequired}]}]}`:                                                                                                    "resizePolicy: Unsupported value",
		`{containers: [{name: a, resizePolicy: [{resourceName: cpu, restartPolicy: Maybe}]}]}`:                                                                                                           "resizePolicy: Unsupported value",
		`{containers: [{name: a, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}, {resourceName: cpu, restartPolicy: NotRequired}]}]}`:                                                    "resizePolicy[1]: Duplicate value",
		`{restartPolicy: Never, containers: [{name: a, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}]}`:                                                                          "must be 'NotRequired' when pod `restartPolicy` is 'Never'",
		`{initContainers: [{name: a, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}]}`:                                                                                            "must not be set to 'RestartContainer' for non-sidecar initContainers",
		`{initContainers: [{name: a, restartPolicy: Always, resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}]}`:                                                                     "",
		`{ephemeralContainers: [{name: a, resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]}]}`:                                                                                            "ephemeralContainers[0].resizePolicy: Forbidden: cannot be set for an Ephemeral Container",
		`{ephemeralContainers: [{name: a, restartPolicy: Never}]}`:                                                                                                                                       "ephemeralContainers[0].restartPolicy: Forbidden: cannot be set for an Ephemeral Container",
		`{ephemeralContainers: [{name: a, restartPolicyRules: [{action: Restart}]}]}`:                                                                                                                    "ephemeralContainers[0].restartPolicyRules: Forbidden: cannot be set for an Ephemeral Container",
		`{ephemeralContainers: [{name: a, volumeMounts: [{name: v, mountPath: /m, subPath: x}]}]}`:                                                                                                       "volumeMounts[0].subPath: Forbidden: cannot be set for an Ephemeral Container",
		`{ephemeralContainers: [{name: a, volumeMounts: [{name: v, mountPath: /m, subPathExpr: x}]}]}`:                                                                                                   "volumeMounts[0].subPathExpr: Forbidden: cannot be set for an Ephemeral Container",
		`{ephemeralContainers: [{name: a, targetContainerName: main}]}`:                                                                                                                                  "",
		`{initContainers: [{name: i}], ephemeralContainers: [{name: a, targetContainerName: i}]}`:                                                                                                        "",
		`{ephemeralContainers: [{name: a, targetContainerName: none}]}`:                                                                                                                                  "ephemeralContainers[0].targetContainerName: Not found",
		`{ephemeralContainers: [{name: a, targetContainerName: b}, {name: b}]}`:                                                                                                                          "ephemeralContainers[0].targetContainerName: Not found",
		`{hostnameOverride: a.b}`:                             "",
		`{hostnameOverride: a_b}`:                             "hostnameOverride: Invalid value",
		`{hostnameOverride: a, setHostnameAsFQDN: true}`:      "hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
		`{hostnameOverride: a, hostNetwork: true}`:            "hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
		`{hostnameOverride: ` + strings.Repeat("a", 65) + `}`: "hostnameOverride: Too long",
	} {
		s := podSpec(t, manifest)
		s.Containers = append(s.Containers, corev1.Container{Name: "main"})
		s.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		p := &corev1.Pod{Spec: *s}
		for i := range p.Spec.Containers {
			p.Spec.Containers[i].Image = "i:1"
		}
		for i := range p.Spec.InitContainers {
			p.Spec.InitContainers[i].Image = "i:1"
		}
		for i := range p.Spec.EphemeralContainers {
			p.Spec.EphemeralContainers[i].Image = "i:1"
		}
		SetObjectDefaults_Pod(p)
		defaultPod(p)
		err := validatePod(p).ToAggregate()
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant %q", manifest, err, want)
		}
	}
}

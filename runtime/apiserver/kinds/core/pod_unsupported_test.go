package core

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

func podSpec(t *testing.T, manifest string) *corev1.PodSpec {
	t.Helper()
	s := &corev1.PodSpec{}
	if err := yaml.UnmarshalStrict([]byte(manifest), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestUnsupportedPodSpec(t *testing.T) {
	for manifest, want := range map[string]string{
		`{containers: [{name: c, env: [{name: A, valueFrom: {fieldRef: {fieldPath: x}}}], resources: {limits: {cpu: 1}}, restartPolicyRules: [{action: Restart}]}]}`:                            "",
		`{setHostnameAsFQDN: false, volumes: [{emptyDir: {}}, {hostPath: {path: /}}, {persistentVolumeClaim: {claimName: c}}, {ephemeral: {}}, {projected: {sources: [{secret: {name: s}}]}}]}`: "",
		`{resourceClaims: [{name: a}], initContainers: [{}, {resources: {claims: [{name: a}]}}], containers: [{resources: {claims: [{name: a}]}}]}`:                                             "",
		`{containers: [{}, {env: [{name: A, value: a}, {name: B, valueFrom: {fileKeyRef: {key: k}}}]}]}`:                                                                                        "containers[1].env[1].valueFrom.fileKeyRef",
		`{ephemeralContainers: [{env: [{name: B, valueFrom: {fileKeyRef: {key: k}}}]}, {targetContainerName: c}]}`:                                                                              "ephemeralContainers[0].env[0].valueFrom.fileKeyRef",
		`{containers: [{ports: [{hostIP: 10.0.0.1}, {hostIP: here}]}]}`:                                                                                                                         "containers[0].ports[1].hostIP",
		`{volumes: [{emptyDir: {medium: Memory}}, {emptyDir: {medium: Air}}]}`:                                                                                                                  "volumes[1].emptyDir.medium",
		`{containers: [{volumeDevices: [{name: a}]}], ephemeralContainers: [{volumeDevices: [{name: a}]}], volumes: [{csi: {driver: d}}]}`:                                                      "",
	} {
		if got := paths(unsupportedPodSpec(podSpec(t, manifest), nil)); got != want {
			t.Errorf("%s\n got %q\nwant %q", manifest, got, want)
		}
	}
	for _, source := range []string{
		"gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd", "flexVolume", "cinder", "cephfs", "flocker", "fc",
		"azureFile", "vsphereVolume", "quobyte", "azureDisk", "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
	} {
		if got := paths(unsupportedPodSpec(podSpec(t, "{volumes: [{emptyDir: {}}, {"+source+": {}}]}"), field.NewPath("spec"))); got != "spec.volumes[1]."+source {
			t.Errorf("%s: %q", source, got)
		}
	}
	template := &corev1.PodTemplateSpec{Spec: *podSpec(t, "{volumes: [{nfs: {}}]}")}
	errs := UnsupportedPodTemplate(template, field.NewPath("spec", "template"))
	if len(errs) != 1 || errs[0].Error() != "spec.template.spec.volumes[0].nfs: Forbidden: not supported by this cluster: its nodes have no driver of such volumes" {
		t.Errorf("in a template: %v", errs)
	}
}

func paths(errs field.ErrorList) string {
	var out []string
	for _, e := range errs {
		out = append(out, e.Field)
	}
	return strings.Join(out, " ")
}

// TestDisabledFieldsAreDropped: nothing is left of them, and everything else is.
func TestDisabledFieldsAreDropped(t *testing.T) {
	const manifest = `
schedulingGroup: {podGroupName: DROPPED}
evictionResponders: [{name: DROPPED}]
volumes:
- {emptyDir: {mode: 777, medium: Memory}}
- {secret: {secretName: kept, defaultUser: 777, items: [{key: kept, path: kept, mode: 1, user: 777}]}}
- {configMap: {name: kept, defaultUser: 777, items: [{key: kept, path: kept, mode: 1, user: 777}]}}
- {downwardAPI: {defaultUser: 777, items: [{path: kept, mode: 1, user: 777}]}}
- {projected: {defaultUser: 777, defaultMode: 1, sources: [{secret: {name: kept, items: [{key: kept, path: kept, user: 777}]}}, {configMap: {name: kept, items: [{key: kept, path: kept, user: 777}]}},
    {downwardAPI: {items: [{path: kept, user: 777}]}}, {serviceAccountToken: {path: kept, user: 777}},
    {clusterTrustBundle: {name: kept, path: kept, user: 777}}, {podCertificate: {signerName: a.b/kept, keyPath: kept, user: 777}}]}}
- {name: kept}
initContainers:
- {lifecycle: {stopSignal: DROPPED}, volumeMounts: [{name: kept, bindMountOptions: [DROPPED]}]}
containers:
- {startupProbe: {httpGet: {protocol: DROPPED, path: kept}}, readinessProbe: {grpc: {mode: DROPPED, port: 9}}, livenessProbe: {exec: {command: [kept]}}}
ephemeralContainers:
- {name: kept, lifecycle: {stopSignal: DROPPED, preStop: {sleep: {seconds: 1}}}}
`
	s := podSpec(t, manifest)
	kept := strings.Count(manifest, "kept")
	dropDisabled(s, nil)
	data, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(data), "\n")
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "777") || strings.Contains(l, "DROPPED") }); i >= 0 {
		t.Errorf("not dropped: %s in\n%s", lines[i], data)
	}
	if n := strings.Count(string(data), "kept"); n != kept || !strings.Contains(string(data), "seconds: 1") || !strings.Contains(string(data), "port: 9") {
		t.Errorf("%d of %d are kept:\n%s", n, kept, data)
	}
}

func TestNamesAndPrioritiesOfResponders(t *testing.T) {
	for name, ok := range map[string]bool{"example.com/a": true, "k8s.io/a": false, "x.k8s.io/a": false, "kubernetes.io/a": false, "x.kubernetes.io/a": false, "xk8s.io/a": true} {
		if errs := ValidateCustom_EvictionResponder_Name(t.Context(), operation.Operation{Type: operation.Create}, nil, &name, nil); (len(errs) == 0) != ok {
			t.Errorf("%s: %v", name, errs)
		}
	}
	for priority, ok := range map[int32]bool{-1: true, 0: false, 999: false, 1000: true} {
		if errs := ValidateCustom_EvictionResponder_Priority(t.Context(), operation.Operation{Type: operation.Create}, nil, &priority, nil); (len(errs) == 0) != ok {
			t.Errorf("%d: %v", priority, errs)
		}
	}
}

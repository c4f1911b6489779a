package core

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

func TestTemplateWarnings(t *testing.T) {
	for name, tt := range map[string]struct{ spec, want string }{
		"none":                   {`containers: [{name: a, ports: [{containerPort: 1, name: x}], env: [{name: A, value: "1"}]}]`, ""},
		"old label":              {`nodeSelector: {beta.kubernetes.io/os: linux}`, `t.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`},
		"old label of masters":   {`nodeSelector: {node-role.kubernetes.io/master: ""}`, `use "node-role.kubernetes.io/control-plane" instead`},
		"old label in affinity":  {`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: failure-domain.beta.kubernetes.io/zone, operator: Exists}]}]}}}`, `nodeSelectorTerms[0].matchExpressions[0].key: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use "topology.kubernetes.io/zone" instead`},
		"preferred bad value":    {`affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{preference: {matchExpressions: [{key: a, operator: In, values: ["-"]}]}}]}}`, `preference.matchExpressions[0].values[0]: - is invalid, `},
		"required bad value":     {`affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: In, values: ["-"]}]}]}}}`, ""},
		"no selector":            {`affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{podAffinityTerm: {topologyKey: a}}]}}`, `t.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod`},
		"spread without":         {`topologySpreadConstraints: [{topologyKey: a}]`, `t.spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod`},
		"alias twice":            {`hostAliases: [{ip: 10.0.0.1}, {ip: 10.0.0.2}, {ip: 10.0.0.1}]`, `t.spec.hostAliases[2].ip: duplicate ip "10.0.0.1"`},
		"secret twice":           {`imagePullSecrets: [{name: a}, {name: a}]`, `t.spec.imagePullSecrets[1].name: duplicate name "a"`},
		"secret without a name":  {`imagePullSecrets: [{}]`, `t.spec.imagePullSecrets[0].name: invalid empty name ""`},
		"parts of a byte":        {`containers: [{name: a, resources: {limits: {memory: 1500m}}}]`, `t.spec.containers[0].resources.limits[memory]: fractional byte value "1500m" is invalid, must be an integer`},
		"negative grace":         {`terminationGracePeriodSeconds: -1`, `negative values are invalid and will be treated as 1`},
		"hidden":                 {`containers: [{name: a, env: [{name: A, value: "1"}, {name: A, value: "2"}]}]`, `t.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`},
		"made of the one before": {`containers: [{name: a, env: [{name: A, value: "1"}, {name: A, value: "$(A)2"}]}]`, ""},
		"itself":                 {`containers: [{name: a, env: [{name: A, value: "1"}, {name: A, value: "$(A)"}]}]`, `hides previous definition`},
		"address of no port":     {`containers: [{name: a, ports: [{containerPort: 1, hostIP: 10.0.0.1}]}]`, `t.spec.containers[0].ports[0]: hostIP set without hostPort`},
		"port twice":             {`containers: [{name: a, ports: [{containerPort: 1}]}, {name: b, ports: [{containerPort: 1}]}]`, `t.spec.containers[1].ports[0]: duplicate port definition with t.spec.containers[0].ports[0]`},
		"port and host port":     {`containers: [{name: a, ports: [{containerPort: 1}, {containerPort: 1, hostPort: 2}]}]`, `overlapping port definition with`},
		"port of any address":    {`containers: [{name: a, ports: [{containerPort: 1, hostPort: 2, hostIP: 10.0.0.1}, {containerPort: 1, hostPort: 2}]}]`, `dangerously ambiguous port definition with`},
		"ports of two addresses": {`containers: [{name: a, ports: [{containerPort: 1, hostPort: 2, hostIP: 10.0.0.1}, {containerPort: 1, hostPort: 2, hostIP: 10.0.0.2}]}]`, ""},
		"port name twice":        {`initContainers: [{name: i, ports: [{containerPort: 1, name: x}]}], containers: [{name: a, ports: [{containerPort: 2, name: x}]}]`, `t.spec.containers[0].ports[0]: duplicate port name "x" with t.spec.initContainers[0].ports[0]`},
	} {
		var template corev1.PodTemplateSpec
		if err := yaml.UnmarshalStrict([]byte("spec: {"+tt.spec+"}"), &template); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := strings.Join(TemplateWarnings(&template, field.NewPath("t")), "\n")
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	old := &corev1.PodTemplateSpec{}
	old.Annotations = map[string]string{seccompAnnotation: "x"}
	if got := TemplateWarnings(old, nil); len(got) != 1 || !strings.Contains(got[0], "seccompProfile") {
		t.Errorf("%v", got)
	}
	old.Spec.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{}}
	if got := TemplateWarnings(old, nil); got != nil {
		t.Errorf("%v", got)
	}
}

func TestNameWarnings(t *testing.T) {
	if got := NameWarnings("a"); got != nil {
		t.Errorf("%v", got)
	}
	if got := NameWarnings("a.b"); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestAccountsKeepNamesOfSecrets(t *testing.T) {
	a := &corev1.ServiceAccount{Secrets: []corev1.ObjectReference{{Name: "a", Namespace: "b", UID: "c"}}}
	serviceAccount().PrepareForCreate(a)
	if a.Secrets[0] != (corev1.ObjectReference{Name: "a"}) {
		t.Errorf("%+v", a.Secrets)
	}
}

func TestPhaseTransitions(t *testing.T) {
	early, late := metav1Time(1), metav1Time(2)
	for name, tt := range map[string]struct {
		was, is corev1.PersistentVolumeStatus
		want    int64
	}{
		"the same phase":            {corev1.PersistentVolumeStatus{Phase: "A", LastPhaseTransitionTime: early}, corev1.PersistentVolumeStatus{Phase: "A"}, 1},
		"the same phase and a time": {corev1.PersistentVolumeStatus{Phase: "A", LastPhaseTransitionTime: early}, corev1.PersistentVolumeStatus{Phase: "A", LastPhaseTransitionTime: late}, 2},
		"another phase":             {corev1.PersistentVolumeStatus{Phase: "A", LastPhaseTransitionTime: early}, corev1.PersistentVolumeStatus{Phase: "B"}, 9},
		"another phase, same time":  {corev1.PersistentVolumeStatus{Phase: "A", LastPhaseTransitionTime: early}, corev1.PersistentVolumeStatus{Phase: "B", LastPhaseTransitionTime: early}, 9},
		"another phase and time":    {corev1.PersistentVolumeStatus{Phase: "A", LastPhaseTransitionTime: early}, corev1.PersistentVolumeStatus{Phase: "B", LastPhaseTransitionTime: late}, 2},
	} {
		v := &corev1.PersistentVolume{Status: tt.is}
		stampPhase(v, &corev1.PersistentVolume{Status: tt.was}, metav1Time(9).Time)
		if got := v.Status.LastPhaseTransitionTime.Unix(); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

func metav1Time(seconds int64) *metav1.Time {
	at := metav1.Unix(seconds, 0)
	return &at
}

// The two names of a source are made to agree.
func TestDataSources(t *testing.T) {
	for name, tt := range map[string]struct{ is, was, source, ref string }{
		"neither":         {"{}", "{}", "", ""},
		"old way":         {"{dataSource: {kind: PersistentVolumeClaim, name: a}}", "{}", "a", "a"},
		"new way":         {"{dataSourceRef: {kind: PersistentVolumeClaim, name: a}}", "{}", "a", "a"},
		"elsewhere":       {"{dataSourceRef: {kind: PersistentVolumeClaim, name: a, namespace: n}}", "{}", "", "a"},
		"of no known way": {"{dataSource: {kind: Pod, name: a}}", "{}", "", ""},
		"it had one":      {"{dataSource: {apiGroup: g, kind: Pod, name: a}}", "{dataSource: {apiGroup: g, kind: Pod, name: a}}", "a", "a"},
		"a snapshot":      {"{dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: a}}", "{}", "a", "a"},
	} {
		var is, was corev1.PersistentVolumeClaimSpec
		if err := yaml.UnmarshalStrict([]byte(tt.is), &is); err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(tt.was), &was); err != nil {
			t.Fatal(err)
		}
		alignDataSources(&is, &was)
		source, ref := "", ""
		if is.DataSource != nil {
			source = is.DataSource.Name
		}
		if is.DataSourceRef != nil {
			ref = is.DataSourceRef.Name
		}
		if source != tt.source || ref != tt.ref {
			t.Errorf("%s: %q %q", name, source, ref)
		}
	}
}

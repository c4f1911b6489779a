package pod

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func sample() *corev1.PodSpec {
	return &corev1.PodSpec{
		InitContainers: []corev1.Container{
			{Name: "init", Ports: []corev1.ContainerPort{{HostPort: 1}}},
			{Name: "sidecar", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), Ports: []corev1.ContainerPort{{HostPort: 2, Protocol: corev1.ProtocolUDP}}},
		},
		Containers: []corev1.Container{{Name: "main", Ports: []corev1.ContainerPort{{ContainerPort: 80}, {ContainerPort: 81, HostPort: 3, HostIP: "10.0.0.1"}}}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug"}},
		},
	}
}

func TestContainers(t *testing.T) {
	for _, c := range []struct {
		types ContainerType
		want  []string
	}{
		{AllContainers, []string{"init", "sidecar", "main", "debug"}},
		{InitContainers, []string{"init", "sidecar"}},
		{MainContainers, []string{"main"}},
		{EphemeralContainers, []string{"debug"}},
		{InitContainers | EphemeralContainers, []string{"init", "sidecar", "debug"}},
		{0, nil},
	} {
		var got []string
		for kind, c := range Containers(sample(), c.types) {
			if _, found := FindContainer(sample(), c.Name); found != kind {
				t.Errorf("%s is of type %d, found as %d", c.Name, kind, found)
			}
			got = append(got, c.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("types %b: %v, want %v", c.types, got, c.want)
		}
	}
	// Whoever has found what it looked for gets no more.
	for _, stop := range []string{"init", "main", "debug"} {
		last := ""
		for _, c := range Containers(sample(), AllContainers) {
			if last = c.Name; last == stop {
				break
			}
		}
		if last != stop {
			t.Errorf("went on to %s after %s", last, stop)
		}
	}
}

func TestContainersLeadIntoTheSpec(t *testing.T) {
	spec := sample()
	for _, c := range Containers(spec, AllContainers) {
		c.Image = "changed"
	}
	if spec.InitContainers[0].Image != "changed" || spec.Containers[0].Image != "changed" || spec.EphemeralContainers[0].Image != "changed" {
		t.Error("a container is a copy")
	}
}

func TestFindContainer(t *testing.T) {
	if c, kind := FindContainer(sample(), "nobody"); c != nil || kind != 0 {
		t.Errorf("found %v of type %d", c, kind)
	}
	if c, kind := FindContainer(sample(), "debug"); c == nil || c.Name != "debug" || kind != EphemeralContainers {
		t.Errorf("found %v of type %d", c, kind)
	}
}

// TestTarget: of the ephemeral container of that name, and of no other.
func TestTarget(t *testing.T) {
	spec := &corev1.PodSpec{EphemeralContainers: []corev1.EphemeralContainer{
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "a"}, TargetContainerName: "app"},
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "b"}, TargetContainerName: "db"},
		{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "c"}},
	}}
	for name, want := range map[string]string{"a": "app", "b": "db", "c": "", "app": ""} {
		if got := Target(spec, name); got != want {
			t.Errorf("%s sees %q", name, got)
		}
	}
}

func TestIsSidecar(t *testing.T) {
	for policy, want := range map[*corev1.ContainerRestartPolicy]bool{
		nil: false, ptr.To(corev1.ContainerRestartPolicyAlways): true, ptr.To(corev1.ContainerRestartPolicyNever): false,
	} {
		if got := IsSidecar(&corev1.Container{RestartPolicy: policy}); got != want {
			t.Errorf("%v: %v", policy, got)
		}
	}
}

func TestHostPorts(t *testing.T) {
	got := HostPorts(sample())
	want := []corev1.ContainerPort{
		{HostPort: 2, Protocol: corev1.ProtocolUDP},
		{ContainerPort: 81, HostPort: 3, HostIP: "10.0.0.1", Protocol: corev1.ProtocolTCP},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFindUntolerated(t *testing.T) {
	taints := []corev1.Taint{
		{Key: "a", Effect: corev1.TaintEffectPreferNoSchedule},
		{Key: "b", Value: "x", Effect: corev1.TaintEffectNoSchedule},
		{Key: "c", Value: "5", Effect: corev1.TaintEffectNoExecute},
	}
	all := []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute}
	b := corev1.Toleration{Key: "b", Operator: corev1.TolerationOpExists}
	for name, c := range map[string]struct {
		tolerations []corev1.Toleration
		effects     []corev1.TaintEffect
		want        string
	}{
		"none":              {nil, all, "b"},
		"another effect":    {nil, all[1:], "c"},
		"preferred":         {nil, []corev1.TaintEffect{corev1.TaintEffectPreferNoSchedule}, "a"},
		"the first":         {[]corev1.Toleration{b}, all, "c"},
		"everything":        {[]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, all, ""},
		"by comparison":     {[]corev1.Toleration{b, {Key: "c", Operator: corev1.TolerationOpGt, Value: "4"}}, all, ""},
		"by comparison not": {[]corev1.Toleration{b, {Key: "c", Operator: corev1.TolerationOpGt, Value: "5"}}, all, "c"},
		"another value":     {[]corev1.Toleration{{Key: "b", Operator: corev1.TolerationOpEqual, Value: "y"}}, all, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if taint := FindUntolerated(taints, c.tolerations, c.effects...); taint != nil {
				got = taint.Key
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

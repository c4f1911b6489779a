package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// list makes a resource list of CPU and memory; "" leaves one out.
func list(cpu, memory string) corev1.ResourceList {
	l := corev1.ResourceList{}
	if cpu != "" {
		l[corev1.ResourceCPU] = resource.MustParse(cpu)
	}
	if memory != "" {
		l[corev1.ResourceMemory] = resource.MustParse(memory)
	}
	return l
}

func container(name string, requests, limits corev1.ResourceList) corev1.Container {
	return corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
}

func TestQOSClass(t *testing.T) {
	none, full := list("", ""), list("1", "1Gi")
	of := func(c ...corev1.Container) corev1.PodSpec { return corev1.PodSpec{Containers: c} }
	whole := func(spec corev1.PodSpec, requests, limits corev1.ResourceList) corev1.PodSpec {
		spec.Resources = &corev1.ResourceRequirements{Requests: requests, Limits: limits}
		return spec
	}
	withInit := func(spec corev1.PodSpec, c ...corev1.Container) corev1.PodSpec {
		spec.InitContainers = c
		return spec
	}
	for name, c := range map[string]struct {
		spec corev1.PodSpec
		want corev1.PodQOSClass
	}{
		"nothing":                      {of(container("a", none, none)), corev1.PodQOSBestEffort},
		"another resource only":        {of(container("a", corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse("1Gi")}, none)), corev1.PodQOSBestEffort},
		"zeros":                        {of(container("a", list("0", "0"), list("0", "0"))), corev1.PodQOSBestEffort},
		"a CPU request":                {of(container("a", list("1", ""), none)), corev1.PodQOSBurstable},
		"a memory request":             {of(container("a", list("", "1Gi"), none)), corev1.PodQOSBurstable},
		"a CPU limit":                  {of(container("a", none, list("1", ""))), corev1.PodQOSBurstable},
		"a memory limit":               {of(container("a", none, list("", "1Gi"))), corev1.PodQOSBurstable},
		"limits alone":                 {of(container("a", none, full)), corev1.PodQOSGuaranteed},
		"requests as limits":           {of(container("a", full, full)), corev1.PodQOSGuaranteed},
		"less memory than the limit":   {of(container("a", list("1", "1Mi"), full)), corev1.PodQOSBurstable},
		"less CPU than the limit":      {of(container("a", list("1m", "1Gi"), full)), corev1.PodQOSBurstable},
		"a request of none":            {of(container("a", list("0", "1Gi"), full)), corev1.PodQOSBurstable},
		"one of two":                   {of(container("a", full, full), container("b", none, none)), corev1.PodQOSBurstable},
		"the other of two":             {of(container("a", none, none), container("b", full, full)), corev1.PodQOSBurstable},
		"two":                          {of(container("a", full, full), container("b", list("2", "2Gi"), list("2", "2Gi"))), corev1.PodQOSGuaranteed},
		"an init container without":    {withInit(of(container("a", full, full)), container("i", none, none)), corev1.PodQOSBurstable},
		"an init container alone":      {withInit(of(container("a", none, none)), container("i", full, full)), corev1.PodQOSBurstable},
		"an init container too":        {withInit(of(container("a", full, full)), container("i", full, full)), corev1.PodQOSGuaranteed},
		"the pod's own":                {whole(of(container("a", none, none)), full, full), corev1.PodQOSGuaranteed},
		"the pod's own limits":         {whole(of(container("a", none, none)), none, full), corev1.PodQOSGuaranteed},
		"the pod's own, less":          {whole(of(container("a", full, full)), list("1", "1Mi"), full), corev1.PodQOSBurstable},
		"the pod's own, CPU alone":     {whole(of(container("a", full, full)), list("1", ""), list("1", "")), corev1.PodQOSBurstable},
		"the pod's own say nothing":    {whole(of(container("a", full, full)), none, none), corev1.PodQOSGuaranteed},
		"the pod's own stand for them": {whole(of(container("a", list("1m", ""), none)), full, full), corev1.PodQOSGuaranteed},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{Spec: c.spec}
			if got := QOSClass(p); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestQOSClassStays(t *testing.T) {
	p := &corev1.Pod{Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable}}
	if got := QOSClass(p); got != corev1.PodQOSBurstable {
		t.Errorf("the class that was given became %s", got)
	}
	if got := ComputeQOSClass(p); got != corev1.PodQOSBestEffort {
		t.Errorf("the spec implies %s", got)
	}
}

func TestLimited(t *testing.T) {
	limited, free := container("a", nil, list("1", "")), container("b", nil, nil)
	own := func(l corev1.ResourceList, c ...corev1.Container) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: c, Resources: &corev1.ResourceRequirements{Limits: l}}}
	}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"no container":              {&corev1.Pod{}, false},
		"each container":            {&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{limited, limited}}}, true},
		"one of them":               {&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{limited, free}}}, false},
		"an init container not":     {&corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{limited}, InitContainers: []corev1.Container{free}}}, false},
		"the pod itself":            {own(list("1", ""), free), true},
		"the pod in something else": {own(list("", "1Gi"), free), false},
		"the pod with zero":         {own(list("0", ""), free), false},
		"pod not, containers all":   {own(list("", "1Gi"), limited), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Limited(c.pod, corev1.ResourceCPU); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func TestRequestsAndLimitsOfThePodAsAWhole(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container("a", list("100m", ""), nil)}}}
	if got := Requests(p)[corev1.ResourceCPU]; got.String() != "100m" {
		t.Errorf("requests of the container: %s", got.String())
	}
	p.Spec.Resources = &corev1.ResourceRequirements{Requests: list("2", "1Gi"), Limits: list("3", "")}
	if got := Requests(p); got.Cpu().String() != "2" || got.Memory().String() != "1Gi" {
		t.Errorf("requests of the pod: %v", got)
	}
	if got := Limits(p); got.Cpu().String() != "3" || !got.Memory().IsZero() {
		t.Errorf("limits of the pod: %v", got)
	}
}

// TestReserved: the most of what a pod asks for, was given and has, its overhead once.
func TestReserved(t *testing.T) {
	for name, tt := range map[string]struct{ spec, given, has, overhead, want string }{
		"before it runs":    {spec: "2", want: "2"},
		"as it asks":        {spec: "2", given: "2", has: "2", want: "2"},
		"it asks for more":  {spec: "3", given: "2", has: "2", want: "3"},
		"it was given more": {spec: "1", given: "2", has: "1", want: "2"},
		"it has more":       {spec: "1", given: "1", has: "2", want: "2"},
		"new, overhead":     {spec: "2", overhead: "1", want: "3"},
		"overhead":          {spec: "2", given: "3", has: "3", overhead: "1", want: "3"},
		"more, overhead":    {spec: "4", given: "3", has: "3", overhead: "1", want: "5"},
		"less, overhead":    {spec: "1", given: "2", has: "3", overhead: "1", want: "3"},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container("c", list(tt.spec, ""), nil)}}}
		if tt.given != "" {
			p.Status.AllocatedResources, p.Status.Resources = list(tt.given, ""), &corev1.ResourceRequirements{Requests: list(tt.has, "")}
		}
		if tt.overhead != "" {
			p.Spec.Overhead = list(tt.overhead, "")
		}
		reserved := Reserved(p)
		if got := reserved.Cpu().String(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

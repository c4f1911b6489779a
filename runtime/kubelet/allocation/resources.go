package allocation

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Resources are the requests and limits of a pod.
type Resources struct {
	// Pod are those of the pod as a whole; nil where it has none.
	Pod *corev1.ResourceRequirements `json:"pod,omitempty"`
	// Containers are those of its containers by name, ephemeral ones left out: they have
	// none.
	Containers map[string]corev1.ResourceRequirements `json:"containers"`
}

// Of is what a pod asks for. It shares the pod's lists, which nobody changes.
func Of(p *corev1.Pod) Resources {
	r := Resources{Pod: p.Spec.Resources, Containers: map[string]corev1.ResourceRequirements{}}
	for _, c := range pod.Containers(&p.Spec, pod.InitContainers|pod.MainContainers) {
		r.Containers[c.Name] = c.Resources
	}
	return r
}

// Apply returns the pod with these in place of what it asks for: the pod itself where
// they are the same. A container that they do not name keeps its own.
func (r Resources) Apply(p *corev1.Pod) *corev1.Pod {
	same := equality.Semantic.DeepEqual(r.Pod, p.Spec.Resources)
	for _, c := range pod.Containers(&p.Spec, pod.InitContainers|pod.MainContainers) {
		have, ok := r.Containers[c.Name]
		same = same && (!ok || equality.Semantic.DeepEqual(have, c.Resources))
	}
	if same {
		return p
	}
	out := p.DeepCopy()
	out.Spec.Resources = r.Pod
	for _, c := range pod.Containers(&out.Spec, pod.InitContainers|pod.MainContainers) {
		if have, ok := r.Containers[c.Name]; ok {
			c.Resources = have
		}
	}
	return out
}

// Most is a pod that requests of each resource the most of what two versions of it do: a
// pod that is being resized takes that of its node.
func Most(a, b *corev1.Pod) *corev1.Pod {
	out := a.DeepCopy()
	others := Of(b)
	for _, c := range pod.Containers(&out.Spec, pod.InitContainers|pod.MainContainers) {
		c.Resources.Requests = most(c.Resources.Requests, others.Containers[c.Name].Requests)
	}
	if out.Spec.Resources != nil && others.Pod != nil {
		out.Spec.Resources.Requests = most(out.Spec.Resources.Requests, others.Pod.Requests)
	}
	return out
}

func most(a, b corev1.ResourceList) corev1.ResourceList {
	for name, q := range b {
		if have, ok := a[name]; ok && have.Cmp(q) >= 0 {
			continue
		}
		if a == nil {
			a = corev1.ResourceList{}
		}
		a[name] = q
	}
	return a
}

package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// Pod is a pod with all that placement asks of it compiled once.
type Pod struct {
	Obj *corev1.Pod

	requests, assumed Resources
	ports             []hostPort
	owner             types.UID // controller; empty: none
	images            []string

	hasNodeAffinity bool
	nodeAffinity    nodeaffinity.RequiredNodeAffinity
	nodePreferences *nodeaffinity.PreferredSchedulingTerms

	affinity, antiAffinity []term // required
	preferAffinity, avoid  []term // preferred, with weights
	spread                 []constraint
}

type hostPort struct {
	ip       string
	protocol corev1.Protocol
	port     int32
}

// term is one term of affinity or anti-affinity between pods.
type term struct {
	namespaces   map[string]bool
	inNamespaces labels.Selector // by the namespace's labels; nil: none
	selector     labels.Selector
	topology     string
	weight       int32
}

// matches says whether a pod is meant by the term.
func (t *term) matches(p *corev1.Pod, namespaceLabels func(string) labels.Set) bool {
	if !t.namespaces[p.Namespace] && (t.inNamespaces == nil || !t.inNamespaces.Matches(namespaceLabels(p.Namespace))) {
		return false
	}
	return t.selector.Matches(labels.Set(p.Labels))
}

// constraint is one topology spread constraint.
type constraint struct {
	topology      string
	maxSkew       int
	minDomains    int
	hard          bool
	selector      labels.Selector
	honorAffinity bool // count only nodes that the pod's node affinity allows
	honorTaints   bool // count only nodes whose taints the pod tolerates
}

// NewPod compiles a pod. It fails for selectors that cannot be parsed.
func NewPod(obj *corev1.Pod) (*Pod, error) {
	p := &Pod{Obj: obj}
	p.requests, p.assumed = requestsOf(obj)
	if ref := metav1.GetControllerOfNoCopy(obj); ref != nil {
		p.owner = ref.UID
	}
	for i := range obj.Spec.Containers {
		c := &obj.Spec.Containers[i]
		p.images = append(p.images, normalizedImage(c.Image))
		p.addPorts(c)
	}
	for i := range obj.Spec.InitContainers {
		c := &obj.Spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			p.addPorts(c)
		}
	}
	if err := p.compileAffinity(); err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", obj.Namespace, obj.Name, err)
	}
	if err := p.compileSpread(); err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", obj.Namespace, obj.Name, err)
	}
	return p, nil
}

func (p *Pod) addPorts(c *corev1.Container) {
	for _, port := range c.Ports {
		if port.HostPort <= 0 {
			continue
		}
		h := hostPort{ip: port.HostIP, protocol: port.Protocol, port: port.HostPort}
		if h.ip == "" {
			h.ip = "0.0.0.0"
		}
		if h.protocol == "" {
			h.protocol = corev1.ProtocolTCP
		}
		p.ports = append(p.ports, h)
	}
}

func (p *Pod) compileAffinity() (err error) {
	a := p.Obj.Spec.Affinity
	p.hasNodeAffinity = len(p.Obj.Spec.NodeSelector) > 0
	if a != nil && a.NodeAffinity != nil {
		p.hasNodeAffinity = p.hasNodeAffinity || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil
		if prefs := a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution; len(prefs) > 0 {
			if p.nodePreferences, err = nodeaffinity.NewPreferredSchedulingTerms(prefs); err != nil {
				return fmt.Errorf("preferred node affinity: %w", err)
			}
		}
	}
	if p.hasNodeAffinity {
		p.nodeAffinity = nodeaffinity.GetRequiredNodeAffinity(p.Obj)
	}
	if a == nil {
		return nil
	}
	if a.PodAffinity != nil {
		if p.affinity, err = p.terms(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		if p.preferAffinity, err = p.weighted(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
	}
	if a.PodAntiAffinity != nil {
		if p.antiAffinity, err = p.terms(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
		if p.avoid, err = p.weighted(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pod) terms(in []corev1.PodAffinityTerm) ([]term, error) {
	out := make([]term, 0, len(in))
	for i := range in {
		t, err := p.term(&in[i], 0)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (p *Pod) weighted(in []corev1.WeightedPodAffinityTerm) ([]term, error) {
	out := make([]term, 0, len(in))
	for i := range in {
		t, err := p.term(&in[i].PodAffinityTerm, in[i].Weight)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (p *Pod) term(in *corev1.PodAffinityTerm, weight int32) (term, error) {
	t := term{topology: in.TopologyKey, weight: weight, namespaces: map[string]bool{}}
	for _, ns := range in.Namespaces {
		t.namespaces[ns] = true
	}
	if len(in.Namespaces) == 0 && in.NamespaceSelector == nil {
		t.namespaces[p.Obj.Namespace] = true
	}
	var err error
	if in.NamespaceSelector != nil {
		if t.inNamespaces, err = metav1.LabelSelectorAsSelector(in.NamespaceSelector); err != nil {
			return t, fmt.Errorf("pod affinity: namespace selector: %w", err)
		}
	}
	if t.selector, err = metav1.LabelSelectorAsSelector(in.LabelSelector); err != nil {
		return t, fmt.Errorf("pod affinity: label selector: %w", err)
	}
	if t.selector, err = p.withKeys(t.selector, in.MatchLabelKeys, selection.In); err == nil {
		t.selector, err = p.withKeys(t.selector, in.MismatchLabelKeys, selection.NotIn)
	}
	return t, err
}

func (p *Pod) compileSpread() error {
	for i := range p.Obj.Spec.TopologySpreadConstraints {
		in := &p.Obj.Spec.TopologySpreadConstraints[i]
		c := constraint{
			topology: in.TopologyKey, maxSkew: int(in.MaxSkew), minDomains: 1,
			hard:          in.WhenUnsatisfiable == corev1.DoNotSchedule,
			honorAffinity: in.NodeAffinityPolicy == nil || *in.NodeAffinityPolicy == corev1.NodeInclusionPolicyHonor,
			honorTaints:   in.NodeTaintsPolicy != nil && *in.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
		}
		if in.MinDomains != nil {
			c.minDomains = int(*in.MinDomains)
		}
		var err error
		if c.selector, err = metav1.LabelSelectorAsSelector(in.LabelSelector); err != nil {
			return fmt.Errorf("topology spread constraint: label selector: %w", err)
		}
		if c.selector, err = p.withKeys(c.selector, in.MatchLabelKeys, selection.In); err != nil {
			return err
		}
		p.spread = append(p.spread, c)
	}
	return nil
}

// withKeys narrows a selector by the pod's own values of some labels.
func (p *Pod) withKeys(s labels.Selector, keys []string, op selection.Operator) (labels.Selector, error) {
	for _, key := range keys {
		value, ok := p.Obj.Labels[key]
		if !ok {
			continue
		}
		r, err := labels.NewRequirement(key, op, []string{value})
		if err != nil {
			return nil, fmt.Errorf("label key %q: %w", key, err)
		}
		s = s.Add(*r)
	}
	return s, nil
}

// LooksAtPods says whether the pod's place depends on other pods, beyond the
// room that they take.
func (p *Pod) LooksAtPods() bool {
	return len(p.affinity)+len(p.antiAffinity)+len(p.spread) > 0
}

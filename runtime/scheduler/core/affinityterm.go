package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// affinityTerm is one term of affinity or anti-affinity between pods.
type affinityTerm struct {
	namespaces        map[string]bool
	namespaceSelector labels.Selector // nil: none
	selector          labels.Selector
	topologyKey       string
	weight            int64
}

// matches says whether a pod is meant by the term.
func (t *affinityTerm) matches(p *corev1.Pod, s *Snapshot) bool {
	if !t.namespaces[p.Namespace] && (t.namespaceSelector == nil || !t.namespaceSelector.Matches(s.namespaceLabels(p.Namespace))) {
		return false
	}
	return t.selector.Matches(labels.Set(p.Labels))
}

// mayMatch is matches without knowledge of namespaces' labels.
func (t *affinityTerm) mayMatch(p *corev1.Pod) bool {
	return (t.namespaces[p.Namespace] || t.namespaceSelector != nil) && t.selector.Matches(labels.Set(p.Labels))
}

// eachMatch visits the assigned pods that the term means.
func (t *affinityTerm) eachMatch(s *Snapshot, visit func(*assignedPod)) {
	if t.namespaceSelector != nil {
		for _, other := range s.pods {
			if t.matches(other.Pod, s) {
				visit(other)
			}
		}
		return
	}
	for ns := range t.namespaces {
		for _, other := range s.byNamespace[ns] {
			if t.matches(other.Pod, s) {
				visit(other)
			}
		}
	}
}

func (p *PodInfo) compileAffinityTerms() (err error) {
	a := p.Pod.Spec.Affinity
	if a == nil {
		return nil
	}
	if a.PodAffinity != nil {
		if p.requiredAffinity, err = p.requiredTerms(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return fmt.Errorf("pod affinity: %w", err)
		}
		if p.preferredAffinity, err = p.weightedTerms(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return fmt.Errorf("pod affinity: %w", err)
		}
	}
	if a.PodAntiAffinity != nil {
		if p.requiredAntiAffinity, err = p.requiredTerms(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution); err != nil {
			return fmt.Errorf("pod anti-affinity: %w", err)
		}
		if p.preferredAntiAffinity, err = p.weightedTerms(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution); err != nil {
			return fmt.Errorf("pod anti-affinity: %w", err)
		}
	}
	return nil
}

func (p *PodInfo) requiredTerms(in []corev1.PodAffinityTerm) (out []affinityTerm, err error) {
	out = make([]affinityTerm, len(in))
	for i := range in {
		if out[i], err = p.newTerm(&in[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *PodInfo) weightedTerms(in []corev1.WeightedPodAffinityTerm) (out []affinityTerm, err error) {
	out = make([]affinityTerm, len(in))
	for i := range in {
		if out[i], err = p.newTerm(&in[i].PodAffinityTerm); err != nil {
			return nil, err
		}
		out[i].weight = int64(in[i].Weight)
	}
	return out, nil
}

func (p *PodInfo) newTerm(in *corev1.PodAffinityTerm) (t affinityTerm, err error) {
	t = affinityTerm{topologyKey: in.TopologyKey, namespaces: map[string]bool{}}
	for _, ns := range in.Namespaces {
		t.namespaces[ns] = true
	}
	if len(in.Namespaces) == 0 && in.NamespaceSelector == nil {
		t.namespaces[p.Pod.Namespace] = true
	}
	if in.NamespaceSelector != nil {
		if t.namespaceSelector, err = metav1.LabelSelectorAsSelector(in.NamespaceSelector); err != nil {
			return t, fmt.Errorf("namespace selector: %w", err)
		}
	}
	if t.selector, err = metav1.LabelSelectorAsSelector(in.LabelSelector); err != nil {
		return t, fmt.Errorf("label selector: %w", err)
	}
	if t.selector, err = p.withLabelKeys(t.selector, in.MatchLabelKeys, selection.In); err == nil {
		t.selector, err = p.withLabelKeys(t.selector, in.MismatchLabelKeys, selection.NotIn)
	}
	return t, err
}

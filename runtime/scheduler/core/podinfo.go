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

// PodInfo is a pod with all that placement asks of it compiled once. It is never
// changed.
type PodInfo struct {
	Pod      *corev1.Pod
	Priority int32

	requests, nonZeroRequests Resource
	hostPorts                 []hostPort
	owner                     types.UID // controller; empty: none
	images                    []string
	claims                    []string // namespace/name

	hasNodeAffinity       bool
	requiredNodeAffinity  nodeaffinity.RequiredNodeAffinity
	preferredNodeAffinity *nodeaffinity.PreferredSchedulingTerms

	requiredAffinity, requiredAntiAffinity   []affinityTerm
	preferredAffinity, preferredAntiAffinity []affinityTerm // with weights
	spreadConstraints                        []spreadConstraint
}

// NewPodInfo compiles a pod. It fails for selectors that cannot be parsed.
func NewPodInfo(obj *corev1.Pod) (*PodInfo, error) {
	p := &PodInfo{Pod: obj, hostPorts: hostPortsOf(obj), claims: claimKeys(obj)}
	if obj.Spec.Priority != nil {
		p.Priority = *obj.Spec.Priority
	}
	p.requests, p.nonZeroRequests = podRequests(obj)
	if ref := metav1.GetControllerOfNoCopy(obj); ref != nil {
		p.owner = ref.UID
	}
	for i := range obj.Spec.Containers {
		p.images = append(p.images, normalizedImageName(obj.Spec.Containers[i].Image))
	}
	for _, compile := range []func() error{p.compileNodeAffinity, p.compileAffinityTerms, p.compileSpreadConstraints} {
		if err := compile(); err != nil {
			return nil, fmt.Errorf("pod %s/%s: %w", obj.Namespace, obj.Name, err)
		}
	}
	return p, nil
}

// hasAffinity says whether the pod has terms about other pods by which it weighs
// with newcomers.
func (p *PodInfo) hasAffinity() bool {
	return len(p.requiredAffinity)+len(p.preferredAffinity)+len(p.preferredAntiAffinity) > 0
}

// withLabelKeys narrows a selector by the pod's own values of some labels.
func (p *PodInfo) withLabelKeys(s labels.Selector, keys []string, op selection.Operator) (labels.Selector, error) {
	for _, key := range keys {
		value, ok := p.Pod.Labels[key]
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

package admission

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// RuntimeClass refuses pods whose class does not exist, and gives the others the
// class's overhead, node selector and tolerations.
//
// https://kubernetes.io/docs/concepts/containers/runtime-class/
type RuntimeClass struct {
	// Class returns a class, or a NotFound error.
	Class func(ctx context.Context, name string) (*nodev1.RuntimeClass, error)
}

var (
	_ admission.MutationInterface   = &RuntimeClass{}
	_ admission.ValidationInterface = &RuntimeClass{}
)

// Handles says that new pods are looked at.
func (p *RuntimeClass) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit completes the pod.
func (p *RuntimeClass) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := newPod(a)
	if !ok {
		return nil
	}
	class, err := p.class(ctx, a, pod)
	if err != nil || class == nil {
		return err
	}
	if o := class.Overhead; o != nil {
		if len(pod.Spec.Overhead) > 0 && !equality.Semantic.DeepEqual(o.PodFixed, pod.Spec.Overhead) {
			return admission.NewForbidden(a, errOverhead)
		}
		pod.Spec.Overhead = o.PodFixed.DeepCopy()
	}
	if s := class.Scheduling; s != nil {
		selector := map[string]string{}
		maps.Copy(selector, pod.Spec.NodeSelector)
		for k, v := range s.NodeSelector {
			if has, ok := selector[k]; ok && has != v {
				return admission.NewForbidden(a, fmt.Errorf("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", k, v, k, has))
			}
			selector[k] = v
		}
		if len(selector) > 0 {
			pod.Spec.NodeSelector = selector
		}
		pod.Spec.Tolerations = mergeTolerations(pod.Spec.Tolerations, s.Tolerations)
	}
	return nil
}

// Validate makes sure that the overhead is still the class's after other plugins
// had their say.
func (p *RuntimeClass) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := newPod(a)
	if !ok {
		return nil
	}
	class, err := p.class(ctx, a, pod)
	switch {
	case err != nil:
		return err
	case class == nil || class.Overhead == nil:
		if pod.Spec.Overhead != nil {
			return admission.NewForbidden(a, fmt.Errorf("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"))
		}
	case !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead):
		return admission.NewForbidden(a, errOverhead)
	}
	return nil
}

var errOverhead = fmt.Errorf("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")

// class is nil for a pod that names none.
func (p *RuntimeClass) class(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (*nodev1.RuntimeClass, error) {
	name := pod.Spec.RuntimeClassName
	if name == nil {
		return nil, nil
	}
	class, err := p.Class(ctx, *name)
	if errors.IsNotFound(err) {
		return nil, admission.NewForbidden(a, fmt.Errorf("pod rejected: RuntimeClass %q not found", *name))
	}
	if err != nil {
		return nil, errors.NewInternalError(fmt.Errorf("look up RuntimeClass %s: %w", *name, err))
	}
	return class, nil
}

// mergeTolerations joins two lists and leaves out what another of them covers. Of
// two that are equal the first stays.
func mergeTolerations(first, second []corev1.Toleration) []corev1.Toleration {
	all := append(append([]corev1.Toleration(nil), first...), second...)
	var merged []corev1.Toleration
	for i, t := range all {
		redundant := false
		for _, kept := range merged {
			redundant = redundant || covers(kept, t)
		}
		for _, later := range all[i+1:] {
			redundant = redundant || covers(later, t) && !equality.Semantic.DeepEqual(later, t)
		}
		if !redundant {
			merged = append(merged, t)
		}
	}
	return merged
}

// covers says whether wide tolerates everything that t does.
func covers(wide, t corev1.Toleration) bool {
	if equality.Semantic.DeepEqual(wide, t) {
		return true
	}
	if t.Key != wide.Key && (wide.Key != "" || wide.Operator != corev1.TolerationOpExists) {
		return false
	}
	if t.Effect != wide.Effect && wide.Effect != "" {
		return false
	}
	if s := wide.TolerationSeconds; wide.Effect == corev1.TaintEffectNoExecute && s != nil && (t.TolerationSeconds == nil || *t.TolerationSeconds > *s) {
		return false
	}
	switch wide.Operator {
	case corev1.TolerationOpEqual, "":
		return t.Operator == corev1.TolerationOpEqual && t.Value == wide.Value
	case corev1.TolerationOpExists:
		return true
	}
	return false
}

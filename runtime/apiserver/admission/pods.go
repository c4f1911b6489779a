package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
)

// Priority turns a pod's priorityClassName into its priority, and makes sure that
// there is at most one default class.
type Priority struct {
	// Class returns a priority class, or a NotFound error.
	Class func(ctx context.Context, name string) (*schedulingv1.PriorityClass, error)
	// Default returns the class of pods that name none, or nil.
	Default func(ctx context.Context) (*schedulingv1.PriorityClass, error)
}

var (
	_ admission.MutationInterface   = &Priority{}
	_ admission.ValidationInterface = &Priority{}
)

// Handles says that writes are looked at.
func (p *Priority) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Admit resolves the class of a new pod.
func (p *Priority) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := newPod(a)
	if !ok {
		return nil
	}
	var class *schedulingv1.PriorityClass
	var err error
	if pod.Spec.PriorityClassName == "" {
		if class, err = p.Default(ctx); err != nil {
			return errors.NewInternalError(fmt.Errorf("look up the default priority class: %w", err))
		}
	} else if class, err = p.Class(ctx, pod.Spec.PriorityClassName); errors.IsNotFound(err) {
		return admission.NewForbidden(a, fmt.Errorf("no PriorityClass with name %s was found", pod.Spec.PriorityClassName))
	} else if err != nil {
		return errors.NewInternalError(fmt.Errorf("look up priority class %s: %w", pod.Spec.PriorityClassName, err))
	}
	value, policy := int32(0), corev1.PreemptLowerPriority
	if class != nil {
		value = class.Value
		pod.Spec.PriorityClassName = class.Name
		if class.PreemptionPolicy != nil {
			policy = *class.PreemptionPolicy
		}
	}
	if pod.Spec.Priority != nil && *pod.Spec.Priority != value {
		return admission.NewForbidden(a, fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *pod.Spec.Priority, value))
	}
	if pod.Spec.PreemptionPolicy != nil && *pod.Spec.PreemptionPolicy != policy {
		return admission.NewForbidden(a, fmt.Errorf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *pod.Spec.PreemptionPolicy, policy))
	}
	pod.Spec.Priority, pod.Spec.PreemptionPolicy = &value, &policy
	return nil
}

// Validate refuses a second default class.
func (p *Priority) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	class, ok := a.GetObject().(*schedulingv1.PriorityClass)
	if !ok || !class.GlobalDefault {
		return nil
	}
	other, err := p.Default(ctx)
	if err != nil {
		return errors.NewInternalError(fmt.Errorf("look up the default priority class: %w", err))
	}
	if other != nil && other.Name != class.Name {
		return admission.NewForbidden(a, fmt.Errorf("PriorityClass %v is already marked as default. Only one default can exist", other.Name))
	}
	return nil
}

// tolerationSeconds is how long a pod stays on a node that is unreachable or not
// ready, unless it says otherwise.
const tolerationSeconds = 300

// DefaultTolerations lets pods stay on a failed node for a while.
type DefaultTolerations struct{}

var _ admission.MutationInterface = DefaultTolerations{}

// Handles says that updates are looked at too: tolerations are one list, and who sends it
// without these, as an apply of the pod's manifest does, takes none away.
func (DefaultTolerations) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Admit adds the two tolerations where the pod has none for the taint.
func (DefaultTolerations) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" {
		return nil
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if !tolerates(pod.Spec.Tolerations, key) {
			seconds := int64(tolerationSeconds)
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
				Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
			})
		}
	}
	return nil
}

func tolerates(list []corev1.Toleration, key string) bool {
	for _, t := range list {
		if (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
			return true
		}
	}
	return false
}

package quota

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/admission"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
)

// rules are how one kind counts. Functions may be nil where it has no such rule.
type rules[T runtime.Object] struct {
	resource schema.GroupResource
	list     generic.ListFuncByNamespace
	// handles says whether a write can change what the object costs.
	handles func(a admission.Attributes) bool
	// counts says whether the kind counts towards a resource.
	counts func(name corev1.ResourceName) bool
	// usage is what an object costs.
	usage func(T) corev1.ResourceList
	// inScope says whether an object is in a scope.
	inScope func(scope corev1.ScopedResourceSelectorRequirement, obj T) (bool, error)
	// constraints refuses an object that does not say what it costs.
	constraints func(required []corev1.ResourceName, obj T) error
}

type evaluator[T runtime.Object] struct{ rules[T] }

func (e evaluator[T]) object(o runtime.Object) (T, error) {
	obj, ok := o.(T)
	if !ok {
		return obj, fmt.Errorf("quota of %s: got a %T", e.resource, o)
	}
	return obj, nil
}

// GroupResource is the kind's.
func (e evaluator[T]) GroupResource() schema.GroupResource { return e.resource }

// Handles says whether a write can change what the object costs.
func (e evaluator[T]) Handles(a admission.Attributes) bool { return e.handles(a) }

// MatchingResources are those of a quota that the kind counts towards.
func (e evaluator[T]) MatchingResources(input []corev1.ResourceName) []corev1.ResourceName {
	out := []corev1.ResourceName{}
	for _, name := range input {
		if e.counts(name) {
			out = append(out, name)
		}
	}
	return out
}

// Matches says whether an object counts against a quota.
func (e evaluator[T]) Matches(q *corev1.ResourceQuota, item runtime.Object) (bool, error) {
	return generic.Matches(q, item, e.MatchingResources, e.scope)
}

func (e evaluator[T]) scope(s corev1.ScopedResourceSelectorRequirement, item runtime.Object) (bool, error) {
	obj, err := e.object(item)
	if err != nil || e.inScope == nil {
		return false, err
	}
	return e.inScope(s, obj)
}

// MatchingScopes are those that an object is in.
func (e evaluator[T]) MatchingScopes(item runtime.Object, scopes []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	out := []corev1.ScopedResourceSelectorRequirement{}
	for _, s := range scopes {
		in, err := e.scope(s, item)
		if err != nil {
			return out, fmt.Errorf("error on matching scope %v: %w", s, err)
		}
		if in {
			out = append(out, s)
		}
	}
	return out, nil
}

// UncoveredQuotaScopes are the limited scopes that no quota covers.
func (e evaluator[T]) UncoveredQuotaScopes(limited, covered []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	names := map[corev1.ResourceQuotaScope]bool{}
	for _, s := range covered {
		names[s.ScopeName] = true
	}
	out := []corev1.ScopedResourceSelectorRequirement{}
	for _, s := range limited {
		if e.inScope != nil && !names[s.ScopeName] {
			out = append(out, s)
		}
	}
	return out, nil
}

// Constraints refuses an object that does not say what it costs.
func (e evaluator[T]) Constraints(required []corev1.ResourceName, item runtime.Object) error {
	obj, err := e.object(item)
	if err != nil || e.constraints == nil {
		return err
	}
	return e.constraints(required, obj)
}

// Usage is what an object costs.
func (e evaluator[T]) Usage(item runtime.Object) (corev1.ResourceList, error) {
	obj, err := e.object(item)
	if err != nil {
		return nil, err
	}
	return e.usage(obj), nil
}

// UsageStats adds up the objects of a namespace.
func (e evaluator[T]) UsageStats(o apiquota.UsageStatsOptions) (apiquota.UsageStats, error) {
	return generic.CalculateUsageStats(o, e.list, e.scope, e.Usage)
}

// selects says whether a scope's requirement selects one of the values, of which
// there may be none.
func selects(s corev1.ScopedResourceSelectorRequirement, values ...string) (bool, error) {
	op, ok := map[corev1.ScopeSelectorOperator]selection.Operator{
		corev1.ScopeSelectorOpIn: selection.In, corev1.ScopeSelectorOpNotIn: selection.NotIn,
		corev1.ScopeSelectorOpExists: selection.Exists, corev1.ScopeSelectorOpDoesNotExist: selection.DoesNotExist,
	}[s.Operator]
	if !ok {
		return false, fmt.Errorf("%q is not a valid scope selector operator", s.Operator)
	}
	r, err := labels.NewRequirement(string(s.ScopeName), op, s.Values)
	if err != nil {
		return false, fmt.Errorf("scope %s: %w", s.ScopeName, err)
	}
	if len(values) == 0 {
		return r.Matches(labels.Set{}), nil
	}
	for _, v := range values {
		if r.Matches(labels.Set{string(s.ScopeName): v}) {
			return true, nil
		}
	}
	return false, nil
}

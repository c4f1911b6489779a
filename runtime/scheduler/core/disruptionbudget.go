package core

import (
	"slices"
	"strings"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// disruptionBudget is what a preemption must know of a PodDisruptionBudget.
type disruptionBudget struct {
	name     string
	selector labels.Selector
	allowed  int32
	// disrupted are pods by name that the budget has accounted already.
	disrupted map[string]metav1.Time
}

// DisruptionBudgets are the budgets of each namespace, by name.
type DisruptionBudgets map[string][]*disruptionBudget

// Set adds a budget or replaces what is known of it. One whose selector cannot be parsed
// protects nothing, and neither does one that selects all: so it is in preemptions
// (evictions through the API differ).
func (d DisruptionBudgets) Set(o *policyv1.PodDisruptionBudget) {
	d.Remove(o.Namespace, o.Name)
	selector, err := metav1.LabelSelectorAsSelector(o.Spec.Selector)
	if err != nil || selector.Empty() {
		return
	}
	i, _ := findBudget(d[o.Namespace], o.Name)
	d[o.Namespace] = slices.Insert(d[o.Namespace], i, &disruptionBudget{
		name: o.Name, selector: selector, allowed: o.Status.DisruptionsAllowed, disrupted: o.Status.DisruptedPods,
	})
}

// Remove forgets a budget.
func (d DisruptionBudgets) Remove(namespace, name string) {
	i, found := findBudget(d[namespace], name)
	if !found {
		return
	}
	if d[namespace] = slices.Delete(d[namespace], i, i+1); len(d[namespace]) == 0 {
		delete(d, namespace)
	}
}

func findBudget(list []*disruptionBudget, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(b *disruptionBudget, name string) int { return strings.Compare(b.name, name) })
}

// violated says of each pod whether a budget is violated when it goes after those
// before it.
func (d DisruptionBudgets) violated(pods []*PodInfo) []bool {
	used := map[*disruptionBudget]int32{}
	out := make([]bool, len(pods))
	for i, p := range pods {
		if len(p.Pod.Labels) == 0 {
			continue
		}
		for _, b := range d[p.Pod.Namespace] {
			if _, accounted := b.disrupted[p.Pod.Name]; accounted || !b.selector.Matches(labels.Set(p.Pod.Labels)) {
				continue
			}
			if used[b]++; used[b] > b.allowed {
				out[i] = true
				break
			}
		}
	}
	return out
}

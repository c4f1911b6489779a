package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// Previewed is what a drain of some nodes would do.
type Previewed struct {
	// Pods that would be evicted, as namespace/name, by node.
	Pods map[string][]string
	// Blockers are the disruption budgets that allow no eviction now, with the pods
	// that they hold back, as namespace/name.
	Blockers map[string][]string
}

// Preview looks at the nodes, and changes nothing.
func Preview(ctx context.Context, c kubernetes.Interface, nodes []string) (Previewed, error) {
	out := Previewed{Pods: map[string][]string{}, Blockers: map[string][]string{}}
	budgets, err := c.PolicyV1().PodDisruptionBudgets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return out, fmt.Errorf("list disruption budgets: %w", err)
	}
	for _, node := range nodes {
		h := helper(ctx, c, Options{})
		list, errs := h.GetPodsForDeletion(node)
		if err := errors.Join(errs...); err != nil {
			return out, fmt.Errorf("list the pods of node %s: %w", node, err)
		}
		for _, p := range list.Pods() {
			name := p.Namespace + "/" + p.Name
			out.Pods[node] = append(out.Pods[node], name)
			for _, b := range budgets.Items {
				if blocks(b, p) {
					by := b.Namespace + "/" + b.Name
					out.Blockers[by] = append(out.Blockers[by], name)
				}
			}
		}
		slices.Sort(out.Pods[node])
	}
	return out, nil
}

// blocks reports whether the budget allows no eviction of the pod now.
func blocks(b policyv1.PodDisruptionBudget, p corev1.Pod) bool {
	selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
	return err == nil && b.Namespace == p.Namespace && b.Status.DisruptionsAllowed == 0 && selector.Matches(labels.Set(p.Labels))
}

package disruption

import (
	"fmt"

	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// desiredHealthy resolves the budget's number. Absolute minima look at the pods
// that are there; shares and maxima at those that are asked for.
func desiredHealthy(pdb *policyv1.PodDisruptionBudget, there, asked int) (desired, expected int, err error) {
	switch {
	case pdb.Spec.MaxUnavailable != nil:
		n, err := intstr.GetScaledValueFromIntOrPercent(pdb.Spec.MaxUnavailable, asked, true)
		if err != nil {
			return 0, 0, fmt.Errorf("maxUnavailable: %w", err)
		}
		return max(0, asked-n), asked, nil
	case pdb.Spec.MinAvailable != nil && pdb.Spec.MinAvailable.Type == intstr.Int:
		return pdb.Spec.MinAvailable.IntValue(), there, nil
	case pdb.Spec.MinAvailable != nil:
		n, err := intstr.GetScaledValueFromIntOrPercent(pdb.Spec.MinAvailable, asked, true)
		if err != nil {
			return 0, 0, fmt.Errorf("minAvailable: %w", err)
		}
		return n, asked, nil
	}
	return 0, asked, nil
}

package disruption

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gantry-run/gantry/runtime/pod"
)

// believed is how long an eviction that the server admitted counts as under way
// though the pod does not look so yet.
const believed = 2 * time.Minute

// statusOf is the status that the matching pods give. expected is how many pods
// their owners ask for. recheck is when an admitted eviction stops to count.
func statusOf(pdb *policyv1.PodDisruptionBudget, matching []*corev1.Pod, expected int, now time.Time) (s policyv1.PodDisruptionBudgetStatus, recheck time.Duration, err error) {
	s = *pdb.Status.DeepCopy()
	desired, expected, err := desiredHealthy(pdb, len(matching), expected)
	if err != nil {
		return s, 0, err
	}
	admitted := map[string]metav1.Time{}
	healthy := 0
	for _, p := range matching {
		if p.DeletionTimestamp != nil {
			continue
		}
		if at, ok := s.DisruptedPods[p.Name]; ok {
			if left := at.Add(believed).Sub(now); left > 0 {
				admitted[p.Name] = at
				if recheck == 0 || left < recheck {
					recheck = left
				}
				continue
			}
		}
		if pod.IsReady(p) {
			healthy++
		}
	}
	s.DisruptedPods = admitted
	if len(admitted) == 0 {
		s.DisruptedPods = nil
	}
	s.ExpectedPods, s.DesiredHealthy, s.CurrentHealthy = int32(expected), int32(desired), int32(healthy)
	s.DisruptionsAllowed = int32(max(0, healthy-desired))
	if expected == 0 {
		s.DisruptionsAllowed = 0
	}
	s.ObservedGeneration = pdb.Generation
	return s, recheck, nil
}

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

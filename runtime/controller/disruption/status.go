package disruption

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// evictionTimeout is how long an eviction that the server admitted counts as under way
// though the pod does not look so yet.
const evictionTimeout = 2 * time.Minute

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
			if left := at.Add(evictionTimeout).Sub(now); left > 0 {
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

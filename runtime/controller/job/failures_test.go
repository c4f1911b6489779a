package job

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWhatAnIndexHasFailed: each pod counts after those before it, unless the policy has it
// ignored. The first rule that fits decides, also where it fails the index.
func TestWhatAnIndexHasFailed(t *testing.T) {
	rule := func(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes}}
	}
	failed := func(code int32, counted, ignored string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{batchv1.JobIndexFailureCountAnnotation: counted, batchv1.JobIndexIgnoredFailureCountAnnotation: ignored}},
			Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}}},
		}
	}
	const ignore, failIndex = batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionFailIndex
	for name, tc := range map[string]struct {
		rules             []batchv1.PodFailurePolicyRule
		before            *corev1.Pod
		failures, ignored int
	}{
		"nobody before":              {nil, nil, 0, 0},
		"the first":                  {nil, failed(1, "", ""), 1, 0},
		"a later one":                {nil, failed(1, "2", "1"), 3, 1},
		"one that is ignored":        {[]batchv1.PodFailurePolicyRule{rule(ignore, 42)}, failed(42, "2", "1"), 2, 2},
		"one that is not":            {[]batchv1.PodFailurePolicyRule{rule(ignore, 42)}, failed(1, "2", "1"), 3, 1},
		"one that fails the index":   {[]batchv1.PodFailurePolicyRule{rule(failIndex, 42), rule(ignore, 42)}, failed(42, "0", "0"), 1, 0},
		"one that is ignored before": {[]batchv1.PodFailurePolicyRule{rule(ignore, 42), rule(failIndex, 42)}, failed(42, "0", "0"), 0, 1},
		"counts that are none":       {nil, failed(1, "-1", "x"), 1, 0},
	} {
		j := newJob(3, 3)
		if tc.rules != nil {
			j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: tc.rules}
		}
		if failures, ignored := failuresBefore(j, tc.before); failures != tc.failures || ignored != tc.ignored {
			t.Errorf("%s: %d, ignored %d", name, failures, ignored)
		}
	}
}

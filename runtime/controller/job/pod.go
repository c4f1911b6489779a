package job

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
	"github.com/gantry-run/gantry/runtime/pod"
)

// This file makes the pods of a job and reads from them what only jobs know of.

// indexVariable tells a container its completion index.
const indexVariable = "JOB_COMPLETION_INDEX"

func indexed(j *batchv1.Job) bool {
	return j.Spec.CompletionMode != nil && *j.Spec.CompletionMode == batchv1.IndexedCompletion
}

func perIndex(j *batchv1.Job) bool { return indexed(j) && j.Spec.BackoffLimitPerIndex != nil }

// replacesEnded says whether a pod is replaced only when it has ended, and not as
// soon as it is being deleted.
func replacesEnded(j *batchv1.Job) bool {
	return j.Spec.PodFailurePolicy != nil || (j.Spec.PodReplacementPolicy != nil && *j.Spec.PodReplacementPolicy == batchv1.Failed)
}

// newPod is a pod of the job; before is the failed one that it replaces, if it
// has an index with failures of its own.
func newPod(j *batchv1.Job, index int, before *corev1.Pod, ref metav1.OwnerReference) *corev1.Pod {
	p := pods.FromTemplate(&j.Spec.Template, j.Namespace, j.Name, ref)
	if !slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) {
		p.Finalizers = append(p.Finalizers, batchv1.JobTrackingFinalizer)
	}
	if !indexed(j) {
		return p
	}
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.GenerateName = fmt.Sprintf("%s-%d-", j.Name, index)
	p.Spec.Hostname = fmt.Sprintf("%s-%d", j.Name, index)
	p.Annotations[batchv1.JobCompletionIndexAnnotation] = strconv.Itoa(index)
	p.Labels[batchv1.JobCompletionIndexAnnotation] = strconv.Itoa(index)
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			tellIndex(&list[i])
		}
	}
	if perIndex(j) {
		failures, ignored := failuresBefore(j, before)
		p.Annotations[batchv1.JobIndexFailureCountAnnotation] = strconv.Itoa(failures)
		if ignored > 0 {
			p.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation] = strconv.Itoa(ignored)
		}
	}
	return p
}

func tellIndex(c *corev1.Container) {
	if slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == indexVariable }) {
		return
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: indexVariable, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
		FieldPath: fmt.Sprintf("metadata.labels['%s']", batchv1.JobCompletionIndexAnnotation),
	}}})
}

// failuresBefore are how often an index has failed, and failed without counting,
// after the given pod of it.
func failuresBefore(j *batchv1.Job, before *corev1.Pod) (failures, ignored int) {
	if before == nil {
		return 0, 0
	}
	failures, ignored = number(before, batchv1.JobIndexFailureCountAnnotation), number(before, batchv1.JobIndexIgnoredFailureCountAnnotation)
	if action, _ := match(j.Spec.PodFailurePolicy, before, true); action == batchv1.PodFailurePolicyActionIgnore {
		return failures, ignored + 1
	}
	return failures + 1, ignored
}

func number(p *corev1.Pod, annotation string) int {
	n, err := strconv.Atoi(p.Annotations[annotation])
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// indexOf is the pod's completion index; -1 when it has none.
func indexOf(p *corev1.Pod) int {
	n, err := strconv.Atoi(p.Annotations[batchv1.JobCompletionIndexAnnotation])
	if err != nil || n < 0 {
		return -1
	}
	return n
}

func tracked(p *corev1.Pod) bool { return slices.Contains(p.Finalizers, batchv1.JobTrackingFinalizer) }

// failed says whether the pod counts as failed. One that was deleted before it
// was bound never gets to an end of its own.
func failed(j *batchv1.Job, p *corev1.Pod) bool {
	if p.Status.Phase == corev1.PodFailed {
		return true
	}
	return p.DeletionTimestamp != nil && p.Status.Phase != corev1.PodSucceeded && (!replacesEnded(j) || p.Spec.NodeName == "")
}

// endOf is when a pod ended, as well as it is known.
func endOf(p *corev1.Pod) time.Time {
	var end time.Time
	for _, c := range p.Status.ContainerStatuses {
		if t := c.State.Terminated; t != nil && t.FinishedAt.After(end) {
			end = t.FinishedAt.Time
		}
	}
	if c := pod.Condition(&p.Status, corev1.PodReady); end.IsZero() && c != nil {
		end = c.LastTransitionTime.Time
	}
	if end.IsZero() && p.DeletionTimestamp != nil {
		end = p.DeletionTimestamp.Time
	}
	if end.IsZero() {
		end = p.CreationTimestamp.Time
	}
	return end
}

// A pod that failed is followed by another one after a pause that doubles with
// each failure, up to the longest.
const (
	firstPause   = 10 * time.Second
	longestPause = 10 * time.Minute
)

// pause is what is left of it after so many failures, the last of them at a time.
func pause(failures int, last, now time.Time) time.Duration {
	if failures <= 0 {
		return 0
	}
	d := longestPause
	if failures < 10 {
		d = min(d, firstPause<<(failures-1))
	}
	return max(0, last.Add(d).Sub(now))
}

// pauseOfAll counts failures since the last success of any pod.
func pauseOfAll(list []*corev1.Pod, now time.Time) time.Duration {
	ended := slices.DeleteFunc(slices.Clone(list), func(p *corev1.Pod) bool { return !pod.IsTerminal(p) })
	slices.SortStableFunc(ended, func(a, b *corev1.Pod) int { return endOf(b).Compare(endOf(a)) })
	n := slices.IndexFunc(ended, func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	if n < 0 {
		n = len(ended)
	}
	if n == 0 {
		return 0
	}
	return pause(n, endOf(ended[0]), now)
}

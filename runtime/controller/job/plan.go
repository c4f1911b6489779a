package job

import (
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/controller/internal/pods"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// This file decides what becomes of a job, from its pods and the time alone.

// decision is what one reconciliation does.
type decision struct {
	create int
	// indexes are those of the pods to create, of an indexed job.
	indexes []int
	delete  []*corev1.Pod
	wait    time.Duration // until something is due without an event (0: nothing is)
}

// verdict says how the job ends, if it does: failed or not, and why.
func verdict(j *batchv1.Job, t tally, list []*corev1.Pod, now time.Time) (target batchv1.JobConditionType, reason, message string) {
	fail := func(reason, message string) (batchv1.JobConditionType, string, string) {
		return batchv1.JobFailureTarget, reason, message
	}
	limit := int(*j.Spec.BackoffLimit)
	switch {
	case t.failJob != "":
		return fail(batchv1.JobReasonPodFailurePolicy, t.failJob)
	case t.failed > limit, restartsBeyond(j, list, limit):
		return fail(batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
	case j.Spec.ActiveDeadlineSeconds != nil && deadline(j, now) == 0:
		return fail(batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
	case perIndex(j) && j.Spec.MaxFailedIndexes != nil && t.failedIndexes.count() > int(*j.Spec.MaxFailedIndexes):
		return fail(batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes")
	case perIndex(j) && t.failedIndexes.count() > 0 && t.failedIndexes.count()+t.succeeded >= completions(j):
		return fail(batchv1.JobReasonFailedIndexes, "Job has failed indexes")
	}
	if rule, ok := succeeds(j.Spec.SuccessPolicy, t.completed); ok {
		return batchv1.JobSuccessCriteriaMet, batchv1.JobReasonSuccessPolicy, fmt.Sprintf("Matched rules at index %d", rule)
	}
	// Without a number of completions, one says that the work is done, and those
	// still at it are waited for.
	queueEmpty := j.Spec.Completions == nil && t.succeeded > 0 && len(t.active) == 0 && len(t.terminating) == 0
	if queueEmpty || t.succeeded >= completions(j) {
		return batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods"
	}
	return "", "", ""
}

// restartsBeyond counts restarts of containers, where the kubelet retries.
func restartsBeyond(j *batchv1.Job, list []*corev1.Pod, limit int) bool {
	if j.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	n := 0
	for _, p := range list {
		if p.Status.Phase != corev1.PodRunning && p.Status.Phase != corev1.PodPending {
			continue
		}
		for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			n += int(c.RestartCount)
		}
	}
	return n > 0 && n >= limit
}

// deadline is what is left of activeDeadlineSeconds; negative when it does not run.
func deadline(j *batchv1.Job, now time.Time) time.Duration {
	if j.Spec.ActiveDeadlineSeconds == nil || j.Status.StartTime == nil || suspended(j) {
		return -1
	}
	return max(0, j.Status.StartTime.Add(time.Duration(*j.Spec.ActiveDeadlineSeconds)*time.Second).Sub(now))
}

// manage keeps as many pods at work as there is work for.
func manage(j *batchv1.Job, t tally, list []*corev1.Pod, now time.Time) decision {
	var d decision
	want := int(*j.Spec.Parallelism)
	switch {
	case j.Spec.Completions != nil:
		want = min(want, max(0, completions(j)-t.succeeded))
	case t.succeeded > 0:
		want = min(want, len(t.active))
	}
	ranked := pods.Rank(t.active, t.active, now)
	if indexed(j) {
		var keep []*corev1.Pod
		keep, d.delete = sortIndexes(j, t, ranked)
		ranked = keep
	}
	if excess := len(ranked) - want; excess > 0 {
		d.delete = append(d.delete, ranked[:excess]...)
		return d
	}
	busy := len(ranked)
	if replacesEnded(j) {
		busy += len(t.terminating)
	}
	room := min(want-busy, atOnce)
	if room <= 0 {
		return d
	}
	if !perIndex(j) {
		if d.wait = pauseOfAll(list, now); d.wait > 0 {
			return d
		}
	}
	if !indexed(j) {
		d.create = room
		return d
	}
	taken := map[int]bool{}
	for _, p := range ranked {
		taken[indexOf(p)] = true
	}
	if replacesEnded(j) {
		for _, p := range t.terminating {
			taken[indexOf(p)] = true
		}
	}
	for i := 0; i < completions(j) && len(d.indexes) < room; i++ {
		if taken[i] || t.completed.has(i) || t.failedIndexes.has(i) {
			continue
		}
		if last := t.before[i]; last != nil {
			if left := pause(tries(last)+1, endOf(last), now); left > 0 {
				d.wait = reconcile.Sooner(d.wait, left)
				continue
			}
		}
		d.indexes = append(d.indexes, i)
	}
	d.create = len(d.indexes)
	return d
}

// sortIndexes splits active pods into the one per index that is needed and those
// that are not: duplicates (the less worthy come first), and indexes that are done
// or beyond the number of completions.
func sortIndexes(j *batchv1.Job, t tally, ranked []*corev1.Pod) (keep, drop []*corev1.Pod) {
	seen := map[int]bool{}
	for _, p := range slices.Backward(ranked) {
		i := indexOf(p)
		if i < 0 || i >= completions(j) || seen[i] || t.completed.has(i) || t.failedIndexes.has(i) {
			drop = append(drop, p)
			continue
		}
		seen[i] = true
		keep = append(keep, p)
	}
	slices.Reverse(keep)
	return keep, drop
}

package job

import (
	"math"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/runtime/pod"
)

// A pod that has ended is counted once, whatever is interrupted: its UID goes
// into the status as uncounted, its finalizer is taken, and then the UID leaves
// the status as the counter rises. Of an indexed job, completions need no such
// care, since a set has no element twice.

// atOnce bounds the pods that are counted or created in one reconciliation.
const atOnce = 500

// tally is what the pods of a job amount to.
type tally struct {
	active      []*corev1.Pod // neither ended nor being deleted
	terminating []*corev1.Pod // being deleted, and not ended
	ready       int
	// succeeded and failed are all, also those that the status does not count yet.
	succeeded, failed int
	completed         indexes
	failedIndexes     indexes
	// before is each index's last failed pod, for jobs that limit failures per index.
	before map[int]*corev1.Pod
	// release are pods whose finalizers may go once the status is written; settled
	// and uncounted are what that status says.
	release                            []*corev1.Pod
	settledSucceeded, settledFailed    int
	uncountedSucceeded, uncountedFails []types.UID
	// news says that the status must be written before finalizers go.
	news bool
	// failJob is why the failure policy ends the job; empty when it does not.
	failJob string
}

func completions(j *batchv1.Job) int {
	if j.Spec.Completions == nil {
		return math.MaxInt
	}
	return int(*j.Spec.Completions)
}

func tallyOf(j *batchv1.Job, list []*corev1.Pod) tally {
	t := tally{settledSucceeded: int(j.Status.Succeeded), settledFailed: int(j.Status.Failed)}
	if indexed(j) {
		t.completed = parseIndexes(j.Status.CompletedIndexes, completions(j))
	}
	if perIndex(j) && j.Status.FailedIndexes != nil {
		t.failedIndexes = parseIndexes(*j.Status.FailedIndexes, completions(j))
	}
	noted := t.settle(j, list)
	for _, p := range list {
		switch {
		case pod.IsTerminal(p):
		case p.DeletionTimestamp != nil:
			t.terminating = append(t.terminating, p)
		default:
			t.active = append(t.active, p)
			if pod.IsReady(p) {
				t.ready++
			}
		}
		if p.Status.Phase == corev1.PodFailed && tracked(p) && t.failJob == "" {
			if action, why := match(j.Spec.PodFailurePolicy, p, perIndex(j)); action == batchv1.PodFailurePolicyActionFailJob {
				t.failJob = why
			}
		}
	}
	t.countCompleted(j, list)
	waiting := t.countIndexes(j, list)
	for _, p := range list {
		if len(t.release) == atOnce {
			break
		}
		switch {
		case !tracked(p):
		case noted[p.UID]:
			t.release = append(t.release, p)
		case p.Status.Phase == corev1.PodSucceeded:
			if !indexed(j) {
				t.uncountedSucceeded, t.news = append(t.uncountedSucceeded, p.UID), true
			}
			t.release = append(t.release, p)
		case !failed(j, p):
		case waiting[p.UID]:
			t.failed++
		default:
			if t.counts(j, p) {
				t.uncountedFails, t.news = append(t.uncountedFails, p.UID), true
			}
			t.release = append(t.release, p)
		}
	}
	t.succeeded = t.settledSucceeded + len(t.uncountedSucceeded)
	if indexed(j) {
		t.settledSucceeded = t.completed.count()
		t.succeeded = t.settledSucceeded
	}
	t.failed += t.settledFailed + len(t.uncountedFails)
	return t
}

// settle moves what lost its finalizer from uncounted into the counters. It
// returns what stays uncounted.
func (t *tally) settle(j *batchv1.Job, list []*corev1.Pod) map[types.UID]bool {
	held := map[types.UID]bool{}
	for _, p := range list {
		if tracked(p) {
			held[p.UID] = true
		}
	}
	noted := map[types.UID]bool{}
	if u := j.Status.UncountedTerminatedPods; u != nil {
		for _, uid := range u.Succeeded {
			if noted[uid] = held[uid]; held[uid] {
				t.uncountedSucceeded = append(t.uncountedSucceeded, uid)
			} else {
				t.settledSucceeded++
			}
		}
		for _, uid := range u.Failed {
			if noted[uid] = held[uid]; held[uid] {
				t.uncountedFails = append(t.uncountedFails, uid)
			} else {
				t.settledFailed++
			}
		}
	}
	return noted
}

// counts says whether a failed pod raises the counter.
func (t *tally) counts(j *batchv1.Job, p *corev1.Pod) bool {
	if i := indexOf(p); indexed(j) && (i < 0 || i >= completions(j)) {
		return false
	}
	action, _ := match(j.Spec.PodFailurePolicy, p, perIndex(j))
	return action != batchv1.PodFailurePolicyActionIgnore
}

func (t *tally) countCompleted(j *batchv1.Job, list []*corev1.Pod) {
	if !indexed(j) {
		return
	}
	var done []int
	for _, p := range list {
		if i := indexOf(p); p.Status.Phase == corev1.PodSucceeded && tracked(p) && i >= 0 && i < completions(j) && !t.completed.has(i) {
			done = append(done, i)
		}
	}
	if len(done) > 0 {
		t.completed, t.news = t.completed.with(done...), true
	}
}

// countIndexes finds the indexes that have failed for good. The last failed pod
// of each other index knows how often it failed, so it keeps its finalizer until
// another pod knows: those are returned.
func (t *tally) countIndexes(j *batchv1.Job, list []*corev1.Pod) map[types.UID]bool {
	if !perIndex(j) {
		return nil
	}
	t.before = map[int]*corev1.Pod{}
	var lost []int
	for _, p := range list {
		i := indexOf(p)
		if i < 0 || i >= completions(j) || !failed(j, p) || t.completed.has(i) || t.failedIndexes.has(i) {
			continue
		}
		action, _ := match(j.Spec.PodFailurePolicy, p, true)
		over := number(p, batchv1.JobIndexFailureCountAnnotation) >= int(*j.Spec.BackoffLimitPerIndex)
		if tracked(p) && (action == batchv1.PodFailurePolicyActionFailIndex || (over && action != batchv1.PodFailurePolicyActionIgnore)) {
			lost = append(lost, i)
			continue
		}
		if last := t.before[i]; last == nil || tries(p) > tries(last) {
			t.before[i] = p
		}
	}
	if len(lost) > 0 {
		t.failedIndexes, t.news = t.failedIndexes.with(lost...), true
	}
	waiting := map[types.UID]bool{}
	for i, p := range t.before {
		replaced := slices.ContainsFunc(t.active, func(a *corev1.Pod) bool { return indexOf(a) == i })
		if !replaced && !t.failedIndexes.has(i) && !targeted(j) {
			waiting[p.UID] = true
		}
	}
	return waiting
}

// tries counts the failures of an index before a pod of it.
func tries(p *corev1.Pod) int {
	return number(p, batchv1.JobIndexFailureCountAnnotation) + number(p, batchv1.JobIndexIgnoredFailureCountAnnotation)
}

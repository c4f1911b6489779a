package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newJob is a job of so many completions (0: unset) and so much parallelism.
func newJob(completions, parallelism int32, edit ...func(*batchv1.Job)) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "n"}}
	j.Spec.Parallelism, j.Spec.BackoffLimit = ptr.To(parallelism), ptr.To(int32(6))
	if completions > 0 {
		j.Spec.Completions = &completions
	}
	j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	for _, e := range edit {
		e(j)
	}
	return j
}

func isIndexed(j *batchv1.Job) { j.Spec.CompletionMode = ptr.To(batchv1.IndexedCompletion) }

func limitPerIndex(n int32) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		isIndexed(j)
		j.Spec.BackoffLimitPerIndex = &n
		j.Spec.BackoffLimit = ptr.To(int32(1 << 30))
	}
}

func afterEnd(j *batchv1.Job) { j.Spec.PodReplacementPolicy = ptr.To(batchv1.Failed) }

func failOn(action batchv1.PodFailurePolicyAction, codes ...int32) func(*batchv1.Job) {
	return func(j *batchv1.Job) {
		j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes},
		}}}
	}
}

// pod reads a pod from words: its name, then what is true of it: ok, bad (long
// ago), fresh (failed just now), exit=N, ending, unbound, free (without finalizer),
// i=N (its index), tries=N.
func testPod(text string) *corev1.Pod {
	w := strings.Fields(text)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: w[0], UID: types.UID(w[0]), Namespace: "n", Annotations: map[string]string{},
		Finalizers: []string{batchv1.JobTrackingFinalizer}, CreationTimestamp: metav1.NewTime(now.Add(-2 * time.Hour))}}
	p.Spec.NodeName = "node"
	p.Status.Phase = corev1.PodRunning
	end := func(code int32, at time.Time) {
		p.Status.Phase = corev1.PodSucceeded
		if code != 0 {
			p.Status.Phase = corev1.PodFailed
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(at)}}}}
	}
	for _, word := range w[1:] {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "ok":
			end(0, now.Add(-time.Hour))
		case "bad":
			end(1, now.Add(-time.Hour))
		case "fresh":
			end(1, now.Add(-time.Second))
		case "exit":
			end(int32(n), now.Add(-time.Hour))
		case "ending":
			p.DeletionTimestamp = ptr.To(metav1.NewTime(now))
		case "unbound":
			p.Spec.NodeName, p.Status.Phase = "", corev1.PodPending
		case "free":
			p.Finalizers = nil
		case "i":
			p.Annotations[batchv1.JobCompletionIndexAnnotation] = value
		case "tries":
			p.Annotations[batchv1.JobIndexFailureCountAnnotation] = value
		default:
			panic(word)
		}
	}
	return p
}

func list(texts ...string) (out []*corev1.Pod) {
	for _, t := range texts {
		out = append(out, testPod(t))
	}
	return out
}

func names(list []*corev1.Pod) string {
	var out []string
	for _, p := range list {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestTally(t *testing.T) {
	succeeded := func(n int32, uncounted ...types.UID) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Status.Succeeded = n
			j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: uncounted}
		}
	}
	for _, c := range []struct {
		name    string
		job     *batchv1.Job
		pods    []*corev1.Pod
		want    string // succeeded/failed, of which settled, then the sets of indexes
		release string
		news    bool
	}{
		{"nothing has ended", newJob(3, 2), list("a", "b"), "0/0 0/0 [] []", "", false},
		{"one of each", newJob(3, 2), list("a ok", "b bad", "c"), "1/1 0/0 [] []", "a b", true},
		{"noted before, finalizer still there", newJob(3, 2, succeeded(0, "a")), list("a ok"), "1/0 0/0 [] []", "a", false},
		{"noted before, finalizer gone", newJob(3, 2, succeeded(0, "a")), list("a ok free"), "1/0 1/0 [] []", "", false},
		{"noted before, pod gone", newJob(3, 2, succeeded(4, "a", "b")), nil, "6/0 6/0 [] []", "", false},
		{"counted is not counted again", newJob(3, 2, succeeded(1)), list("a ok free"), "1/0 1/0 [] []", "", false},
		{"deleted counts as failed", newJob(3, 2), list("a ending"), "0/1 0/0 [] []", "a", true},
		{"but only once it has ended, if it is replaced then", newJob(3, 2, afterEnd), list("a ending"), "0/0 0/0 [] []", "", false},
		{"what was never bound does not end", newJob(3, 2, afterEnd), list("a unbound ending"), "0/1 0/0 [] []", "a", true},
		{"ignored failures do not count", newJob(3, 2, failOn(batchv1.PodFailurePolicyActionIgnore, 42)), list("a exit=42", "b exit=1"), "0/1 0/0 [] []", "a b", true},
		{"indexes", newJob(5, 2, isIndexed), list("a ok i=1", "b ok i=1", "c ok i=3", "d bad i=2", "e ok i=9", "f bad i=9"), "2/1 2/0 [1,3] []", "a b c d e f", true},
		{"indexes that the status has", newJob(5, 2, isIndexed, func(j *batchv1.Job) { j.Status.CompletedIndexes = "0-3" }),
			list("a ok i=4 free"), "4/0 4/0 [0-3] []", "", false},
		{"an index's last failure is kept until it is replaced", newJob(5, 2, limitPerIndex(3)), list("a bad i=0 tries=0", "b bad i=0 tries=1"), "0/2 0/0 [] []", "a", true},
		{"and then counted", newJob(5, 2, limitPerIndex(3)), list("b bad i=0 tries=1", "c i=0 tries=2"), "0/1 0/0 [] []", "b", true},
		{"an index that failed for good", newJob(5, 2, limitPerIndex(1)), list("a bad i=0 tries=1"), "0/1 0/0 [] [0]", "a", true},
		{"by policy", newJob(5, 2, limitPerIndex(5), failOn(batchv1.PodFailurePolicyActionFailIndex, 42)), list("a exit=42 i=2"), "0/1 0/0 [] [2]", "a", true},
	} {
		got := tallyOf(c.job, c.pods)
		text := fmt.Sprintf("%d/%d %d/%d [%s] [%s]", got.succeeded, got.failed, got.settledSucceeded, got.settledFailed, got.completed, got.failedIndexes)
		if text != c.want || names(got.release) != c.release || got.news != c.news {
			t.Errorf("%s: %s, release %q, news %t; want %s, %q, %t", c.name, text, names(got.release), got.news, c.want, c.release, c.news)
		}
	}
}

func TestVerdict(t *testing.T) {
	started := func(ago time.Duration, limit int64) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Status.StartTime = ptr.To(metav1.NewTime(now.Add(-ago)))
			j.Spec.ActiveDeadlineSeconds = &limit
		}
	}
	atLeast := func(n int32, among string) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			r := batchv1.SuccessPolicyRule{}
			if n > 0 {
				r.SucceededCount = &n
			}
			if among != "" {
				r.SucceededIndexes = &among
			}
			j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{r}}
		}
	}
	limit := func(n int32) func(*batchv1.Job) { return func(j *batchv1.Job) { j.Spec.BackoffLimit = &n } }
	for _, c := range []struct {
		name string
		job  *batchv1.Job
		pods []*corev1.Pod
		want string
	}{
		{"under way", newJob(2, 2), list("a ok", "b"), ""},
		{"all done", newJob(2, 2), list("a ok", "b ok"), batchv1.JobReasonCompletionsReached},
		{"a queue that others still work on", newJob(0, 2), list("a ok", "b"), ""},
		{"a queue that is empty", newJob(0, 2), list("a ok", "b ok"), batchv1.JobReasonCompletionsReached},
		{"failures within the limit", newJob(2, 2, limit(1)), list("a bad"), ""},
		{"failures beyond it", newJob(2, 2, limit(1)), list("a bad", "b fresh"), batchv1.JobReasonBackoffLimitExceeded},
		{"the first failure at once, with a limit of 0", newJob(2, 2, limit(0)), list("a bad"), batchv1.JobReasonBackoffLimitExceeded},
		{"in time", newJob(2, 2, started(9*time.Second, 10)), nil, ""},
		{"too late", newJob(2, 2, started(10*time.Second, 10)), nil, batchv1.JobReasonDeadlineExceeded},
		{"suspended, time stands still", newJob(2, 2, started(time.Hour, 10), func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }), nil, ""},
		{"an exit that ends it", newJob(2, 2, failOn(batchv1.PodFailurePolicyActionFailJob, 42)), list("a exit=42"), batchv1.JobReasonPodFailurePolicy},
		{"another exit", newJob(2, 2, failOn(batchv1.PodFailurePolicyActionFailJob, 42)), list("a exit=41"), ""},
		{"indexes: some failed, some are to come", newJob(3, 2, limitPerIndex(0)), list("a bad i=0", "b ok i=1"), ""},
		{"indexes: none is to come", newJob(3, 2, limitPerIndex(0)), list("a bad i=0", "b ok i=1", "c ok i=2"), batchv1.JobReasonFailedIndexes},
		{"too many failed indexes", newJob(9, 2, limitPerIndex(0), func(j *batchv1.Job) { j.Spec.MaxFailedIndexes = ptr.To(int32(1)) }),
			list("a bad i=0", "b bad i=1"), batchv1.JobReasonMaxFailedIndexesExceeded},
		{"success by number", newJob(9, 2, isIndexed, atLeast(2, "")), list("a ok i=4", "b ok i=7"), batchv1.JobReasonSuccessPolicy},
		{"success by indexes", newJob(9, 2, isIndexed, atLeast(0, "0,1")), list("a ok i=1", "b ok i=0"), batchv1.JobReasonSuccessPolicy},
		{"not all of them", newJob(9, 2, isIndexed, atLeast(0, "0,1")), list("a ok i=1", "b ok i=2"), ""},
		{"so many of them", newJob(9, 2, isIndexed, atLeast(1, "0,1")), list("a ok i=1", "b ok i=2"), batchv1.JobReasonSuccessPolicy},
	} {
		if _, reason, _ := verdict(c.job, tallyOf(c.job, c.pods), c.pods, now); reason != c.want {
			t.Errorf("%s: %q, want %q", c.name, reason, c.want)
		}
	}
	j := newJob(1, 1, failOn(batchv1.PodFailurePolicyActionFailJob, 42))
	l := list("a exit=42")
	if _, _, why := verdict(j, tallyOf(j, l), l, now); why != "Container c for pod n/a failed with exit code 42 matching FailJob rule at index 0" {
		t.Errorf("told is %q", why)
	}
	restarts := newJob(1, 1, limit(3), func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure })
	l = list("a")
	l[0].Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 3}}
	if _, reason, _ := verdict(restarts, tallyOf(restarts, l), l, now); reason != batchv1.JobReasonBackoffLimitExceeded {
		t.Errorf("three restarts of three: %q", reason)
	}
}

func TestManage(t *testing.T) {
	for _, c := range []struct {
		name    string
		job     *batchv1.Job
		pods    []*corev1.Pod
		create  int
		indexes []int
		delete  string
		wait    time.Duration
	}{
		{name: "as many as may run", job: newJob(5, 2), create: 2},
		{name: "no more than are needed", job: newJob(3, 2), pods: list("a ok", "b ok"), create: 1},
		{name: "one more", job: newJob(5, 3), pods: list("a ok", "b", "c"), create: 1},
		{name: "less parallelism", job: newJob(5, 1), pods: list("a", "b unbound"), delete: "b"},
		{name: "a queue: no new ones after the first success", job: newJob(0, 3), pods: list("a ok", "b")},
		{name: "what is being deleted is replaced", job: newJob(5, 2), pods: list("a", "b ending"), create: 1},
		{name: "or waited for", job: newJob(5, 2, afterEnd), pods: list("a", "b ending")},
		{name: "a failure long ago", job: newJob(5, 2), pods: list("a bad"), create: 2},
		{name: "a failure just now", job: newJob(5, 2), pods: list("a fresh"), wait: 9 * time.Second},
		{name: "the third failure", job: newJob(5, 2), pods: list("a fresh", "b bad", "c bad"), wait: 39 * time.Second},
		{name: "indexes from the lowest", job: newJob(5, 2, isIndexed), create: 2, indexes: []int{0, 1}},
		{name: "those that are free", job: newJob(5, 4, isIndexed), pods: list("a ok i=1", "b i=0"), create: 3, indexes: []int{2, 3, 4}},
		{name: "one pod per index", job: newJob(2, 2, isIndexed), pods: list("a i=0", "b i=0 unbound"), create: 1, indexes: []int{1}, delete: "b"},
		{name: "none beyond the last", job: newJob(2, 2, isIndexed), pods: list("a i=0", "b i=1", "c i=2"), delete: "c"},
		{name: "each index pauses for itself", job: newJob(3, 3, limitPerIndex(3)), pods: list("a fresh i=0"), create: 2, indexes: []int{1, 2}, wait: 9 * time.Second},
		{name: "an index that failed is left", job: newJob(3, 3, limitPerIndex(0)), pods: list("a bad i=0"), create: 2, indexes: []int{1, 2}},
	} {
		d := manage(c.job, tallyOf(c.job, c.pods), c.pods, now)
		if d.create != c.create || !slices.Equal(d.indexes, c.indexes) || names(d.delete) != c.delete || d.wait != c.wait {
			t.Errorf("%s: creates %d %v, deletes %q, waits %s", c.name, d.create, d.indexes, names(d.delete), d.wait)
		}
	}
}

func TestPauseGrowsAndEnds(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 0, 1: 10 * time.Second, 2: 20 * time.Second, 6: 320 * time.Second, 7: 10 * time.Minute, 1000: 10 * time.Minute} {
		if got := pause(n, now, now); got != want {
			t.Errorf("after %d failures %s, want %s", n, got, want)
		}
	}
	if got := pause(1, now.Add(-time.Minute), now); got != 0 {
		t.Errorf("a minute later it is still %s", got)
	}
}

func TestConclude(t *testing.T) {
	for _, c := range []struct {
		name string
		pods []*corev1.Pod
		want batchv1.JobConditionType
	}{
		{"one still runs", list("a ok", "b"), ""},
		{"one is ending", list("a ok", "b ending"), ""},
		{"all have ended", list("a ok", "b bad"), batchv1.JobComplete},
	} {
		j := newJob(1, 2)
		setCondition(j, batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "CompletionsReached", "", now)
		got := conclude(j, tallyOf(j, c.pods), now)
		if (got == nil) != (c.want == "") || (got != nil && (got.Type != c.want || j.Status.CompletionTime == nil)) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestNewPod(t *testing.T) {
	j := newJob(3, 1, limitPerIndex(5))
	j.Spec.Template.Spec.Containers = []corev1.Container{{Name: "c"}}
	p := newPod(j, 2, testPod("before bad i=2 tries=1"), metav1.OwnerReference{})
	if !tracked(p) || indexOf(p) != 2 || tries(p) != 2 || p.GenerateName != "j-2-" || p.Spec.Hostname != "j-2" || len(p.Spec.Containers[0].Env) != 1 {
		t.Errorf("%+v %+v", p.ObjectMeta, p.Spec)
	}
	if len(j.Spec.Template.Spec.Containers[0].Env) != 0 {
		t.Error("the template was changed")
	}
	j = newJob(3, 1, limitPerIndex(5), failOn(batchv1.PodFailurePolicyActionIgnore, 1))
	if p := newPod(j, 2, testPod("before bad i=2 tries=1"), metav1.OwnerReference{}); number(p, batchv1.JobIndexFailureCountAnnotation) != 1 || tries(p) != 2 {
		t.Errorf("an ignored failure: %v", p.Annotations)
	}
}

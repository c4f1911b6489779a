package job

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// simulation is what the API has of one Job, and the time.
type simulation struct {
	*testing.T
	job  *batchv1.Job
	pods []corev1.Pod
	at   time.Time
	uids int
}

func (s *simulation) reconcile() []string {
	s.Helper()
	objects := []runtime.Object{s.job}
	for i := range s.pods {
		objects = append(objects, &s.pods[i])
	}
	f := controllertest.New(objects...)
	f.Clock.SetTime(s.at)
	r, err := New(f.Deps)
	if err != nil {
		s.Fatal(err)
	}
	f.Sync(s)
	if _, err := r.reconcile(s.Context(), types.NamespacedName{Namespace: "n", Name: "j"}); err != nil {
		s.Fatal(err)
	}
	if s.job, err = f.API.BatchV1().Jobs("n").Get(s.Context(), "j", metav1.GetOptions{}); err != nil {
		s.Fatal(err)
	}
	list, err := f.API.CoreV1().Pods("n").List(s.Context(), metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	s.pods = list.Items
	for i := range s.pods {
		p := &s.pods[i]
		if p.UID == "" {
			s.uids++
			p.UID, p.Name = types.UID(fmt.Sprint("uid-", s.uids)), fmt.Sprint("p-", s.uids)
			p.CreationTimestamp, p.Status.Phase, p.Spec.NodeName = metav1.NewTime(s.at), corev1.PodRunning, "node"
		}
	}
	return f.Writes()
}

// live lets pods end, well or not, and others be deleted by hand.
func (s *simulation) live(r *rand.Rand, failures int) {
	s.at = s.at.Add(time.Duration(r.IntN(30)) * time.Second)
	for i := range s.pods {
		p := &s.pods[i]
		if p.Status.Phase != corev1.PodRunning || r.IntN(3) == 0 {
			continue
		}
		p.Status.Phase = corev1.PodSucceeded
		code := int32(0)
		if r.IntN(100) < failures {
			p.Status.Phase, code = corev1.PodFailed, 1
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(s.at)}}}}
	}
	// A pod that is counted may be deleted by anybody.
	s.pods = slices.DeleteFunc(s.pods, func(p corev1.Pod) bool {
		return p.Status.Phase != corev1.PodRunning && len(p.Finalizers) == 0 && r.IntN(2) == 0
	})
}

// TestJobsEnd: whatever pods do, no more run than may, each ended pod is counted
// once, and the job ends with the number that was asked for.
func TestJobsEnd(t *testing.T) {
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 9))
		completions, parallelism := 1+r.Int32N(8), 1+r.Int32N(4)
		failures := []int{0, 30}[r.IntN(2)]
		edit := func(*batchv1.Job) {}
		if seed%2 == 1 {
			edit = isIndexed
		}
		s := &simulation{T: t, at: controllertest.Start, job: newJob(completions, parallelism, edit)}
		s.job.UID, s.job.Spec.BackoffLimit = "job", ptr.To[int32](1000)
		s.job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"job": "j"}}
		s.job.Spec.Template.Labels = map[string]string{"job": "j"}
		succeeded := map[types.UID]bool{}
		var before int32
		steps := 0
		for ; steps < 300 && finished(s.job) == nil; steps++ {
			s.reconcile()
			running := int32(0)
			for i := range s.pods {
				switch s.pods[i].Status.Phase {
				case corev1.PodRunning:
					running++
				case corev1.PodSucceeded:
					succeeded[s.pods[i].UID] = true
				}
			}
			if running > parallelism {
				t.Fatalf("seed %d: %d pods run of %d", seed, running, parallelism)
			}
			if s.job.Status.Succeeded < before || int(s.job.Status.Succeeded) > len(succeeded) {
				t.Fatalf("seed %d: %d are counted, %d before, %d have succeeded", seed, s.job.Status.Succeeded, before, len(succeeded))
			}
			before = s.job.Status.Succeeded
			s.live(r, failures)
		}
		end := finished(s.job)
		if end == nil || end.Type != batchv1.JobComplete || s.job.Status.Succeeded < completions || s.job.Status.Active != 0 || s.job.Status.CompletionTime == nil {
			t.Fatalf("seed %d: after %d steps %+v", seed, steps, s.job.Status)
		}
		if failures == 0 && (s.job.Status.Succeeded != completions || s.job.Status.Failed != 0) {
			t.Errorf("seed %d: %d of %d succeeded, %d failed", seed, s.job.Status.Succeeded, completions, s.job.Status.Failed)
		}
		if indexed(s.job) && s.job.Status.CompletedIndexes != indexesBelow(completions) {
			t.Errorf("seed %d: indexes %s of %d", seed, s.job.Status.CompletedIndexes, completions)
		}
		for i := range s.pods {
			if tracked(&s.pods[i]) {
				t.Errorf("seed %d: pod %s keeps its finalizer", seed, s.pods[i].Name)
			}
		}
		if writes := s.reconcile(); len(writes) != 0 {
			t.Errorf("seed %d: a job that is over is written: %v", seed, writes)
		}
	}
}

func indexesBelow(n int32) string {
	switch n {
	case 1:
		return "0"
	case 2:
		return "0,1"
	}
	return fmt.Sprint("0-", n-1)
}

func (s *simulation) running() (n int) {
	for i := range s.pods {
		if s.pods[i].Status.Phase == corev1.PodRunning && s.pods[i].DeletionTimestamp == nil {
			n++
		}
	}
	return n
}

func TestSuspendAndResume(t *testing.T) {
	s := &simulation{T: t, at: controllertest.Start, job: newJob(3, 2)}
	s.job.UID = "job"
	s.job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"job": "j"}}
	s.job.Spec.Template.Labels = map[string]string{"job": "j"}
	s.reconcile()
	if s.running() != 2 || s.job.Status.Active != 2 || s.job.Status.StartTime == nil {
		t.Fatalf("%d run, %+v", s.running(), s.job.Status)
	}
	s.job.Spec.Suspend = ptr.To(true)
	s.reconcile()
	if s.job.Status.Active != 0 || !is(s.job, batchv1.JobSuspended) {
		t.Errorf("suspended: %+v", s.job.Status)
	}
	s.pods = nil
	s.at = s.at.Add(time.Hour)
	s.job.Spec.Suspend = ptr.To(false)
	s.reconcile()
	if s.running() != 2 || is(s.job, batchv1.JobSuspended) || !s.job.Status.StartTime.Time.Equal(s.at) {
		t.Errorf("resumed: %d run, %+v", s.running(), s.job.Status)
	}
}

func TestAJobThatFailsStopsItsPods(t *testing.T) {
	s := &simulation{T: t, at: controllertest.Start, job: newJob(5, 3)}
	s.job.UID, s.job.Spec.BackoffLimit = "job", ptr.To[int32](0)
	s.job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"job": "j"}}
	s.job.Spec.Template.Labels = map[string]string{"job": "j"}
	s.reconcile()
	s.pods[0].Status.Phase = corev1.PodFailed
	for range 3 {
		s.reconcile()
		// What is being deleted ends, and goes once it is counted.
		s.pods = slices.DeleteFunc(s.pods, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil && len(p.Finalizers) == 0 })
	}
	if end := finished(s.job); end == nil || end.Type != batchv1.JobFailed || end.Reason != batchv1.JobReasonBackoffLimitExceeded || s.running() != 0 {
		t.Errorf("%+v, %d run", s.job.Status, s.running())
	}
}

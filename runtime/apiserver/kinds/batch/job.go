package batch

import (
	"fmt"
	"math"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

// The labels without prefix are older names that clients still select by.
const (
	oldControllerUIDLabel = "controller-uid"
	oldJobNameLabel       = "job-name"
)

func job() kind.Kind {
	return kind.Kind{
		GVK:           batchv1.SchemeGroupVersion.WithKind("Job"),
		Resource:      "jobs",
		Orphans:       true,
		OrphanWarning: "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
		Generation:    true,
		Categories:    []string{"all"},
		Namespaced:    true,
		Status:        true,

		Default:          kind.On(SetObjectDefaults_Job, defaultJob),
		PrepareForCreate: kind.On(selectOwnPods),
		Drop:             kind.On(func(j *batchv1.Job) { dropDisabled(&j.Spec) }),
		Unsupported: kind.Check(func(j *batchv1.Job) field.ErrorList {
			return core.UnsupportedPodTemplate(&j.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared:             kind.Declared(Validate_Job, "WorkloadWithJob"),
		Validate:             kind.Check(validateJob),
		ValidateCreate:       kind.Check(validateNewJob),
		ValidateUpdate:       kind.CheckUpdate(validateJobUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(validateJobStatus),

		Warnings:         kind.Warnings(func(o *batchv1.Job) []string { return jobWarnings(&o.Spec, field.NewPath("spec")) }),
		WarnsOnChange:    true,
		WarningsOnCreate: kind.Warnings(func(o *batchv1.Job) []string { return core.NameWarnings(o.Name) }),
		Columns:          printers.Columns("Name", "Status", "Completions", "Duration", "Age", "+Containers", "+Images", "+Selector"),
		Cells:            kind.Cells(jobCells),
		Fields: kind.Fields(func(j *batchv1.Job) fields.Set {
			return fields.Set{"status.successful": fmt.Sprint(j.Status.Succeeded)}
		}),
	}
}

func defaultJob(j *batchv1.Job) {
	// One map for both, as in Kubernetes: what [selectOwnPods] adds is then the Job's too.
	if t := j.Spec.Template.Labels; len(j.Labels) == 0 && t != nil {
		j.Labels = t
	}
	s := &j.Spec
	// With parallelism alone a job is a queue of work: any number of pods may
	// complete, so completions is left unset.
	if s.Completions == nil && s.Parallelism == nil {
		kind.SetDefaultPtr(&s.Completions, 1)
	}
	kind.SetDefaultPtr(&s.Parallelism, 1)
	if s.BackoffLimitPerIndex != nil {
		kind.SetDefaultPtr(&s.BackoffLimit, math.MaxInt32)
	}
	kind.SetDefaultPtr(&s.BackoffLimit, 6)
	kind.SetDefaultPtr(&s.CompletionMode, batchv1.NonIndexedCompletion)
	kind.SetDefaultPtr(&s.Suspend, false)
	kind.SetDefaultPtr(&s.ManualSelector, false)
	if s.PodFailurePolicy != nil {
		kind.SetDefaultPtr(&s.PodReplacementPolicy, batchv1.Failed)
	}
	kind.SetDefaultPtr(&s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	defaultJobTemplate(s)
}

// defaultJobTemplate fills what a job has by default and the jobs of a CronJob's template too:
// the rest they get when they are made.
func defaultJobTemplate(s *batchv1.JobSpec) {
	if p := s.PodFailurePolicy; p != nil {
		for i := range p.Rules {
			for k := range p.Rules[i].OnPodConditions {
				kind.SetDefault(&p.Rules[i].OnPodConditions[k].Status, corev1.ConditionTrue)
			}
		}
	}
	core.DefaultPodTemplate(&s.Template)
}

// selectOwnPods gives a job that does not bring a selector one that matches its
// own pods alone, by the job's UID.
func selectOwnPods(j *batchv1.Job) {
	if ptr.Deref(j.Spec.ManualSelector, false) {
		return
	}
	t := &j.Spec.Template
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	for k, v := range map[string]string{
		batchv1.ControllerUidLabel: string(j.UID), oldControllerUIDLabel: string(j.UID),
		batchv1.JobNameLabel: j.Name, oldJobNameLabel: j.Name,
	} {
		// A label of the client that differs stays and fails validation.
		if _, ok := t.Labels[k]; !ok {
			t.Labels[k] = v
		}
	}
	kind.SetDefaultPtr(&j.Spec.Selector, metav1.LabelSelector{})
	if j.Spec.Selector.MatchLabels == nil {
		j.Spec.Selector.MatchLabels = map[string]string{}
	}
	if _, ok := j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel]; !ok {
		j.Spec.Selector.MatchLabels[batchv1.ControllerUidLabel] = string(j.UID)
	}
}

// jobWarnings is also of the jobs of a CronJob.
func jobWarnings(s *batchv1.JobSpec, spec *field.Path) []string {
	var out []string
	if isIndexed(s) && ptr.Deref(s.Completions, 0) > manyCompletions && ptr.Deref(s.Parallelism, 0) > maxWithManyCompletions {
		out = append(out, spec.String()+": In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "+
			"Kubernetes might not be able to track completedIndexes when a big number of indexes fail")
	}
	return append(out, core.TemplateWarnings(&s.Template, spec.Child("template"))...)
}

func jobCells(j *batchv1.Job, now time.Time) []any {
	names, refs := printers.Images(j.Spec.Template.Spec.Containers)
	return []any{j.Name, jobStatus(j), jobCompletions(j), jobDuration(j, now), printers.Age(j.ObjectMeta, now),
		names, refs, printers.Selector(j.Spec.Selector)}
}

func jobStatus(j *batchv1.Job) string {
	switch {
	case is(j, batchv1.JobComplete):
		return "Complete"
	case is(j, batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case is(j, batchv1.JobSuspended):
		return "Suspended"
	case is(j, batchv1.JobFailureTarget):
		return "FailureTarget"
	case is(j, batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	}
	return "Running"
}

// is says whether a condition is true.
func is(j *batchv1.Job, t batchv1.JobConditionType) bool {
	return hasCondition(j, t, corev1.ConditionTrue)
}

func hasCondition(j *batchv1.Job, t batchv1.JobConditionType, status corev1.ConditionStatus) bool {
	return slices.ContainsFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == t && c.Status == status })
}

func jobCompletions(j *batchv1.Job) string {
	if c := j.Spec.Completions; c != nil {
		return fmt.Sprintf("%d/%d", j.Status.Succeeded, *c)
	}
	if p := ptr.Deref(j.Spec.Parallelism, 0); p > 1 {
		return fmt.Sprintf("%d/1 of %d", j.Status.Succeeded, p)
	}
	return fmt.Sprintf("%d/1", j.Status.Succeeded)
}

func jobDuration(j *batchv1.Job, now time.Time) string {
	switch {
	case j.Status.StartTime == nil:
		return ""
	case j.Status.CompletionTime == nil:
		return duration.HumanDuration(now.Sub(j.Status.StartTime.Time))
	}
	return duration.HumanDuration(j.Status.CompletionTime.Sub(j.Status.StartTime.Time))
}

func dropDisabled(s *batchv1.JobSpec) {
	s.Scheduling = nil // WorkloadWithJob
	core.DropDisabled(&s.Template)
}

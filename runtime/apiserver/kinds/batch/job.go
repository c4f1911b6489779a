package batch

import (
	"fmt"
	"maps"
	"math"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
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
		Unsupported: kind.Check(func(j *batchv1.Job) field.ErrorList {
			return core.UnsupportedPodTemplate(&j.Spec.Template, field.NewPath("spec", "template"))
		}),
		Declared:       kind.Declared(Validate_Job, "WorkloadWithJob"),
		Validate:       kind.Check(validateJob),
		ValidateUpdate: kind.CheckUpdate(validateJobUpdate),
		ValidateStatusUpdate: kind.CheckUpdate(func(j, _ *batchv1.Job) field.ErrorList {
			s, path := &j.Status, field.NewPath("status")
			errs := validate.NonNegative(s.Active, path.Child("active"))
			errs = append(errs, validate.NonNegative(s.Succeeded, path.Child("succeeded"))...)
			errs = append(errs, validate.NonNegative(s.Failed, path.Child("failed"))...)
			return append(errs, validate.NonNegativePtr(s.Ready, path.Child("ready"))...)
		}),

		Warnings: kind.Warnings(func(o *batchv1.Job) []string {
			return core.TemplateWarnings(&o.Spec.Template, field.NewPath("spec", "template"))
		}),
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
	if len(j.Labels) == 0 {
		j.Labels = maps.Clone(j.Spec.Template.Labels)
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

func validateJob(j *batchv1.Job) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validateJobSpec(&j.Spec, spec)
	errs = append(errs, validate.WorkloadSelector(j.Spec.Selector, j.Spec.Template.Labels, spec)...)
	if ptr.Deref(j.Spec.ManualSelector, false) || j.UID == "" || j.Spec.Selector == nil {
		return errs
	}
	if s := j.Spec.Selector; len(s.MatchExpressions) > 0 || len(s.MatchLabels) != 1 ||
		(s.MatchLabels[batchv1.ControllerUidLabel] != string(j.UID) && s.MatchLabels[oldControllerUIDLabel] != string(j.UID)) {
		errs = append(errs, field.Invalid(spec.Child("selector"), s, "`selector` not auto-generated"))
	}
	return errs
}

// validateJobSpec checks all of a job but its selector, which the jobs of a
// CronJob do not have yet.
func validateJobSpec(s *batchv1.JobSpec, spec *field.Path) field.ErrorList {
	errs := validate.NonNegativePtr(s.Parallelism, spec.Child("parallelism"))
	errs = append(errs, validate.NonNegativePtr(s.Completions, spec.Child("completions"))...)
	errs = append(errs, validate.NonNegativePtr(s.ActiveDeadlineSeconds, spec.Child("activeDeadlineSeconds"))...)
	errs = append(errs, validate.NonNegativePtr(s.BackoffLimit, spec.Child("backoffLimit"))...)
	errs = append(errs, validate.NonNegativePtr(s.BackoffLimitPerIndex, spec.Child("backoffLimitPerIndex"))...)
	errs = append(errs, validate.NonNegativePtr(s.MaxFailedIndexes, spec.Child("maxFailedIndexes"))...)
	errs = append(errs, validate.NonNegativePtr(s.TTLSecondsAfterFinished, spec.Child("ttlSecondsAfterFinished"))...)

	indexed := false
	if s.CompletionMode != nil {
		indexed = *s.CompletionMode == batchv1.IndexedCompletion
		errs = append(errs, validate.OneOf(*s.CompletionMode, spec.Child("completionMode"), batchv1.NonIndexedCompletion, batchv1.IndexedCompletion)...)
	}
	if indexed && s.Completions == nil {
		errs = append(errs, field.Required(spec.Child("completions"), fmt.Sprintf("when completion mode is %s", batchv1.IndexedCompletion)))
	}
	if !indexed {
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"backoffLimitPerIndex", s.BackoffLimitPerIndex != nil},
			{"maxFailedIndexes", s.MaxFailedIndexes != nil},
			{"successPolicy", s.SuccessPolicy != nil},
		} {
			if f.set {
				errs = append(errs, field.Invalid(spec.Child(f.name), true, "requires indexed completion mode"))
			}
		}
	}
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(spec.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	errs = append(errs, validateFailurePolicy(s, spec)...)
	if s.SuccessPolicy != nil && len(s.SuccessPolicy.Rules) == 0 {
		errs = append(errs, field.Required(spec.Child("successPolicy", "rules"), "at least one rules must be specified when the successPolicy is specified"))
	}
	if s.PodReplacementPolicy != nil {
		errs = append(errs, validate.OneOf(*s.PodReplacementPolicy, spec.Child("podReplacementPolicy"), batchv1.TerminatingOrFailed, batchv1.Failed)...)
	}
	errs = append(errs, core.ValidatePodTemplate(&s.Template, spec.Child("template"))...)
	return append(errs, restartPolicy(s, spec.Child("template", "spec", "restartPolicy"))...)
}

// restartPolicy must be said: what a pod has by default is not for jobs.
func restartPolicy(s *batchv1.JobSpec, path *field.Path) field.ErrorList {
	switch p := s.Template.Spec.RestartPolicy; {
	case p == corev1.RestartPolicyAlways || p == "":
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q, %q", corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever))}
	case p != corev1.RestartPolicyOnFailure && p != corev1.RestartPolicyNever:
		return field.ErrorList{field.NotSupported(path, p, []corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever})}
	case s.PodFailurePolicy != nil && p != corev1.RestartPolicyNever:
		return field.ErrorList{field.Invalid(path, p, fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever))}
	}
	return nil
}

func validateFailurePolicy(s *batchv1.JobSpec, spec *field.Path) field.ErrorList {
	if s.PodFailurePolicy == nil {
		return nil
	}
	var errs field.ErrorList
	for i, r := range s.PodFailurePolicy.Rules {
		p := spec.Child("podFailurePolicy", "rules").Index(i)
		errs = append(errs, validate.OneOf(r.Action, p.Child("action"), batchv1.PodFailurePolicyActionFailJob,
			batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionCount)...)
		switch {
		case r.OnExitCodes != nil && len(r.OnPodConditions) > 0:
			errs = append(errs, field.Invalid(p, "", "specifying both OnExitCodes and OnPodConditions is not supported"))
		case r.OnExitCodes != nil:
			errs = append(errs, validate.OneOf(r.OnExitCodes.Operator, p.Child("onExitCodes", "operator"),
				batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)...)
			if len(r.OnExitCodes.Values) == 0 {
				errs = append(errs, field.Required(p.Child("onExitCodes", "values"), "at least one value is required"))
			}
		case len(r.OnPodConditions) == 0:
			errs = append(errs, field.Required(p, "specifying one of OnExitCodes and OnPodConditions is required"))
		}
	}
	return errs
}

func validateJobUpdate(j, old *batchv1.Job) field.ErrorList {
	s, was, spec := &j.Spec, &old.Spec, field.NewPath("spec")
	errs := validate.Immutable(s.Selector, was.Selector, spec.Child("selector"))
	// An indexed job may grow and shrink with its parallelism.
	elastic := s.CompletionMode != nil && *s.CompletionMode == batchv1.IndexedCompletion &&
		s.Completions != nil && s.Parallelism != nil && *s.Completions == *s.Parallelism
	if !elastic {
		errs = append(errs, validate.Immutable(s.Completions, was.Completions, spec.Child("completions"))...)
	}
	errs = append(errs, validate.Immutable(s.CompletionMode, was.CompletionMode, spec.Child("completionMode"))...)
	errs = append(errs, validate.Immutable(s.PodFailurePolicy, was.PodFailurePolicy, spec.Child("podFailurePolicy"))...)
	errs = append(errs, validate.Immutable(s.SuccessPolicy, was.SuccessPolicy, spec.Child("successPolicy"))...)
	errs = append(errs, validate.Immutable(s.BackoffLimitPerIndex, was.BackoffLimitPerIndex, spec.Child("backoffLimitPerIndex"))...)
	errs = append(errs, validate.Immutable(s.ManagedBy, was.ManagedBy, spec.Child("managedBy"))...)

	template := s.Template.DeepCopy()
	if ptr.Deref(was.Suspend, false) && old.Status.StartTime == nil {
		// Until it is first started, a queue may say where the pods are to run.
		t := &was.Template
		template.Labels, template.Annotations = t.Labels, t.Annotations
		template.Spec.NodeSelector, template.Spec.Affinity = t.Spec.NodeSelector, t.Spec.Affinity
		template.Spec.Tolerations, template.Spec.SchedulingGates = t.Spec.Tolerations, t.Spec.SchedulingGates
	}
	if !equality.Semantic.DeepEqual(template, &was.Template) {
		errs = append(errs, field.Invalid(spec.Child("template"), "", apivalidation.FieldImmutableErrorMsg))
	}
	return errs
}

func jobCells(j *batchv1.Job, now time.Time) []any {
	names, refs := printers.Images(j.Spec.Template.Spec.Containers)
	return []any{j.Name, jobStatus(j), jobCompletions(j), jobDuration(j, now), printers.Age(j.ObjectMeta, now),
		names, refs, printers.Selector(j.Spec.Selector)}
}

func jobStatus(j *batchv1.Job) string {
	is := func(t batchv1.JobConditionType) bool {
		for _, c := range j.Status.Conditions {
			if c.Type == t && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	}
	switch {
	case is(batchv1.JobComplete):
		return "Complete"
	case is(batchv1.JobFailed):
		return "Failed"
	case j.DeletionTimestamp != nil:
		return "Terminating"
	case is(batchv1.JobSuspended):
		return "Suspended"
	case is(batchv1.JobFailureTarget):
		return "FailureTarget"
	case is(batchv1.JobSuccessCriteriaMet):
		return "SuccessCriteriaMet"
	}
	return "Running"
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

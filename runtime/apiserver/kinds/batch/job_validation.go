package batch

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// The bounds of jobs. Those of indexed jobs bound the length of the lists of indexes in status.
const (
	maxIndexedParallelism  = 100_000
	maxFailedIndexes       = 100_000
	manyCompletions        = 100_000
	maxWithManyCompletions = 10_000 // parallelism, and failed indexes where each index has a limit

	maxManagedBy = 63 // characters
)

// validateNewJob: what only a new job is held to, as older ones have other labels.
func validateNewJob(j *batchv1.Job) field.ErrorList {
	if ptr.Deref(j.Spec.ManualSelector, false) || j.Spec.Selector == nil {
		return nil
	}
	var errs field.ErrorList
	own := labels.Set{
		batchv1.ControllerUidLabel: string(j.UID), oldControllerUIDLabel: string(j.UID),
		batchv1.JobNameLabel: j.Name, oldJobNameLabel: j.Name,
	}
	at := field.NewPath("spec", "template", "metadata", "labels")
	for _, k := range []string{oldControllerUIDLabel, oldJobNameLabel, batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
		switch v, ok := j.Spec.Template.Labels[k]; {
		case !ok:
			errs = append(errs, field.Required(at.Key(k), fmt.Sprintf("must be '%s'", own[k])))
		case v != own[k]:
			errs = append(errs, field.Invalid(at.Key(k), v, fmt.Sprintf("must be '%s'", own[k])))
		}
	}
	if s, err := metav1.LabelSelectorAsSelector(j.Spec.Selector); err == nil && !s.Matches(own) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "selector"), j.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

func validateJob(j *batchv1.Job) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validateJobSpec(&j.Spec, spec)
	if s := &j.Spec; isIndexed(s) && ptr.Deref(s.Completions, 0) > 0 {
		last := fmt.Sprintf("%s-%d", j.Name, *s.Completions-1)
		if len(validation.IsDNS1123Label(last)) > 0 {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), j.Name, "will not able to create pod with invalid DNS label: "+last))
		}
	}
	if j.Spec.Selector == nil {
		errs = append(errs, field.Required(spec.Child("selector"), ""))
	}
	errs = append(errs, validate.LabelSelector(j.Spec.Selector, spec.Child("selector"))...)
	return append(errs, validate.SelectsTemplate(j.Spec.Selector, j.Spec.Template.Labels, spec)...)
}

func isIndexed(s *batchv1.JobSpec) bool {
	return ptr.Deref(s.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
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
	if s.MaxFailedIndexes != nil && s.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(spec.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	if s.ManagedBy != nil {
		errs = append(errs, validation.IsDomainPrefixedPath(spec.Child("managedBy"), *s.ManagedBy)...)
		errs = append(errs, validate.TooLong(len(*s.ManagedBy), maxManagedBy, spec.Child("managedBy"))...)
	}
	errs = append(errs, validateCompletionMode(s, spec)...)
	errs = append(errs, validateFailurePolicy(s, spec.Child("podFailurePolicy"))...)
	if s.SuccessPolicy != nil && isIndexed(s) {
		errs = append(errs, validateSuccessPolicy(s, spec.Child("successPolicy"))...)
	}
	if s.PodReplacementPolicy != nil {
		known := []batchv1.PodReplacementPolicy{batchv1.Failed, batchv1.TerminatingOrFailed}
		if s.PodFailurePolicy != nil {
			known = known[:1]
		}
		errs = append(errs, validate.Known(*s.PodReplacementPolicy, spec.Child("podReplacementPolicy"), known...)...)
	}
	errs = append(errs, core.ValidatePodTemplate(&s.Template, spec.Child("template"))...)
	return append(errs, restartPolicy(s, spec.Child("template", "spec", "restartPolicy"))...)
}

func validateCompletionMode(s *batchv1.JobSpec, spec *field.Path) field.ErrorList {
	mode := ptr.Deref(s.CompletionMode, batchv1.NonIndexedCompletion)
	errs := validate.Known(mode, spec.Child("completionMode"), batchv1.NonIndexedCompletion, batchv1.IndexedCompletion)
	if isIndexed(s) {
		return append(errs, validateIndexed(s, spec)...)
	}
	if s.SuccessPolicy != nil {
		errs = append(errs, field.Invalid(spec.Child("successPolicy"), *s.SuccessPolicy, "requires indexed completion mode"))
	}
	if mode != batchv1.NonIndexedCompletion {
		return errs
	}
	if s.BackoffLimitPerIndex != nil {
		errs = append(errs, field.Invalid(spec.Child("backoffLimitPerIndex"), *s.BackoffLimitPerIndex, "requires indexed completion mode"))
	}
	if s.MaxFailedIndexes != nil {
		errs = append(errs, field.Invalid(spec.Child("maxFailedIndexes"), *s.MaxFailedIndexes, "requires indexed completion mode"))
	}
	return errs
}

func validateIndexed(s *batchv1.JobSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	atMost := func(n *int32, max int32, name, when string) {
		if n != nil && *n > max {
			errs = append(errs, field.Invalid(spec.Child(name), *n, fmt.Sprintf("must be less than or equal to %d%s", max, when)))
		}
	}
	if s.Completions == nil {
		errs = append(errs, field.Required(spec.Child("completions"), fmt.Sprintf("when completion mode is %s", batchv1.IndexedCompletion)))
	}
	atMost(s.Parallelism, maxIndexedParallelism, "parallelism", fmt.Sprintf(" when completion mode is %s", batchv1.IndexedCompletion))
	if s.Completions != nil && s.MaxFailedIndexes != nil && *s.MaxFailedIndexes > *s.Completions {
		errs = append(errs, field.Invalid(spec.Child("maxFailedIndexes"), *s.MaxFailedIndexes, "must be less than or equal to completions"))
	}
	atMost(s.MaxFailedIndexes, maxFailedIndexes, "maxFailedIndexes", "")
	if ptr.Deref(s.Completions, 0) > manyCompletions && s.BackoffLimitPerIndex != nil {
		if s.MaxFailedIndexes == nil {
			errs = append(errs, field.Required(spec.Child("maxFailedIndexes"), fmt.Sprintf("must be specified when completions is above %d", manyCompletions)))
		}
		when := fmt.Sprintf(" when completions are above %d and used with backoff limit per index", manyCompletions)
		atMost(s.Parallelism, maxWithManyCompletions, "parallelism", when)
		atMost(s.MaxFailedIndexes, maxWithManyCompletions, "maxFailedIndexes", when)
	}
	return errs
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

func validateJobUpdate(j, old *batchv1.Job) field.ErrorList {
	s, was, spec := &j.Spec, &old.Spec, field.NewPath("spec")
	errs := validate.Immutable(s.Selector, was.Selector, spec.Child("selector"))
	errs = append(errs, validateCompletionsUpdate(s, was, spec.Child("completions"))...)
	errs = append(errs, validate.Immutable(s.CompletionMode, was.CompletionMode, spec.Child("completionMode"))...)
	errs = append(errs, validate.Immutable(s.PodFailurePolicy, was.PodFailurePolicy, spec.Child("podFailurePolicy"))...)
	errs = append(errs, validate.Immutable(s.SuccessPolicy, was.SuccessPolicy, spec.Child("successPolicy"))...)
	errs = append(errs, validate.Immutable(s.BackoffLimitPerIndex, was.BackoffLimitPerIndex, spec.Child("backoffLimitPerIndex"))...)
	errs = append(errs, validate.Immutable(s.ManagedBy, was.ManagedBy, spec.Child("managedBy"))...)
	return append(errs, validateTemplateUpdate(j, old, spec.Child("template"))...)
}

// validateCompletionsUpdate: an indexed job may grow and shrink with its parallelism.
func validateCompletionsUpdate(s, was *batchv1.JobSpec, path *field.Path) field.ErrorList {
	switch {
	case !isIndexed(s):
		return validate.Immutable(s.Completions, was.Completions, path)
	case s.Completions == nil || ptr.Equal(s.Completions, was.Completions):
		return nil
	case *s.Completions != ptr.Deref(s.Parallelism, 0):
		return field.ErrorList{field.Invalid(path, s.Completions, "can only be modified in tandem with spec.parallelism")}
	}
	return nil
}

// validateTemplateUpdate: while a job is suspended and has no pods, a queue may say where they
// are to run and what they ask for.
func validateTemplateUpdate(j, old *batchv1.Job, path *field.Path) field.ErrorList {
	now, was := &j.Spec.Template, old.Spec.Template.DeepCopy()
	idle := ptr.Deref(old.Spec.Suspend, false) && old.Status.Active == 0 && (old.Status.StartTime == nil || is(old, batchv1.JobSuspended))
	if idle {
		was.Labels, was.Annotations = now.Labels, now.Annotations
		was.Spec.NodeSelector, was.Spec.Tolerations, was.Spec.SchedulingGates = now.Spec.NodeSelector, now.Spec.Tolerations, now.Spec.SchedulingGates
		was.Spec.Affinity = withNodeAffinity(was.Spec.Affinity, now.Spec.Affinity)
	}
	if !ptr.Deref(old.Spec.Suspend, false) || !idle {
		return validate.Immutable(now, was, path)
	}
	takeResources(was.Spec.Containers, now.Spec.Containers)
	takeResources(was.Spec.InitContainers, now.Spec.InitContainers)
	return validate.Immutable(now.Spec, was.Spec, path.Child("spec"))
}

// withNodeAffinity is an affinity with the node affinity of another one.
func withNodeAffinity(a, other *corev1.Affinity) *corev1.Affinity {
	out := corev1.Affinity{}
	if a != nil {
		out = *a
	}
	out.NodeAffinity = nil
	if other != nil {
		out.NodeAffinity = other.NodeAffinity
	}
	if other == nil && equality.Semantic.DeepEqual(out, corev1.Affinity{}) {
		return nil
	}
	return &out
}

func takeResources(containers, from []corev1.Container) {
	if !slices.EqualFunc(containers, from, func(a, b corev1.Container) bool { return a.Name == b.Name }) {
		return
	}
	for i := range containers {
		containers[i].Resources = from[i].Resources
	}
}

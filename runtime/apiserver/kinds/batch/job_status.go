package batch

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// finished says that no pod of a job runs any more, nor will.
func finished(j *batchv1.Job) bool { return is(j, batchv1.JobComplete) || is(j, batchv1.JobFailed) }

// validateJobStatus: whoever manages a job keeps what its clients rely on. A rule is held to
// where what it is about has changed: its parts are written by several, and not at once.
func validateJobStatus(j, old *batchv1.Job) field.ErrorList {
	errs := validateCounts(j, old)
	errs = append(errs, validateJobConditions(j, old)...)
	errs = append(errs, validateJobTimes(j, old)...)
	return append(errs, validateIndexesOfStatus(j, old)...)
}

// changed says whether a condition became true, or ceased to be.
func changed(j, old *batchv1.Job, t batchv1.JobConditionType) bool { return is(j, t) != is(old, t) }

func validateCounts(j, old *batchv1.Job) field.ErrorList {
	s, was, path := &j.Status, &old.Status, field.NewPath("status")
	ends := finished(j) != finished(old)
	errs := validate.NonNegative(s.Active, path.Child("active"))
	errs = append(errs, validate.NonNegative(s.Succeeded, path.Child("succeeded"))...)
	errs = append(errs, validate.NonNegative(s.Failed, path.Child("failed"))...)
	errs = append(errs, validate.NonNegativePtr(s.Ready, path.Child("ready"))...)
	errs = append(errs, validate.NonNegativePtr(s.Terminating, path.Child("terminating"))...)
	errs = append(errs, validateUncounted(s.UncountedTerminatedPods, path.Child("uncountedTerminatedPods"))...)

	if finished(j) && s.Active > 0 && (ends || s.Active != was.Active) {
		errs = append(errs, field.Invalid(path.Child("active"), s.Active, "active>0 is invalid for finished job"))
	}
	if u := s.UncountedTerminatedPods; finished(j) && u != nil && len(u.Failed)+len(u.Succeeded) > 0 &&
		(ends || !equality.Semantic.DeepEqual(u, was.UncountedTerminatedPods)) {
		errs = append(errs, field.Invalid(path.Child("uncountedTerminatedPods"), u, "must be empty for finished job"))
	}
	if n := s.Terminating; finished(j) && ptr.Deref(n, 0) > 0 && (ends || !ptr.Equal(n, was.Terminating)) {
		errs = append(errs, field.Invalid(path.Child("terminating"), n, "terminating>0 is invalid for finished job"))
	}
	if n := s.Ready; n != nil && *n > s.Active && (!ptr.Equal(n, was.Ready) || s.Active != was.Active) {
		errs = append(errs, field.Invalid(path.Child("ready"), *n, "cannot set more ready pods than active"))
	}
	if s.Failed < was.Failed {
		errs = append(errs, field.Invalid(path.Child("failed"), s.Failed, "cannot decrease the failed counter"))
	}
	// A job that is scaled down forgets those that succeeded beyond its new size.
	elastic := isIndexed(&j.Spec) && ptr.Equal(j.Spec.Completions, j.Spec.Parallelism)
	if s.Succeeded < was.Succeeded && !elastic {
		errs = append(errs, field.Invalid(path.Child("succeeded"), s.Succeeded, "cannot decrease the succeeded counter"))
	}
	return errs
}

func validateUncounted(u *batchv1.UncountedTerminatedPods, path *field.Path) field.ErrorList {
	if u == nil {
		return nil
	}
	var errs field.ErrorList
	seen := sets.New[types.UID]()
	for _, f := range []struct {
		name string
		uids []types.UID
	}{{"succeeded", u.Succeeded}, {"failed", u.Failed}} {
		for i, uid := range f.uids {
			at := path.Child(f.name).Index(i)
			switch {
			case uid == "":
				errs = append(errs, field.Invalid(at, uid, "must not be empty"))
			case seen.Has(uid):
				errs = append(errs, field.Duplicate(at, uid))
			}
			seen.Insert(uid)
		}
	}
	return errs
}

func validateJobConditions(j, old *batchv1.Job) field.ErrorList {
	path := field.NewPath("status", "conditions")
	const complete, failed, target, met = batchv1.JobComplete, batchv1.JobFailed, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet
	var errs field.ErrorList
	refuse := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(format, args...)))
		}
	}
	refuse(is(j, complete) && is(j, failed) && (changed(j, old, complete) || changed(j, old, failed)),
		"cannot set Complete=True and Failed=true conditions")
	refuse(is(j, complete) && is(j, target) && (changed(j, old, complete) || changed(j, old, target)),
		"cannot set Complete=True and FailureTarget=true conditions")
	refuse(is(j, failed) && !is(j, target) && (changed(j, old, failed) || !ptr.Equal(j.Status.FailedIndexes, old.Status.FailedIndexes)),
		"cannot set Failed=True condition without the FailureTarget=true condition")
	refuse(is(j, complete) && !is(j, met) && (changed(j, old, complete) || changed(j, old, met)),
		"cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
	refuse(is(j, met) && is(j, failed), "cannot set SuccessCriteriaMet=True and Failed=true conditions")
	refuse(is(j, met) && is(j, target), "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions")
	refuse(j.Spec.SuccessPolicy != nil && is(j, complete) && !is(j, met),
		"cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True")
	for _, t := range []batchv1.JobConditionType{failed, complete, target} {
		refuse(is(old, t) && !is(j, t), "cannot disable the terminal %s=True condition", t)
	}
	refuse(is(old, met) && !is(j, met), "cannot disable the SuccessCriteriaMet=True condition")
	refuse(is(old, complete) && !is(old, met) && is(j, met), "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions")
	return errs
}

func validateJobTimes(j, old *batchv1.Job) field.ErrorList {
	s, was, path := &j.Status, &old.Status, field.NewPath("status")
	start, end := path.Child("startTime"), path.Child("completionTime")
	started, ended := !s.StartTime.Equal(was.StartTime), !s.CompletionTime.Equal(was.CompletionTime)
	complete := is(j, batchv1.JobComplete)
	var errs field.ErrorList
	if changed(j, old, batchv1.JobComplete) || ended {
		switch {
		case s.CompletionTime != nil && !complete:
			errs = append(errs, field.Invalid(end, s.CompletionTime, "cannot set completionTime when there is no Complete=True condition"))
		case s.CompletionTime == nil && complete:
			errs = append(errs, field.Required(end, "completionTime is required for Complete jobs"))
		}
	}
	if (started || ended) && s.StartTime != nil && s.CompletionTime != nil && s.CompletionTime.Before(s.StartTime) {
		errs = append(errs, field.Invalid(end, s.CompletionTime, "must be equal to or after `startTime`"))
	}
	if s.CompletionTime != nil && was.CompletionTime != nil && ended {
		errs = append(errs, field.Invalid(end, s.CompletionTime, "field is immutable"))
	}
	// A job of nothing may be finished while it is suspended: it never started.
	nothing := ptr.Deref(j.Spec.Suspend, false) && ptr.Equal(j.Spec.Completions, ptr.To[int32](0))
	if s.StartTime == nil && finished(j) && (finished(j) != finished(old) || started) && !nothing {
		errs = append(errs, field.Required(start, "startTime is required for finished job"))
	}
	resumed := is(old, batchv1.JobSuspended) && hasCondition(j, batchv1.JobSuspended, corev1.ConditionFalse)
	if started && was.StartTime != nil && !ptr.Deref(j.Spec.Suspend, false) && !resumed {
		errs = append(errs, field.Invalid(start, s.StartTime, "field is immutable for unsuspended job once set"))
	}
	return errs
}

func validateIndexesOfStatus(j, old *batchv1.Job) field.ErrorList {
	s, was, path := &j.Status, &old.Status, field.NewPath("status")
	done, failed := path.Child("completedIndexes"), path.Child("failedIndexes")
	newDone, newFailed := s.CompletedIndexes != was.CompletedIndexes, !ptr.Equal(s.FailedIndexes, was.FailedIndexes)
	var errs field.ErrorList
	if newDone && s.CompletedIndexes != "" && !isIndexed(&j.Spec) {
		errs = append(errs, field.Invalid(done, s.CompletedIndexes, "cannot set non-empty completedIndexes when non-indexed completion mode"))
	}
	if newFailed && s.FailedIndexes != nil && j.Spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(failed, *s.FailedIndexes, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"))
	}
	if j.Spec.Completions == nil || !newDone && !newFailed {
		return errs
	}
	doneList, err := parseIndexes(s.CompletedIndexes, *j.Spec.Completions)
	if err != nil && newDone {
		errs = append(errs, field.Invalid(done, s.CompletedIndexes, "error parsing completedIndexes: "+err.Error()))
	}
	if s.FailedIndexes == nil {
		return errs
	}
	failedList, err := parseIndexes(*s.FailedIndexes, *j.Spec.Completions)
	if err != nil && newFailed && j.Spec.BackoffLimitPerIndex != nil {
		errs = append(errs, field.Invalid(failed, s.FailedIndexes, "error parsing failedIndexes: "+err.Error()))
	}
	if i, both := doneList.overlap(failedList); both {
		errs = append(errs, field.Invalid(failed, *s.FailedIndexes, fmt.Sprintf("failedIndexes and completedIndexes overlap at index: %d", i)))
	}
	return errs
}

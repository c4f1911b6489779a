package batch

import (
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// maxCronJobName leaves the 11 characters that the controller adds to name a
// job of a CronJob, within the 63 of a label.
const maxCronJobName = 52

func cronJob() kind.Kind {
	return kind.Kind{
		GVK:        batchv1.SchemeGroupVersion.WithKind("CronJob"),
		Resource:   "cronjobs",
		Generation: true,
		ShortNames: []string{"cj"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default: kind.On(SetObjectDefaults_CronJob, defaultCronJob),
		Drop:    kind.On(func(c *batchv1.CronJob) { dropDisabled(&c.Spec.JobTemplate.Spec) }),
		Unsupported: kind.Check(func(c *batchv1.CronJob) field.ErrorList {
			return core.UnsupportedPodTemplate(&c.Spec.JobTemplate.Spec.Template, field.NewPath("spec", "jobTemplate", "spec", "template"))
		}),
		Declared:       kind.Declared(Validate_CronJob, "WorkloadWithJob"),
		Validate:       kind.Check(validateCronJob),
		ValidateCreate: kind.Check(validateNewCronJob),
		ValidateUpdate: kind.CheckUpdate(validateCronJobUpdate),

		Warnings: kind.Warnings(func(o *batchv1.CronJob) []string {
			return jobWarnings(&o.Spec.JobTemplate.Spec, field.NewPath("spec", "jobTemplate", "spec"))
		}),
		WarnsOnChange:    true,
		WarningsOnCreate: kind.Warnings(func(o *batchv1.CronJob) []string { return core.NameWarnings(o.Name) }),
		Columns:          printers.Columns("Name", "Schedule", "Timezone", "?Suspend", "#Active", "Last Schedule", "Age", "+Containers", "+Images", "+Selector"),
		Cells: kind.Cells(func(c *batchv1.CronJob, now time.Time) []any {
			last := printers.None
			if t := c.Status.LastScheduleTime; t != nil {
				last = printers.Since(*t, now)
			}
			suspend := "False"
			if ptr.Deref(c.Spec.Suspend, false) {
				suspend = "True"
			}
			names, refs := printers.Images(c.Spec.JobTemplate.Spec.Template.Spec.Containers)
			return []any{
				c.Name, c.Spec.Schedule, ptr.Deref(c.Spec.TimeZone, printers.None), suspend, int64(len(c.Status.Active)), last,
				printers.Age(c.ObjectMeta, now), names, refs, printers.Selector(c.Spec.JobTemplate.Spec.Selector),
			}
		}),
	}
}

func defaultCronJob(c *batchv1.CronJob) {
	s := &c.Spec
	kind.SetDefault(&s.ConcurrencyPolicy, batchv1.AllowConcurrent)
	kind.SetDefaultPtr(&s.Suspend, false)
	kind.SetDefaultPtr(&s.SuccessfulJobsHistoryLimit, 3)
	kind.SetDefaultPtr(&s.FailedJobsHistoryLimit, 1)
	defaultJobTemplate(&s.JobTemplate.Spec)
}

func validateNewCronJob(c *batchv1.CronJob) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if len(c.Name) > maxCronJobName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), c.Name, fmt.Sprintf("must be no more than %d characters", maxCronJobName)))
	}
	errs = append(errs, noZone(c.Spec.Schedule, spec.Child("schedule"))...)
	return append(errs, validateTimeZone(c.Spec.TimeZone, spec.Child("timeZone"))...)
}

// validateCronJobUpdate: a zone in the schedule, which older clusters took, may stay.
func validateCronJobUpdate(c, old *batchv1.CronJob) field.ErrorList {
	s, was, spec := &c.Spec, &old.Spec, field.NewPath("spec")
	var errs field.ErrorList
	switch {
	case !strings.Contains(was.Schedule, "TZ"):
		errs = noZone(s.Schedule, spec.Child("schedule"))
	case strings.Contains(s.Schedule, "TZ") && s.TimeZone != nil:
		errs = append(errs, field.Invalid(spec.Child("schedule"), s.Schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
	}
	if !ptr.Equal(s.TimeZone, was.TimeZone) {
		errs = append(errs, validateTimeZone(s.TimeZone, spec.Child("timeZone"))...)
	}
	return errs
}

func noZone(schedule string, path *field.Path) field.ErrorList {
	if strings.Contains(schedule, "TZ") {
		return field.ErrorList{field.Invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")}
	}
	return nil
}

func validateCronJob(c *batchv1.CronJob) field.ErrorList {
	s, spec := &c.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if s.Schedule != "" { // that there is one is declared
		if err := cronSyntax(s.Schedule); err != nil {
			errs = append(errs, field.Invalid(spec.Child("schedule"), s.Schedule, err.Error()))
		}
	}
	errs = append(errs, validate.NonNegativePtr(s.StartingDeadlineSeconds, spec.Child("startingDeadlineSeconds"))...)
	errs = append(errs, validate.OneOf(s.ConcurrencyPolicy, spec.Child("concurrencyPolicy"),
		batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)...)
	errs = append(errs, validate.NonNegativePtr(s.SuccessfulJobsHistoryLimit, spec.Child("successfulJobsHistoryLimit"))...)
	errs = append(errs, validate.NonNegativePtr(s.FailedJobsHistoryLimit, spec.Child("failedJobsHistoryLimit"))...)

	job := spec.Child("jobTemplate", "spec")
	errs = append(errs, validateJobSpec(&s.JobTemplate.Spec, job)...)
	if s.JobTemplate.Spec.Selector != nil {
		errs = append(errs, field.Invalid(job.Child("selector"), s.JobTemplate.Spec.Selector, "`selector` will be auto-generated"))
	}
	if ptr.Deref(s.JobTemplate.Spec.ManualSelector, false) {
		errs = append(errs, field.NotSupported(job.Child("manualSelector"), true, []string{"nil", "false"}))
	}
	return errs
}

package kinds

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxCronJobName leaves the 11 characters that the controller adds to name a
// job of a CronJob, within the 63 of a label.
const maxCronJobName = 52

func cronJob() Kind {
	return Kind{
		GVK:        batchv1.SchemeGroupVersion.WithKind("CronJob"),
		Resource:   "cronjobs",
		ShortNames: []string{"cj"},
		Categories: []string{"all"},
		Namespaced: true,
		Status:     true,

		Default:  on(defaultCronJob),
		Validate: check(validateCronJob),

		Columns: columns("Name", "Schedule", "Timezone", "Suspend", "#Active", "Last Schedule", "Age", "+Containers", "+Images", "+Selector"),
		Cells: cells(func(c *batchv1.CronJob, now time.Time) []any {
			last := none
			if t := c.Status.LastScheduleTime; t != nil {
				last = since(*t, now)
			}
			suspend := "False"
			if deref(c.Spec.Suspend, false) {
				suspend = "True"
			}
			names, refs := images(c.Spec.JobTemplate.Spec.Template.Spec.Containers)
			return []any{
				c.Name, c.Spec.Schedule, deref(c.Spec.TimeZone, none), suspend, int64(len(c.Status.Active)), last,
				age(c.ObjectMeta, now), names, refs, selectorText(c.Spec.JobTemplate.Spec.Selector),
			}
		}),
	}
}

func defaultCronJob(c *batchv1.CronJob) {
	s := &c.Spec
	setDefault(&s.ConcurrencyPolicy, batchv1.AllowConcurrent)
	setDefaultPtr(&s.Suspend, false)
	setDefaultPtr(&s.SuccessfulJobsHistoryLimit, 3)
	setDefaultPtr(&s.FailedJobsHistoryLimit, 1)
	defaultJobSpec(&s.JobTemplate.Spec)
}

func validateCronJob(c *batchv1.CronJob) field.ErrorList {
	s, spec := &c.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(c.Name) > maxCronJobName {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), c.Name, fmt.Sprintf("must be no more than %d characters", maxCronJobName)))
	}
	switch {
	case s.Schedule == "":
		errs = append(errs, field.Required(spec.Child("schedule"), ""))
	case strings.Contains(s.Schedule, "TZ"):
		errs = append(errs, field.Invalid(spec.Child("schedule"), s.Schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
	default:
		if err := cronSyntax(s.Schedule); err != nil {
			errs = append(errs, field.Invalid(spec.Child("schedule"), s.Schedule, err.Error()))
		}
	}
	errs = append(errs, validateTimeZone(s.TimeZone, spec.Child("timeZone"))...)
	errs = append(errs, nonNegativePtr(s.StartingDeadlineSeconds, spec.Child("startingDeadlineSeconds"))...)
	errs = append(errs, oneOf(s.ConcurrencyPolicy, spec.Child("concurrencyPolicy"),
		batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)...)
	errs = append(errs, nonNegativePtr(s.SuccessfulJobsHistoryLimit, spec.Child("successfulJobsHistoryLimit"))...)
	errs = append(errs, nonNegativePtr(s.FailedJobsHistoryLimit, spec.Child("failedJobsHistoryLimit"))...)

	template := spec.Child("jobTemplate")
	errs = append(errs, metavalidation.ValidateLabels(s.JobTemplate.Labels, template.Child("metadata", "labels"))...)
	errs = append(errs, validateJobSpec(&s.JobTemplate.Spec, template.Child("spec"))...)
	if deref(s.JobTemplate.Spec.ManualSelector, false) {
		errs = append(errs, field.NotSupported(template.Child("spec", "manualSelector"), true, []string{"nil", "false"}))
	}
	return errs
}

func validateTimeZone(zone *string, path *field.Path) field.ErrorList {
	if zone == nil {
		return nil
	}
	switch {
	case *zone == "":
		return field.ErrorList{field.Invalid(path, *zone, "timeZone must be nil or non-empty string")}
	case strings.EqualFold(*zone, "Local"):
		return field.ErrorList{field.Invalid(path, *zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")}
	}
	if _, err := time.LoadLocation(*zone); err != nil {
		return field.ErrorList{field.Invalid(path, *zone, err.Error())}
	}
	return nil
}

// cronSyntax checks a schedule: five fields, or one of the @ words.
func cronSyntax(schedule string) error {
	if word, ok := strings.CutPrefix(schedule, "@"); ok {
		if every, ok := strings.CutPrefix(word, "every "); ok {
			if _, err := time.ParseDuration(every); err != nil {
				return fmt.Errorf("failed to parse duration %s: %w", schedule, err)
			}
			return nil
		}
		switch word {
		case "yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly":
			return nil
		}
		return fmt.Errorf("unrecognized descriptor: %s", schedule)
	}
	months := []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}
	days := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	ranges := []cronField{{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of month", 1, 31, nil}, {"month", 1, 12, months}, {"day of week", 0, 6, days}}
	parts := strings.Fields(schedule)
	if len(parts) != len(ranges) {
		return fmt.Errorf("expected exactly 5 fields, found %d: [%s]", len(parts), schedule)
	}
	for i, p := range parts {
		for _, item := range strings.Split(p, ",") {
			if err := ranges[i].check(item); err != nil {
				return err
			}
		}
	}
	return nil
}

type cronField struct {
	name     string
	min, max int
	words    []string // names of the values from min on
}

// check takes one item of a field's list: *, n, a-b, each with or without /step.
func (f cronField) check(item string) error {
	span, step, stepped := strings.Cut(item, "/")
	if stepped {
		if n, err := strconv.Atoi(step); err != nil || n < 1 {
			return fmt.Errorf("%s: step of %q must be a positive number", f.name, item)
		}
	}
	if span == "*" || span == "?" {
		return nil
	}
	from, to, ranged := strings.Cut(span, "-")
	first, err := f.value(from)
	if err != nil {
		return err
	}
	if !ranged {
		return nil
	}
	last, err := f.value(to)
	if err != nil {
		return err
	}
	if first > last {
		return fmt.Errorf("%s: beginning of range (%d) beyond end of range (%d): %s", f.name, first, last, item)
	}
	return nil
}

func (f cronField) value(s string) (int, error) {
	for i, w := range f.words {
		if strings.EqualFold(s, w) {
			return f.min + i, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%s: failed to parse number %q", f.name, s)
	}
	if n < f.min || n > f.max {
		return 0, fmt.Errorf("%s: %d is not between %d and %d", f.name, n, f.min, f.max)
	}
	return n, nil
}

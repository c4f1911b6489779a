package batch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

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

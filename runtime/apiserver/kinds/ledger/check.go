package ledger

import (
	"errors"
	"fmt"
	"slices"
)

// Check compares the ledger with the types: each field has one answer, and each answer is
// about a field that is there.
func (l Ledger) Check(types []Type) error {
	var errs []error
	there := map[string]Type{}
	for _, t := range types {
		there[t.Name] = t
		answered := l[t.Name]
		for _, f := range t.Fields {
			if n := answered.count(f); n != 1 {
				errs = append(errs, fmt.Errorf("%s: %s has %d answers in the ledger, want one: say whether it is enforced, refused, warned of, dropped, inert or unwritten", t.Name, f, n))
			}
		}
	}
	for _, e := range l.Entries() {
		t, ok := there[e.Type]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: no served kind has this type, or all that has it ends above it", e.Type))
			continue
		}
		for _, r := range e.Rules {
			errs = append(errs, r.check(t)...)
		}
	}
	return errors.Join(errs...)
}

// count is the number of rules about all values of a field.
func (e Entry) count(field string) int {
	n := 0
	for _, r := range e.Rules {
		if r.Value == "" && slices.Contains(r.Fields, field) {
			n++
		}
	}
	return n
}

// check reports what is wrong with a rule by itself.
func (r Rule) check(t Type) []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %v: %s", t.Name, r.Fields, fmt.Sprintf(format, args...)))
	}
	for _, f := range r.Fields {
		if !slices.Contains(t.Fields, f) {
			wrong("the type has no field %s", f)
		}
	}
	n := 0
	for _, c := range r.classes() {
		if c.set {
			n++
		}
	}
	if n != 1 {
		wrong("%d classes, want one", n)
	}
	switch r.Class() {
	case "enforced":
		if r.Test == "" {
			wrong("no test shows that it is enforced")
		}
	case "refused", "warned", "dropped":
		if r.Send == nil && r.Test == "" {
			wrong("nothing shows that it is %s", r.Class())
		}
	}
	return errs
}

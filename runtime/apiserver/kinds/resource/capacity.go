package resource

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"gopkg.in/inf.v0"
	resourcev1 "k8s.io/api/resource/v1"
	quantity "k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// validateCapacities checks how much of a device there is. Only of one that may be given
// more than once, requests take a part.
func validateCapacities(d *resourcev1.Device, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(d.Capacity)) {
		c, policy := d.Capacity[name], path.Key(shortened(string(name))).Child("requestPolicy")
		errs = append(errs, qualifiedName(string(name), path)...)
		switch {
		case c.RequestPolicy == nil:
		case !ptr.Deref(d.AllowMultipleAllocations, false):
			errs = append(errs, field.Forbidden(policy, "allowMultipleAllocations must be true"))
		default:
			errs = append(errs, validatePolicy(c.Value, c.RequestPolicy, policy)...)
		}
	}
	return errs
}

func validatePolicy(capacity quantity.Quantity, p *resourcev1.CapacityRequestPolicy, path *field.Path) field.ErrorList {
	switch {
	case len(p.ValidValues) > 0 && p.ValidRange != nil:
		return field.ErrorList{field.Forbidden(path, `exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time`)}
	case len(p.ValidValues) > 0 && p.Default == nil:
		return field.ErrorList{field.Required(path.Child("default"), "required when validValues is defined")}
	case len(p.ValidValues) > 0:
		return validateValues(*p.Default, capacity, p.ValidValues, path.Child("validValues"))
	case p.ValidRange != nil && p.Default == nil:
		return field.ErrorList{field.Required(path.Child("default"), "required when validRange is defined")}
	case p.ValidRange != nil:
		return validateRange(*p.Default, capacity, p.ValidRange, path.Child("validRange"))
	}
	return nil
}

// mostValues are of what a policy can offer, as upstream.
const mostValues = 10

func validateValues(preset, capacity quantity.Quantity, values []quantity.Quantity, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := 1; i < len(values); i++ {
		if values[i-1].Cmp(values[i]) > 0 {
			errs = append(errs, field.Invalid(path.Index(i), values[i].String(), "values must be sorted in ascending order"))
		}
	}
	found := false
	if many := few(values, mostValues, path); many != nil {
		errs = append(errs, many...)
	} else {
		for i, v := range values {
			if v.Cmp(capacity) > 0 {
				errs = append(errs, field.Invalid(path.Index(i), v.String(), "option is larger than capacity value: "+capacity.String()))
			}
			found = found || v.Cmp(preset) == 0
		}
		seen := sets.New[string]()
		for i, v := range values {
			errs = append(errs, unique(v.AsDec().String(), seen, path.Index(i))...)
		}
	}
	if !found {
		errs = append(errs, field.Invalid(path, preset.String(), "default value is not valid according to the requestPolicy"))
	}
	return errs
}

// named is a quantity of a range, and its field.
type named struct {
	name string
	q    *quantity.Quantity
}

func validateRange(preset, capacity quantity.Quantity, r *resourcev1.CapacityRequestPolicyRange, path *field.Path) field.ErrorList {
	if r.Min == nil {
		return field.ErrorList{field.Required(path.Child("min"), "required when validRange is defined")}
	}
	var errs field.ErrorList
	wrong := func(name string, q *quantity.Quantity, format string, than fmt.Stringer) {
		errs = append(errs, field.Invalid(path.Child(name), q.String(), fmt.Sprintf(format, than)))
	}
	if r.Min.Cmp(capacity) > 0 {
		wrong("min", r.Min, "min is larger than capacity value: %s", &capacity)
	}
	if preset.Cmp(*r.Min) < 0 {
		wrong("default", &preset, "default is less than min: %s", r.Min)
	}
	if r.Max != nil {
		if r.Min.Cmp(*r.Max) > 0 {
			wrong("max", r.Min, "min is larger than max: %s", r.Max)
		}
		if r.Max.Cmp(capacity) > 0 {
			wrong("max", r.Max, "max is larger than capacity value: %s", &capacity)
		}
		if preset.Cmp(*r.Max) > 0 {
			wrong("default", &preset, "default is more than max: %s", r.Max)
		}
	}
	all := []named{{"default", &preset}, {"min", r.Min}, {"max", r.Max}, {"step", r.Step}}
	all = slices.DeleteFunc(all, func(n named) bool { return n.q == nil })
	milli := slices.ContainsFunc(all, func(n named) bool { return fractional(n.q) })
	if milli {
		var unsafe field.ErrorList
		for _, n := range all {
			if n.q.Cmp(*quantity.NewMilliQuantity(n.q.MilliValue(), n.q.Format)) != 0 {
				unsafe = append(unsafe, field.Invalid(path.Child(n.name), n.q.String(), "value cannot be represented as a milli value"))
			}
		}
		if len(unsafe) > 0 {
			return append(errs, unsafe...)
		}
	}
	if r.Step == nil {
		return errs
	}
	if r.Step.Sign() <= 0 {
		return append(errs, field.Invalid(path.Child("step"), r.Step.String(), "must be greater than zero"))
	}
	first := r.Min.DeepCopy()
	first.Add(*r.Step)
	if first.Cmp(capacity) > 0 {
		errs = append(errs, field.Invalid(path.Child("step"), r.Step.String(), fmt.Sprintf("one step %s is larger than capacity value: %s", first.String(), capacity.String())))
	}
	if !milli {
		if unsafe := wholeNumbers(all, path); len(unsafe) > 0 {
			return append(errs, unsafe...)
		}
	}
	for _, n := range all[:len(all)-1] {
		if n.name != "min" && (number(n.q, milli)-number(r.Min, milli))%number(r.Step, milli) != 0 {
			errs = append(errs, field.Invalid(path.Child("step"), n.q.String(), fmt.Sprintf("value is not a multiple of a given step (%s) from (%s)", r.Step, r.Min)))
		}
	}
	return errs
}

// wholeNumbers refuses what does not fit into 64 bits, with which the steps are counted.
func wholeNumbers(all []named, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, n := range all {
		switch {
		case n.q.Sign() < 0:
			errs = append(errs, field.Invalid(path.Child(n.name), n.q.String(), apivalidation.IsNegativeErrorMsg))
		case n.q.CmpInt64(math.MaxInt64) > 0:
			errs = append(errs, field.Invalid(path.Child(n.name), n.q.String(), "must not be larger than 9223372036854775807"))
		}
	}
	return errs
}

func number(q *quantity.Quantity, milli bool) int64 {
	if milli {
		return q.MilliValue()
	}
	return q.Value()
}

// fractional says that a quantity is no whole number.
func fractional(q *quantity.Quantity) bool {
	d := q.AsDec()
	return d.Cmp(new(inf.Dec).Round(d, 0, inf.RoundDown)) != 0
}

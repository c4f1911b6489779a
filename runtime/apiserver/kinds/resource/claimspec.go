package resource

import (
	"encoding/json"
	"fmt"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// defaultClaim fills in how many devices are asked for, and what of them is put up with.
func defaultClaim(s *resourcev1.ResourceClaimSpec) {
	for i := range s.Devices.Requests {
		r := &s.Devices.Requests[i]
		if e := r.Exactly; e != nil {
			defaultAmount(&e.AllocationMode, &e.Count)
			defaultTolerations(e.Tolerations)
		}
		for k := range r.FirstAvailable {
			defaultAmount(&r.FirstAvailable[k].AllocationMode, &r.FirstAvailable[k].Count)
			defaultTolerations(r.FirstAvailable[k].Tolerations)
		}
	}
}

func defaultTolerations(list []resourcev1.DeviceToleration) {
	for i := range list {
		kind.SetDefault(&list[i].Operator, resourcev1.DeviceTolerationOpEqual)
	}
}

func defaultAmount(mode *resourcev1.DeviceAllocationMode, count *int64) {
	kind.SetDefault(mode, resourcev1.DeviceAllocationModeExactCount)
	if *mode == resourcev1.DeviceAllocationModeExactCount {
		kind.SetDefault(count, 1)
	}
}

// dropFromClaim removes what is behind gates that are off.
func dropFromClaim(s *resourcev1.ResourceClaimSpec) {
	for i := range s.Devices.Requests {
		r := &s.Devices.Requests[i]
		if r.Exactly != nil {
			r.Exactly.DerivedAttributes = nil
		}
		for k := range r.FirstAvailable {
			r.FirstAvailable[k].DerivedAttributes = nil
		}
	}
}

func validateClaimSpec(s *resourcev1.ResourceClaimSpec, path *field.Path) field.ErrorList {
	devices := path.Child("devices")
	names := requestNamesOf(&s.Devices)
	errs := each(s.Devices.Requests, resourcev1.DeviceRequestsMaxSize, devices.Child("requests"), validateRequest)
	errs = append(errs, each(s.Devices.Constraints, resourcev1.DeviceConstraintsMaxSize, devices.Child("constraints"), func(c resourcev1.DeviceConstraint, path *field.Path) field.ErrorList {
		errs := names.references(c.Requests, path.Child("requests"))
		if c.MatchAttribute == nil && c.DistinctAttribute == nil {
			errs = append(errs, field.Required(path, `exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set`))
		}
		return errs
	})...)
	return append(errs, each(s.Devices.Config, resourcev1.DeviceConfigMaxSize, devices.Child("config"), func(c resourcev1.DeviceClaimConfiguration, path *field.Path) field.ErrorList {
		return append(names.references(c.Requests, path.Child("requests")), validateNew(c.DeviceConfiguration, path)...)
	})...)
}

func validateRequest(r resourcev1.DeviceRequest, path *field.Path) field.ErrorList {
	const one = "exactly one of `exactly` or `firstAvailable` is required"
	errs := label(r.Name, path.Child("name"))
	switch {
	case r.Exactly == nil && len(r.FirstAvailable) == 0:
		return append(errs, field.Required(path, one))
	case r.Exactly != nil && len(r.FirstAvailable) > 0:
		return append(errs, field.Invalid(path, nil, one+", but multiple fields are set"))
	case r.Exactly != nil:
		return append(errs, validateExactly(r.Exactly, path.Child("exactly"))...)
	}
	return append(errs, each(r.FirstAvailable, resourcev1.FirstAvailableDeviceRequestMaxSize, path.Child("firstAvailable"), func(s resourcev1.DeviceSubRequest, path *field.Path) field.ErrorList {
		errs := label(s.Name, path.Child("name"))
		errs = append(errs, validateSelectors(s.Selectors, path.Child("selectors"))...)
		errs = append(errs, validateAmount(s.AllocationMode, s.Count, path.Child("count"))...)
		return append(errs, validateTolerations(s.Tolerations, path.Child("tolerations"))...)
	})...)
}

func validateExactly(r *resourcev1.ExactDeviceRequest, path *field.Path) field.ErrorList {
	errs := validate.DNSSubdomain(r.DeviceClassName, path.Child("deviceClassName"))
	errs = append(errs, validateSelectors(r.Selectors, path.Child("selectors"))...)
	errs = append(errs, validateAmount(r.AllocationMode, r.Count, path.Child("count"))...)
	return append(errs, validateTolerations(r.Tolerations, path.Child("tolerations"))...)
}

func validateAmount(mode resourcev1.DeviceAllocationMode, count int64, path *field.Path) field.ErrorList {
	switch {
	case mode == resourcev1.DeviceAllocationModeAll && count != 0:
		return field.ErrorList{field.Invalid(path, count, fmt.Sprintf("must not be specified when allocationMode is '%s'", mode))}
	case mode == resourcev1.DeviceAllocationModeExactCount && count <= 0:
		return field.ErrorList{field.Invalid(path, count, "must be greater than zero")}
	}
	return nil
}

// validateSelectors does not look at the expressions: [selectorExpressions] names them.
func validateSelectors(selectors []resourcev1.DeviceSelector, path *field.Path) field.ErrorList {
	return each(selectors, resourcev1.DeviceSelectorsMaxSize, path, func(s resourcev1.DeviceSelector, path *field.Path) field.ErrorList {
		if s.CEL == nil {
			return field.ErrorList{field.Required(path.Child("cel"), "")}
		}
		return nil
	})
}

// claimExpressions are those of a claim's requests.
func claimExpressions(s *resourcev1.ResourceClaimSpec, path *field.Path) []kind.Expression {
	var out []kind.Expression
	requests := path.Child("devices", "requests")
	for i, r := range s.Devices.Requests {
		switch {
		case r.Exactly != nil && len(r.FirstAvailable) > 0: // refused as a whole
		case r.Exactly != nil:
			out = append(out, selectorExpressions(r.Exactly.Selectors, requests.Index(i).Child("exactly", "selectors"))...)
		default:
			for k, sub := range r.FirstAvailable {
				out = append(out, selectorExpressions(sub.Selectors, requests.Index(i).Child("firstAvailable").Index(k).Child("selectors"))...)
			}
		}
	}
	return out
}

func selectorExpressions(selectors []resourcev1.DeviceSelector, path *field.Path) []kind.Expression {
	var out []kind.Expression
	for i, s := range selectors {
		if s.CEL != nil {
			out = append(out, kind.Expression{Path: path.Index(i).Child("cel", "expression"), Text: s.CEL.Expression, Sort: kind.DeviceExpression})
		}
	}
	return out
}

func validateTolerations(list []resourcev1.DeviceToleration, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, t := range list {
		value := path.Index(i).Child("value")
		switch t.Operator {
		case resourcev1.DeviceTolerationOpExists:
			if t.Value != "" {
				errs = append(errs, field.Invalid(value, t.Value, "must be empty for operator `Exists`"))
			}
		case resourcev1.DeviceTolerationOpEqual:
			errs = append(errs, labelValue(t.Value, value)...)
		}
	}
	return errs
}

// validateConfiguration checks what a driver is given, but for its length.
func validateConfiguration(c resourcev1.DeviceConfiguration, path *field.Path) field.ErrorList {
	if c.Opaque == nil {
		return field.ErrorList{field.Required(path.Child("opaque"), "")}
	}
	return validateJSON(c.Opaque.Parameters, path.Child("opaque", "parameters"))
}

func validateLength(c resourcev1.DeviceConfiguration, path *field.Path) field.ErrorList {
	if c.Opaque == nil {
		return nil
	}
	return short(c.Opaque.Parameters, path.Child("opaque", "parameters"), resourcev1.OpaqueParametersMaxLength)
}

// validateNew is both.
func validateNew(c resourcev1.DeviceConfiguration, path *field.Path) field.ErrorList {
	if errs := validateLength(c, path); errs != nil {
		return errs
	}
	return validateConfiguration(c, path)
}

func short(data runtime.RawExtension, path *field.Path, most int) field.ErrorList {
	if len(data.Raw) > most {
		return field.ErrorList{field.TooLong(path, "", most)}
	}
	return nil
}

// validateJSON takes an object.
func validateJSON(data runtime.RawExtension, path *field.Path) field.ErrorList {
	if len(data.Raw) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	var v any
	if err := json.Unmarshal(data.Raw, &v); err != nil {
		return field.ErrorList{field.Invalid(path, "<value omitted>", fmt.Sprintf("error parsing data as JSON: %v", err))}
	}
	if v == nil {
		return field.ErrorList{field.Required(path, "")}
	}
	if _, ok := v.(map[string]any); !ok {
		return field.ErrorList{field.Invalid(path, "<value omitted>", "must be a valid JSON object")}
	}
	return nil
}

package resource

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
)

// validateDevice leaves out capacities and taints.
func validateDevice(d *resourcev1.Device, path *field.Path, perDevice bool) field.ErrorList {
	errs := label(d.Name, path.Child("name"))
	// A device has as many attribute values as attributes: lists of values are dropped.
	if n := len(d.Attributes) + len(d.Capacity); n > resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice {
		errs = append(errs, field.Invalid(path, n, fmt.Sprintf("the total number of attributes and capacities must not exceed %d", resourcev1.ResourceSliceMaxAttributesAndCapacitiesPerDevice)))
	}
	if n := len(d.Attributes); n > resourcev1.ResourceSliceMaxAttributeValuesPerDevice {
		errs = append(errs, field.Invalid(path, n, fmt.Sprintf("the total number of attribute values must not exceed %d", resourcev1.ResourceSliceMaxAttributeValuesPerDevice)))
	}
	at := path.Child("attributes")
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		errs = append(errs, qualifiedName(string(name), at)...)
		errs = append(errs, validateAttribute(d.Attributes[name], at.Key(shortened(string(name))))...)
	}
	errs = append(errs, each(d.ConsumesCounters, resourcev1.ResourceSliceMaxDeviceCounterConsumptionsPerDevice, path.Child("consumesCounters"), func(c resourcev1.DeviceCounterConsumption, path *field.Path) field.ErrorList {
		return validateCounters(c.Counters, resourcev1.ResourceSliceMaxCountersPerDeviceCounterConsumption, path.Child("counters"))
	})...)
	errs = append(errs, validateDeviceNodes(d, path, perDevice)...)
	return append(errs, validateBindingConditions(d.BindingConditions, d.BindingFailureConditions, path)...)
}

// longestKey is that of a domain and an identifier.
const longestKey = resourcev1.DeviceMaxDomainLength + 1 + resourcev1.DeviceMaxIDLength

// shortened cuts the middle out of a key that is longer than any may be.
func shortened(key string) string {
	const ellipsis = "..."
	if len(key) <= longestKey {
		return key
	}
	rest := longestKey - len(ellipsis)
	return key[:(rest+1)/2] + ellipsis + key[len(key)-rest/2:]
}

const (
	semverNumber  = `(0|[1-9]\d*)`
	semverRelease = `(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)`
	semverBuild   = `[0-9a-zA-Z-]+`
)

var semver = regexp.MustCompile(`^` + semverNumber + `\.` + semverNumber + `\.` + semverNumber +
	`(-` + semverRelease + `(\.` + semverRelease + `)*)?(\+` + semverBuild + `(\.` + semverBuild + `)*)?$`)

// validateAttribute leaves out that there is one value, which is declared.
func validateAttribute(a resourcev1.DeviceAttribute, path *field.Path) field.ErrorList {
	const most = resourcev1.DeviceAttributeMaxValueLength
	var errs field.ErrorList
	if s := a.StringValue; s != nil && len(*s) > most {
		errs = append(errs, field.TooLong(path.Child("string"), "", most))
	}
	if v := a.VersionValue; v != nil {
		if !semver.MatchString(*v) {
			errs = append(errs, field.Invalid(path.Child("version"), *v, "must be a string compatible with semver.org spec 2.0.0"))
		}
		if len(*v) > most {
			errs = append(errs, field.TooLong(path.Child("version"), "", most))
		}
	}
	return errs
}

// validateDeviceNodes checks from which nodes a device is reached, of a slice whose devices
// say so themselves.
func validateDeviceNodes(d *resourcev1.Device, path *field.Path, perDevice bool) field.ErrorList {
	if !perDevice {
		if d.NodeName != nil || d.NodeSelector != nil || d.AllNodes != nil {
			return field.ErrorList{field.Invalid(path, nil, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec")}
		}
		return nil
	}
	var errs field.ErrorList
	var set []string
	if d.NodeName != nil {
		if *d.NodeName == "" {
			errs = append(errs, field.Invalid(path.Child("nodeName"), "", "must not be empty"))
		} else {
			set = append(set, "`nodeName`")
			errs = append(errs, nodeName(*d.NodeName, path.Child("nodeName"))...)
		}
	}
	if d.NodeSelector != nil {
		set = append(set, "`nodeSelector`")
		errs = append(errs, core.ValidateNodeSelector(d.NodeSelector, path.Child("nodeSelector"))...)
	}
	if d.AllNodes != nil {
		if ptr.Deref(d.AllNodes, false) {
			set = append(set, "`allNodes`")
		} else {
			errs = append(errs, field.Invalid(path.Child("allNodes"), false, "must be either unset or set to true"))
		}
	}
	const one = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
	switch len(set) {
	case 0:
		errs = append(errs, field.Required(path, one))
	case 1:
	default:
		errs = append(errs, field.Invalid(path, braced(set), one))
	}
	return errs
}

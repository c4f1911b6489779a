package resource

import (
	"fmt"
	"slices"
	"strings"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func resourceSlice() kind.Kind {
	return kind.Kind{
		GVK:              resourcev1.SchemeGroupVersion.WithKind("ResourceSlice"),
		Resource:         "resourceslices",
		Generation:       true,
		CountsDropped:    true,
		ReturnsDeleted:   true,
		NoWatchCache:     true,
		PrepareForCreate: kind.On(dropFromSlice),
		PrepareForUpdate: kind.OnUpdate(func(s, _ *resourcev1.ResourceSlice) { dropFromSlice(s) }),
		DefaultTimes:     kind.StampNew(stampTaints),
		Declared:         declared(Validate_ResourceSlice),
		Validate: kind.Check(func(s *resourcev1.ResourceSlice) field.ErrorList {
			return validateSlice(&s.Spec)
		}),
		ValidateCreate: kind.Check(func(s *resourcev1.ResourceSlice) field.ErrorList {
			return validateNewParts(&s.Spec, nil)
		}),
		ValidateUpdate: kind.CheckUpdate(func(s, old *resourcev1.ResourceSlice) field.ErrorList {
			spec := field.NewPath("spec")
			errs := validate.Immutable(s.Spec.Pool.Name, old.Spec.Pool.Name, spec.Child("pool", "name"))
			errs = append(errs, validate.Immutable(s.Spec.Driver, old.Spec.Driver, spec.Child("driver"))...)
			errs = append(errs, validate.Immutable(s.Spec.NodeName, old.Spec.NodeName, spec.Child("nodeName"))...)
			return append(errs, validateNewParts(&s.Spec, &old.Spec)...)
		}),
		Warnings: kind.Warnings(func(s *resourcev1.ResourceSlice) []string {
			var out []string
			for i, d := range s.Spec.Devices {
				for k, taint := range d.Taints {
					out = append(out, warnOfTaint(taint, field.NewPath("spec", "devices").Index(i).Child("taints").Index(k))...)
				}
			}
			if s.Spec.Driver == strings.ToLower(s.Spec.Driver) {
				return out
			}
			return append(out, fmt.Sprintf("spec.driver: driver names should be lowercase; %q contains uppercase characters", s.Spec.Driver))
		}),
		Unsupported: kind.Check(func(s *resourcev1.ResourceSlice) field.ErrorList {
			var errs field.ErrorList
			for i, d := range s.Spec.Devices {
				path := field.NewPath("spec", "devices").Index(i)
				if len(d.BindingConditions) > 0 {
					errs = append(errs, unsupported(path.Child("bindingConditions"), "pods do not wait for conditions of their devices"))
				}
				if d.BindsToNode != nil {
					errs = append(errs, unsupported(path.Child("bindsToNode"), "pods do not wait for conditions of their devices"))
				}
			}
			return errs
		}),
		Fields: kind.Fields(func(s *resourcev1.ResourceSlice) fields.Set {
			return fields.Set{
				resourcev1.ResourceSliceSelectorNodeName: ptr.Deref(s.Spec.NodeName, ""),
				resourcev1.ResourceSliceSelectorDriver:   s.Spec.Driver,
				resourcev1.ResourceSliceSelectorPoolName: s.Spec.Pool.Name,
			}
		}),
		Columns: printers.Columns("Name", "Node", "Driver", "Pool", "Age"),
		Cells: kind.Cells(func(s *resourcev1.ResourceSlice, now time.Time) []any {
			return []any{s.Name, ptr.Deref(s.Spec.NodeName, ""), s.Spec.Driver, s.Spec.Pool.Name, printers.Age(s.ObjectMeta, now)}
		}),
	}
}

func stampTaints(s *resourcev1.ResourceSlice, now time.Time) {
	for _, d := range s.Spec.Devices {
		for i := range d.Taints {
			stampTaint(&d.Taints[i], now)
		}
	}
}

// dropFromSlice removes what is behind gates that are off.
func dropFromSlice(s *resourcev1.ResourceSlice) {
	s.Spec.PartitionTypeAttribute, s.Spec.SkipNodeOperations = nil, nil
	for i := range s.Spec.Devices {
		d := &s.Spec.Devices[i]
		d.NodeAllocatableResources = nil
		for k := range d.ConsumesCounters {
			d.ConsumesCounters[k].CompatibilityGroups = nil
		}
		for name, a := range d.Attributes {
			a.BoolValues, a.IntValues, a.StringValues, a.VersionValues = nil, nil, nil, nil
			d.Attributes[name] = a
		}
	}
}

func validateSlice(s *resourcev1.ResourceSliceSpec) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validate.CSIDriverName(s.Driver, spec.Child("driver"))
	errs = append(errs, poolName(s.Pool.Name, spec.Child("pool", "name"))...)
	if s.Pool.ResourceSliceCount <= 0 {
		errs = append(errs, field.Invalid(spec.Child("pool", "resourceSliceCount"), s.Pool.ResourceSliceCount, "must be greater than zero"))
	}
	if s.Pool.Generation < 0 {
		errs = append(errs, field.Invalid(spec.Child("pool", "generation"), s.Pool.Generation, "must be greater than or equal to zero"))
	}
	errs = append(errs, validateSliceNodes(s, spec)...)
	if s.SharedCounters != nil && s.Devices != nil {
		errs = append(errs, field.Invalid(spec, "", "only one of `sharedCounters` or `devices` is allowed"))
	}
	errs = append(errs, each(s.SharedCounters, resourcev1.ResourceSliceMaxCounterSets, spec.Child("sharedCounters"), func(c resourcev1.CounterSet, path *field.Path) field.ErrorList {
		return validateCounters(c.Counters, resourcev1.ResourceSliceMaxCountersPerCounterSet, path.Child("counters"))
	})...)
	return append(errs, validateDevices(s, spec.Child("devices"))...)
}

// validateCounters leaves out their names, which are declared.
func validateCounters(counters map[string]resourcev1.Counter, most int, path *field.Path) field.ErrorList {
	if len(counters) > most {
		return field.ErrorList{field.TooMany(path, len(counters), most)}
	}
	return nil
}

// validateSliceNodes checks from which nodes the devices are reached: that is said once.
func validateSliceNodes(s *resourcev1.ResourceSliceSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	var set []string
	if s.NodeName != nil {
		if *s.NodeName == "" {
			errs = append(errs, field.Invalid(spec.Child("nodeName"), "", "must be either unset or set to a non-empty string"))
		} else {
			set = append(set, "`nodeName`")
			errs = append(errs, nodeName(*s.NodeName, spec.Child("nodeName"))...)
		}
	}
	if s.NodeSelector != nil {
		set = append(set, "`nodeSelector`")
		errs = append(errs, core.ValidateNodeSelector(s.NodeSelector, spec.Child("nodeSelector"))...)
		if len(s.NodeSelector.NodeSelectorTerms) != 1 {
			errs = append(errs, field.Invalid(spec.Child("nodeSelector", "nodeSelectorTerms"), s.NodeSelector.NodeSelectorTerms, "must have exactly one node selector term"))
		}
	}
	for _, f := range []struct {
		name string
		is   *bool
	}{{"allNodes", s.AllNodes}, {"perDeviceNodeSelection", s.PerDeviceNodeSelection}} {
		switch {
		case f.is == nil:
		case *f.is:
			set = append(set, "`"+f.name+"`")
		default:
			errs = append(errs, field.Invalid(spec.Child(f.name), false, "must be either unset or set to true"))
		}
	}
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	switch len(set) {
	case 0:
		errs = append(errs, field.Required(spec, one))
	case 1:
	default:
		errs = append(errs, field.Invalid(spec, braced(set), one+", but multiple fields are set"))
	}
	return errs
}

func validateDevices(s *resourcev1.ResourceSliceSpec, path *field.Path) field.ErrorList {
	if errs := few(s.Devices, mostDevices(s), path); errs != nil {
		return errs
	}
	var errs field.ErrorList
	for i := range s.Devices {
		errs = append(errs, validateDevice(&s.Devices[i], path.Index(i), ptr.Deref(s.PerDeviceNodeSelection, false))...)
	}
	seen := sets.New[string]()
	for i, d := range s.Devices {
		errs = append(errs, unique(d.Name, seen, path.Index(i))...)
	}
	return errs
}

func mostDevices(s *resourcev1.ResourceSliceSpec) int {
	for _, d := range s.Devices {
		if len(d.Taints) > 0 || len(d.ConsumesCounters) > 0 {
			return resourcev1.ResourceSliceMaxDevicesWithAdvancedFeatures
		}
	}
	return resourcev1.ResourceSliceMaxDevices
}

// validateNewParts checks the capacities and the taints of devices, which are left alone where
// they are as those of old.
func validateNewParts(s, old *resourcev1.ResourceSliceSpec) field.ErrorList {
	if len(s.Devices) > mostDevices(s) {
		return nil
	}
	unchanged := func(d *resourcev1.Device, of func(d *resourcev1.Device) any) bool {
		return old != nil && slices.ContainsFunc(old.Devices, func(before resourcev1.Device) bool {
			return before.Name == d.Name && equality.Semantic.DeepEqual(of(&before), of(d))
		})
	}
	var errs field.ErrorList
	for i := range s.Devices {
		d, path := &s.Devices[i], field.NewPath("spec", "devices").Index(i)
		if !unchanged(d, func(d *resourcev1.Device) any { return d.Capacity }) {
			errs = append(errs, validateCapacities(d, path.Child("capacity"))...)
		}
		if !unchanged(d, func(d *resourcev1.Device) any { return d.Taints }) {
			errs = append(errs, few(d.Taints, resourcev1.DeviceTaintsMaxLength, path.Child("taints"))...)
			errs = append(errs, each(d.Taints, resourcev1.DeviceTaintsMaxLength, path.Child("taints"), validateTaint)...)
		}
	}
	return errs
}

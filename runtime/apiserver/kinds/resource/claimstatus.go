package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// deviceID is a device, or a share of it. Errors show it.
type deviceID struct{ Driver, Pool, Device, ShareID string }

// allocatedDevices are those that a claim was given.
func allocatedDevices(a *resourcev1.AllocationResult) sets.Set[deviceID] {
	out := sets.New[deviceID]()
	if a == nil {
		return out
	}
	for _, r := range a.Devices.Results {
		out.Insert(deviceID{r.Driver, r.Pool, r.Device, string(ptr.Deref(r.ShareID, ""))})
	}
	return out
}

func idOf(d resourcev1.AllocatedDeviceStatus) deviceID {
	return deviceID{d.Driver, d.Pool, d.Device, ptr.Deref(d.ShareID, "")}
}

// dropDeallocated removes what drivers said of devices that the claim does not have any more.
func dropDeallocated(c, old *resourcev1.ResourceClaim) {
	gone := allocatedDevices(old.Status.Allocation).Difference(allocatedDevices(c.Status.Allocation))
	var kept []resourcev1.AllocatedDeviceStatus
	for _, d := range c.Status.Devices {
		if !gone.Has(idOf(d)) {
			kept = append(kept, d)
		}
	}
	c.Status.Devices = kept
}

func validateClaimStatus(c, old *resourcev1.ResourceClaim) field.ErrorList {
	path, s := field.NewPath("status"), &c.Status
	errs := each(s.ReservedFor, resourcev1.ResourceClaimReservedForMaxSize, path.Child("reservedFor"), func(r resourcev1.ResourceClaimConsumerReference, path *field.Path) field.ErrorList {
		errs := validate.Required(r.Resource, path.Child("resource"))
		errs = append(errs, validate.Required(r.Name, path.Child("name"))...)
		return append(errs, validate.Required(string(r.UID), path.Child("uid"))...)
	})
	allocated := allocatedDevices(s.Allocation)
	for i, d := range s.Devices {
		errs = append(errs, validateDeviceStatus(d, path.Child("devices").Index(i), allocated)...)
	}
	reserved := path.Child("reservedFor")
	switch {
	case len(s.ReservedFor) > 0 && s.Allocation == nil:
		errs = append(errs, field.Forbidden(reserved, "may not be specified when `allocated` is not set"))
	case c.DeletionTimestamp != nil && sets.New(s.ReservedFor...).Difference(sets.New(old.Status.ReservedFor...)).Len() > 0:
		errs = append(errs, field.Forbidden(reserved, "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"))
	}
	if s.Allocation != nil && old.Status.Allocation == nil { // that it does not change is declared
		errs = append(errs, validateAllocation(s.Allocation, path.Child("allocation"), requestNamesOf(&c.Spec.Devices))...)
	}
	return errs
}

func validateAllocation(a *resourcev1.AllocationResult, path *field.Path, names requestNames) field.ErrorList {
	devices := path.Child("devices")
	errs := each(a.Devices.Results, resourcev1.AllocationResultsMaxSize, devices.Child("results"), func(r resourcev1.DeviceRequestAllocationResult, path *field.Path) field.ErrorList {
		errs := names.reference(r.Request, path.Child("request"))
		errs = append(errs, label(r.Device, path.Child("device"))...)
		errs = append(errs, validateBindingConditions(r.BindingConditions, r.BindingFailureConditions, path)...)
		return append(errs, validateTolerations(r.Tolerations, path.Child("tolerations"))...)
	})
	errs = append(errs, each(a.Devices.Config, 2*resourcev1.DeviceConfigMaxSize, devices.Child("config"), func(c resourcev1.DeviceAllocationConfiguration, path *field.Path) field.ErrorList {
		return append(names.references(c.Requests, path.Child("requests")), validateNew(c.DeviceConfiguration, path)...)
	})...)
	if a.NodeSelector != nil {
		errs = append(errs, core.ValidateNodeSelector(a.NodeSelector, path.Child("nodeSelector"))...)
	}
	return errs
}

// validateDeviceStatus checks what a driver says of a device.
func validateDeviceStatus(d resourcev1.AllocatedDeviceStatus, path *field.Path, allocated sets.Set[deviceID]) field.ErrorList {
	errs := validate.CSIDriverName(d.Driver, path.Child("driver"))
	errs = append(errs, poolName(d.Pool, path.Child("pool"))...)
	errs = append(errs, label(d.Device, path.Child("device"))...)
	if id := idOf(d); !allocated.Has(id) {
		errs = append(errs, field.Invalid(path, id, "must be an allocated device in the claim"))
	}
	errs = append(errs, few(d.Conditions, resourcev1.AllocatedDeviceStatusMaxConditions, path.Child("conditions"))...)
	errs = append(errs, metavalidation.ValidateConditions(d.Conditions, path.Child("conditions"))...)
	if d.Data != nil && len(d.Data.Raw) > 0 {
		if long := short(*d.Data, path.Child("data"), resourcev1.AllocatedDeviceStatusDataMaxLength); long != nil {
			errs = append(errs, long...)
		} else {
			errs = append(errs, validateJSON(*d.Data, path.Child("data"))...)
		}
	}
	if n := d.NetworkData; n != nil {
		errs = append(errs, each(n.IPs, resourcev1.NetworkDeviceDataMaxIPs, path.Child("networkData", "ips"), func(ip string, path *field.Path) field.ErrorList {
			return validation.IsValidInterfaceAddress(path, ip)
		})...)
	}
	return errs
}

// validateBindingConditions checks for what a pod waits before it is bound. Either list
// needs the other.
func validateBindingConditions(conditions, failures []string, path *field.Path) field.ErrorList {
	at, failing := path.Child("bindingConditions"), path.Child("bindingFailureConditions")
	errs := each(conditions, resourcev1.BindingConditionsMaxSize, at, validate.QualifiedName)
	errs = append(errs, each(failures, resourcev1.BindingFailureConditionsMaxSize, failing, validate.QualifiedName)...)
	seen := sets.New[string]()
	for i, c := range conditions {
		errs = append(errs, unique(c, seen, at.Index(i))...)
	}
	twice := sets.New[string]()
	for i, c := range failures {
		errs = append(errs, unique(c, twice, failing.Index(i))...)
		if seen.Has(c) {
			errs = append(errs, field.Invalid(failing.Index(i), c, "bindingFailureConditions must not overlap with bindingConditions"))
		}
	}
	if len(conditions) == 0 && len(failures) > 0 {
		errs = append(errs, field.Invalid(at, conditions, "bindingConditions are required to use bindingFailureConditions"))
	}
	if len(failures) == 0 && len(conditions) > 0 {
		errs = append(errs, field.Invalid(failing, failures, "bindingFailureConditions are required to use bindingConditions"))
	}
	return errs
}

func unique(s string, seen sets.Set[string], path *field.Path) field.ErrorList {
	if seen.Has(s) {
		return field.ErrorList{field.Duplicate(path, s)}
	}
	seen.Insert(s)
	return nil
}

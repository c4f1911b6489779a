package validate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/pod"
)

// AtMost checks a count that may not be negative or above another one.
func AtMost(n, max int32, path *field.Path, of string) field.ErrorList {
	errs := NonNegative(n, path)
	if n > max {
		errs = append(errs, field.Invalid(path, n, "cannot be greater than "+of))
	}
	return errs
}

// NonNegative checks a number that may be zero.
func NonNegative[N int32 | int64](n N, path *field.Path) field.ErrorList {
	return apivalidation.ValidateNonnegativeField(int64(n), path)
}

// NonNegativePtr is [NonNegative] of a number that may be missing.
func NonNegativePtr[N int32 | int64](n *N, path *field.Path) field.ErrorList {
	if n == nil {
		return nil
	}
	return NonNegative(*n, path)
}

// Positive checks a number that may not be zero.
func Positive[N int32 | int64](n N, path *field.Path) field.ErrorList {
	if n <= 0 {
		return field.ErrorList{field.Invalid(path, n, "must be greater than zero")}
	}
	return nil
}

// ResourceList checks a list of resource quantities: names well formed, none
// negative.
func ResourceList(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		q := list[name]
		key := path.Key(string(name))
		errs = append(errs, QualifiedName(string(name), key)...)
		errs = append(errs, NonNegativeQuantity(q, key)...)
	}
	return errs
}

// NonNegativeQuantity checks a quantity that may be zero.
func NonNegativeQuantity(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Sign() < 0 {
		return field.ErrorList{field.Invalid(path, q.String(), "must be greater than or equal to 0")}
	}
	return nil
}

// PositiveQuantity checks a quantity that may not be zero.
func PositiveQuantity(q resource.Quantity, path *field.Path) field.ErrorList {
	if q.Sign() <= 0 {
		return field.ErrorList{field.Invalid(path, q.String(), "must be greater than zero")}
	}
	return nil
}

// IntOrPercent checks a number that is not negative or a percentage of at most
// max (0: no limit).
func IntOrPercent(v *intstr.IntOrString, max int, path *field.Path) field.ErrorList {
	if v == nil {
		return nil
	}
	if v.Type == intstr.Int {
		return NonNegative(v.IntVal, path)
	}
	if errs := InvalidIf(validation.IsValidPercent(v.StrVal), path, v.String()); len(errs) > 0 {
		return errs
	}
	if n := percent(v); max > 0 && n > max {
		return field.ErrorList{field.Invalid(path, v.String(), fmt.Sprintf("must not be greater than %d%%", max))}
	}
	return nil
}

func percent(v *intstr.IntOrString) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(v, 100, false)
	if err != nil {
		return 0
	}
	return n
}

// IsZero is true of 0 and of 0%.
func IsZero(v *intstr.IntOrString) bool {
	if v == nil {
		return false
	}
	if v.Type == intstr.Int {
		return v.IntVal == 0
	}
	return percent(v) == 0
}

// PortOrName checks a port given as a number or as the name of a container's port.
func PortOrName(p intstr.IntOrString, path *field.Path) field.ErrorList {
	if p.Type == intstr.Int {
		return InvalidIf(validation.IsValidPortNum(int(p.IntVal)), path, p.IntVal)
	}
	return InvalidIf(validation.IsValidPortName(p.StrVal), path, p.StrVal)
}

// PortNumber checks the number of a TCP, UDP or SCTP port.
func PortNumber(n int32, path *field.Path) field.ErrorList {
	return InvalidIf(validation.IsValidPortNum(int(n)), path, n)
}

// ReplicaCounts checks the counts in the status of a kind that keeps replicas.
func ReplicaCounts(replicas, labeled, ready, available int32, path *field.Path) field.ErrorList {
	errs := NonNegative(replicas, path.Child("replicas"))
	errs = append(errs, AtMost(labeled, replicas, path.Child("fullyLabeledReplicas"), "status.replicas")...)
	errs = append(errs, AtMost(ready, replicas, path.Child("readyReplicas"), "status.replicas")...)
	errs = append(errs, AtMost(available, replicas, path.Child("availableReplicas"), "status.replicas")...)
	return append(errs, AtMost(available, ready, path.Child("availableReplicas"), "readyReplicas")...)
}

// CollisionCount checks how often a controller met the name of another's: it only grows.
func CollisionCount(n, old *int32, path *field.Path) field.ErrorList {
	errs := NonNegativePtr(n, path)
	if old != nil && (n == nil || *n < *old) {
		errs = append(errs, field.Invalid(path, ptr.Deref(n, 0), "cannot be decremented"))
	}
	return errs
}

// ContainerResourceName checks a resource that a container may ask for: one that Kubernetes
// has for containers, or one with a domain.
func ContainerResourceName(name corev1.ResourceName, path *field.Path) field.ErrorList {
	n := string(name)
	errs := QualifiedName(n, path)
	if len(errs) == 0 && !strings.Contains(n, "/") && !standardResource(name) {
		errs = append(errs, field.Invalid(path, name, "must be a standard resource type or fully qualified"))
	}
	switch {
	case !strings.Contains(n, "/"):
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory && name != corev1.ResourceEphemeralStorage && !strings.HasPrefix(n, corev1.ResourceHugePagesPrefix) {
			errs = append(errs, field.Invalid(path, name, "must be a standard resource for containers"))
		}
	case !strings.Contains(n, corev1.ResourceDefaultNamespacePrefix) && !pod.IsExtendedResource(name):
		errs = append(errs, field.Invalid(path, name, "doesn't follow extended resource name standard"))
	}
	return errs
}

// standardResource are the names without a domain that Kubernetes has.
func standardResource(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourceStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage, corev1.ResourceRequestsStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
		corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
		corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

package core

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// computeQuota are the resources of pods that every scope of pods may limit.
func computeQuota(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory:
		return true
	}
	return false
}

// objectQuota are those that count objects, and so are whole numbers.
func objectQuota(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourcePods, corev1.ResourceQuotas, corev1.ResourceServices, corev1.ResourceReplicationControllers, corev1.ResourceSecrets,
		corev1.ResourceConfigMaps, corev1.ResourcePersistentVolumeClaims, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return true
	}
	return false
}

// standardQuota are the names without a domain that a quota may limit.
func standardQuota(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceEphemeralStorage, corev1.ResourceRequestsEphemeralStorage, corev1.ResourceLimitsEphemeralStorage, corev1.ResourceRequestsStorage:
		return true
	}
	return computeQuota(name) || objectQuota(name) ||
		strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) || strings.HasPrefix(string(name), corev1.ResourceRequestsHugePagesPrefix)
}

// standardName refuses names without a domain that are not Kubernetes'.
func standardName(name corev1.ResourceName, path *field.Path) field.ErrorList {
	if errs := validate.QualifiedName(string(name), path); len(errs) > 0 {
		return errs
	}
	if !strings.Contains(string(name), "/") && !standardQuota(name) && name != corev1.ResourceStorage {
		return field.ErrorList{field.Invalid(path, name, "must be a standard resource type or fully qualified")}
	}
	return nil
}

// quotaAmounts checks what a quota limits, or what of it is used.
func quotaAmounts(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(list)) {
		q, key := list[name], path.Key(string(name))
		errs = append(errs, standardName(name, key)...)
		if !strings.Contains(string(name), "/") && !standardQuota(name) {
			errs = append(errs, field.Invalid(key, name, "must be a standard resource for quota"))
		}
		errs = append(errs, amount(name, q, key)...)
	}
	return errs
}

func whole(q resource.Quantity) bool { return q.MilliValue()%1000 == 0 }

// limitName checks a resource of a LimitRange: one of containers, or of what else the
// range is for.
func limitName(of corev1.LimitType, name corev1.ResourceName, path *field.Path) field.ErrorList {
	if of == corev1.LimitTypePod || of == corev1.LimitTypeContainer {
		return validate.ContainerResourceName(name, path)
	}
	return standardName(name, path)
}

package core

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// lowestOpenPriority is the first that is not reserved for Kubernetes' own
// responders.
const lowestOpenPriority = 1000

// ValidateCustom_EvictionResponder_Name is the rule behind a +k8s:customValidation
// tag, which the generator looks for by this name: Kubernetes' domains are reserved.
func ValidateCustom_EvictionResponder_Name(_ context.Context, _ operation.Operation, path *field.Path, name, _ *string) field.ErrorList {
	domain, _, _ := strings.Cut(*name, "/")
	for _, reserved := range []string{"k8s.io", "kubernetes.io"} {
		if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
			return field.ErrorList{field.Invalid(path, *name, "domain names *.k8s.io and *.kubernetes.io are reserved")}
		}
	}
	return nil
}

// ValidateCustom_EvictionResponder_Priority is the same for the priorities of those
// domains.
func ValidateCustom_EvictionResponder_Priority(_ context.Context, _ operation.Operation, path *field.Path, priority, _ *int32) field.ErrorList {
	if priority != nil && *priority >= 0 && *priority < lowestOpenPriority {
		return field.ErrorList{field.Invalid(path, *priority, "the interval 0-999 is reserved for responders with *.k8s.io suffix")}
	}
	return nil
}

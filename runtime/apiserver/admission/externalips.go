package admission

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// DenyServiceExternalIPs refuses Services that take external IPs which they did not
// have. It is off by default.
type DenyServiceExternalIPs struct{}

var _ admission.ValidationInterface = DenyServiceExternalIPs{}

// Handles says that writes are looked at.
func (DenyServiceExternalIPs) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate compares the addresses.
func (DenyServiceExternalIPs) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	s, ok := a.GetObject().(*corev1.Service)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	var had []string
	if old, ok := a.GetOldObject().(*corev1.Service); ok {
		had = old.Spec.ExternalIPs
	}
	for _, ip := range s.Spec.ExternalIPs {
		if !slices.Contains(had, ip) {
			return admission.NewForbidden(a, fmt.Errorf("Use of external IPs is denied by admission control")) //nolint:staticcheck // upstream's words
		}
	}
	return nil
}

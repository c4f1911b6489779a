package admission

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	volume "k8s.io/component-helpers/storage/volume"
)

const (
	defaultStorageClass     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultStorageClass = "storageclass.beta.kubernetes.io/is-default-class"
	// ingressClassAnnotation named the class before the field did.
	ingressClassAnnotation = "kubernetes.io/ingress.class"
)

// newest returns the one that was made last among those that are a default, of two
// of the same second the one whose name comes first; nil when none is.
func newest[T any, P interface {
	*T
	metav1.Object
}](list []T, isDefault func(P) bool) P {
	var defaults []P
	for i := range list {
		if o := P(&list[i]); isDefault(o) {
			defaults = append(defaults, o)
		}
	}
	if len(defaults) == 0 {
		return nil
	}
	return slices.MinFunc(defaults, func(a, b P) int {
		return cmp.Or(b.GetCreationTimestamp().Compare(a.GetCreationTimestamp().Time), strings.Compare(a.GetName(), b.GetName()))
	})
}

// DefaultStorageClass gives claims that name no class the default one.
type DefaultStorageClass struct {
	Classes func(ctx context.Context) ([]storagev1.StorageClass, error)
}

var _ admission.MutationInterface = &DefaultStorageClass{}

// Handles says that new claims are looked at.
func (p *DefaultStorageClass) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit names the class.
func (p *DefaultStorageClass) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	claim, ok := a.GetObject().(*corev1.PersistentVolumeClaim)
	if !ok || a.GetSubresource() != "" || volume.PersistentVolumeClaimHasClass(claim) {
		return nil
	}
	classes, err := p.Classes(ctx)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("look for the default StorageClass: %w", err))
	}
	class := newest(classes, func(c *storagev1.StorageClass) bool {
		return c.Annotations[defaultStorageClass] == "true" || c.Annotations[betaDefaultStorageClass] == "true"
	})
	if class != nil {
		claim.Spec.StorageClassName = &class.Name
	}
	return nil
}

// DefaultIngressClass gives ingresses that name no class the default one.
type DefaultIngressClass struct {
	Classes func(ctx context.Context) ([]networkingv1.IngressClass, error)
}

var _ admission.MutationInterface = &DefaultIngressClass{}

// Handles says that new ingresses are looked at.
func (p *DefaultIngressClass) Handles(op admission.Operation) bool { return op == admission.Create }

// Admit names the class.
func (p *DefaultIngressClass) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	ingress, ok := a.GetObject().(*networkingv1.Ingress)
	if !ok || a.GetSubresource() != "" || ingress.Spec.IngressClassName != nil {
		return nil
	}
	if _, named := ingress.Annotations[ingressClassAnnotation]; named {
		return nil
	}
	classes, err := p.Classes(ctx)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("look for the default IngressClass: %w", err))
	}
	class := newest(classes, func(c *networkingv1.IngressClass) bool {
		return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	})
	if class != nil {
		ingress.Spec.IngressClassName = &class.Name
	}
	return nil
}

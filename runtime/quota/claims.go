package quota

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apiserver/pkg/admission"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
	volume "k8s.io/component-helpers/storage/volume"
)

// ofStorageClass stands between a class and what is counted of its claims:
// "gold.storageclass.storage.k8s.io/requests.storage".
const ofStorageClass = ".storageclass.storage.k8s.io/"

func claims(lists Lists) apiquota.Evaluator {
	gr := corev1.Resource("persistentvolumeclaims")
	return evaluator[*corev1.PersistentVolumeClaim]{rules[*corev1.PersistentVolumeClaim]{
		resource: gr, list: lists(gr), usage: ClaimUsage, handles: claimWrite, inScope: claimInScope,
		counts: func(name corev1.ResourceName) bool {
			if name == countName(gr) {
				return true
			}
			n := string(name)
			if _, of, ok := strings.Cut(n, ofStorageClass); ok {
				n = of
			}
			return n == string(corev1.ResourcePersistentVolumeClaims) || n == string(corev1.ResourceRequestsStorage)
		},
	}}
}

func claimWrite(a admission.Attributes) bool {
	switch op := a.GetOperation(); a.GetSubresource() {
	case "":
		return op == admission.Create || op == admission.Update
	case "status":
		now, ok1 := a.GetObject().(*corev1.PersistentVolumeClaim)
		old, ok2 := a.GetOldObject().(*corev1.PersistentVolumeClaim)
		return ok1 && ok2 && ClaimChanged(old, now)
	}
	return false
}

// ClaimUsage is what a claim costs: the storage that it asks for, or that is being
// allocated for it where that is more, in whole bytes.
func ClaimUsage(c *corev1.PersistentVolumeClaim) corev1.ResourceList {
	one := *resource.NewQuantity(1, resource.DecimalSI)
	out := corev1.ResourceList{
		countName(corev1.Resource("persistentvolumeclaims")): one, corev1.ResourcePersistentVolumeClaims: one,
	}
	class := volume.GetPersistentVolumeClaimClass(c)
	if class != "" {
		out[corev1.ResourceName(class+ofStorageClass+string(corev1.ResourcePersistentVolumeClaims))] = one
	}
	size, ok := c.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok {
		return out
	}
	if allocated, ok := c.Status.AllocatedResources[corev1.ResourceStorage]; ok && allocated.Cmp(size) > 0 {
		size = allocated
	}
	size = size.DeepCopy()
	size.RoundUp(0)
	out[corev1.ResourceRequestsStorage] = size
	if class != "" {
		out[corev1.ResourceName(class+ofStorageClass+string(corev1.ResourceRequestsStorage))] = size
	}
	return out
}

// ClaimChanged says whether an update may have changed what a claim costs, or the
// scopes that it is in.
func ClaimChanged(old, now *corev1.PersistentVolumeClaim) bool {
	was, is := old.Status.AllocatedResources[corev1.ResourceStorage], now.Status.AllocatedResources[corev1.ResourceStorage]
	return was.Cmp(is) != 0 || !slices.Equal(attributesClasses(old), attributesClasses(now))
}

func claimInScope(s corev1.ScopedResourceSelectorRequirement, c *corev1.PersistentVolumeClaim) (bool, error) {
	if s.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass {
		return false, nil
	}
	return selects(s, attributesClasses(c)...)
}

// attributesClasses are the classes that a claim has, asks for, or moves to.
func attributesClasses(c *corev1.PersistentVolumeClaim) []string {
	var out []string
	for _, name := range []*string{c.Spec.VolumeAttributesClassName, c.Status.CurrentVolumeAttributesClassName} {
		if name != nil && *name != "" {
			out = append(out, *name)
		}
	}
	if m := c.Status.ModifyVolumeStatus; m != nil && m.TargetVolumeAttributesClassName != "" {
		out = append(out, m.TargetVolumeAttributesClassName)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

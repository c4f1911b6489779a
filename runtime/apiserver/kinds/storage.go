package kinds

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func storageClass() Kind {
	return Kind{
		GVK:        storagev1.SchemeGroupVersion.WithKind("StorageClass"),
		Resource:   "storageclasses",
		ShortNames: []string{"sc"},
		Default: on(func(c *storagev1.StorageClass) {
			setDefaultPtr(&c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
			setDefaultPtr(&c.VolumeBindingMode, storagev1.VolumeBindingImmediate)
		}),
		Validate: check(validateStorageClass),
		ValidateUpdate: checkUpdate(func(c, old *storagev1.StorageClass) field.ErrorList {
			var errs field.ErrorList
			if !same(c.Parameters, old.Parameters) {
				errs = append(errs, field.Forbidden(field.NewPath("parameters"), "updates to parameters are forbidden."))
			}
			if c.Provisioner != old.Provisioner {
				errs = append(errs, field.Forbidden(field.NewPath("provisioner"), "updates to provisioner are forbidden."))
			}
			if !same(c.ReclaimPolicy, old.ReclaimPolicy) {
				errs = append(errs, field.Forbidden(field.NewPath("reclaimPolicy"), "updates to reclaimPolicy are forbidden."))
			}
			return append(errs, immutable(c.VolumeBindingMode, old.VolumeBindingMode, field.NewPath("volumeBindingMode"))...)
		}),
		Columns: columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
		Cells: cells(func(c *storagev1.StorageClass, now time.Time) []any {
			name := c.Name
			if c.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
				name += " (default)"
			}
			return []any{name, c.Provisioner, string(deref(c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)),
				string(deref(c.VolumeBindingMode, unset)), deref(c.AllowVolumeExpansion, false), age(c.ObjectMeta, now)}
		}),
	}
}

func validateStorageClass(c *storagev1.StorageClass) field.ErrorList {
	errs := required(c.Provisioner, field.NewPath("provisioner"))
	if c.Provisioner != "" {
		errs = append(errs, qualifiedName(c.Provisioner, field.NewPath("provisioner"))...)
	}
	size := 0
	for k, v := range c.Parameters {
		if k == "" {
			errs = append(errs, field.Invalid(field.NewPath("parameters"), k, "field can not be empty."))
		}
		size += len(k) + len(v)
	}
	errs = append(errs, tooLong(size, 256*1024, field.NewPath("parameters"))...)
	if len(c.Parameters) > 512 {
		errs = append(errs, field.TooLong(field.NewPath("parameters"), "Provisioner Parameters exceeded max allowed", 512))
	}
	if c.ReclaimPolicy != nil {
		errs = append(errs, oneOf(*c.ReclaimPolicy, field.NewPath("reclaimPolicy"), corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)...)
	}
	if c.VolumeBindingMode == nil {
		return append(errs, field.Required(field.NewPath("volumeBindingMode"), ""))
	}
	return append(errs, oneOf(*c.VolumeBindingMode, field.NewPath("volumeBindingMode"), storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)...)
}

func csiDriver() Kind {
	return Kind{
		GVK:      storagev1.SchemeGroupVersion.WithKind("CSIDriver"),
		Resource: "csidrivers",
		Default: on(func(d *storagev1.CSIDriver) {
			s := &d.Spec
			setDefaultPtr(&s.AttachRequired, true)
			setDefaultPtr(&s.PodInfoOnMount, false)
			setDefaultPtr(&s.StorageCapacity, false)
			setDefaultPtr(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
			setDefaultPtr(&s.RequiresRepublish, false)
			setDefaultPtr(&s.SELinuxMount, false)
			if len(s.VolumeLifecycleModes) == 0 {
				s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
			}
		}),
		Validate: check(func(d *storagev1.CSIDriver) field.ErrorList {
			s, spec := &d.Spec, field.NewPath("spec")
			var errs field.ErrorList
			if s.FSGroupPolicy != nil {
				errs = append(errs, oneOf(*s.FSGroupPolicy, spec.Child("fsGroupPolicy"), storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy,
					storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy)...)
			}
			for i, m := range s.VolumeLifecycleModes {
				errs = append(errs, oneOf(m, spec.Child("volumeLifecycleModes").Index(i), storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)...)
			}
			audiences := sets.New[string]()
			for i, t := range s.TokenRequests {
				at := spec.Child("tokenRequests").Index(i)
				if audiences.Has(t.Audience) {
					errs = append(errs, field.Duplicate(at.Child("audience"), t.Audience))
				}
				audiences.Insert(t.Audience)
				if t.ExpirationSeconds != nil && *t.ExpirationSeconds < 600 {
					errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *t.ExpirationSeconds, "may not specify a duration less than 10 minutes"))
				}
			}
			return errs
		}),
		ValidateUpdate: checkUpdate(func(d, old *storagev1.CSIDriver) field.ErrorList {
			spec := field.NewPath("spec")
			errs := immutable(d.Spec.AttachRequired, old.Spec.AttachRequired, spec.Child("attachRequired"))
			return append(errs, immutable(d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes, spec.Child("volumeLifecycleModes"))...)
		}),
		Columns: columns("Name", "AttachRequired", "PodInfoOnMount", "StorageCapacity", "TokenRequests", "RequiresRepublish", "Modes", "Age"),
		Cells: cells(func(d *storagev1.CSIDriver, now time.Time) []any {
			var tokens, modes []string
			for _, t := range d.Spec.TokenRequests {
				tokens = append(tokens, t.Audience)
			}
			for _, m := range d.Spec.VolumeLifecycleModes {
				modes = append(modes, string(m))
			}
			return []any{d.Name, deref(d.Spec.AttachRequired, true), deref(d.Spec.PodInfoOnMount, false), deref(d.Spec.StorageCapacity, false),
				storageText(tokens), deref(d.Spec.RequiresRepublish, false), storageText(modes), age(d.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func csiNode() Kind {
	return Kind{
		GVK:      storagev1.SchemeGroupVersion.WithKind("CSINode"),
		Resource: "csinodes",
		Validate: check(func(n *storagev1.CSINode) field.ErrorList {
			var errs field.ErrorList
			names := sets.New[string]()
			for i, d := range n.Spec.Drivers {
				at := field.NewPath("spec", "drivers").Index(i)
				errs = append(errs, dnsSubdomain(d.Name, at.Child("name"))...)
				errs = append(errs, uniqueName(d.Name, names, at)...)
				errs = append(errs, required(d.NodeID, at.Child("nodeID"))...)
				for k, key := range d.TopologyKeys {
					errs = append(errs, qualifiedName(key, at.Child("topologyKeys").Index(k))...)
				}
				if d.Allocatable != nil {
					errs = append(errs, nonNegativePtr(d.Allocatable.Count, at.Child("allocatable", "count"))...)
				}
			}
			return errs
		}),
		Columns: columns("Name", "#Drivers", "Age"),
		Cells: cells(func(n *storagev1.CSINode, now time.Time) []any {
			return []any{n.Name, int64(len(n.Spec.Drivers)), age(n.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

func volumeAttachment() Kind {
	return Kind{
		GVK:      storagev1.SchemeGroupVersion.WithKind("VolumeAttachment"),
		Resource: "volumeattachments",
		Status:   true,
		Validate: check(func(a *storagev1.VolumeAttachment) field.ErrorList {
			spec := field.NewPath("spec")
			errs := required(a.Spec.Attacher, spec.Child("attacher"))
			errs = append(errs, dnsSubdomain(a.Spec.NodeName, spec.Child("nodeName"))...)
			source := a.Spec.Source
			switch {
			case source.PersistentVolumeName == nil && source.InlineVolumeSpec == nil:
				errs = append(errs, field.Required(spec.Child("source"), "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
			case source.PersistentVolumeName != nil && source.InlineVolumeSpec != nil:
				errs = append(errs, field.Forbidden(spec.Child("source"), "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
			case source.PersistentVolumeName != nil:
				errs = append(errs, required(*source.PersistentVolumeName, spec.Child("source", "persistentVolumeName"))...)
			}
			return errs
		}),
		ValidateUpdate: checkUpdate(func(a, old *storagev1.VolumeAttachment) field.ErrorList {
			return immutable(a.Spec, old.Spec, field.NewPath("spec"))
		}),
		Columns: columns("Name", "Attacher", "PV", "Node", "Attached", "Age"),
		Cells: cells(func(a *storagev1.VolumeAttachment, now time.Time) []any {
			return []any{a.Name, a.Spec.Attacher, deref(a.Spec.Source.PersistentVolumeName, ""), a.Spec.NodeName,
				fmt.Sprint(a.Status.Attached), age(a.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

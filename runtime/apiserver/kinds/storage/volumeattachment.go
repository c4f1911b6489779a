package storage

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/core"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func volumeAttachment() kind.Kind {
	return kind.Kind{
		GVK:            storagev1.SchemeGroupVersion.WithKind("VolumeAttachment"),
		Resource:       "volumeattachments",
		ReturnsDeleted: true,
		Status:         true,
		StatusKeeps:    kind.AllMetadata,
		NoWatchCache:   true,
		Declared:       kind.Declared(Validate_VolumeAttachment),
		Validate: kind.Check(func(a *storagev1.VolumeAttachment) field.ErrorList {
			spec := field.NewPath("spec")
			errs := validate.InvalidIf(validation.IsDNS1123Subdomain(a.Spec.NodeName), spec.Child("nodeName"), a.Spec.NodeName)
			source := a.Spec.Source
			switch {
			case source.PersistentVolumeName == nil && source.InlineVolumeSpec == nil:
				errs = append(errs, field.Required(spec.Child("source"), "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
			case source.PersistentVolumeName != nil && source.InlineVolumeSpec != nil:
				errs = append(errs, field.Forbidden(spec.Child("source"), "must specify exactly one of inlineVolumeSpec and persistentVolumeName"))
			case source.PersistentVolumeName != nil:
				if *source.PersistentVolumeName == "" {
					errs = append(errs, field.Required(spec.Child("source", "persistentVolumeName"), "must specify non empty persistentVolumeName"))
				}
				errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*source.PersistentVolumeName), spec.Child("source", "persistentVolumeName"), *source.PersistentVolumeName)...)
			default:
				errs = append(errs, core.ValidateInlineVolume(source.InlineVolumeSpec, spec.Child("source", "inlineVolumeSpec"))...)
			}
			return errs
		}),
		ValidateStatusUpdate: kind.CheckUpdate(func(a, _ *storagev1.VolumeAttachment) field.ErrorList {
			status := field.NewPath("status")
			errs := attachmentMetadata(a.Status.AttachmentMetadata, status.Child("attachmentMetadata"))
			errs = append(errs, volumeError(a.Status.AttachError, status.Child("attachError"))...)
			return append(errs, volumeError(a.Status.DetachError, status.Child("detachError"))...)
		}),
		Columns: printers.Columns("Name", "=Attacher", "PV", "Node", "?Attached", "Age"),
		Cells: kind.Cells(func(a *storagev1.VolumeAttachment, now time.Time) []any {
			return []any{a.Name, a.Spec.Attacher, ptr.Deref(a.Spec.Source.PersistentVolumeName, ""), a.Spec.NodeName,
				a.Status.Attached, printers.Age(a.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

// The bounds of what an attacher says of a volume.
const (
	maxAttachmentMetadata = 256 * 1024
	maxVolumeError        = 1024
)

func attachmentMetadata(m map[string]string, path *field.Path) field.ErrorList {
	size := 0
	for k, v := range m {
		size += len(k) + len(v)
	}
	return validate.TooLong(size, maxAttachmentMetadata, path)
}

func volumeError(e *storagev1.VolumeError, path *field.Path) field.ErrorList {
	if e == nil {
		return nil
	}
	errs := validate.NonNegativePtr(e.ErrorCode, path.Child("errorCode"))
	return append(errs, validate.TooLong(len(e.Message), maxVolumeError, path.Child("message"))...)
}

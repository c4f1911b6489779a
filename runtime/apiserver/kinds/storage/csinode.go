package storage

import (
	"fmt"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func csiNode() kind.Kind {
	return kind.Kind{
		GVK:            storagev1.SchemeGroupVersion.WithKind("CSINode"),
		Resource:       "csinodes",
		ReturnsDeleted: true,
		NoWatchCache:   true,
		Status:         true,
		StatusKeeps:    kind.AllMetadata,
		// CSIVolumeHealth, which is off
		PrepareForStatusUpdate: kind.OnUpdate(func(n, _ *storagev1.CSINode) { n.Status.StorageHealth = nil }),
		Validate:               kind.Check(validateCSINode),
		ValidateUpdate:         kind.CheckUpdate(validateCSINodeUpdate),
		Columns:                printers.Columns("Name", "#Drivers", "Age"),
		Cells: kind.Cells(func(n *storagev1.CSINode, now time.Time) []any {
			return []any{n.Name, int64(len(n.Spec.Drivers)), printers.Age(n.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

// maxNodeID is the longest name that a driver gives to a node.
const maxNodeID = 256

func validateCSINode(n *storagev1.CSINode) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i, d := range n.Spec.Drivers {
		at := field.NewPath("spec", "drivers").Index(i)
		errs = append(errs, validate.CSIDriverName(d.Name, at.Child("name"))...)
		errs = append(errs, validate.UniqueName(d.Name, names, at)...)
		errs = append(errs, validate.Required(d.NodeID, at.Child("nodeID"))...)
		if len(d.NodeID) > maxNodeID {
			errs = append(errs, field.Invalid(at.Child("nodeID"), d.NodeID, fmt.Sprintf("must be %d characters or less", maxNodeID)))
		}
		if d.Allocatable != nil {
			errs = append(errs, validate.NonNegativePtr(d.Allocatable.Count, at.Child("allocatable", "count"))...)
		}
		keys := sets.New[string]()
		for _, key := range d.TopologyKeys { // upstream does not say which of them
			errs = append(errs, validate.Required(key, at)...)
			if keys.Has(key) {
				errs = append(errs, field.Duplicate(at, key))
			}
			keys.Insert(key)
			errs = append(errs, validate.QualifiedName(key, at)...)
		}
	}
	return errs
}

// validateCSINodeUpdate: what a driver said of a node it keeps, but for how many volumes it
// attaches.
func validateCSINodeUpdate(n, old *storagev1.CSINode) field.ErrorList {
	if equality.Semantic.DeepEqual(n.Spec.Drivers, old.Spec.Drivers) {
		return nil
	}
	var errs field.ErrorList
	for _, was := range old.Spec.Drivers {
		for _, d := range n.Spec.Drivers {
			if d.Name == was.Name {
				d.Allocatable, was.Allocatable = nil, nil
				errs = append(errs, validate.Immutable(d, was, field.NewPath("spec", "drivers"))...)
			}
		}
	}
	return errs
}

package storage

import (
	"time"

	storagev1 "k8s.io/api/storage/v1"
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
		Validate: kind.Check(func(n *storagev1.CSINode) field.ErrorList {
			var errs field.ErrorList
			names := sets.New[string]()
			for i, d := range n.Spec.Drivers {
				at := field.NewPath("spec", "drivers").Index(i)
				errs = append(errs, validate.DNSSubdomain(d.Name, at.Child("name"))...)
				errs = append(errs, validate.UniqueName(d.Name, names, at)...)
				errs = append(errs, validate.Required(d.NodeID, at.Child("nodeID"))...)
				for k, key := range d.TopologyKeys {
					errs = append(errs, validate.QualifiedName(key, at.Child("topologyKeys").Index(k))...)
				}
				if d.Allocatable != nil {
					errs = append(errs, validate.NonNegativePtr(d.Allocatable.Count, at.Child("allocatable", "count"))...)
				}
			}
			return errs
		}),
		Columns: printers.Columns("Name", "#Drivers", "Age"),
		Cells: kind.Cells(func(n *storagev1.CSINode, now time.Time) []any {
			return []any{n.Name, int64(len(n.Spec.Drivers)), printers.Age(n.ObjectMeta, now)}
		}),
		RequireResourceVersion: true,
	}
}

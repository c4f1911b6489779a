package resource

import (
	"strings"
	"time"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
)

func resourceClaim() kind.Kind {
	return kind.Kind{
		GVK:            resourcev1.SchemeGroupVersion.WithKind("ResourceClaim"),
		Resource:       "resourceclaims",
		Namespaced:     true,
		Status:         true,
		StatusKeeps:    kind.AllMetadata,
		ReturnsDeleted: true,
		NoWatchCache:   true,
		Default:        kind.On(func(c *resourcev1.ResourceClaim) { defaultClaim(&c.Spec) }),
		PrepareForCreate: kind.On(func(c *resourcev1.ResourceClaim) {
			dropFromClaim(&c.Spec)
		}),
		PrepareForUpdate: kind.OnUpdate(func(c, _ *resourcev1.ResourceClaim) { dropFromClaim(&c.Spec) }),
		PrepareForStatusUpdate: kind.OnUpdate(func(c, old *resourcev1.ResourceClaim) {
			if c.Status.Allocation != nil {
				for i := range c.Status.Allocation.Devices.Results {
					c.Status.Allocation.Devices.Results[i].SkipNodeOperations = nil
				}
			}
			dropDeallocated(c, old)
		}),
		Declared: fixed(declared(Validate_ResourceClaim)),
		// An update changes nothing of the spec, which is declared.
		ValidateCreate: kind.Check(func(c *resourcev1.ResourceClaim) field.ErrorList {
			return validateClaimSpec(&c.Spec, field.NewPath("spec"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(validateClaimStatus),
		Expressions: func(obj runtime.Object) []kind.Expression {
			return claimExpressions(&obj.(*resourcev1.ResourceClaim).Spec, field.NewPath("spec"))
		},
		Columns: printers.Columns("Name", "State", "Age"),
		Cells: kind.Cells(func(c *resourcev1.ResourceClaim, now time.Time) []any {
			return []any{c.Name, claimState(c), printers.Age(c.ObjectMeta, now)}
		}),
	}
}

func claimState(c *resourcev1.ResourceClaim) string {
	var states []string
	if c.DeletionTimestamp != nil {
		states = append(states, "deleted")
	} else if c.Status.Allocation == nil {
		states = append(states, "pending")
	}
	if c.Status.Allocation != nil {
		states = append(states, "allocated")
		if len(c.Status.ReservedFor) > 0 {
			states = append(states, "reserved")
		}
	}
	return strings.Join(states, ",")
}

package storagemigration

import (
	"strings"
	"time"

	migrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func storageVersionMigration() kind.Kind {
	return kind.Kind{
		GVK:                    migrationv1.SchemeGroupVersion.WithKind("StorageVersionMigration"),
		Resource:               "storageversionmigrations",
		NoWatchCache:           true,
		RequireResourceVersion: true,
		Status:                 true,
		StatusKeeps:            kind.AllMetadata,

		Validate: kind.Check(validateMigration),
		ValidateUpdate: kind.CheckUpdate(func(m, old *migrationv1.StorageVersionMigration) field.ErrorList {
			return validate.Immutable(m.Spec, old.Spec, field.NewPath("spec"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(validateMigrationStatus),

		Columns: printers.Columns("Name", "Resource", "Age"),
		Cells: kind.Cells(func(m *migrationv1.StorageVersionMigration, now time.Time) []any {
			r := m.Spec.Resource
			return []any{m.Name, r.String(), printers.Age(m.ObjectMeta, now)}
		}),
	}
}

func validateMigration(m *migrationv1.StorageVersionMigration) field.ErrorList {
	r, path := m.Spec.Resource, field.NewPath("spec", "resource")
	var errs field.ErrorList
	if r.Resource == "" {
		errs = append(errs, field.Required(path.Child("resource"), "resource is required to be set"))
	} else if messages := validation.IsDNS1035Label(r.Resource); len(messages) > 0 {
		errs = append(errs, field.Invalid(path.Child("resource"), r.Resource, strings.Join(messages, ",")))
	}
	if messages := validation.IsDNS1123Subdomain(r.Group); r.Group != "" && len(messages) > 0 {
		errs = append(errs, field.Invalid(path.Child("group"), r.Group, strings.Join(messages, ",")))
	}
	return errs
}

// validateMigrationStatus: an end is for ever, and there is one of two.
func validateMigrationStatus(m, old *migrationv1.StorageVersionMigration) field.ErrorList {
	status := field.NewPath("status")
	version, conditions := status.Child("resourceVersion"), status.Child("conditions")
	now, was := m.Status.ResourceVersion, old.Status.ResourceVersion
	var errs field.ErrorList
	if now != "" {
		if _, err := resourceversion.CompareResourceVersion(now, now); err != nil {
			errs = append(errs, field.Invalid(version, now, err.Error()))
		}
	}
	errs = append(errs, metavalidation.ValidateConditions(m.Status.Conditions, conditions)...)
	if was != "" && now != was {
		errs = append(errs, field.Invalid(version, now, "field is immutable"))
	}
	is := func(m *migrationv1.StorageVersionMigration, t migrationv1.MigrationConditionType) bool {
		return meta.IsStatusConditionTrue(m.Status.Conditions, string(t))
	}
	refuse := func(wrong bool, why string) {
		if wrong {
			errs = append(errs, field.Invalid(conditions, m.Status.Conditions, why))
		}
	}
	const succeeded, failed = migrationv1.MigrationSucceeded, migrationv1.MigrationFailed
	refuse(is(m, succeeded) && is(m, failed), "Both success and failed conditions cannot be true at the same time")
	refuse(is(old, succeeded) && !is(m, succeeded), "Success condition cannot be set to false once it is true")
	refuse(is(old, failed) && !is(m, failed), "Failed condition cannot be set to false once it is true")
	return errs
}

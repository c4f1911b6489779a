package kinds

import (
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func role() Kind {
	return Kind{
		GVK:        rbacv1.SchemeGroupVersion.WithKind("Role"),
		Resource:   "roles",
		Namespaced: true,
		Validate: check(func(r *rbacv1.Role) field.ErrorList {
			return validateRules(r.Rules, true, field.NewPath("rules"))
		}),
		ValidateName: pathSegmentName,
		Columns:      columns("Name", "Created At"),
		Cells: cells(func(r *rbacv1.Role, _ time.Time) []any {
			return []any{r.Name, createdAt(r.ObjectMeta)}
		}),
		CreateOnUpdate: true,
	}
}

func clusterRole() Kind {
	return Kind{
		GVK:      rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
		Resource: "clusterroles",
		Validate: check(func(r *rbacv1.ClusterRole) field.ErrorList {
			errs := validateRules(r.Rules, false, field.NewPath("rules"))
			if a := r.AggregationRule; a != nil {
				path := field.NewPath("aggregationRule", "clusterRoleSelectors")
				if len(a.ClusterRoleSelectors) == 0 {
					errs = append(errs, field.Required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
				}
				for i := range a.ClusterRoleSelectors {
					errs = append(errs, labelSelector(&a.ClusterRoleSelectors[i], path.Index(i))...)
				}
			}
			return errs
		}),
		ValidateName: pathSegmentName,
		Columns:      columns("Name", "Created At"),
		Cells: cells(func(r *rbacv1.ClusterRole, _ time.Time) []any {
			return []any{r.Name, createdAt(r.ObjectMeta)}
		}),
		CreateOnUpdate: true,
	}
}

func roleBinding() Kind {
	return Kind{
		GVK:        rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
		Resource:   "rolebindings",
		Namespaced: true,
		Default: on(func(b *rbacv1.RoleBinding) {
			defaultBinding(&b.RoleRef, b.Subjects)
		}),
		Validate: check(func(b *rbacv1.RoleBinding) field.ErrorList {
			return validateBinding(&b.RoleRef, b.Subjects, true, "Role", "ClusterRole")
		}),
		ValidateUpdate: checkUpdate(func(b, old *rbacv1.RoleBinding) field.ErrorList {
			return sameRoleRef(b.RoleRef, old.RoleRef)
		}),
		ValidateName: pathSegmentName,
		Columns:      columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
		Cells: cells(func(b *rbacv1.RoleBinding, now time.Time) []any {
			users, groups, accounts := subjectsText(b.Subjects)
			return []any{b.Name, b.RoleRef.Kind + "/" + b.RoleRef.Name, age(b.ObjectMeta, now), users, groups, accounts}
		}),
		CreateOnUpdate: true,
	}
}

func clusterRoleBinding() Kind {
	return Kind{
		GVK:      rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
		Resource: "clusterrolebindings",
		Default: on(func(b *rbacv1.ClusterRoleBinding) {
			defaultBinding(&b.RoleRef, b.Subjects)
		}),
		Validate: check(func(b *rbacv1.ClusterRoleBinding) field.ErrorList {
			return validateBinding(&b.RoleRef, b.Subjects, false, "ClusterRole")
		}),
		ValidateUpdate: checkUpdate(func(b, old *rbacv1.ClusterRoleBinding) field.ErrorList {
			return sameRoleRef(b.RoleRef, old.RoleRef)
		}),
		ValidateName: pathSegmentName,
		Columns:      columns("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts"),
		Cells: cells(func(b *rbacv1.ClusterRoleBinding, now time.Time) []any {
			users, groups, accounts := subjectsText(b.Subjects)
			return []any{b.Name, b.RoleRef.Kind + "/" + b.RoleRef.Name, age(b.ObjectMeta, now), users, groups, accounts}
		}),
		CreateOnUpdate: true,
	}
}

func defaultBinding(ref *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	setDefault(&ref.APIGroup, rbacv1.GroupName)
	for i := range subjects {
		if k := subjects[i].Kind; k == rbacv1.UserKind || k == rbacv1.GroupKind {
			setDefault(&subjects[i].APIGroup, rbacv1.GroupName)
		}
	}
}

func validateRules(rules []rbacv1.PolicyRule, namespaced bool, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, r := range rules {
		at := path.Index(i)
		if len(r.Verbs) == 0 {
			errs = append(errs, field.Required(at.Child("verbs"), "verbs must contain at least one value"))
		}
		if len(r.NonResourceURLs) > 0 {
			switch {
			case namespaced:
				errs = append(errs, field.Invalid(at.Child("nonResourceURLs"), r.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs"))
			case len(r.APIGroups)+len(r.Resources)+len(r.ResourceNames) > 0:
				errs = append(errs, field.Invalid(at.Child("nonResourceURLs"), r.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"))
			}
			continue
		}
		if len(r.APIGroups) == 0 {
			errs = append(errs, field.Required(at.Child("apiGroups"), "resource rules must supply at least one api group"))
		}
		if len(r.Resources) == 0 {
			errs = append(errs, field.Required(at.Child("resources"), "resource rules must supply at least one resource"))
		}
	}
	return errs
}

func validateBinding(ref *rbacv1.RoleRef, subjects []rbacv1.Subject, namespaced bool, kinds ...string) field.ErrorList {
	path := field.NewPath("roleRef")
	errs := oneOf(ref.APIGroup, path.Child("apiGroup"), rbacv1.GroupName)
	errs = append(errs, oneOf(ref.Kind, path.Child("kind"), kinds...)...)
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	} else {
		errs = append(errs, invalidIf(pathSegmentName(ref.Name, false), path.Child("name"), ref.Name)...)
	}
	for i, s := range subjects {
		at := field.NewPath("subjects").Index(i)
		errs = append(errs, required(s.Name, at.Child("name"))...)
		switch s.Kind {
		case rbacv1.ServiceAccountKind:
			if s.Name != "" {
				errs = append(errs, dnsSubdomain(s.Name, at.Child("name"))...)
			}
			if s.APIGroup != "" {
				errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{""}))
			}
			// In a RoleBinding it may be one of the binding's own namespace.
			if !namespaced && s.Namespace == "" {
				errs = append(errs, field.Required(at.Child("namespace"), ""))
			}
		case rbacv1.UserKind, rbacv1.GroupKind:
			errs = append(errs, oneOf(s.APIGroup, at.Child("apiGroup"), rbacv1.GroupName)...)
		default:
			errs = append(errs, field.NotSupported(at.Child("kind"), s.Kind, []string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind}))
		}
	}
	return errs
}

func sameRoleRef(now, old rbacv1.RoleRef) field.ErrorList {
	if now == old {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("roleRef"), now, "cannot change roleRef")}
}

func subjectsText(subjects []rbacv1.Subject) (users, groups, accounts string) {
	var u, g, a []string
	for _, s := range subjects {
		switch s.Kind {
		case rbacv1.UserKind:
			u = append(u, s.Name)
		case rbacv1.GroupKind:
			g = append(g, s.Name)
		case rbacv1.ServiceAccountKind:
			a = append(a, s.Namespace+"/"+s.Name)
		}
	}
	return strings.Join(u, ", "), strings.Join(g, ", "), strings.Join(a, ", ")
}

package rbac

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Escalation refuses a role or binding that would give more than its writer has,
// unless the writer may "escalate" roles or "bind" that role.
type Escalation struct {
	rbac *Authorizer
	all  authorizer.UnconditionalAuthorizer // the whole authorizer, for the two verbs
}

var _ admission.ValidationInterface = &Escalation{}

// NewEscalation returns the check. all decides whether the two verbs are allowed.
func NewEscalation(rbac *Authorizer, all authorizer.UnconditionalAuthorizer) *Escalation {
	return &Escalation{rbac, all}
}

// Handles says that writes are looked at.
func (e *Escalation) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate checks one write.
func (e *Escalation) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != rbacv1.GroupName || a.GetSubresource() != "" {
		return nil
	}
	if slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup) {
		return nil
	}
	var err error
	switch o := a.GetObject().(type) {
	case *rbacv1.Role:
		if old, ok := a.GetOldObject().(*rbacv1.Role); ok && sameRules(old.Rules, o.Rules) {
			return nil
		}
		err = e.role(ctx, a, o.Rules)
	case *rbacv1.ClusterRole:
		if old, ok := a.GetOldObject().(*rbacv1.ClusterRole); ok && sameRules(old.Rules, o.Rules) && o.AggregationRule == nil {
			return nil
		}
		rules := o.Rules
		if o.AggregationRule != nil {
			// It may come to hold anything that others label for it.
			rules = append(slices.Clone(rules), everything()...)
		}
		err = e.role(ctx, a, rules)
	case *rbacv1.RoleBinding:
		err = e.binding(ctx, a, o.RoleRef)
	case *rbacv1.ClusterRoleBinding:
		err = e.binding(ctx, a, o.RoleRef)
	}
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

func sameRules(a, b []rbacv1.PolicyRule) bool {
	ab, _ := validation.Covers(a, b)
	return ab
}

func everything() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
		{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
	}
}

func (e *Escalation) role(ctx context.Context, a admission.Attributes, rules []rbacv1.PolicyRule) error {
	if ok, err := e.may(ctx, a, "escalate", a.GetResource().Resource, a.GetNamespace(), a.GetName()); ok || err != nil {
		return err
	}
	return e.covered(a, rules)
}

func (e *Escalation) binding(ctx context.Context, a admission.Attributes, ref rbacv1.RoleRef) error {
	resource, namespace := "clusterroles", a.GetNamespace()
	if ref.Kind == "Role" {
		resource = "roles"
	}
	if ok, err := e.may(ctx, a, "bind", resource, namespace, ref.Name); ok || err != nil {
		return err
	}
	rules, ok := e.rbac.roleRules(ref, namespace)
	if !ok {
		return errors.NewNotFound(rbacv1.Resource(resource), ref.Name)
	}
	return e.covered(a, rules)
}

func (e *Escalation) may(ctx context.Context, a admission.Attributes, verb, resource, namespace, name string) (bool, error) {
	decision, _, err := e.all.Authorize(ctx, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: verb, Namespace: namespace, Name: name, ResourceRequest: true,
		APIGroup: rbacv1.GroupName, APIVersion: "v1", Resource: resource,
	})
	return decision == authorizer.DecisionAllow, err
}

func (e *Escalation) covered(a admission.Attributes, rules []rbacv1.PolicyRule) error {
	if ok, missing := validation.Covers(e.rbac.rulesIn(a.GetUserInfo(), a.GetNamespace()), rules); !ok {
		return fmt.Errorf("user %q would grant what they do not have themselves: %+v", a.GetUserInfo().GetName(), missing)
	}
	return nil
}

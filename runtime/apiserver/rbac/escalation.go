package rbac

import (
	"context"
	stderrors "errors"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Escalation refuses a role or binding that would give more than its writer has,
// unless the writer may "escalate" roles or "bind" that role. Any update counts, a
// new label too: labels decide what aggregated roles take up. Exempt is only what
// the garbage collector changes.
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
	if slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup) || GarbageCollectionOnly(a.GetObject(), a.GetOldObject()) {
		return nil
	}
	switch o := a.GetObject().(type) {
	case *rbacv1.Role:
		return e.role(ctx, a, o.Rules, false)
	case *rbacv1.ClusterRole:
		// An aggregated role may come to hold anything that others label for it; one
		// that stops to be aggregated keeps what it has collected.
		old, _ := a.GetOldObject().(*rbacv1.ClusterRole)
		return e.role(ctx, a, o.Rules, aggregates(o) || aggregates(old))
	case *rbacv1.RoleBinding:
		return e.binding(ctx, a, o.RoleRef)
	case *rbacv1.ClusterRoleBinding:
		return e.binding(ctx, a, o.RoleRef)
	}
	return nil
}

// GarbageCollectionOnly reports an update of nothing but what the garbage collector
// needs to change, which it may do without holding the rules.
func GarbageCollectionOnly(obj, old runtime.Object) bool {
	if old == nil {
		return false
	}
	now := obj.DeepCopyObject()
	m, err := meta.Accessor(now)
	if err != nil {
		return false
	}
	was, err := meta.Accessor(old)
	if err != nil {
		return false
	}
	m.SetOwnerReferences(was.GetOwnerReferences())
	m.SetFinalizers(was.GetFinalizers())
	m.SetManagedFields(was.GetManagedFields())
	return equality.Semantic.DeepEqual(now, old)
}

func aggregates(r *rbacv1.ClusterRole) bool {
	return r != nil && r.AggregationRule != nil && len(r.AggregationRule.ClusterRoleSelectors) > 0
}

func everything() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
		{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
	}
}

func (e *Escalation) role(ctx context.Context, a admission.Attributes, rules []rbacv1.PolicyRule, aggregated bool) error {
	if e.may(ctx, a, "escalate", a.GetResource().Resource, a.GetNamespace(), requestedName(ctx, a)) {
		return nil
	}
	if err := e.covered(a, rules); err != nil {
		return admission.NewForbidden(a, err)
	}
	if aggregated && e.covered(a, everything()) != nil {
		return admission.NewForbidden(a, stderrors.New("must have cluster-admin privileges to use the aggregationRule"))
	}
	return nil
}

// requestedName is the name in the request's path. A creation has none there: who
// may escalate only roles of certain names may not create them.
func requestedName(ctx context.Context, a admission.Attributes) string {
	if info, ok := genericapirequest.RequestInfoFrom(ctx); ok {
		return info.Name
	}
	return a.GetName()
}

func (e *Escalation) binding(ctx context.Context, a admission.Attributes, ref rbacv1.RoleRef) error {
	resource := "clusterroles"
	if ref.Kind == "Role" {
		resource = "roles"
	}
	if e.may(ctx, a, "bind", resource, a.GetNamespace(), ref.Name) {
		return nil
	}
	rules, ok := e.rbac.roleRules(ref, a.GetNamespace())
	if !ok {
		return errors.NewNotFound(rbacv1.Resource(resource), ref.Name)
	}
	if err := e.covered(a, rules); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// may asks for one of the two verbs. An authorizer that cannot tell has not allowed.
func (e *Escalation) may(ctx context.Context, a admission.Attributes, verb, resource, namespace, name string) bool {
	decision, _, _ := e.all.Authorize(ctx, authorizer.AttributesRecord{ // without a permission the rules decide
		User: a.GetUserInfo(), Verb: verb, Namespace: namespace, Name: name, ResourceRequest: true,
		APIGroup: rbacv1.GroupName, APIVersion: "*", Resource: resource,
	})
	return decision == authorizer.DecisionAllow
}

func (e *Escalation) covered(a admission.Attributes, rules []rbacv1.PolicyRule) error {
	ok, missing := validation.Covers(e.rbac.rulesIn(a.GetUserInfo(), a.GetNamespace()), rules)
	if ok {
		return nil
	}
	return notHeld(a.GetUserInfo(), missing)
}

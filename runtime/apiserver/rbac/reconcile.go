package rbac

import (
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/component-helpers/auth/rbac/reconciliation"
)

// Reconcile writes the policy: what is missing is added, what an administrator
// added stays, and objects annotated with autoupdate=false are left alone.
func Reconcile(p Policy, c kubernetes.Interface) error {
	api := c.RbacV1()
	role := func(name string, owner reconciliation.RuleOwner, modifier reconciliation.RuleOwnerModifier) error {
		o := reconciliation.ReconcileRoleOptions{Role: owner, Confirm: true, Client: modifier}
		if _, err := o.Run(); err != nil {
			return fmt.Errorf("role %s: %w", name, err)
		}
		return nil
	}
	binding := func(name string, b reconciliation.RoleBinding, modifier reconciliation.RoleBindingModifier) error {
		o := reconciliation.ReconcileRoleBindingOptions{RoleBinding: b, Confirm: true, Client: modifier}
		if _, err := o.Run(); err != nil {
			return fmt.Errorf("role binding %s: %w", name, err)
		}
		return nil
	}
	for i := range p.ClusterRoles {
		r := &p.ClusterRoles[i]
		if err := role(r.Name, reconciliation.ClusterRoleRuleOwner{ClusterRole: r}, reconciliation.ClusterRoleModifier{Client: api.ClusterRoles()}); err != nil {
			return err
		}
	}
	for i := range p.ClusterRoleBindings {
		b := &p.ClusterRoleBindings[i]
		if err := binding(b.Name, reconciliation.ClusterRoleBindingAdapter{ClusterRoleBinding: b}, reconciliation.ClusterRoleBindingClientAdapter{Client: api.ClusterRoleBindings()}); err != nil {
			return err
		}
	}
	for i := range p.Roles {
		r := &p.Roles[i]
		if err := role(r.Name, reconciliation.RoleRuleOwner{Role: r}, reconciliation.RoleModifier{Client: api, NamespaceClient: c.CoreV1().Namespaces()}); err != nil {
			return err
		}
	}
	for i := range p.RoleBindings {
		b := &p.RoleBindings[i]
		if err := binding(b.Name, reconciliation.RoleBindingAdapter{RoleBinding: b}, reconciliation.RoleBindingClientAdapter{Client: api, NamespaceClient: c.CoreV1().Namespaces()}); err != nil {
			return err
		}
	}
	return nil
}

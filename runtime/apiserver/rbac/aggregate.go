package rbac

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
)

// Aggregate keeps the rules of every ClusterRole that has an aggregationRule
// equal to the union of those it selects, until ctx is done. Every master does
// so: they compute the same, and a conflict means that another was first.
func (a *Authorizer) Aggregate(ctx context.Context, c rbacclient.ClusterRoleInterface, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.changed:
		}
		if err := a.aggregate(ctx, c); err != nil && ctx.Err() == nil {
			log.Warn("cannot aggregate ClusterRoles; trying again", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			select {
			case a.changed <- struct{}{}:
			default:
			}
		}
	}
}

func (a *Authorizer) aggregate(ctx context.Context, c rbacclient.ClusterRoleInterface) error {
	var all []*rbacv1.ClusterRole
	for _, o := range a.clusterRoles.GetStore().List() {
		all = append(all, o.(*rbacv1.ClusterRole))
	}
	slices.SortFunc(all, func(a, b *rbacv1.ClusterRole) int { return strings.Compare(a.Name, b.Name) })
	for _, role := range all {
		if role.AggregationRule == nil {
			continue
		}
		rules, err := union(role, all)
		if err != nil {
			return err
		}
		if equality.Semantic.DeepEqual(rules, role.Rules) {
			continue
		}
		next := role.DeepCopy()
		next.Rules = rules
		if _, err := c.Update(ctx, next, metav1.UpdateOptions{}); err != nil && !errors.IsConflict(err) && !errors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// union collects the rules of the roles that role selects, each once, in the
// order of the roles' names.
func union(role *rbacv1.ClusterRole, all []*rbacv1.ClusterRole) ([]rbacv1.PolicyRule, error) {
	var rules []rbacv1.PolicyRule
	for i := range role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return nil, err
		}
		for _, other := range all {
			if other.Name == role.Name || !selector.Matches(labels.Set(other.Labels)) {
				continue
			}
			for _, r := range other.Rules {
				if !slices.ContainsFunc(rules, func(have rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(have, r) }) {
					rules = append(rules, r)
				}
			}
		}
	}
	return rules, nil
}

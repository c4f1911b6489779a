package rbac

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// notHeld says which permissions a user would grant without having them. missing
// holds rules of one verb on one thing each; those that differ in nothing but the
// verb are told as one.
func notHeld(u user.Info, missing []rbacv1.PolicyRule) error {
	verbs := map[string][]string{}
	for _, r := range missing {
		key := describe(r)
		for _, v := range r.Verbs {
			if !slices.Contains(verbs[key], v) {
				verbs[key] = append(verbs[key], v)
			}
		}
	}
	lines := make([]string, 0, len(verbs))
	for of, v := range verbs {
		lines = append(lines, fmt.Sprintf("{%s, Verbs:%q}", of, v))
	}
	slices.Sort(lines)
	return fmt.Errorf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", u.GetName(), u.GetGroups(), strings.Join(lines, "\n"))
}

// describe is what a rule is about, without its verbs.
func describe(r rbacv1.PolicyRule) string {
	var parts []string
	for _, p := range []struct {
		name   string
		values []string
	}{
		{"APIGroups", r.APIGroups}, {"Resources", r.Resources}, {"NonResourceURLs", r.NonResourceURLs}, {"ResourceNames", r.ResourceNames},
	} {
		if len(p.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", p.name, p.values))
		}
	}
	return strings.Join(parts, ", ")
}

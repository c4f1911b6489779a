package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

func has(list []string, s string) bool { return slices.Contains(list, "*") || slices.Contains(list, s) }

// allows reports whether one rule admits the request.
func allows(r *rbacv1.PolicyRule, a authorizer.Attributes) bool {
	if !has(r.Verbs, a.GetVerb()) {
		return false
	}
	if !a.IsResourceRequest() {
		return slices.ContainsFunc(r.NonResourceURLs, func(p string) bool { return pathMatches(p, a.GetPath()) })
	}
	if !has(r.APIGroups, a.GetAPIGroup()) || !resourceMatches(r.Resources, a.GetResource(), a.GetSubresource()) {
		return false
	}
	return len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, a.GetName())
}

// pathMatches compares a path with a pattern that may end with *.
func pathMatches(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return pattern == path
}

// resourceMatches knows "*", "pods", "pods/log" and "*/scale".
func resourceMatches(rules []string, resource, subresource string) bool {
	combined := resource
	if subresource != "" {
		combined += "/" + subresource
	}
	for _, r := range rules {
		if r == "*" || r == combined {
			return true
		}
		if sub, ok := strings.CutPrefix(r, "*/"); ok && subresource != "" && sub == subresource {
			return true
		}
	}
	return false
}

// subjectKey is how the snapshot indexes bindings: users and groups are apart.
type subjectKey struct{ kind, name string }

// keyOf returns the key of a subject; a service account is the user it acts as.
func keyOf(s rbacv1.Subject, bindingNamespace string) (subjectKey, bool) {
	switch s.Kind {
	case rbacv1.UserKind, rbacv1.GroupKind:
		return subjectKey{s.Kind, s.Name}, true
	case rbacv1.ServiceAccountKind:
		ns := s.Namespace
		if ns == "" {
			ns = bindingNamespace
		}
		return subjectKey{rbacv1.UserKind, "system:serviceaccount:" + ns + ":" + s.Name}, ns != ""
	}
	return subjectKey{}, false
}

func keysOf(u user.Info) []subjectKey {
	keys := make([]subjectKey, 0, 1+len(u.GetGroups()))
	keys = append(keys, subjectKey{rbacv1.UserKind, u.GetName()})
	for _, g := range u.GetGroups() {
		keys = append(keys, subjectKey{rbacv1.GroupKind, g})
	}
	return keys
}

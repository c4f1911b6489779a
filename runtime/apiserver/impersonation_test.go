package apiserver_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

// impersonations: who may be another may be so wholly, by "impersonate" on each part of
// the identity, or for some actions only, by the constrained verbs.
func impersonations(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "impersonations")
	grant := func(name, user string, rules ...rbacv1.PolicyRule) {
		must[*rbacv1.ClusterRole](t)(k.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{}))
		must[*rbacv1.ClusterRoleBinding](t)(k.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name},
			Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}}, metav1.CreateOptions{}))
	}
	rule := func(verb, group, resource string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
	}
	pods := rbacv1.PolicyRule{Verbs: []string{"list", "deletecollection"}, APIGroups: []string{""}, Resources: []string{"pods"}}
	grant("imp-bob", "bob", pods)
	grant("imp-legacy", "legacy", rule("impersonate", "", "users", "bob"), rule("impersonate", "", "groups", "dev"),
		rule("impersonate", "authentication.k8s.io", "uids", "1"), rule("impersonate", "authentication.k8s.io", "userextras/scopes", "view"))
	grant("imp-constrained", "constrained", rule("impersonate:user-info", "authentication.k8s.io", "users", "bob"), rule("impersonate-on:user-info:list", "", "pods"))
	as := func(user string, who rest.ImpersonationConfig) kubernetes.Interface {
		cfg := rest.CopyConfig(c.Client(user).REST)
		cfg.Impersonate = who
		return must[*kubernetes.Clientset](t)(kubernetes.NewForConfig(cfg))
	}
	list := func(k kubernetes.Interface) error {
		_, err := k.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		return err
	}
	bob := rest.ImpersonationConfig{UserName: "bob"}
	eventually(t, "bob lists", func() error { return list(as("legacy", bob)) })
	eventually(t, "bob lists, constrained", func() error { return list(as("constrained", bob)) })
	for what, tt := range map[string]struct {
		user    string
		who     rest.ImpersonationConfig
		allowed bool
	}{
		"bob in a group":        {"legacy", rest.ImpersonationConfig{UserName: "bob", Groups: []string{"dev"}}, true},
		"in another group":      {"legacy", rest.ImpersonationConfig{UserName: "bob", Groups: []string{"system:masters"}}, false},
		"with a UID":            {"legacy", rest.ImpersonationConfig{UserName: "bob", UID: "1"}, true},
		"with another UID":      {"legacy", rest.ImpersonationConfig{UserName: "bob", UID: "2"}, false},
		"with an extra":         {"legacy", rest.ImpersonationConfig{UserName: "bob", Extra: map[string][]string{"scopes": {"view"}}}, true},
		"with another extra":    {"legacy", rest.ImpersonationConfig{UserName: "bob", Extra: map[string][]string{"scopes": {"all"}}}, false},
		"somebody else":         {"legacy", rest.ImpersonationConfig{UserName: "root"}, false},
		"constrained, in group": {"constrained", rest.ImpersonationConfig{UserName: "bob", Groups: []string{"dev"}}, false},
		"by who may not":        {"eve", bob, false},
	} {
		err := list(as(tt.user, tt.who))
		if tt.allowed && err != nil || !tt.allowed && !errors.IsForbidden(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// The constraint is what bob may do and what may be done as bob, both.
	err := as("constrained", bob).CoreV1().Pods(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	refused(t, "an action beyond the constraint", errors.IsForbidden, err)
	ok(t, as("legacy", bob).CoreV1().Pods(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
}

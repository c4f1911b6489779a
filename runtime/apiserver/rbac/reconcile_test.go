package rbac

import (
	"errors"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// small is a policy with one object of each kind.
func small() Policy {
	return Policy{
		ClusterRoles:        []rbacv1.ClusterRole{clusterRole("cr", on([]string{"get"}, "", "nodes"), on([]string{"list"}, "", "nodes"))},
		ClusterRoleBindings: []rbacv1.ClusterRoleBinding{bindCluster("cr", userSubject("ann"))},
		Roles:               []rbacv1.Role{{ObjectMeta: bootstrapMeta("r", "team"), Rules: []rbacv1.PolicyRule{on([]string{"get"}, "", "pods")}}},
		RoleBindings:        []rbacv1.RoleBinding{{ObjectMeta: bootstrapMeta("r", "team"), Subjects: []rbacv1.Subject{userSubject("ann")}, RoleRef: ref("Role", "r")}},
	}
}

// writes are the verbs and resources of what was written.
func writes(c *fake.Clientset) []string {
	var out []string
	for _, a := range c.Actions() {
		if v := a.GetVerb(); v != "get" && v != "list" && a.GetResource().Resource != "namespaces" {
			out = append(out, v+" "+a.GetResource().Resource)
		}
	}
	return out
}

func TestReconcileAnEmptyCluster(t *testing.T) {
	c := fake.NewClientset()
	if err := Reconcile(small(), c); err != nil {
		t.Fatal(err)
	}
	want := []string{"create clusterroles", "create clusterrolebindings", "create roles", "create rolebindings"}
	if got := writes(c); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	c.ClearActions()
	if err := Reconcile(small(), c); err != nil {
		t.Fatal(err)
	}
	if got := writes(c); len(got) != 0 {
		t.Errorf("a second time: %v", got)
	}
}

func TestReconcileTheWholePolicy(t *testing.T) {
	c, p := fake.NewClientset(), BootstrapPolicy()
	for range 2 {
		c.ClearActions()
		if err := Reconcile(p, c); err != nil {
			t.Fatal(err)
		}
	}
	if got := writes(c); len(got) != 0 {
		t.Errorf("a second time: %v", got)
	}
	roles, err := c.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(roles.Items) != len(p.ClusterRoles) {
		t.Errorf("%d cluster roles, want %d: %v", len(roles.Items), len(p.ClusterRoles), err)
	}
}

// What an administrator took away comes back, what they added stays, and what they
// took out of our hands is left alone.
func TestReconcileAChangedCluster(t *testing.T) {
	own := on([]string{"get"}, "", "own")
	tests := []struct {
		name     string
		change   func(*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding, *rbacv1.Role, *rbacv1.RoleBinding)
		writes   []string
		rules    []string // of the cluster role
		subjects []string // of its binding
	}{
		{"nothing", func(*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding, *rbacv1.Role, *rbacv1.RoleBinding) {}, nil, []string{"get nodes", "list nodes"}, []string{"ann"}},
		{"a rule taken away", func(r *rbacv1.ClusterRole, _ *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			r.Rules = r.Rules[1:]
		}, []string{"update clusterroles"}, []string{"list nodes", "get nodes"}, []string{"ann"}},
		{"a rule added", func(r *rbacv1.ClusterRole, _ *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			r.Rules = append(r.Rules, own)
		}, nil, []string{"get nodes", "list nodes", "get own"}, []string{"ann"}},
		{"a role of their own", func(r *rbacv1.ClusterRole, _ *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			r.Rules, r.Annotations = nil, map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
		}, nil, nil, []string{"ann"}},
		{"a subject taken away", func(_ *rbacv1.ClusterRole, b *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			b.Subjects = nil
		}, []string{"update clusterrolebindings"}, []string{"get nodes", "list nodes"}, []string{"ann"}},
		{"a subject added", func(_ *rbacv1.ClusterRole, b *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			b.Subjects = append(b.Subjects, userSubject("bea"))
		}, nil, []string{"get nodes", "list nodes"}, []string{"ann", "bea"}},
		{"a binding of their own", func(_ *rbacv1.ClusterRole, b *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			b.Subjects, b.Annotations = nil, map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
		}, nil, []string{"get nodes", "list nodes"}, nil},
		{"a binding of another role", func(_ *rbacv1.ClusterRole, b *rbacv1.ClusterRoleBinding, _ *rbacv1.Role, _ *rbacv1.RoleBinding) {
			b.RoleRef.Name = "other"
		}, []string{"delete clusterrolebindings", "create clusterrolebindings"}, []string{"get nodes", "list nodes"}, []string{"ann"}},
		{"in a namespace", func(_ *rbacv1.ClusterRole, _ *rbacv1.ClusterRoleBinding, r *rbacv1.Role, b *rbacv1.RoleBinding) {
			r.Rules, b.Subjects = nil, nil
		}, []string{"update roles", "update rolebindings"}, []string{"get nodes", "list nodes"}, []string{"ann"}},
		{"added in a namespace", func(_ *rbacv1.ClusterRole, _ *rbacv1.ClusterRoleBinding, r *rbacv1.Role, b *rbacv1.RoleBinding) {
			r.Rules, b.Subjects = append(r.Rules, own), append(b.Subjects, userSubject("bea"))
		}, nil, []string{"get nodes", "list nodes"}, []string{"ann"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := small()
			tt.change(&p.ClusterRoles[0], &p.ClusterRoleBindings[0], &p.Roles[0], &p.RoleBindings[0])
			c := fake.NewClientset(&p.ClusterRoles[0], &p.ClusterRoleBindings[0], &p.Roles[0], &p.RoleBindings[0])
			if err := Reconcile(small(), c); err != nil {
				t.Fatal(err)
			}
			if got := writes(c); !slices.Equal(got, tt.writes) {
				t.Errorf("wrote %v", got)
			}
			r, err := c.RbacV1().ClusterRoles().Get(t.Context(), "cr", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, rule := range r.Rules {
				rules = append(rules, rule.Verbs[0]+" "+rule.Resources[0])
			}
			if !slices.Equal(rules, tt.rules) {
				t.Errorf("rules %v", rules)
			}
			b, err := c.RbacV1().ClusterRoleBindings().Get(t.Context(), "cr", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var subjects []string
			for _, s := range b.Subjects {
				subjects = append(subjects, s.Name)
			}
			if !slices.Equal(subjects, tt.subjects) || b.RoleRef.Name != "cr" {
				t.Errorf("subjects %v of %s", subjects, b.RoleRef.Name)
			}
		})
	}
}

func TestReconcileSaysWhatFailed(t *testing.T) {
	for resource, want := range map[string]string{
		"clusterroles": "role cr", "clusterrolebindings": "role binding cr", "roles": "role r", "rolebindings": "role binding r",
	} {
		c, broken := fake.NewClientset(), errors.New("no answer")
		c.PrependReactor("create", resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, broken })
		if err := Reconcile(small(), c); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("%s: %v", resource, err)
		}
	}
}

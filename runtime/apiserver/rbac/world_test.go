package rbac

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
)

// authorizerOf returns an authorizer that has seen the objects and watches nothing.
func authorizerOf(t *testing.T, objects ...runtime.Object) *Authorizer {
	t.Helper()
	a := New(Sources{})
	see(t, a, objects...)
	return a
}

// see is what the informers do when the objects are written.
func see(t *testing.T, a *Authorizer, objects ...runtime.Object) {
	t.Helper()
	for _, o := range objects {
		var err error
		switch o.(type) {
		case *rbacv1.Role:
			err = a.roles.GetStore().Update(o)
		case *rbacv1.RoleBinding:
			err = a.roleBindings.GetStore().Update(o)
		case *rbacv1.ClusterRole:
			err = a.clusterRoles.GetStore().Update(o)
		case *rbacv1.ClusterRoleBinding:
			err = a.clusterRoleBindings.GetStore().Update(o)
		default:
			t.Fatalf("a %T", o)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a.version.Add(1)
}

func role(namespace, name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules}
}

func clusterRoleOf(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

func ref(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func bind(namespace, name string, to rbacv1.RoleRef, subjects ...rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, RoleRef: to, Subjects: subjects}
}

func bindEverywhere(name, clusterRole string, subjects ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: ref("ClusterRole", clusterRole), Subjects: subjects}
}

func person(name string, groups ...string) user.Info {
	return &user.DefaultInfo{Name: name, Groups: groups}
}

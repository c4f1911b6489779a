package rbac

import (
	"context"
	"errors"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// written is a write of obj as the chain shows it to a plugin: a creation, unless
// old is given.
func written(u user.Info, obj, old runtime.Object) admission.Attributes {
	meta := obj.(metav1.Object)
	resource, kind := "roles", "Role"
	switch obj.(type) {
	case *rbacv1.ClusterRole:
		resource, kind = "clusterroles", "ClusterRole"
	case *rbacv1.RoleBinding:
		resource, kind = "rolebindings", "RoleBinding"
	case *rbacv1.ClusterRoleBinding:
		resource, kind = "clusterrolebindings", "ClusterRoleBinding"
	}
	op := admission.Create
	if old != nil {
		op = admission.Update
	}
	return admission.NewAttributesRecord(obj, old, rbacv1.SchemeGroupVersion.WithKind(kind), meta.GetNamespace(), meta.GetName(),
		rbacv1.SchemeGroupVersion.WithResource(resource), "", op, nil, false, u)
}

// guarded is a cluster of people with different rights.
func guarded(t *testing.T) *Authorizer {
	t.Helper()
	named := func(verb, resource, name string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{resource}, ResourceNames: []string{name}}
	}
	return authorizerOf(t,
		role("team", "reader", on([]string{"get", "list"}, "", "pods")),
		role("team", "secrets", on([]string{"get"}, "", "secrets")),
		clusterRoleOf("reader", on([]string{"get", "list"}, "", "pods"), paths("/metrics")),
		clusterRoleOf("pods", on([]string{"get", "list"}, "", "pods")),
		clusterRoleOf("one", rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"a"}}),
		clusterRoleOf("everything", everything()...),
		clusterRoleOf("every resource", everything()[0]),
		clusterRoleOf("escalate", on([]string{"escalate"}, rbacv1.GroupName, "roles")),
		clusterRoleOf("escalate special", named("escalate", "clusterroles", "special")),
		clusterRoleOf("bind", on([]string{"bind"}, rbacv1.GroupName, "clusterroles")),
		clusterRoleOf("bind secrets", named("bind", "roles", "secrets")),
		bind("team", "ann", ref("Role", "reader"), userSubject("ann")),
		bindEverywhere("carl", "reader", userSubject("carl")),
		bindEverywhere("one", "one", userSubject("one")),
		bindEverywhere("boss", "everything", userSubject("boss")),
		bindEverywhere("half", "every resource", userSubject("half")),
		bind("team", "keeper", ref("ClusterRole", "escalate"), userSubject("keeper")),
		bindEverywhere("special", "escalate special", userSubject("special")),
		bindEverywhere("binder", "bind", userSubject("binder")),
		bind("team", "porter", ref("ClusterRole", "bind secrets"), userSubject("porter")),
	)
}

func relabelled[T metav1.Object](o T) T {
	o.SetLabels(map[string]string{"a": "b"})
	return o
}

func annotated[T metav1.Object](o T) T {
	o.SetAnnotations(map[string]string{"a": "b"})
	return o
}

// owned is what garbage collection does to an object, and managed fields with it.
func owned[T metav1.Object](o T) T {
	o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Namespace", Name: "n", UID: "u"}})
	o.SetFinalizers([]string{"foregroundDeletion"})
	o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "gc"}})
	return o
}

func TestEscalation(t *testing.T) {
	pods, list := on([]string{"get"}, "", "pods"), on([]string{"get", "list"}, "", "pods")
	secrets, anyVerb := on([]string{"get"}, "", "secrets"), on([]string{"*"}, "", "pods")
	onePod := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: []string{"a"}}
	aggregated := func(rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
		r := clusterRoleOf("new", rules...)
		r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}}
		return r
	}
	const needsAll = "must have cluster-admin privileges to use the aggregationRule"
	unaggregated := clusterRoleOf("new", pods)
	unaggregated.AggregationRule = &rbacv1.AggregationRule{}
	collected := role("team", "new", secrets)
	collected.Finalizers = []string{"foregroundDeletion"}
	ann, carl, boss := person("ann"), person("carl"), person("boss")
	tests := []struct {
		name     string
		user     user.Info
		obj, old runtime.Object
		refused  string // part of the message, or none
	}{
		{"a role of one's own rules", ann, role("team", "new", list), nil, ""},
		{"a role of some of them", ann, role("team", "new", pods), nil, ""},
		{"a role of no rules", ann, role("team", "new"), nil, ""},
		{"a role beyond them", ann, role("team", "new", secrets), nil, `user "ann" (groups=`},
		{"a role partly beyond them", ann, role("team", "new", pods, secrets), nil, `user "ann" (groups=`},
		{"a role of every verb", ann, role("team", "new", anyVerb), nil, `user "ann" (groups=`},
		{"in another namespace", ann, role("other", "new", pods), nil, `user "ann" (groups=`},
		{"everywhere, by rights in a namespace", ann, clusterRoleOf("new", pods), nil, `user "ann" (groups=`},
		{"everywhere", carl, clusterRoleOf("new", pods), nil, ""},
		{"in a namespace, by rights everywhere", carl, role("team", "new", pods), nil, ""},
		{"paths", carl, clusterRoleOf("new", paths("/metrics")), nil, ""},
		{"other paths", carl, clusterRoleOf("new", paths("/debug")), nil, `user "carl" (groups=`},
		{"one object of those", carl, clusterRoleOf("new", onePod), nil, ""},
		{"that one object", person("one"), clusterRoleOf("new", onePod), nil, ""},
		{"all objects, by rights to one", person("one"), clusterRoleOf("new", pods), nil, `user "one" (groups=`},
		{"anything by those who may all", boss, clusterRoleOf("new", everything()...), nil, ""},
		{"a privileged group", person("root", "staff", user.SystemPrivilegedGroup), clusterRoleOf("new", everything()...), nil, ""},
		{"another group", person("root", "staff"), clusterRoleOf("new", pods), nil, `user "root" (groups=`},

		{"rules added", ann, role("team", "new", pods, secrets), role("team", "new", pods), `user "ann" (groups=`},
		{"a covered rule added", ann, role("team", "new", list), role("team", "new", pods), ""},
		{"a rule removed", ann, role("team", "new", pods), role("team", "new", pods, secrets), ""},
		{"what only the garbage collector needs", ann, collected, role("team", "new", secrets), ""},
		{"cluster rules added", carl, clusterRoleOf("new", pods, secrets), clusterRoleOf("new", pods), `user "carl" (groups=`},
		{"a covered cluster rule added", carl, clusterRoleOf("new", list), clusterRoleOf("new", pods), ""},
		{"a cluster role as it is", ann, clusterRoleOf("new", secrets), clusterRoleOf("new", secrets), ""},

		{"an aggregation", carl, aggregated(), nil, needsAll},
		{"an aggregation of rules beyond", carl, aggregated(secrets), nil, `user "carl" (groups=`},
		{"an aggregation by those who may all", boss, aggregated(), nil, ""},
		{"an aggregation added", carl, aggregated(pods), clusterRoleOf("new", pods), needsAll},
		{"an aggregation taken away", carl, clusterRoleOf("new", pods), aggregated(pods), needsAll},
		{"an aggregation that stays", carl, aggregated(list), aggregated(pods), needsAll},
		{"an aggregation without selectors", carl, unaggregated, clusterRoleOf("new", pods), ""},
		{"an aggregation added by those who may all", boss, aggregated(pods), clusterRoleOf("new", pods), ""},
		{"an aggregation taken away by those who may all", boss, clusterRoleOf("new", pods), aggregated(pods), ""},

		{"a label on a role beyond", ann, relabelled(role("team", "new", secrets)), role("team", "new", secrets), `user "ann" (groups=`},
		{"a label on one's own role", ann, relabelled(role("team", "new", pods)), role("team", "new", pods), ""},
		{"a label on a cluster role beyond", carl, relabelled(clusterRoleOf("new", secrets)), clusterRoleOf("new", secrets), `user "carl" (groups=`},
		{"a label taken away", carl, clusterRoleOf("new", secrets), relabelled(clusterRoleOf("new", secrets)), `user "carl" (groups=`},
		{"an annotation on a cluster role beyond", carl, annotated(clusterRoleOf("new", secrets)), clusterRoleOf("new", secrets), `user "carl" (groups=`},
		{"an owner of a cluster role beyond", carl, owned(clusterRoleOf("new", secrets)), clusterRoleOf("new", secrets), ""},
		{"an owner and a label", carl, relabelled(owned(clusterRoleOf("new", secrets))), clusterRoleOf("new", secrets), `user "carl" (groups=`},
		{"an owner of an aggregation", carl, owned(aggregated(secrets)), aggregated(secrets), ""},
		{"an owner of a binding beyond", ann, owned(bind("team", "new", ref("Role", "secrets"))), bind("team", "new", ref("Role", "secrets")), ""},
		{"a label on a binding beyond", ann, relabelled(bind("team", "new", ref("Role", "secrets"))), bind("team", "new", ref("Role", "secrets")), `user "ann" (groups=`},

		{"who may escalate", person("keeper"), role("team", "new", secrets), nil, ""},
		{"who may escalate elsewhere", person("keeper"), role("other", "new", secrets), nil, `user "keeper" (groups=`},
		{"who may escalate roles, a cluster role", person("keeper"), clusterRoleOf("new", secrets), nil, `user "keeper" (groups=`},
		{"who may escalate this one", person("special"), clusterRoleOf("special", everything()...), nil, ""},
		{"who may escalate another", person("special"), clusterRoleOf("new", pods), nil, `user "special" (groups=`},
		{"who may escalate it to an aggregation", person("special"), func() runtime.Object { r := aggregated(); r.Name = "special"; return r }(), nil, ""},

		{"a binding of one's own role", ann, bind("team", "new", ref("Role", "reader"), userSubject("eve")), nil, ""},
		{"of a cluster role like it", ann, bind("team", "new", ref("ClusterRole", "pods"), userSubject("eve")), nil, ""},
		{"of a cluster role of more", ann, bind("team", "new", ref("ClusterRole", "reader"), userSubject("eve")), nil, `user "ann" (groups=`},
		{"of a role beyond", ann, bind("team", "new", ref("Role", "secrets"), userSubject("eve")), nil, `user "ann" (groups=`},
		{"in another namespace", ann, bind("other", "new", ref("ClusterRole", "pods"), userSubject("eve")), nil, `user "ann" (groups=`},
		{"everywhere", ann, bindEverywhere("new", "pods", userSubject("eve")), nil, `user "ann" (groups=`},
		{"everywhere, by rights everywhere", carl, bindEverywhere("new", "reader", userSubject("eve")), nil, ""},
		{"of a role that is not there", ann, bind("team", "new", ref("Role", "gone"), userSubject("eve")), nil, `roles.rbac.authorization.k8s.io "gone" not found`},
		{"of a role of another namespace", ann, bind("other", "new", ref("Role", "reader"), userSubject("eve")), nil, `roles.rbac.authorization.k8s.io "reader" not found`},
		{"of a cluster role that is not there", carl, bindEverywhere("new", "gone", userSubject("eve")), nil, `clusterroles.rbac.authorization.k8s.io "gone" not found`},
		{"a subject added to a role beyond", ann, bind("team", "new", ref("Role", "secrets"), userSubject("ann"), userSubject("eve")),
			bind("team", "new", ref("Role", "secrets"), userSubject("eve")), `user "ann" (groups=`},
		{"who may bind", person("binder"), bindEverywhere("new", "everything", userSubject("binder")), nil, ""},
		{"in a namespace too", person("binder"), bind("team", "new", ref("ClusterRole", "everything"), userSubject("binder")), nil, ""},
		{"who may bind cluster roles, a role", person("binder"), bind("team", "new", ref("Role", "secrets"), userSubject("binder")), nil, `user "binder" (groups=`},
		{"who may bind this role", person("porter"), bind("team", "new", ref("Role", "secrets"), userSubject("porter")), nil, ""},
		{"who may bind another role", person("porter"), bind("team", "new", ref("Role", "reader"), userSubject("porter")), nil, `user "porter" (groups=`},
		{"who may bind a role, a cluster role", person("porter"), bind("team", "secrets", ref("ClusterRole", "pods"), userSubject("porter")), nil, `user "porter" (groups=`},
	}
	a := guarded(t)
	plugin := NewEscalation(a, a)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := plugin.Validate(t.Context(), written(tt.user, tt.obj, tt.old), nil)
			switch {
			case tt.refused == "":
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			case err == nil:
				t.Error("allowed")
			case apierrors.IsNotFound(err) != strings.HasSuffix(tt.refused, "not found"), !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err),
				!strings.Contains(err.Error(), tt.refused):
				t.Errorf("%v", err)
			}
		})
	}
}

func TestEscalationLooksAtWritesOfRolesOnly(t *testing.T) {
	a := guarded(t)
	plugin := NewEscalation(a, a)
	for op, want := range map[admission.Operation]bool{admission.Create: true, admission.Update: true, admission.Delete: false, admission.Connect: false} {
		if plugin.Handles(op) != want {
			t.Errorf("%s: %v", op, !want)
		}
	}
	roles := rbacv1.SchemeGroupVersion.WithResource("roles")
	tests := []struct {
		name        string
		resource    schema.GroupVersionResource
		subresource string
		refused     bool
	}{
		{"roles", roles, "", true},
		{"a subresource", roles, "status", false},
		{"another group", schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "roles"}, "", false},
		{"a subresource of another group", schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "roles"}, "status", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			attrs := admission.NewAttributesRecord(role("team", "new", on([]string{"get"}, "", "secrets")), nil, rbacv1.SchemeGroupVersion.WithKind("Role"),
				"team", "new", tt.resource, tt.subresource, admission.Create, nil, false, person("ann"))
			if err := plugin.Validate(t.Context(), attrs, nil); (err != nil) != tt.refused {
				t.Errorf("%v", err)
			}
		})
	}
}

// An aggregation may come to hold anything, so that nothing less covers it.
func TestAggregationNeedsEverything(t *testing.T) {
	a := guarded(t)
	plugin := NewEscalation(a, authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "", nil
	}))
	for name, refused := range map[string]bool{"boss": false, "half": true, "carl": true} {
		obj := clusterRoleOf("new")
		obj.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}
		if err := plugin.Validate(t.Context(), written(person(name), obj, nil), nil); (err != nil) != refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An authorizer that cannot tell grants neither verb.
func TestEscalationWithoutAnAnswer(t *testing.T) {
	a := guarded(t)
	broken := errors.New("no answer")
	plugin := NewEscalation(a, authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "", broken
	}))
	for _, obj := range []runtime.Object{
		role("team", "new", on([]string{"get"}, "", "secrets")),
		bind("team", "new", ref("Role", "secrets"), userSubject("eve")),
	} {
		if err := plugin.Validate(t.Context(), written(person("ann"), obj, nil), nil); !apierrors.IsForbidden(err) {
			t.Errorf("%T: %v", obj, err)
		}
	}
}

// What the whole authorizer is asked is the write's own user, namespace and name.
func TestEscalationAsks(t *testing.T) {
	a := guarded(t)
	tests := []struct {
		name string
		obj  runtime.Object
		want authorizer.AttributesRecord
	}{
		{"role", role("team", "new", on([]string{"get"}, "", "secrets")), authorizer.AttributesRecord{Verb: "escalate", Resource: "roles", Namespace: "team", Name: "new"}},
		{"cluster role", clusterRoleOf("new", on([]string{"get"}, "", "secrets")), authorizer.AttributesRecord{Verb: "escalate", Resource: "clusterroles", Name: "new"}},
		{"binding", bind("team", "new", ref("Role", "secrets")), authorizer.AttributesRecord{Verb: "bind", Resource: "roles", Namespace: "team", Name: "secrets"}},
		{"binding of a cluster role", bind("team", "new", ref("ClusterRole", "pods")), authorizer.AttributesRecord{Verb: "bind", Resource: "clusterroles", Namespace: "team", Name: "pods"}},
		{"cluster binding", bindEverywhere("new", "pods"), authorizer.AttributesRecord{Verb: "bind", Resource: "clusterroles", Name: "pods"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []authorizer.Attributes
			plugin := NewEscalation(a, authorizer.AuthorizerFunc(func(_ context.Context, r authorizer.Attributes) (authorizer.Decision, string, error) {
				asked = append(asked, r)
				return authorizer.DecisionAllow, "", nil
			}))
			if err := plugin.Validate(t.Context(), written(person("eve"), tt.obj, nil), nil); err != nil || len(asked) != 1 {
				t.Fatalf("%v, asked %d times", err, len(asked))
			}
			r := asked[0]
			if r.GetUser().GetName() != "eve" || !r.IsResourceRequest() || r.GetAPIGroup() != rbacv1.GroupName || r.GetSubresource() != "" ||
				r.GetVerb() != tt.want.Verb || r.GetResource() != tt.want.Resource || r.GetNamespace() != tt.want.Namespace || r.GetName() != tt.want.Name {
				t.Errorf("%+v", r)
			}
		})
	}
}

// The name that "escalate" is asked for is the one in the path: a creation has none.
func TestEscalateByNameIsForRolesThatExist(t *testing.T) {
	a := guarded(t)
	plugin := NewEscalation(a, a)
	obj := clusterRoleOf("special", everything()...)
	for name, refused := range map[string]bool{"special": false, "": true, "other": true} {
		ctx := genericapirequest.WithRequestInfo(t.Context(), &genericapirequest.RequestInfo{Name: name})
		if err := plugin.Validate(ctx, written(person("special"), obj, nil), nil); apierrors.IsForbidden(err) != refused {
			t.Errorf("path with name %q: %v", name, err)
		}
	}
}

// What is missing is told in the field's words, verbs of the same things together.
func TestWhatIsNotHeldIsTold(t *testing.T) {
	a := guarded(t)
	plugin := NewEscalation(a, a)
	err := plugin.Validate(t.Context(), written(person("ann", "dev", "ops"), role("team", "new",
		on([]string{"get", "watch"}, "", "secrets", "pods"), paths("/x")), nil), nil)
	want := `roles.rbac.authorization.k8s.io "new" is forbidden: user "ann" (groups=["dev" "ops"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}
{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}
{NonResourceURLs:["/x"], Verbs:["get"]}`
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

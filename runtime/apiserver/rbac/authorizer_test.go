package rbac

import (
	"context"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/gantry-run/gantry/internal/patience"
)

func TestAuthorize(t *testing.T) {
	a := authorizerOf(t,
		role("team", "reader", on([]string{"get"}, "", "pods"), on([]string{"list"}, "", "pods")),
		role("other", "reader", on([]string{"get"}, "", "secrets")),
		clusterRoleOf("reader", on([]string{"get"}, "", "nodes", "pods"), paths("/metrics")),
		clusterRoleOf("writer", on([]string{"update"}, "", "pods")),
		bind("team", "ann reads", ref("Role", "reader"), userSubject("ann"), userSubject("bea")),
		bind("team", "ops read", ref("Role", "reader"), groupSubject("ops")),
		bind("team", "ops write", ref("ClusterRole", "writer"), groupSubject("ops")),
		bind("other", "eve reads", ref("Role", "reader"), userSubject("eve")),
		bind("team", "lost", ref("Role", "gone"), userSubject("lost")),
		bind("team", "paths", ref("ClusterRole", "reader"), userSubject("pat")),
		bind("team", "robot", ref("Role", "reader"), rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}),
		bind("team", "builder", ref("Role", "reader"), rbacv1.Subject{Kind: "ServiceAccount", Namespace: "build", Name: "bot"}),
		bindEverywhere("eve everywhere", "reader", userSubject("eve")),
		bindEverywhere("monitors", "reader", groupSubject("monitors")),
		bindEverywhere("no namespace", "reader", rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}),
	)
	inNamespace := askPath("get", "/metrics")
	inNamespace.Namespace = "team"
	tests := []struct {
		name    string
		user    user.Info
		request authorizer.AttributesRecord
		binding string // that allows, or none
	}{
		{"a user", person("ann"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "ann reads/team" of Role "reader" to User "ann"`},
		{"the binding's second subject", person("bea"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "ann reads/team" of Role "reader" to User "bea"`},
		{"the role's second rule", person("ann"), ask("list", "", "pods", "", "team", ""), `RoleBinding "ann reads/team" of Role "reader" to User "ann"`},
		{"no rule of it", person("ann"), ask("update", "", "pods", "", "team", "a"), ""},
		{"nobody", person("nobody"), ask("get", "", "pods", "", "team", "a"), ""},
		{"a group", person("x", "staff", "ops"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "ops read/team" of Role "reader" to Group "ops"`},
		{"another binding of the group", person("x", "ops"), ask("update", "", "pods", "", "team", "a"), `RoleBinding "ops write/team" of ClusterRole "writer" to Group "ops"`},
		{"a user and a group are apart", person("ops"), ask("get", "", "pods", "", "team", "a"), ""},
		{"a group and a user are apart", person("x", "ann"), ask("get", "", "pods", "", "team", "a"), ""},
		{"the user comes before the group", person("ann", "ops"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "ann reads/team" of Role "reader" to User "ann"`},
		{"a service account", person("system:serviceaccount:team:bot"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "robot/team" of Role "reader" to ServiceAccount "bot/team"`},
		{"one of another namespace, named", person("system:serviceaccount:build:bot"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "builder/team" of Role "reader" to ServiceAccount "bot/build"`},
		{"one of another namespace", person("system:serviceaccount:other:bot"), ask("get", "", "pods", "", "team", "a"), ""},

		{"another namespace", person("ann"), ask("get", "", "pods", "", "other", "a"), ""},
		{"all namespaces", person("ann"), ask("list", "", "pods", "", "", ""), ""},
		{"a role of the same name in the namespace", person("eve"), ask("get", "", "secrets", "", "other", "a"), `RoleBinding "eve reads/other" of Role "reader" to User "eve"`},
		{"that role elsewhere", person("eve"), ask("get", "", "secrets", "", "team", "a"), ""},
		{"everywhere, beside a binding elsewhere", person("eve"), ask("get", "", "pods", "", "team", "a"), `ClusterRoleBinding "eve everywhere" of ClusterRole "reader" to User "eve"`},
		{"everywhere, of no namespace", person("eve"), ask("get", "", "nodes", "", "", "n"), `ClusterRoleBinding "eve everywhere" of ClusterRole "reader" to User "eve"`},
		{"a cluster role in a namespace grants nothing outside", person("x", "ops"), ask("update", "", "pods", "", "other", "a"), ""},
		{"nor what has no namespace", person("pat"), ask("get", "", "nodes", "", "", "n"), ""},
		{"a role that is gone", person("lost"), ask("get", "", "pods", "", "team", "a"), ""},

		{"a path", person("x", "monitors"), askPath("get", "/metrics"), `ClusterRoleBinding "monitors" of ClusterRole "reader" to Group "monitors"`},
		{"a path by a binding in a namespace", person("pat"), askPath("get", "/metrics"), ""},
		{"even if the request has it", person("pat"), inNamespace, ""},
		{"a resource by that binding", person("pat"), ask("get", "", "pods", "", "team", "a"), `RoleBinding "paths/team" of ClusterRole "reader" to User "pat"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.request.User = tt.user
			want, reason := authorizer.DecisionNoOpinion, ""
			if tt.binding != "" {
				want, reason = authorizer.DecisionAllow, "RBAC: allowed by "+tt.binding
			}
			got, why, err := a.Authorize(t.Context(), tt.request)
			if got != want || why != reason || err != nil {
				t.Errorf("%v, %q, %v", got, why, err)
			}
		})
	}
}

func TestAuthorizeNobody(t *testing.T) {
	a := authorizerOf(t)
	if got, _, err := a.Authorize(t.Context(), ask("get", "", "pods", "", "team", "a")); got != authorizer.DecisionNoOpinion || err == nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSnapshotIsRebuiltAfterAChangeOnly(t *testing.T) {
	a := authorizerOf(t, role("team", "reader", on([]string{"get"}, "", "pods")), bind("team", "b", ref("Role", "reader"), userSubject("ann")))
	decide := func(verb string) authorizer.Decision {
		r := ask(verb, "", "pods", "", "team", "a")
		r.User = person("ann")
		d, _, _ := a.Authorize(t.Context(), r)
		return d
	}
	if decide("get") != authorizer.DecisionAllow || decide("list") != authorizer.DecisionNoOpinion {
		t.Fatal("the first snapshot")
	}
	first := a.current()
	if a.current() != first {
		t.Error("rebuilt without a change")
	}
	see(t, a, role("team", "reader", on([]string{"list"}, "", "pods")))
	if decide("get") != authorizer.DecisionNoOpinion || decide("list") != authorizer.DecisionAllow {
		t.Error("the change is not seen")
	}
	second := a.current()
	if second == first || a.current() != second {
		t.Error("the second snapshot")
	}
}

func TestRulesFor(t *testing.T) {
	named := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{"s"}}
	a := authorizerOf(t,
		role("team", "r", named, on([]string{"list"}, "apps", "deployments")),
		clusterRoleOf("p", paths("/metrics")),
		bind("team", "b", ref("Role", "r"), userSubject("ann")),
		bindEverywhere("c", "p", groupSubject("ops")))
	tests := []struct {
		name             string
		user             user.Info
		namespace        string
		resources, paths int
	}{
		{"both", person("ann", "ops"), "team", 2, 1},
		{"elsewhere", person("ann", "ops"), "other", 0, 1},
		{"resources only", person("ann"), "team", 2, 0},
		{"nobody", person("eve"), "team", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resources, urls, incomplete, err := a.RulesFor(t.Context(), tt.user, tt.namespace)
			if len(resources) != tt.resources || len(urls) != tt.paths || incomplete || err != nil {
				t.Fatalf("%v, %v, %v, %v", resources, urls, incomplete, err)
			}
			if len(resources) > 0 {
				r := resources[0]
				if !slices.Equal(r.GetVerbs(), named.Verbs) || !slices.Equal(r.GetAPIGroups(), named.APIGroups) ||
					!slices.Equal(r.GetResources(), named.Resources) || !slices.Equal(r.GetResourceNames(), named.ResourceNames) {
					t.Errorf("%v", r)
				}
			}
			if len(urls) > 0 && (!slices.Equal(urls[0].GetVerbs(), []string{"get"}) || !slices.Equal(urls[0].GetNonResourceURLs(), []string{"/metrics"})) {
				t.Errorf("%v", urls[0])
			}
		})
	}
}

func TestRoleRules(t *testing.T) {
	a := authorizerOf(t,
		role("team", "r", on([]string{"get"}, "", "pods")),
		clusterRoleOf("r", on([]string{"get"}, "", "nodes")), clusterRoleOf("empty"))
	tests := []struct {
		name, kind, role, namespace string
		resource                    string // of its rule
		ok                          bool
	}{
		{"a role", "Role", "r", "team", "pods", true},
		{"of another namespace", "Role", "r", "other", "", false},
		{"a cluster role", "ClusterRole", "r", "team", "nodes", true},
		{"without a rule", "ClusterRole", "empty", "team", "", true},
		{"that is not there", "ClusterRole", "gone", "team", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules, ok := a.roleRules(ref(tt.kind, tt.role), tt.namespace)
			if ok != tt.ok || (tt.resource != "") != (len(rules) == 1) || len(rules) == 1 && rules[0].Resources[0] != tt.resource {
				t.Errorf("%v, %v", rules, ok)
			}
		})
	}
}

// watched is what the informers watch in the world of c. Every watch that begins
// is told to began.
func watched(c kubernetes.Interface, began chan<- struct{}) Sources {
	source := func(list cache.ListWithContextFunc, watching cache.WatchFuncWithContext) cache.ListerWatcher {
		return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
			ListWithContextFunc: list,
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				w, err := watching(ctx, o)
				began <- struct{}{}
				return w, err
			},
		}, c)
	}
	api := c.RbacV1()
	return Sources{
		Roles: source(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return api.Roles("").List(ctx, o)
		}, api.Roles("").Watch),
		RoleBindings: source(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return api.RoleBindings("").List(ctx, o)
		}, api.RoleBindings("").Watch),
		ClusterRoles: source(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return api.ClusterRoles().List(ctx, o)
		}, api.ClusterRoles().Watch),
		ClusterRoleBindings: source(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return api.ClusterRoleBindings().List(ctx, o)
		}, api.ClusterRoleBindings().Watch),
	}
}

func TestRunFollowsTheStore(t *testing.T) {
	c := fake.NewClientset(role("team", "reader", on([]string{"get"}, "", "pods")), bind("team", "b", ref("Role", "reader"), userSubject("ann")))
	began := make(chan struct{}, 16)
	a := New(watched(c, began))
	if a.Synced() {
		t.Error("synced before it ran")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.Run(ctx); close(done) }()
	for range 4 {
		<-began
	}
	eventually(t, "it has seen what is stored", a.Synced)
	allowed := func(name string) bool {
		r := ask("get", "", "pods", "", "team", "a")
		r.User = person(name)
		d, _, err := a.Authorize(ctx, r)
		return err == nil && d == authorizer.DecisionAllow
	}
	if !allowed("ann") || allowed("bea") {
		t.Error("what was stored before it ran")
	}
	api := c.RbacV1()
	if _, err := api.ClusterRoleBindings().Create(ctx, bindEverywhere("b", "reader", userSubject("bea")), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.ClusterRoles().Create(ctx, clusterRoleOf("reader", on([]string{"get"}, "", "pods")), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new binding counts", func() bool { return allowed("bea") })
	if _, err := api.Roles("team").Update(ctx, role("team", "reader"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the changed role counts", func() bool { return !allowed("ann") })
	if err := api.ClusterRoleBindings().Delete(ctx, "b", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deleted binding counts no more", func() bool { return !allowed("bea") })
	select {
	case <-a.changed:
	default:
		t.Error("the aggregation is not told of changes")
	}
	cancel()
	<-done
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience.Until(t, what, ok)
}

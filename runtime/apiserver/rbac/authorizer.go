package rbac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/tools/cache"
)

// Sources yields the objects that the authorizer decides by.
type Sources struct {
	Roles, RoleBindings, ClusterRoles, ClusterRoleBindings cache.ListerWatcher
}

// Authorizer allows what some binding of the user grants, and has no opinion
// otherwise. It keeps the bindings indexed by subject, rebuilt after a change.
type Authorizer struct {
	roles, roleBindings, clusterRoles, clusterRoleBindings cache.SharedIndexInformer

	version  atomic.Uint64 // counts changes of the informers
	mu       sync.Mutex    // serializes rebuilding
	snapshot atomic.Pointer[snapshot]
	changed  chan struct{} // holds one token after a change of ClusterRoles
}

var (
	_ authorizer.RuleResolver            = &Authorizer{}
	_ authorizer.UnconditionalAuthorizer = &Authorizer{}
)

// snapshot is what was granted at one time. It is not changed once made.
type snapshot struct {
	version  uint64
	bindings map[subjectKey][]grant
	roles    map[roleKey][]rbacv1.PolicyRule
}

// grant gives a role in a namespace ("" for everywhere).
type grant struct {
	namespace string
	role      roleKey
	// The binding's name and its subject are for the reason.
	binding string
	subject *rbacv1.Subject
}

// String says where it comes from, in upstream's words: audit logs are searched for them.
func (g grant) String() string {
	kind, name, role, to := "ClusterRoleBinding", g.binding, "ClusterRole", g.subject.Name
	if g.namespace != "" {
		kind, name = "RoleBinding", g.binding+"/"+g.namespace
	}
	if g.role.namespace != "" {
		role = "Role"
	}
	if g.subject.Kind == rbacv1.ServiceAccountKind {
		to += "/" + cmp.Or(g.subject.Namespace, g.namespace)
	}
	return fmt.Sprintf("%s %q of %s %q to %s %q", kind, name, role, g.role.name, g.subject.Kind, to)
}

// roleKey names a Role, or (namespace "") a ClusterRole.
type roleKey struct{ namespace, name string }

// New returns an authorizer. It watches nothing before Run.
func New(src Sources) *Authorizer {
	a := &Authorizer{changed: make(chan struct{}, 1)}
	informer := func(lw cache.ListerWatcher, obj runtime.Object) cache.SharedIndexInformer {
		i := cache.NewSharedIndexInformer(lw, obj, 0, cache.Indexers{})
		bump := func(any) {
			a.version.Add(1)
			select {
			case a.changed <- struct{}{}:
			default:
			}
		}
		i.AddEventHandler(cache.ResourceEventHandlerFuncs{ //nolint:errcheck // fails only when stopped
			AddFunc: bump, UpdateFunc: func(_, o any) { bump(o) }, DeleteFunc: bump,
		})
		return i
	}
	a.roles = informer(src.Roles, &rbacv1.Role{})
	a.roleBindings = informer(src.RoleBindings, &rbacv1.RoleBinding{})
	a.clusterRoles = informer(src.ClusterRoles, &rbacv1.ClusterRole{})
	a.clusterRoleBindings = informer(src.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{})
	return a
}

// Run watches until ctx is done.
func (a *Authorizer) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, i := range a.informers() {
		wg.Go(func() { i.RunWithContext(ctx) })
	}
	wg.Wait()
}

// Synced reports whether everything stored has been seen once.
func (a *Authorizer) Synced() bool {
	for _, i := range a.informers() {
		if !i.HasSynced() {
			return false
		}
	}
	return true
}

func (a *Authorizer) informers() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{a.roles, a.roleBindings, a.clusterRoles, a.clusterRoleBindings}
}

// current returns the snapshot of the newest state the informers have.
func (a *Authorizer) current() *snapshot {
	if s := a.snapshot.Load(); s != nil && s.version == a.version.Load() {
		return s
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	version := a.version.Load()
	if s := a.snapshot.Load(); s != nil && s.version == version {
		return s
	}
	s := &snapshot{version: version, bindings: map[subjectKey][]grant{}, roles: map[roleKey][]rbacv1.PolicyRule{}}
	for _, o := range a.roles.GetStore().List() {
		r := o.(*rbacv1.Role)
		s.roles[roleKey{r.Namespace, r.Name}] = r.Rules
	}
	for _, o := range a.clusterRoles.GetStore().List() {
		r := o.(*rbacv1.ClusterRole)
		s.roles[roleKey{"", r.Name}] = r.Rules
	}
	for _, o := range a.roleBindings.GetStore().List() {
		b := o.(*rbacv1.RoleBinding)
		s.add(b.Subjects, b.Namespace, refKey(b.RoleRef, b.Namespace), b.Name)
	}
	for _, o := range a.clusterRoleBindings.GetStore().List() {
		b := o.(*rbacv1.ClusterRoleBinding)
		s.add(b.Subjects, "", refKey(b.RoleRef, ""), b.Name)
	}
	a.snapshot.Store(s)
	return s
}

func refKey(ref rbacv1.RoleRef, namespace string) roleKey {
	if ref.Kind == "Role" {
		return roleKey{namespace, ref.Name}
	}
	return roleKey{"", ref.Name}
}

func (s *snapshot) add(subjects []rbacv1.Subject, namespace string, role roleKey, binding string) {
	for i := range subjects {
		if key, ok := keyOf(subjects[i], namespace); ok {
			s.bindings[key] = append(s.bindings[key], grant{namespace, role, binding, &subjects[i]})
		}
	}
}

// each calls f with every rule that the user has in the namespace, until f
// returns false.
func (s *snapshot) each(u user.Info, namespace string, f func(grant, *rbacv1.PolicyRule) bool) {
	for _, key := range keysOf(u) {
		for _, g := range s.bindings[key] {
			if g.namespace != "" && g.namespace != namespace {
				continue
			}
			rules := s.roles[g.role]
			for i := range rules {
				if !f(g, &rules[i]) {
					return
				}
			}
		}
	}
}

// Authorize allows a request that a rule of the user's admits.
func (a *Authorizer) Authorize(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetUser() == nil {
		return authorizer.DecisionNoOpinion, "", errors.New("the request has no user")
	}
	decision, reason := authorizer.DecisionNoOpinion, ""
	a.current().each(attrs.GetUser(), attrs.GetNamespace(), func(g grant, r *rbacv1.PolicyRule) bool {
		// A namespaced binding grants nothing outside resources.
		if !allows(r, attrs) || g.namespace != "" && !attrs.IsResourceRequest() {
			return true
		}
		decision, reason = authorizer.DecisionAllow, "RBAC: allowed by "+g.String()
		return false
	})
	return decision, reason, nil
}

// rulesIn returns every rule of the user's in the namespace.
func (a *Authorizer) rulesIn(u user.Info, namespace string) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	a.current().each(u, namespace, func(_ grant, r *rbacv1.PolicyRule) bool {
		out = append(out, *r)
		return true
	})
	return out
}

// roleRules returns the rules of the role that a binding in namespace refers to.
func (a *Authorizer) roleRules(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, bool) {
	rules, ok := a.current().roles[refKey(ref, namespace)]
	return rules, ok
}

// RulesFor lists what the user may do in a namespace.
func (a *Authorizer) RulesFor(_ context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	var resources []authorizer.ResourceRuleInfo
	var paths []authorizer.NonResourceRuleInfo
	for _, r := range a.rulesIn(u, namespace) {
		if len(r.Resources) > 0 {
			resources = append(resources, &authorizer.DefaultResourceRuleInfo{
				Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames,
			})
		}
		if len(r.NonResourceURLs) > 0 {
			paths = append(paths, &authorizer.DefaultNonResourceRuleInfo{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
		}
	}
	return resources, paths, false, nil
}

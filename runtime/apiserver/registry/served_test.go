package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
)

// TestServed asks what only a running server answers: refusals and answers of the
// subresources and reviews, each with its reason.
func TestServed(t *testing.T) {
	c := apitest.Start(t)
	for name, f := range map[string]func(*testing.T, *apitest.Cluster, string){
		"proxies": proxies, "bindings": bindings, "evictions": evictions, "tokens": accountTokens,
		"namespaces": namespaceDeletion, "services": serviceDeletion, "reviews": reviews,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := name
			if _, err := c.Admin().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Admin().CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			f(t, c, ns)
		})
	}
}

// refusal checks that err is of a status and says why; 0 is no error.
func refusal(t *testing.T, what string, err error, code int32, why string) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	status, is := err.(errors.APIStatus)
	if !is || status.Status().Code != code || !strings.Contains(err.Error(), why) {
		t.Errorf("%s: got %v, want %d %q", what, err, code, why)
	}
}

func accountTokens(t *testing.T, c *apitest.Cluster, ns string) {
	ctx, k := t.Context(), c.Admin()
	p := newPod(t, k, ns, "p", nil)
	if _, err := k.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s, err := k.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(account string, seconds int64, kind, name string, uid types.UID) (*authenticationv1.TokenRequest, error) {
		r := &authenticationv1.TokenRequest{}
		if seconds != 0 {
			r.Spec.ExpirationSeconds = &seconds
		}
		if kind != "" {
			r.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: kind, Name: name, UID: uid}
		}
		return k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, account, r, metav1.CreateOptions{})
	}
	for _, tt := range []struct {
		what, account string
		seconds       int64
		kind, name    string
		uid           types.UID
		code          int32
		why           string
	}{
		{"of no account", "nobody", 0, "", "", "", http.StatusNotFound, "not found"},
		{"too short", "default", 599, "", "", "", http.StatusUnprocessableEntity, "may not specify a duration less than 10 minutes"},
		{"too long", "default", 1<<32 + 1, "", "", "", http.StatusUnprocessableEntity, "may not specify a duration larger than 2^32 seconds"},
		{"shortest", "default", 600, "", "", "", 0, ""},
		{"of the pod", "default", 0, "Pod", "p", p.UID, 0, ""},
		{"of a pod by name", "default", 0, "Pod", "p", "", 0, ""},
		{"of another pod of the name", "default", 0, "Pod", "p", "x", http.StatusConflict, "does not match"},
		{"of another's pod", "other", 0, "Pod", "p", p.UID, http.StatusBadRequest, "pod running with different serviceaccount name"},
		{"of the secret", "default", 0, "Secret", "s", s.UID, 0, ""},
		{"of no secret", "default", 0, "Secret", "t", "", http.StatusNotFound, "not found"},
		{"of no node", "default", 0, "Node", "n", "", http.StatusNotFound, "not found"},
		{"of a service", "default", 0, "Service", "s", "", http.StatusBadRequest, "cannot bind token to object of type /, Kind=Service"},
	} {
		_, err := ask(tt.account, tt.seconds, tt.kind, tt.name, tt.uid)
		refusal(t, tt.what, err, tt.code, tt.why)
	}
	for what, tt := range map[string]struct {
		change func(*authenticationv1.TokenRequest)
		code   int32
		why    string
	}{
		"of an account before": {func(r *authenticationv1.TokenRequest) { r.UID = "x" }, http.StatusConflict, "does not match the UID of the service account"},
		"of another name":      {func(r *authenticationv1.TokenRequest) { r.Name = "other" }, http.StatusUnprocessableEntity, "must match the service account name"},
		"with attestations": {func(r *authenticationv1.TokenRequest) {
			r.Spec.Attestations = map[string]authenticationv1.AttestationValue{"a": {"b"}}
		}, http.StatusUnprocessableEntity, "attestations may only be specified"},
		"bound in another group": {func(r *authenticationv1.TokenRequest) {
			r.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "apps/v1", Kind: "Pod", Name: "p"}
		}, http.StatusBadRequest, "cannot bind token to object of type apps/v1, Kind=Pod"},
	} {
		r := &authenticationv1.TokenRequest{}
		tt.change(r)
		_, err := k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", r, metav1.CreateOptions{})
		refusal(t, what, err, tt.code, tt.why)
	}
	long, err := ask("default", 7*24*3600, "", "", "")
	if err != nil || *long.Spec.ExpirationSeconds != 24*3600 || len(long.Spec.Audiences) != 1 || long.Status.Token == "" {
		t.Errorf("a week: %v, %+v", err, long)
	}
	if def, err := ask("default", 0, "", "", ""); err != nil || *def.Spec.ExpirationSeconds != 3600 {
		t.Errorf("by default: %v, %+v", err, def)
	}
}

func namespaceDeletion(t *testing.T, c *apitest.Cluster, ns string) {
	ctx, k := t.Context(), c.Admin()
	del := func(o metav1.DeleteOptions) error { return k.CoreV1().Namespaces().Delete(ctx, ns, o) }
	deleted := func() bool {
		n, err := k.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return n.DeletionTimestamp != nil
	}
	refusal(t, "another of the name", del(metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions("x")}), http.StatusConflict, "the UID in the precondition (x) does not match")
	refusal(t, "to try", del(metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}), 0, "")
	if deleted() {
		t.Error("a dry run marks the namespace")
	}
	refusal(t, "for real", del(metav1.DeleteOptions{}), 0, "")
	if !deleted() {
		t.Error("the namespace is not marked")
	}
	refusal(t, "again", del(metav1.DeleteOptions{}), 0, "")
	if !deleted() {
		t.Error("a namespace with finalizers is gone")
	}
	refusal(t, "nothing", k.CoreV1().Namespaces().Delete(ctx, "nothing", metav1.DeleteOptions{}), http.StatusNotFound, "not found")
}

func serviceDeletion(t *testing.T, c *apitest.Cluster, ns string) {
	ctx, k := t.Context(), c.Admin()
	create := func(name, ip string, o metav1.CreateOptions) (*corev1.Service, error) {
		return k.CoreV1().Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 80}}}}, o)
	}
	a, err := create("a", "", metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	refusal(t, "to try", k.CoreV1().Services(ns).Delete(ctx, "a", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}), 0, "")
	_, err = create("b", a.Spec.ClusterIP, metav1.CreateOptions{})
	refusal(t, "an address that is still taken", err, http.StatusUnprocessableEntity, "")
	refusal(t, "for real", k.CoreV1().Services(ns).Delete(ctx, "a", metav1.DeleteOptions{}), 0, "")
	_, err = create("b", a.Spec.ClusterIP, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	refusal(t, "to try the free address", err, 0, "")
	_, err = create("c", a.Spec.ClusterIP, metav1.CreateOptions{})
	refusal(t, "the free address", err, 0, "")
}

func reviews(t *testing.T, c *apitest.Cluster, ns string) {
	ctx, k := t.Context(), c.Admin()
	if _, err := k.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "ann"}, Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "ann"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	get := &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Namespace: ns}
	path := &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/version"}
	ask := func(user string, r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes) (bool, error) {
		s, err := k.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: r, NonResourceAttributes: n}}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return s.Status.Allowed, nil
	}
	_, err := ask("", get, nil)
	refusal(t, "nobody", err, http.StatusUnprocessableEntity, "at least one of user or group must be specified")
	_, err = ask("ann", get, path)
	refusal(t, "both", err, http.StatusUnprocessableEntity, "exactly one of nonResourceAttributes or resourceAttributes")
	_, err = ask("ann", nil, nil)
	refusal(t, "nothing", err, http.StatusUnprocessableEntity, "exactly one of nonResourceAttributes or resourceAttributes")
	_, err = k.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}, Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann", ResourceAttributes: get}}, metav1.CreateOptions{})
	refusal(t, "a question with metadata", err, http.StatusUnprocessableEntity, "metadata: Invalid value")
	await := func(what string, want bool, f func() (bool, error)) {
		t.Helper()
		patience.Eventually(t, what, func() error {
			got, err := f()
			if err == nil && got != want {
				err = fmt.Errorf("it is %t", got)
			}
			return err
		})
	}
	await("ann gets pods", true, func() (bool, error) { return ask("ann", get, nil) })
	await("bob gets pods", false, func() (bool, error) { return ask("bob", get, nil) })
	await("ann gets pods elsewhere", false, func() (bool, error) {
		return ask("ann", &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Namespace: "default"}, nil)
	})
	await("bob, of no group, gets the version", false, func() (bool, error) { return ask("bob", nil, path) })
	await("bob posts to it", false, func() (bool, error) {
		return ask("bob", nil, &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/metrics"})
	})

	local := func(in, of string) (bool, error) {
		s, err := k.AuthorizationV1().LocalSubjectAccessReviews(in).Create(ctx, &authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "ann", ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "pods", Namespace: of}}}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return s.Status.Allowed, nil
	}
	await("here", true, func() (bool, error) { return local(ns, ns) })
	_, err = local(ns, "default")
	refusal(t, "another namespace", err, http.StatusUnprocessableEntity, "must match metadata.namespace")
	_, err = local(ns, "")
	refusal(t, "no namespace", err, http.StatusUnprocessableEntity, "must match metadata.namespace")
	_, err = k.AuthorizationV1().LocalSubjectAccessReviews(ns).Create(ctx, &authorizationv1.LocalSubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: "ann", NonResourceAttributes: path}}, metav1.CreateOptions{})
	refusal(t, "a path in a namespace", err, http.StatusUnprocessableEntity, "disallowed on this kind of request")

	ann := c.Client("ann")
	rules, err := ann.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: ns}}, metav1.CreateOptions{})
	if err != nil || len(rules.Status.ResourceRules) == 0 || len(rules.Status.NonResourceRules) == 0 {
		t.Errorf("what ann may: %v, %+v", err, rules)
	}
	_, err = ann.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, &authorizationv1.SelfSubjectRulesReview{}, metav1.CreateOptions{})
	refusal(t, "rules of nowhere", err, http.StatusBadRequest, "no namespace on request")
	me, err := ann.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil || me.Status.UserInfo.Username != "ann" || me.CreationTimestamp.IsZero() {
		t.Errorf("who am I: %v, %+v", err, me)
	}
	_, err = k.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{}, metav1.CreateOptions{})
	refusal(t, "no token", err, http.StatusBadRequest, "token is required")
	bad, err := k.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: "x"}}, metav1.CreateOptions{})
	if err != nil || bad.Status.Authenticated || bad.Status.Error != "invalid bearer token" {
		t.Errorf("a bad token: %v, %+v", err, bad)
	}
}

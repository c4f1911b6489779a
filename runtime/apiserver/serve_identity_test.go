package apiserver_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/gantry-run/gantry/runtime/apiserver/apitest"
	"github.com/gantry-run/gantry/runtime/config"
)

func roles(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "roles")
	jane := c.Client("jane")
	list := func() error { _, err := jane.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{}); return err }
	refused(t, "a user without a role", errors.IsForbidden, list())
	must[*rbacv1.RoleBinding](t)(k.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "jane"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
	}, metav1.CreateOptions{}))
	// admin has its rules by aggregation only.
	eventually(t, "jane may list", list)
	_, err := jane.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	refused(t, "another namespace", errors.IsForbidden, err)
	_, err = jane.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "more"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}}, metav1.CreateOptions{})
	refused(t, "granting more than one has", errors.IsForbidden, err)
	_, err = jane.RbacV1().Roles(ns).Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "less"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}}, metav1.CreateOptions{})
	ok(t, err)
	r, err := jane.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "delete", Resource: "nodes"}}}, metav1.CreateOptions{})
	ok(t, err)
	if r.Status.Allowed {
		t.Error("jane may delete nodes")
	}
	_, err = jane.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	if errors.IsForbidden(err) {
		t.Error("everyone may read the list of masters")
	}
	for _, user := range []string{config.ControllerManagerUser, config.SchedulerUser, config.ProxyUser, config.DNSUser} {
		if _, err := c.Client(user).CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil {
			t.Errorf("%s lists nodes: %v", user, err)
		}
	}
}

func nodes(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "nodes")
	for _, name := range []string{"mine", "other"} {
		must[*corev1.Secret](t)(k.CoreV1().Secrets(ns).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}))
		p := pod(name)
		p.Spec.Volumes = []corev1.Volume{{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: name}}}}
		must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, p, metav1.CreateOptions{}))
		ok(t, bind(t, k, ns, name, name+"-node"))
	}
	kubelet := c.Node("mine-node")
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "mine-node"}}
	allowed := map[string]error{}
	_, allowed["create itself"] = kubelet.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	_, allowed["read its secret"] = kubelet.CoreV1().Secrets(ns).Get(ctx, "mine", metav1.GetOptions{})
	_, allowed["list nodes"] = kubelet.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	_, allowed["list its pods"] = kubelet.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=mine-node"})
	p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, "mine", metav1.GetOptions{}))
	p.Status.Phase = corev1.PodRunning
	_, allowed["report its pod"] = kubelet.CoreV1().Pods(ns).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	tr := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: "mine", UID: p.UID}}}
	_, allowed["get a token for its pod"] = kubelet.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", tr, metav1.CreateOptions{})
	for what, err := range allowed {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	o := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Get(ctx, "other", metav1.GetOptions{}))
	denied := map[string]error{}
	_, denied["create another node"] = kubelet.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
	_, denied["read another's secret"] = kubelet.CoreV1().Secrets(ns).Get(ctx, "other", metav1.GetOptions{})
	_, denied["list secrets"] = kubelet.CoreV1().Secrets(ns).List(ctx, metav1.ListOptions{})
	_, denied["list all pods"] = kubelet.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	_, denied["report another's pod"] = kubelet.CoreV1().Pods(ns).UpdateStatus(ctx, o, metav1.UpdateOptions{})
	denied["delete another's pod"] = kubelet.CoreV1().Pods(ns).Delete(ctx, "other", metav1.DeleteOptions{})
	_, denied["get a token bound to nothing"] = kubelet.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	vault := tr.DeepCopy()
	vault.Spec.Audiences = []string{"vault"}
	_, denied["get a token for another audience"] = kubelet.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", vault, metav1.CreateOptions{})
	denied["delete itself"] = kubelet.CoreV1().Nodes().Delete(ctx, "mine-node", metav1.DeleteOptions{})
	_, denied["choose its pod CIDR"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"spec":{"podCIDR":"0.0.0.0/0"}}`), metav1.PatchOptions{})
	_, denied["take a role"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"metadata":{"labels":{"node-role.kubernetes.io/vault":""}}}`), metav1.PatchOptions{})
	_, denied["take a restricted label by its status"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"metadata":{"labels":{"node-restriction.kubernetes.io/x":""}}}`), metav1.PatchOptions{}, "status")
	_, denied["have an owner"] = kubelet.CoreV1().Nodes().Patch(ctx, "mine-node", types.MergePatchType, []byte(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"Namespace","name":"none","uid":"1"}]}}`), metav1.PatchOptions{}, "status")
	_, denied["label its pod by status"] = kubelet.CoreV1().Pods(ns).Patch(ctx, "mine", types.MergePatchType, []byte(`{"metadata":{"labels":{"app":"x"}}}`), metav1.PatchOptions{}, "status")
	_, denied["make a pod"] = kubelet.CoreV1().Pods(ns).Create(ctx, pod("made"), metav1.CreateOptions{})
	denied["delete a namespace"] = kubelet.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{})
	for what, err := range denied {
		refused(t, what, errors.IsForbidden, err)
	}
}

func withToken(c *apitest.Cluster, token string) kubernetes.Interface {
	admin := c.Admin()
	cfg := rest.AnonymousClientConfig(admin.REST)
	cfg.Dial, cfg.BearerToken = admin.REST.Dial, token
	return kubernetes.NewForConfigOrDie(cfg)
}

func serviceAccountTokens(t *testing.T, c *apitest.Cluster) {
	ctx, k := t.Context(), c.Admin()
	ns := namespace(t, k, "tokens")
	p := must[*corev1.Pod](t)(k.CoreV1().Pods(ns).Create(ctx, pod("p"), metav1.CreateOptions{}))
	tr := must[*authenticationv1.TokenRequest](t)(k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", Name: "p", UID: p.UID}},
	}, metav1.CreateOptions{}))
	me := must[*authenticationv1.SelfSubjectReview](t)(withToken(c, tr.Status.Token).AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{}))
	if u := me.Status.UserInfo; u.Username != "system:serviceaccount:tokens:default" || u.Extra["authentication.kubernetes.io/pod-name"][0] != "p" {
		t.Errorf("the token's bearer is %+v", u)
	}
	other := must[*authenticationv1.TokenRequest](t)(k.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"vault"}},
	}, metav1.CreateOptions{}))
	_, err := withToken(c, other.Status.Token).CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	refused(t, "a token for another audience", errors.IsUnauthorized, err)
	review := func(token string, audiences ...string) authenticationv1.TokenReviewStatus {
		return must[*authenticationv1.TokenReview](t)(k.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: audiences}}, metav1.CreateOptions{})).Status
	}
	if s := review(other.Status.Token, "vault"); !s.Authenticated {
		t.Errorf("vault's token: %+v", s)
	}
	if s := review(tr.Status.Token); !s.Authenticated || !slices.Contains(s.User.Groups, "system:authenticated") {
		t.Errorf("the pod's token: %+v", s)
	}
	ok(t, k.CoreV1().Pods(ns).Delete(ctx, "p", metav1.DeleteOptions{}))
	// The pod is looked up in the cache, which is some milliseconds behind.
	eventually(t, "the token ends with its pod", func() error {
		if s := review(tr.Status.Token); s.Authenticated {
			return fmt.Errorf("it outlives it")
		}
		return nil
	})
}

// extensionAuthentication: what aggregated API servers know clients by is published,
// comes back when it goes, and keeps what others have added.
func extensionAuthentication(t *testing.T, k kubernetes.Interface) {
	ctx, objects := t.Context(), k.CoreV1().ConfigMaps("kube-system")
	const name, names = "extension-apiserver-authentication", "requestheader-allowed-names"
	first := must[*corev1.ConfigMap](t)(objects.Get(ctx, name, metav1.GetOptions{}))
	for key, want := range map[string]string{
		"client-ca-file": "-----BEGIN CERTIFICATE-----", "requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----", names: `["` + config.FrontProxyUser + `"]`,
		"requestheader-username-headers": `["X-Remote-User"]`, "requestheader-group-headers": `["X-Remote-Group"]`, "requestheader-uid-headers": `["X-Remote-Uid"]`,
		"requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`,
	} {
		if !strings.HasPrefix(first.Data[key], want) {
			t.Errorf("%s: %s is %q, want %q", name, key, first.Data[key], want)
		}
	}
	await := func(what string, want func(*corev1.ConfigMap) bool) {
		t.Helper()
		eventually(t, what, func() error {
			have, err := objects.Get(ctx, name, metav1.GetOptions{})
			if err == nil && !want(have) {
				err = fmt.Errorf("it is %+v", have)
			}
			return err
		})
	}
	ok(t, objects.Delete(ctx, name, metav1.DeleteOptions{}))
	await("deleted", func(have *corev1.ConfigMap) bool {
		return reflect.DeepEqual(have.Data, first.Data) && have.UID != first.UID
	})
	_, err := objects.Patch(ctx, name, types.MergePatchType, []byte(`{"data":{"`+names+`":"[\"mine\"]","client-ca-file":"x"}}`), metav1.PatchOptions{})
	ok(t, err)
	await("changed", func(have *corev1.ConfigMap) bool {
		return have.Data[names] == `["mine","`+config.FrontProxyUser+`"]` && have.Data["client-ca-file"] == first.Data["client-ca-file"]
	})
}

// anonymous: who brings nothing is somebody on a few paths alone, and may do there what
// RBAC says, which an administrator can change.
func anonymous(t *testing.T, c *apitest.Cluster) {
	ctx, admin, k := t.Context(), c.Admin(), withToken(c, "")
	ask := func(path string) (code int) {
		k.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).StatusCode(&code)
		return code
	}
	const keys = "/openid/v1/jwks"
	for path, want := range map[string]int{
		"/healthz": 200, "/livez": 200, "/readyz": 200, "/version": 200, "/livez/ping": http.StatusUnauthorized,
		"/.well-known/openid-configuration": http.StatusForbidden, keys: http.StatusForbidden,
		"/api/v1/namespaces": http.StatusUnauthorized, "/metrics": http.StatusUnauthorized, "/openapi/v2": http.StatusUnauthorized,
	} {
		if code := ask(path); code != want {
			t.Errorf("%s: %d, want %d", path, code, want)
		}
	}
	for _, who := range []struct {
		groups []string
		want   authorizationv1.SubjectAccessReviewStatus
	}{
		{nil, authorizationv1.SubjectAccessReviewStatus{}},
		{[]string{"system:unauthenticated"}, authorizationv1.SubjectAccessReviewStatus{Allowed: true,
			Reason: `RBAC: allowed by ClusterRoleBinding "system:public-info-viewer" of ClusterRole "system:public-info-viewer" to Group "system:unauthenticated"`}},
	} {
		got := must[*authorizationv1.SubjectAccessReview](t)(admin.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "system:anonymous", Groups: who.groups, NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: "/healthz", Verb: "get"},
		}}, metav1.CreateOptions{}))
		if got.Status != who.want {
			t.Errorf("/healthz of system:anonymous, groups %v: %+v, want %+v", who.groups, got.Status, who.want)
		}
	}
	must[*rbacv1.ClusterRoleBinding](t)(admin.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "keys-are-public"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:service-account-issuer-discovery"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "system:unauthenticated"}},
	}, metav1.CreateOptions{}))
	eventually(t, keys+" is granted to everybody", func() error {
		if code := ask(keys); code != http.StatusOK {
			return fmt.Errorf("it is answered %d", code)
		}
		return nil
	})
}

package poststarthook

import (
	"crypto"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// authority is a certificate in PEM.
func authority(t *testing.T, name string) string {
	t.Helper()
	pem, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	key, err := keyutil.ParsePrivateKeyPEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name, NotBefore: time.Unix(0, 0)}, key.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	out, err := cert.EncodeCertificates(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestBundlesAreJoined: each certificate is in it once, and what is none is left out.
func TestBundlesAreJoined(t *testing.T) {
	a, b := authority(t, "a"), authority(t, "b")
	for name, tc := range map[string]struct {
		texts []string
		want  string
	}{
		"none": {nil, ""}, "one": {[]string{a}, a}, "two": {[]string{a, b}, a + b}, "both in one": {[]string{b + a}, b + a},
		"one twice": {[]string{a, a}, a}, "one that is there": {[]string{a + b, b}, a + b}, "no certificate": {[]string{"x", a}, a}, "nothing before": {[]string{"", a}, a},
	} {
		if got := bundle(tc.texts...); got != tc.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestListsAreJoined: in their order, each entry once, and what is none is left out.
func TestListsAreJoined(t *testing.T) {
	for want, texts := range map[string][]string{
		`[]`: {"", `[]`, "x"}, `["a","b"]`: {`["a"]`, `["b","a"]`}, `["b"]`: {`{"a":1}`, `["b","b"]`},
	} {
		if got := list(texts...); got != want {
			t.Errorf("%q: %s", texts, got)
		}
	}
}

// TestHowClientsAreKnownIsPublished: beside what others have published; keys of others go,
// as with upstream.
func TestHowClientsAreKnownIsPublished(t *testing.T) {
	a, b := authority(t, "a"), authority(t, "b")
	proxyCA, err := dynamiccertificates.NewStaticCAContent("proxy", []byte(b))
	if err != nil {
		t.Fatal(err)
	}
	values := func(v ...string) headerrequest.StringSliceProvider { return headerrequest.StaticStringSlice(v) }
	proxy := &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider: proxyCA, UsernameHeaders: values("X-Remote-User"), UIDHeaders: values("X-Remote-Uid"), GroupHeaders: values("X-Remote-Group"),
		ExtraHeaderPrefixes: values("X-Remote-Extra-"), AllowedClientNames: values("front-proxy"),
	}
	all := map[string]string{
		"client-ca-file": a, "requestheader-client-ca-file": b, "requestheader-username-headers": `["X-Remote-User"]`, "requestheader-uid-headers": `["X-Remote-Uid"]`,
		"requestheader-group-headers": `["X-Remote-Group"]`, "requestheader-extra-headers-prefix": `["X-Remote-Extra-"]`, "requestheader-allowed-names": `["front-proxy"]`,
	}
	with := func(key, value string) map[string]string {
		out := maps.Clone(all)
		out[key] = value
		return out
	}
	for name, tc := range map[string]struct {
		proxy *authenticatorfactory.RequestHeaderConfig
		have  map[string]string // nil: there is no object
		want  map[string]string
		write string
	}{
		"a new cluster":           {proxy, nil, all, "create"},
		"without a proxy":         {nil, nil, map[string]string{"client-ca-file": a}, "create"},
		"it is":                   {proxy, all, all, ""},
		"an empty object":         {proxy, map[string]string{}, all, "update"},
		"another's authority too": {proxy, with("client-ca-file", b), with("client-ca-file", b+a), "update"},
		"another's name too":      {proxy, with("requestheader-allowed-names", `["x"]`), with("requestheader-allowed-names", `["x","front-proxy"]`), "update"},
		"a key of nobody":         {proxy, with("x", "y"), all, "update"},
	} {
		api := fake.NewClientset()
		if tc.have != nil {
			api = fake.NewClientset(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: AuthenticationConfigMap}, Data: tc.have})
		}
		auth, err := NewAuthentication(api, []byte(a), tc.proxy, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := auth.Ensure(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := strings.Join(writes(api), ", "); got != strings.TrimPrefix(tc.write+" configmaps", " configmaps") {
			t.Errorf("%s: written is %q", name, got)
		}
		m, err := api.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(t.Context(), AuthenticationConfigMap, metav1.GetOptions{})
		if err != nil || !maps.Equal(m.Data, tc.want) {
			t.Errorf("%s: published is %v, %v", name, m.Data, err)
		}
	}
}

// TestWhatCannotBePublishedIsAFailure.
func TestWhatCannotBePublishedIsAFailure(t *testing.T) {
	for _, verb := range []string{"get", "create"} {
		api := fake.NewClientset()
		api.PrependReactor(verb, "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no quorum") })
		auth, err := NewAuthentication(api, nil, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := auth.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "no quorum") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

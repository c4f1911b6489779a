package authentication

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/gantry-run/gantry/internal/patience"
)

// provider is an OpenID Connect issuer.
type provider struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key}
	answer := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v) //nolint:errcheck,errchkjson // the client tells
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	})
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) token(t *testing.T, audience, name string, life time.Duration) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": p.URL, "aud": audience, "sub": name, "groups": []string{"devs"}, "exp": time.Now().Add(life).Unix()})
	token.Header["kid"] = "k"
	signed, err := token.SignedString(p.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (p *provider) config(more string) string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	return fmt.Sprintf(`apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
%s
jwt:
- issuer:
    url: %s
    audiences: [gantry]
    certificateAuthority: |
      %s
  claimMappings:
    username: {claim: sub, prefix: "oidc:"}
    groups: {claim: groups, prefix: "oidc:"}
`, more, p.URL, strings.ReplaceAll(string(ca), "\n", "\n      "))
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func options() Options {
	return Options{OwnIssuers: []string{"https://kubernetes.default.svc"}, ServerID: "test", Log: slog.New(slog.DiscardHandler)}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	patience.Until(t, what, f)
}

func TestTokensOfIssuers(t *testing.T) {
	first, second := newProvider(t), newProvider(t)
	file := filepath.Join(t.TempDir(), "authentication.yaml")
	put(t, file, first.config(""))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	issuers, err := NewIssuers(ctx, file, options())
	if err != nil {
		t.Fatal(err)
	}
	running := make(chan struct{})
	go func() { defer close(running); issuers.Run(ctx) }()
	defer func() { cancel(); <-running }()
	known := func(token string) (user.Info, bool) {
		resp, ok, err := issuers.AuthenticateToken(ctx, token)
		if err != nil || !ok {
			return nil, false
		}
		return resp.User, true
	}
	var who user.Info
	eventually(t, "the issuer's keys are known", func() (ok bool) {
		who, ok = known(first.token(t, "gantry", "jane", time.Minute))
		return ok
	})
	if who.GetName() != "oidc:jane" || len(who.GetGroups()) != 1 || who.GetGroups()[0] != "oidc:devs" {
		t.Errorf("the bearer is %v", who)
	}
	for what, token := range map[string]string{
		"another audience":     first.token(t, "vault", "jane", time.Minute),
		"an expired token":     first.token(t, "gantry", "jane", -time.Minute),
		"another issuer":       second.token(t, "gantry", "jane", time.Minute),
		"no token at all":      "x",
		"an altered signature": first.token(t, "gantry", "jane", time.Minute)[1:],
	} {
		if who, ok := known(token); ok {
			t.Errorf("%s: %v", what, who)
		}
	}
	if _, ok, err := issuers.AuthenticateToken(ctx, "x"); ok || err != nil {
		t.Errorf("what is no JWT is for others to judge: %v", err)
	}

	// A file that is wrong changes nothing; one that is right does, without a restart.
	wrong := file + ".wrong"
	for _, text := range []string{"", "kind: Policy", first.config("anonymous: {enabled: false}"), strings.Replace(first.config(""), first.URL, "https://kubernetes.default.svc", 1)} {
		put(t, wrong, text)
		i := &Issuers{file: wrong, loader: newLoader(options().OwnIssuers), opts: options()}
		i.current.Store(issuers.current.Load())
		before := i.current.Load()
		if i.reload(ctx); i.current.Load() != before {
			t.Errorf("taken: %s", text)
		}
	}
	put(t, file, second.config(""))
	eventually(t, "the second issuer is known", func() bool {
		_, ok := known(second.token(t, "gantry", "joe", time.Minute))
		return ok
	})
	if _, ok := known(first.token(t, "gantry", "jane", time.Minute)); ok {
		t.Error("the first is still known")
	}
}

func TestAFileThatIsWrongIsRefused(t *testing.T) {
	p := newProvider(t)
	file := filepath.Join(t.TempDir(), "authentication.yaml")
	for what, tc := range map[string]struct{ text, want string }{
		"empty":             {"", "the file is empty"},
		"another kind":      {"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\n", "not an AuthenticationConfiguration"},
		"a field too many":  {p.config("anonymus: {}"), "anonymus"},
		"our own issuer":    {strings.Replace(p.config(""), p.URL, "https://kubernetes.default.svc", 1), "URL must not overlap with disallowed issuers"},
		"a plain issuer":    {strings.Replace(p.config(""), "https://", "http://", 1), "URL scheme must be https"},
		"no such authority": {strings.Replace(p.config(""), "BEGIN", "begin", 1), "certificateAuthority"},
	} {
		put(t, file, tc.text)
		if _, err := NewIssuers(t.Context(), file, options()); err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := NewIssuers(t.Context(), file+".none", options()); err == nil {
		t.Error("no file is a configuration")
	}
	put(t, file, p.config("anonymous: {enabled: true, conditions: [{path: /livez}]}"))
	if i, err := NewIssuers(t.Context(), file, options()); err != nil || !i.Anonymous.Enabled || i.Anonymous.Conditions[0].Path != "/livez" {
		t.Errorf("%v", err)
	}
}

func TestAnotherServerReviewsTokens(t *testing.T) {
	asked := 0
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if review.Spec.Token == "good" {
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "jane", Groups: []string{"devs"}}, Audiences: review.Spec.Audiences}
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(review) //nolint:errcheck,errchkjson // the client tells
	}))
	defer srv.Close()
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	put(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})))
	kubeconfig := filepath.Join(dir, "webhook.yaml")
	put(t, kubeconfig, fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: r, cluster: {server: %q, certificate-authority: %q}}]\nusers: [{name: u, user: {}}]\ncontexts: [{name: c, context: {cluster: r, user: u}}]\ncurrent-context: c\n", srv.URL, ca))
	audiences := authenticator.Audiences{"https://kubernetes.default.svc"}
	reviewer, err := NewReviewer(kubeconfig, audiences, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx := authenticator.WithAudiences(t.Context(), audiences)
	for range 2 {
		resp, ok, err := reviewer.AuthenticateToken(ctx, "good")
		if err != nil || !ok || resp.User.GetName() != "jane" {
			t.Errorf("%v, %v, %v", resp, ok, err)
		}
		if _, ok, err := reviewer.AuthenticateToken(ctx, "bad"); ok || err != nil {
			t.Errorf("a bad token: %v, %v", ok, err)
		}
	}
	if asked != 2 {
		t.Errorf("it was asked %d times", asked)
	}
	if _, err := NewReviewer(kubeconfig+".none", audiences, time.Minute); err == nil || !strings.Contains(err.Error(), kubeconfig) {
		t.Errorf("no kubeconfig: %v", err)
	}
}

package tokens

import (
	"crypto/elliptic"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
)

func TestDiscovery(t *testing.T) {
	keys := keysOf(t, rsaKey(t), ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
	handlers, err := Discovery(testIssuer, "https://api/keys", keys)
	if err != nil || len(handlers) != 2 {
		t.Fatalf("%d documents, %v", len(handlers), err)
	}
	get := func(path, contentType string, into any) string {
		t.Helper()
		h := handlers[path]
		if h == nil {
			t.Fatalf("nothing at %s", path)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != contentType || !strings.Contains(w.Header().Get("Cache-Control"), "max-age=") {
			t.Errorf("%s: %d, %v", path, w.Code, w.Header())
		}
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatal(err)
		}
		return w.Body.String()
	}
	var doc struct {
		Issuer     string   `json:"issuer"`
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		Responses  []string `json:"response_types_supported"`
		Subjects   []string `json:"subject_types_supported"`
	}
	get("/.well-known/openid-configuration", "application/json", &doc)
	if doc.Issuer != testIssuer || doc.Keys != "https://api/keys" || !slices.Equal(doc.Algorithms, []string{"ES256", "ES384", "RS256"}) ||
		!slices.Equal(doc.Responses, []string{"id_token"}) || !slices.Equal(doc.Subjects, []string{"public"}) {
		t.Errorf("%+v", doc)
	}
	var set jose.JSONWebKeySet
	if text := get("/openid/v1/jwks", "application/jwk-set+json", &set); strings.Contains(text, `"d":`) {
		t.Error("a private key is told")
	}
	if len(set.Keys) != len(keys) {
		t.Fatalf("%d keys", len(set.Keys))
	}
	for i, k := range set.Keys {
		public, err := newKey(k.Key)
		if err != nil || k.KeyID != keys[i].ID || public.ID != keys[i].ID || k.Algorithm != keys[i].Method.Alg() || k.Use != "sig" || !k.IsPublic() {
			t.Errorf("%+v, %v", k, err)
		}
	}
}

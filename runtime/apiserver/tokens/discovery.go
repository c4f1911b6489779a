package tokens

import (
	"encoding/json"
	"net/http"
	"slices"

	jose "github.com/go-jose/go-jose/v4"
)

// Paths where others learn how to verify our tokens (OpenID Connect discovery).
const (
	ConfigurationPath = "/.well-known/openid-configuration"
	KeysPath          = "/openid/v1/jwks"
)

// Discovery returns the two documents' handlers by path. keysURL is where the
// keys are reached from inside the cluster.
func Discovery(issuer, keysURL string, keys []Key) (map[string]http.Handler, error) {
	set := jose.JSONWebKeySet{}
	var algorithms []string
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: k.Method.Alg(), Use: "sig"})
		algorithms = append(algorithms, k.Method.Alg())
	}
	slices.Sort(algorithms)
	configuration := map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              keysURL,
		"response_types_supported":              []string{"id_token"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": slices.Compact(algorithms),
	}
	out := map[string]http.Handler{}
	for path, doc := range map[string]struct {
		contentType string
		value       any
	}{
		ConfigurationPath: {"application/json", configuration},
		KeysPath:          {"application/jwk-set+json", set},
	} {
		data, err := json.Marshal(doc.value)
		if err != nil {
			return nil, err
		}
		out[path] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", doc.contentType)
			w.Header().Set("Cache-Control", "public, max-age=3600")
			w.Write(data) //nolint:errcheck // the client went away
		})
	}
	return out, nil
}

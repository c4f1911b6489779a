package tokens

import (
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// part decodes a part of a token.
func part(t *testing.T, token string, i int) map[string]any {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What a token holds is what Kubernetes' own hold: others read it too.
func TestIssue(t *testing.T) {
	signer := ecKey(t, elliptic.P256())
	issuer, err := NewIssuer("https://issuer", signer)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	const common = `"aud":["api"],"exp":1800003600,"iat":1800000000,"iss":"https://issuer","jti":"id","nbf":1800000000,"sub":"system:serviceaccount:team:bot"`
	tests := []struct {
		name    string
		binding Binding
		claim   string // kubernetes.io
	}{
		{"an account", Binding{Namespace: "team", ServiceAccount: Ref{"bot", "1"}}, `{"namespace":"team","serviceaccount":{"name":"bot","uid":"1"}}`},
		{"a pod", Binding{Namespace: "team", ServiceAccount: Ref{"bot", "1"}, Pod: &Ref{"p", "2"}, Node: &Ref{"n", "3"}, WarnAfter: jwt.NewNumericDate(now.Add(time.Minute))},
			`{"namespace":"team","node":{"name":"n","uid":"3"},"pod":{"name":"p","uid":"2"},"serviceaccount":{"name":"bot","uid":"1"},"warnafter":1800000060}`},
		{"a secret", Binding{Namespace: "team", ServiceAccount: Ref{"bot", "1"}, Secret: &Ref{Name: "s"}}, `{"namespace":"team","secret":{"name":"s"},"serviceaccount":{"name":"bot","uid":"1"}}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := issuer.Issue(tt.binding, "system:serviceaccount:team:bot", []string{"api"}, now, now.Add(time.Hour), "id")
			if err != nil {
				t.Fatal(err)
			}
			if h := part(t, token, 0); len(h) != 2 || h["alg"] != "ES256" || h["kid"] != key.ID {
				t.Errorf("header %v", h)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(`{`+common+`,"kubernetes.io":`+tt.claim+`}`), &want); err != nil {
				t.Fatal(err)
			}
			if got := part(t, token, 1); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v\nwant %v", got, want)
			}
		})
	}
}

func TestNewIssuerNeedsAKeyThatSigns(t *testing.T) {
	if _, err := NewIssuer("https://issuer", edKey(t)); err == nil {
		t.Error("signs with Ed25519")
	}
}

package tokens

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

const testIssuer = "https://issuer"

func keysOf(t *testing.T, signers ...crypto.Signer) []Key {
	t.Helper()
	var out []Key
	for _, s := range signers {
		k, err := newKey(s.Public())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

// good is what a pod's token holds, one minute old.
func good() claims {
	now := time.Now()
	return claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: testIssuer, Subject: "system:serviceaccount:team:bot", Audience: jwt.ClaimStrings{"api"}, ID: "id",
			IssuedAt: jwt.NewNumericDate(now.Add(-time.Minute)), NotBefore: jwt.NewNumericDate(now.Add(-time.Minute)), ExpiresAt: jwt.NewNumericDate(now.Add(time.Hour)),
		},
		Binding: Binding{Namespace: "team", ServiceAccount: Ref{"bot", "1"}, Pod: &Ref{"p", "2"}, Node: &Ref{"n", "3"}},
	}
}

// signed signs c as whoever names the key id would. It omits an empty id.
func signed(t *testing.T, method jwt.SigningMethod, key any, id string, c claims) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	if id != "" {
		token.Header["kid"] = id
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func always(context.Context, Binding) error { return nil }

func TestAuthenticateToken(t *testing.T) {
	ours, other, wide, strong := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P384()), rsaKey(t)
	keys := keysOf(t, ours, wide, strong)
	id, wideID, strongID := keys[0].ID, keys[1].ID, keys[2].ID
	with := func(change func(*claims)) string {
		c := good()
		change(&c)
		return signed(t, jwt.SigningMethodES256, ours, id, c)
	}
	valid := with(func(*claims) {})
	parts := strings.Split(valid, ".")
	foreign := strings.Split(with(func(c *claims) { c.Subject = "system:serviceaccount:kube-system:admin" }), ".")
	der, err := x509.MarshalPKIXPublicKey(ours.Public())
	if err != nil {
		t.Fatal(err)
	}
	at := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	const (
		accepted = iota
		refused  // with an error
		notOurs  // no error
	)
	tests := []struct {
		name, token string
		want        int
	}{
		{"a token", valid, accepted},
		{"of another key of ours", signed(t, jwt.SigningMethodES384, wide, wideID, good()), accepted},
		{"of an RSA key of ours", signed(t, jwt.SigningMethodRS256, strong, strongID, good()), accepted},

		{"nothing", "", notOurs},
		{"a word", "secret", notOurs},
		{"three words", "a.b.c", notOurs},
		{"another issuer's", with(func(c *claims) { c.Issuer = "https://other" }), notOurs},
		{"no issuer's", with(func(c *claims) { c.Issuer = "" }), notOurs},
		{"another issuer's, expired", with(func(c *claims) { c.Issuer, c.ExpiresAt = "https://other", at(-time.Hour) }), notOurs},

		{"a forged signature", signed(t, jwt.SigningMethodES256, other, id, good()), refused},
		{"another's contents", parts[0] + "." + foreign[1] + "." + parts[2], refused},
		{"no signature", parts[0] + "." + parts[1] + ".", refused},
		{"a key that is not ours", signed(t, jwt.SigningMethodES256, other, keysOf(t, other)[0].ID, good()), refused},
		{"no key's name", signed(t, jwt.SigningMethodES256, ours, "", good()), refused},
		{"another key's name", signed(t, jwt.SigningMethodES256, ours, strongID, good()), refused},
		{"another key's name and method", signed(t, jwt.SigningMethodES384, wide, id, good()), refused},
		{"another method of the key", signed(t, jwt.SigningMethodRS512, strong, strongID, good()), refused},
		{"the method none", signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, id, good()), refused},
		{"the public key as a secret", signed(t, jwt.SigningMethodHS256, der, id, good()), refused},

		{"just expired, by another clock", with(func(c *claims) { c.ExpiresAt = at(-50 * time.Second) }), accepted},
		{"expired", with(func(c *claims) { c.ExpiresAt = at(-70 * time.Second) }), refused},
		{"that never expires", with(func(c *claims) { c.ExpiresAt = nil }), refused},
		{"not valid just yet, by another clock", with(func(c *claims) { c.NotBefore = at(50 * time.Second) }), accepted},
		{"not valid yet", with(func(c *claims) { c.NotBefore = at(70 * time.Second) }), refused},

		{"of another account's name", with(func(c *claims) { c.Subject = "system:serviceaccount:team:other" }), refused},
		{"of another namespace", with(func(c *claims) { c.Subject = "system:serviceaccount:other:bot" }), refused},
		{"of a person's name", with(func(c *claims) { c.Subject = "ann" }), refused},
		{"bound to nothing", with(func(c *claims) { c.Binding = Binding{} }), refused},
		{"for another audience", with(func(c *claims) { c.Audience = jwt.ClaimStrings{"other"} }), refused},
		{"for no audience", with(func(c *claims) { c.Audience = nil }), refused},
		{"for ours among others", with(func(c *claims) { c.Audience = jwt.ClaimStrings{"other", "api"} }), accepted},
	}
	v := NewVerifier(testIssuer, []string{"api", "https://api"}, keys, always)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, ok, err := v.AuthenticateToken(t.Context(), tt.token)
			if ok != (tt.want == accepted) || (r != nil) != ok || (err != nil) != (tt.want == refused) {
				t.Errorf("%+v, %v, %v", r, ok, err)
			}
		})
	}
}

func TestAuthenticatedUser(t *testing.T) {
	signer := ecKey(t, elliptic.P256())
	issuer, err := NewIssuer(testIssuer, signer)
	if err != nil {
		t.Fatal(err)
	}
	account := Ref{"bot", "1"}
	tests := []struct {
		name    string
		binding Binding
		id      string
		extra   map[string][]string
	}{
		{"an account", Binding{Namespace: "team", ServiceAccount: account}, "", nil},
		{"a token of its own name", Binding{Namespace: "team", ServiceAccount: account}, "t", map[string][]string{user.CredentialIDKey: {"JTI=t"}}},
		{"a pod", Binding{Namespace: "team", ServiceAccount: account, Pod: &Ref{"p", "2"}, Node: &Ref{"n", "3"}}, "",
			map[string][]string{serviceaccount.PodNameKey: {"p"}, serviceaccount.PodUIDKey: {"2"}, serviceaccount.NodeNameKey: {"n"}, serviceaccount.NodeUIDKey: {"3"}}},
		{"a node", Binding{Namespace: "team", ServiceAccount: account, Node: &Ref{"n", "3"}}, "",
			map[string][]string{serviceaccount.NodeNameKey: {"n"}, serviceaccount.NodeUIDKey: {"3"}}},
		{"a secret", Binding{Namespace: "team", ServiceAccount: account, Secret: &Ref{"s", "4"}}, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var asked []Binding
			v := NewVerifier(testIssuer, []string{"api"}, keysOf(t, signer), func(_ context.Context, b Binding) error { asked = append(asked, b); return nil })
			token, err := issuer.Issue(tt.binding, "system:serviceaccount:team:bot", []string{"api"}, time.Now(), time.Now().Add(time.Hour), tt.id)
			if err != nil {
				t.Fatal(err)
			}
			r, ok, err := v.AuthenticateToken(t.Context(), token)
			if err != nil || !ok {
				t.Fatalf("%v, %v", ok, err)
			}
			if u := r.User; u.GetName() != "system:serviceaccount:team:bot" || u.GetUID() != "1" ||
				!slices.Equal(u.GetGroups(), []string{"system:serviceaccounts", "system:serviceaccounts:team"}) || len(u.GetExtra()) != len(tt.extra) ||
				len(tt.extra) > 0 && !reflect.DeepEqual(u.GetExtra(), tt.extra) {
				t.Errorf("%+v", u)
			}
			// Whether all of it still exists was asked once.
			if len(asked) != 1 || !reflect.DeepEqual(asked[0], tt.binding) {
				t.Errorf("asked for %+v", asked)
			}
		})
	}
}

// objects are the UIDs of what exists, by kind and name: the Lookup of a cluster.
type objects map[string]string

func (o objects) exist(_ context.Context, b Binding) error {
	for kind, ref := range map[string]*Ref{"account": &b.ServiceAccount, "pod": b.Pod, "node": b.Node, "secret": b.Secret} {
		if ref == nil {
			continue
		}
		if uid, ok := o[kind+" "+ref.Name]; !ok || uid != ref.UID {
			return errors.New("the " + kind + " is gone")
		}
	}
	return nil
}

// A token dies with what it is bound to, whoever else holds one.
func TestTokenDiesWithWhatItIsBoundTo(t *testing.T) {
	signer := ecKey(t, elliptic.P256())
	issuer, err := NewIssuer(testIssuer, signer)
	if err != nil {
		t.Fatal(err)
	}
	full := Binding{Namespace: "team", ServiceAccount: Ref{"bot", "1"}, Pod: &Ref{"p", "2"}, Node: &Ref{"n", "3"}, Secret: &Ref{"s", "4"}}
	token, err := issuer.Issue(full, "system:serviceaccount:team:bot", []string{"api"}, time.Now(), time.Now().Add(time.Hour), "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{"", "account bot", "pod p", "node n", "secret s"} {
		for _, instead := range []string{"", "9"} {
			have := objects{"account bot": "1", "pod p": "2", "node n": "3", "secret s": "4"}
			if lost != "" {
				delete(have, lost)
				if instead != "" {
					have[lost] = instead
				}
			}
			_, ok, err := NewVerifier(testIssuer, []string{"api"}, keysOf(t, signer), have.exist).AuthenticateToken(t.Context(), token)
			if ok != (lost == "") || (err == nil) != ok {
				t.Errorf("without %q (UID %q instead): %v, %v", lost, instead, ok, err)
			}
			if lost != "" && (err == nil || !strings.Contains(err.Error(), "is gone")) {
				t.Errorf("without %q: %v", lost, err)
			}
		}
	}
}

// A token that is refused for what it says is not looked up.
func TestLookupComesLast(t *testing.T) {
	signer := ecKey(t, elliptic.P256())
	id := keysOf(t, signer)[0].ID
	v := NewVerifier(testIssuer, []string{"api"}, keysOf(t, signer), func(context.Context, Binding) error { t.Error("looked up"); return nil })
	for name, change := range map[string]func(*claims){
		"audience": func(c *claims) { c.Audience = jwt.ClaimStrings{"other"} },
		"subject":  func(c *claims) { c.Subject = "ann" },
		"expired":  func(c *claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Hour)) },
		"issuer":   func(c *claims) { c.Issuer = "https://other" },
	} {
		c := good()
		change(&c)
		if _, ok, _ := v.AuthenticateToken(t.Context(), signed(t, jwt.SigningMethodES256, signer, id, c)); ok {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAudiences(t *testing.T) {
	signer := ecKey(t, elliptic.P256())
	id := keysOf(t, signer)[0].ID
	v := NewVerifier(testIssuer, []string{"api", "https://api"}, keysOf(t, signer), always)
	tests := []struct {
		name   string
		asked  authenticator.Audiences
		ask    bool
		token  []string
		common []string // or none: refused
	}{
		{"the server's own", nil, false, []string{"api"}, []string{"api"}},
		{"the server's second", nil, false, []string{"https://api"}, []string{"https://api"}},
		{"both of the server's", nil, false, []string{"https://api", "vault", "api"}, []string{"https://api", "api"}},
		{"none of the server's", nil, false, []string{"vault"}, nil},
		{"an empty list is none", authenticator.Audiences{}, true, []string{"api"}, []string{"api"}},
		{"an empty list, another's token", authenticator.Audiences{}, true, []string{"vault"}, nil},
		{"another", authenticator.Audiences{"vault"}, true, []string{"vault"}, []string{"vault"}},
		{"another, of two", authenticator.Audiences{"x", "vault"}, true, []string{"api", "vault"}, []string{"vault"}},
		{"another, but the server's", authenticator.Audiences{"vault"}, true, []string{"api"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			if tt.ask {
				ctx = authenticator.WithAudiences(ctx, tt.asked)
			}
			c := good()
			c.Audience = tt.token
			r, ok, err := v.AuthenticateToken(ctx, signed(t, jwt.SigningMethodES256, signer, id, c))
			if ok != (tt.common != nil) || (err == nil) != ok {
				t.Fatalf("%v, %v", ok, err)
			}
			if ok && !slices.Equal(r.Audiences, tt.common) {
				t.Errorf("%v", r.Audiences)
			}
		})
	}
}

// A key that is replaced verifies until nobody holds a token of it.
func TestKeyRotation(t *testing.T) {
	before, after := ecKey(t, elliptic.P256()), rsaKey(t)
	issue := func(signer crypto.Signer) string {
		t.Helper()
		i, err := NewIssuer(testIssuer, signer)
		if err != nil {
			t.Fatal(err)
		}
		token, err := i.Issue(Binding{Namespace: "team", ServiceAccount: Ref{"bot", "1"}}, "system:serviceaccount:team:bot", []string{"api"}, time.Now(), time.Now().Add(time.Hour), "t")
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	oldToken, newToken := issue(before), issue(after)
	tests := []struct {
		name         string
		keys         []Key
		first, later bool
	}{
		{"the old key", keysOf(t, before), true, false},
		{"both", keysOf(t, before, after), true, true},
		{"the new key", keysOf(t, after), false, true},
		{"none", nil, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := NewVerifier(testIssuer, []string{"api"}, tt.keys, always)
			if _, ok, err := v.AuthenticateToken(t.Context(), oldToken); ok != tt.first || (err == nil) != ok {
				t.Errorf("the old token: %v, %v", ok, err)
			}
			if _, ok, err := v.AuthenticateToken(t.Context(), newToken); ok != tt.later || (err == nil) != ok {
				t.Errorf("the new token: %v, %v", ok, err)
			}
		})
	}
}

package tokens

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
)

// leeway is how far the clocks of two masters may differ: a token is good for so long
// before and after its time. It is upstream's, whose library has it by default.
const leeway = time.Minute

// Lookup tells whether what a token is bound to still exists: it returns an
// error when the service account, pod, node or secret is gone, is another of the
// same name, or (pods) has been deleted for longer than its grace period.
type Lookup func(ctx context.Context, b Binding) error

// Verifier authenticates the bearers of tokens.
type Verifier struct {
	issuer    string
	audiences authenticator.Audiences
	keys      map[string]Key
	exists    Lookup
	parser    *jwt.Parser
}

var _ authenticator.Token = &Verifier{}

// NewVerifier accepts tokens of issuer that one of keys signed. audiences are
// the names of this server: a request that asks for none has to hold one of them.
func NewVerifier(issuer string, audiences []string, keys []Key, exists Lookup) *Verifier {
	v := &Verifier{issuer: issuer, audiences: audiences, keys: map[string]Key{}, exists: exists}
	methods := map[string]bool{}
	for _, k := range keys {
		v.keys[k.ID] = k
		methods[k.Method.Alg()] = true
	}
	var valid []string
	for m := range methods {
		valid = append(valid, m)
	}
	v.parser = jwt.NewParser(jwt.WithValidMethods(valid), jwt.WithIssuer(issuer), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway))
	return v
}

// AuthenticateToken verifies a token. A string that is no token of our issuer is
// not ours to judge: it returns false and no error.
func (v *Verifier) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	var unverified claims
	if _, _, err := v.parser.ParseUnverified(token, &unverified); err != nil || unverified.Issuer != v.issuer {
		return nil, false, nil //nolint:nilerr // not a token of ours
	}
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, v.key); err != nil {
		return nil, false, fmt.Errorf("service account token: %w", err)
	}
	wanted, ok := authenticator.AudiencesFrom(ctx)
	if !ok || len(wanted) == 0 {
		wanted = v.audiences
	}
	audiences := wanted.Intersect(authenticator.Audiences(c.Audience))
	if len(audiences) == 0 {
		return nil, false, fmt.Errorf("service account token is for audience %q, not for %q", c.Audience, wanted)
	}
	b := c.Binding
	if c.Subject != serviceaccount.MakeUsername(b.Namespace, b.ServiceAccount.Name) {
		return nil, false, errors.New("service account token: subject and binding differ")
	}
	if err := v.exists(ctx, b); err != nil {
		return nil, false, fmt.Errorf("service account token: %w", err)
	}
	info := serviceaccount.ServiceAccountInfo{
		Namespace: b.Namespace, Name: b.ServiceAccount.Name, UID: b.ServiceAccount.UID,
	}
	if c.ID != "" {
		info.CredentialID = "JTI=" + c.ID
	}
	if b.Pod != nil {
		info.PodName, info.PodUID = b.Pod.Name, b.Pod.UID
	}
	if b.Node != nil {
		info.NodeName, info.NodeUID = b.Node.Name, b.Node.UID
	}
	return &authenticator.Response{User: info.UserInfo(), Audiences: audiences}, true, nil
}

func (v *Verifier) key(t *jwt.Token) (any, error) {
	id, _ := t.Header["kid"].(string)
	k, ok := v.keys[id]
	if !ok {
		return nil, fmt.Errorf("no key %q", id)
	}
	if t.Method.Alg() != k.Method.Alg() {
		return nil, fmt.Errorf("key %q does not sign %s", id, t.Method.Alg())
	}
	return k.Public, nil
}

package tokens

import (
	"crypto"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Ref names an object that a token is bound to.
type Ref struct {
	Name string `json:"name"`
	UID  string `json:"uid,omitempty"`
}

// Binding is who a token is for: the claim kubernetes.io. Pod, Node and Secret
// are nil unless the token dies with one of them.
type Binding struct {
	Namespace      string `json:"namespace"`
	ServiceAccount Ref    `json:"serviceaccount"`
	Pod            *Ref   `json:"pod,omitempty"`
	Node           *Ref   `json:"node,omitempty"`
	Secret         *Ref   `json:"secret,omitempty"`
	// WarnAfter, in Unix seconds, is when the holder should have fetched a new one.
	WarnAfter *jwt.NumericDate `json:"warnafter,omitempty"`
}

// claims are a token's contents.
type claims struct {
	jwt.RegisteredClaims
	Binding Binding `json:"kubernetes.io"`
}

// Issuer signs tokens.
type Issuer struct {
	url    string
	signer crypto.Signer
	key    Key
}

// NewIssuer returns an issuer of tokens in the name of url.
func NewIssuer(url string, signer crypto.Signer) (*Issuer, error) {
	key, err := newKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("service account signing key: %w", err)
	}
	return &Issuer{url, signer, key}, nil
}

// Issue signs a token for the binding, good for audience from now until expires.
// id is the token's own identity, unique among all.
func (i *Issuer) Issue(b Binding, subject string, audience []string, now, expires time.Time, id string) (string, error) {
	t := jwt.NewWithClaims(i.key.Method, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: i.url, Subject: subject, Audience: audience, ID: id,
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
		},
		Binding: b,
	})
	t.Header["kid"] = i.key.ID
	delete(t.Header, "typ")
	return t.SignedString(i.signer)
}

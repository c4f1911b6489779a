package authentication

import (
	"context"
	"crypto/subtle"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
)

// What a bootstrap token is, by the documentation of Kubernetes ("Authenticating with
// Bootstrap Tokens"): a Secret of its type and name in kube-system.
const (
	bootstrapSecretType   = "bootstrap.kubernetes.io/token"
	bootstrapSecretPrefix = "bootstrap-token-"
	bootstrapUserPrefix   = "system:bootstrap:"
	bootstrapGroup        = "system:bootstrappers"
)

// BootstrapTokens knows the tokens that are Secrets.
type BootstrapTokens struct {
	// Secret reads one of kube-system.
	Secret func(ctx context.Context, name string) (*corev1.Secret, error)
	Now    func() time.Time

	token, group *regexp.Regexp
}

// NewBootstrapTokens returns an authenticator of bootstrap tokens.
func NewBootstrapTokens(secret func(ctx context.Context, name string) (*corev1.Secret, error), now func() time.Time) *BootstrapTokens {
	return &BootstrapTokens{
		Secret: secret, Now: now,
		token: regexp.MustCompile(`\A([a-z0-9]{6})\.([a-z0-9]{16})\z`),
		group: regexp.MustCompile(`\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`),
	}
}

// AuthenticateToken knows "id.secret". What does not fit the Secret is nobody, without
// a reason that would tell which part is wrong.
func (b *BootstrapTokens) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	parts := b.token.FindStringSubmatch(token)
	if parts == nil {
		return nil, false, nil
	}
	id, secret := parts[1], parts[2]
	s, err := b.Secret(ctx, bootstrapSecretPrefix+id)
	if errors.IsNotFound(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	groups, valid := b.groups(s)
	if !valid || !b.holds(s, id, secret) {
		return nil, false, nil
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: bootstrapUserPrefix + id, Groups: groups}}, true, nil
}

// holds reports whether the Secret is the token's, and is good for authentication now.
func (b *BootstrapTokens) holds(s *corev1.Secret, id, secret string) bool {
	is := func(key, value string) bool {
		return subtle.ConstantTimeCompare(s.Data[key], []byte(value)) == 1
	}
	if s.Type != bootstrapSecretType || s.DeletionTimestamp != nil ||
		!is("token-secret", secret) || !is("token-id", id) || !is("usage-bootstrap-authentication", "true") {
		return false
	}
	expiration := s.Data["expiration"]
	if len(expiration) == 0 {
		return true
	}
	end, err := time.Parse(time.RFC3339, string(expiration))
	return err == nil && b.Now().Before(end)
}

// groups are those of the token; one that is not below system:bootstrappers makes it
// invalid, so that a token gives no rights but a node's before it is one.
func (b *BootstrapTokens) groups(s *corev1.Secret) ([]string, bool) {
	groups := []string{bootstrapGroup}
	for g := range strings.SplitSeq(string(s.Data["auth-extra-groups"]), ",") {
		switch {
		case g == "" && len(s.Data["auth-extra-groups"]) == 0:
		case b.group.MatchString(g):
			groups = append(groups, g)
		default:
			return nil, false
		}
	}
	return groups, true
}

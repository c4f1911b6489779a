package authentication

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestBootstrapTokens(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const good = "abcdef.0123456789abcdef"
	for what, tc := range map[string]struct {
		token  string
		change func(*corev1.Secret)
		groups []string
	}{
		"as it should be": {good, func(*corev1.Secret) {}, []string{"system:bootstrappers"}},
		"with groups": {good, func(s *corev1.Secret) {
			s.Data["auth-extra-groups"] = []byte("system:bootstrappers:a,system:bootstrappers:b:c-d")
		}, []string{"system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b:c-d"}},
		"a group beyond":       {good, func(s *corev1.Secret) { s.Data["auth-extra-groups"] = []byte("system:bootstrappers:a,system:masters") }, nil},
		"an empty group":       {good, func(s *corev1.Secret) { s.Data["auth-extra-groups"] = []byte("system:bootstrappers:a,") }, nil},
		"another secret":       {"abcdef.0123456789abcdee", func(*corev1.Secret) {}, nil},
		"another ID":           {"abcdeg.0123456789abcdef", func(*corev1.Secret) {}, nil},
		"the ID of another":    {good, func(s *corev1.Secret) { s.Data["token-id"] = []byte("abcdeg") }, nil},
		"no secret":            {"abcdef.", func(s *corev1.Secret) { delete(s.Data, "token-secret") }, nil},
		"upper case":           {"ABCDEF.0123456789abcdef", func(*corev1.Secret) {}, nil},
		"a longer one":         {good + "0", func(*corev1.Secret) {}, nil},
		"a line behind it":     {good + "\n", func(*corev1.Secret) {}, nil},
		"another type":         {good, func(s *corev1.Secret) { s.Type = corev1.SecretTypeOpaque }, nil},
		"being deleted":        {good, func(s *corev1.Secret) { s.DeletionTimestamp = &metav1.Time{Time: now} }, nil},
		"for signing only":     {good, func(s *corev1.Secret) { s.Data["usage-bootstrap-authentication"] = []byte("false") }, nil},
		"no usage":             {good, func(s *corev1.Secret) { delete(s.Data, "usage-bootstrap-authentication") }, nil},
		"not yet expired":      {good, func(s *corev1.Secret) { s.Data["expiration"] = []byte("2026-01-02T03:04:06Z") }, []string{"system:bootstrappers"}},
		"expired":              {good, func(s *corev1.Secret) { s.Data["expiration"] = []byte("2026-01-02T03:04:05Z") }, nil},
		"an expiration of one": {good, func(s *corev1.Secret) { s.Data["expiration"] = []byte("tomorrow") }, nil},
	} {
		s := &corev1.Secret{Type: bootstrapSecretType, Data: map[string][]byte{
			"token-id": []byte("abcdef"), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-authentication": []byte("true"),
		}}
		tc.change(s)
		tokens := NewBootstrapTokens(func(_ context.Context, name string) (*corev1.Secret, error) {
			if name != "bootstrap-token-abcdef" {
				return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
			}
			return s, nil
		}, func() time.Time { return now })
		resp, ok, err := tokens.AuthenticateToken(t.Context(), tc.token)
		switch {
		case err != nil:
			t.Errorf("%s: %v", what, err)
		case ok != (tc.groups != nil):
			t.Errorf("%s: %v", what, ok)
		case ok && (resp.User.GetName() != "system:bootstrap:abcdef" || !slices.Equal(resp.User.GetGroups(), tc.groups)):
			t.Errorf("%s: %v", what, resp.User)
		}
	}
	broken := NewBootstrapTokens(func(context.Context, string) (*corev1.Secret, error) { return nil, errors.New("no leader") }, time.Now)
	if _, ok, err := broken.AuthenticateToken(t.Context(), good); ok || err == nil {
		t.Errorf("what cannot be read: %v, %v", ok, err)
	}
}

package volume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// secret holds the keys of a Secret as files, in memory: they must not reach a disk.
type secret struct {
	directory
	content
}

func (secret) Name() string                   { return "secret" }
func (secret) Supports(v *corev1.Volume) bool { return v.Secret != nil }
func (secret) Traits() Traits                 { return Traits{ReadOnly: true, Refreshed: true} }

func (s secret) SetUp(ctx context.Context, m Mounting) error {
	v := m.Volume.Secret
	if err := s.tmpfs(m.Dir, 0); err != nil {
		return err
	}
	files, err := s.secret(ctx, m, &corev1.SecretProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: v.SecretName}, Items: v.Items, Optional: v.Optional,
	}, fileMode(v.DefaultMode))
	if err != nil {
		return err
	}
	_, err = Write(m.Dir, files, m.Group)
	return err
}

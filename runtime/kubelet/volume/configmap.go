package volume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// configMap holds the keys of a ConfigMap as files.
type configMap struct {
	directory
	content
}

func (configMap) Name() string                   { return "configmap" }
func (configMap) Supports(v *corev1.Volume) bool { return v.ConfigMap != nil }
func (configMap) Traits() Traits                 { return Traits{ReadOnly: true, Refreshed: true} }

func (c configMap) SetUp(ctx context.Context, m Mounting) error {
	v := m.Volume.ConfigMap
	files, err := c.configMap(ctx, m, &corev1.ConfigMapProjection{
		LocalObjectReference: v.LocalObjectReference, Items: v.Items, Optional: v.Optional,
	}, fileMode(v.DefaultMode))
	if err != nil {
		return err
	}
	_, err = Write(m.Dir, files, m.Group)
	return err
}

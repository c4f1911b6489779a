package volume

import (
	"context"
	"errors"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
)

// projected joins several sources in one directory; it may hold tokens and Secrets, so
// it is in memory.
type projected struct {
	directory
	content
}

func (projected) Name() string                   { return "projected" }
func (projected) Supports(v *corev1.Volume) bool { return v.Projected != nil }
func (projected) Traits() Traits                 { return Traits{ReadOnly: true, Refreshed: true} }

func (p projected) SetUp(ctx context.Context, m Mounting) error {
	if err := p.tmpfs(m.Dir, 0); err != nil {
		return err
	}
	var all []File
	def := fileMode(m.Volume.Projected.DefaultMode)
	for i := range m.Volume.Projected.Sources {
		files, err := p.source(ctx, m, i, def)
		if err != nil {
			return err
		}
		all = append(all, files...)
	}
	_, err := Write(m.Dir, all, m.Group)
	return err
}

func (p projected) source(ctx context.Context, m Mounting, index int, def fs.FileMode) ([]File, error) {
	switch s := &m.Volume.Projected.Sources[index]; {
	case s.ConfigMap != nil:
		return p.configMap(ctx, m, s.ConfigMap, def)
	case s.Secret != nil:
		return p.secret(ctx, m, s.Secret, def)
	case s.DownwardAPI != nil:
		return p.downward(m, s.DownwardAPI.Items, def)
	case s.ClusterTrustBundle != nil:
		return p.trustBundle(ctx, m, s.ClusterTrustBundle, def)
	case s.PodCertificate != nil:
		return p.podCertificate(ctx, m, index, s.PodCertificate, def)
	case s.ServiceAccountToken != nil:
		return p.token(ctx, m, s.ServiceAccountToken, def)
	case *s == corev1.VolumeProjection{}: // the API takes a source of nothing
		return nil, nil
	}
	return nil, errors.New("a source of the projected volume is of a kind that this node does not have")
}

package volume

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// downwardAPI holds fields of the pod as files.
type downwardAPI struct {
	directory
	content
}

func (downwardAPI) Name() string                   { return "downward-api" }
func (downwardAPI) Supports(v *corev1.Volume) bool { return v.DownwardAPI != nil }
func (downwardAPI) Traits() Traits                 { return Traits{ReadOnly: true, Refreshed: true} }

func (d downwardAPI) SetUp(_ context.Context, m Mounting) error {
	v := m.Volume.DownwardAPI
	if err := d.tmpfs(m.Dir, 0); err != nil {
		return err
	}
	files, err := d.downward(m, v.Items, fileMode(v.DefaultMode))
	if err != nil {
		return err
	}
	_, err = Write(m.Dir, files, m.Group)
	return err
}

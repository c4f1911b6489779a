package localvolume

import (
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	volumehelpers "k8s.io/component-helpers/storage/volume"

	"github.com/gantry-run/gantry/runtime/config"
)

// Provisioned says whether a volume is one of the cluster's own.
func (m *Manager) Provisioned(v *corev1.PersistentVolume) bool {
	return v.Spec.Local != nil && v.Annotations[volumehelpers.AnnDynamicallyProvisioned] == config.LocalDriver
}

// dir is the directory of a volume.
func (m *Manager) dir(v *corev1.PersistentVolume) (string, error) {
	dir := filepath.Join(m.cfg.Path, v.Name)
	if v.Labels[config.LocalVolumeNode] != m.cfg.NodeName || v.Spec.Local == nil || v.Spec.Local.Path != dir {
		return "", fmt.Errorf("volume %s lies at %s of node %s, and those of this one lie in %s", v.Name, v.Spec.Local.Path, v.Labels[config.LocalVolumeNode], m.cfg.Path)
	}
	return dir, nil
}

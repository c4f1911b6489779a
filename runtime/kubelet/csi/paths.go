package csi

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// paths are where drivers mount volumes. They are upstream's, which manifests of drivers know.
type paths struct{ shared string }

func (p paths) plugin() string { return filepath.Join(p.shared, "plugins", "kubernetes.io", "csi") }

// MakeDirs makes the directories that manifests of drivers mount: they are there before the
// first volume is.
func MakeDirs(shared string) error {
	for _, dir := range []string{"pods", "plugins"} {
		if err := os.MkdirAll(filepath.Join(shared, dir), 0o750); err != nil {
			return fmt.Errorf("make a directory for CSI drivers: %w", err)
		}
	}
	return nil
}

// target is where a pod's volume is published: a directory, or the file of a device.
func (p paths) target(uid, volume string, block bool) string {
	if block {
		return filepath.Join(p.plugin(), "volumeDevices", "publish", volume, uid)
	}
	return filepath.Join(p.shared, "pods", uid, "volumes", "kubernetes.io~csi", volume, "mount")
}

// staging is where a volume is staged for all pods.
func (p paths) staging(driver, handle, volume string, block bool) string {
	if block {
		return filepath.Join(p.plugin(), "volumeDevices", "staging", volume)
	}
	return filepath.Join(p.plugin(), driver, fmt.Sprintf("%x", sha256.Sum256([]byte(handle))), "globalmount")
}

// attachmentName is the name of the VolumeAttachment of a volume to a node.
func attachmentName(driver, handle, node string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(handle+driver+node)))
}

// ephemeralHandle is the name that a driver gets of a volume which lives as long as its pod.
func ephemeralHandle(uid, volume string) string {
	return fmt.Sprintf("csi-%x", sha256.Sum256([]byte(uid+volume)))
}

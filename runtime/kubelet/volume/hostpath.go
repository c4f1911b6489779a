package volume

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// hostPath is a file or directory of the server. It is none of ours: TearDown leaves it.
type hostPath struct{}

func (hostPath) Name() string                           { return "host-path" }
func (hostPath) Supports(v *corev1.Volume) bool         { return v.HostPath != nil }
func (hostPath) Traits() Traits                         { return Traits{} }
func (hostPath) Path(v *corev1.Volume, _ string) string { return v.HostPath.Path }
func (hostPath) TearDown(string) error                  { return nil }
func (hostPath) SetUp(_ context.Context, m Mounting) error {
	path := m.Volume.HostPath.Path
	kind := ptr.Deref(m.Volume.HostPath.Type, corev1.HostPathUnset)
	switch kind {
	case corev1.HostPathUnset:
		return nil
	case corev1.HostPathDirectoryOrCreate:
		return os.MkdirAll(path, 0o755)
	case corev1.HostPathFileOrCreate:
		f, err := os.OpenFile(path, os.O_CREATE, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	}
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("hostPath type check failed: %w", err)
	}
	if !isOfType(st.Mode(), kind) {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", path, kind)
	}
	return nil
}

func isOfType(mode fs.FileMode, kind corev1.HostPathType) bool {
	switch kind {
	case corev1.HostPathDirectory:
		return mode.IsDir()
	case corev1.HostPathFile:
		return mode.IsRegular()
	case corev1.HostPathSocket:
		return mode&fs.ModeSocket != 0
	case corev1.HostPathCharDev:
		return mode&fs.ModeCharDevice != 0
	case corev1.HostPathBlockDev:
		return mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
	}
	return false
}

package objects

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Claim reads a PersistentVolumeClaim; the error is the API's.
func (m *Manager) Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error) {
	return m.api.CoreV1().PersistentVolumeClaims(namespace).Get(ctx, name, metav1.GetOptions{})
}

// PersistentVolume reads a PersistentVolume; the error is the API's.
func (m *Manager) PersistentVolume(ctx context.Context, name string) (*corev1.PersistentVolume, error) {
	return m.api.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
}

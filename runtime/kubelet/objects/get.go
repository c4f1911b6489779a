package objects

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConfigMap reads a ConfigMap; the error is the API's.
func (m *Manager) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return m.api.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Secret reads a Secret; the error is the API's.
func (m *Manager) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return m.api.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

package objects

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// ConfigMap reads a ConfigMap; the error is the API's.
func (m *Manager) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	return m.api.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Secret reads a Secret; the error is the API's.
func (m *Manager) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	return m.api.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
}

// TrustBundle reads a ClusterTrustBundle; the error is the API's.
func (m *Manager) TrustBundle(ctx context.Context, name string) (*certificatesv1.ClusterTrustBundle, error) {
	return m.api.CertificatesV1().ClusterTrustBundles().Get(ctx, name, metav1.GetOptions{})
}

// TrustBundles reads those of a signer that have the labels; the error is the API's.
func (m *Manager) TrustBundles(ctx context.Context, signer string, with labels.Selector) ([]certificatesv1.ClusterTrustBundle, error) {
	list, err := m.api.CertificatesV1().ClusterTrustBundles().List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.signerName", signer).String(), LabelSelector: with.String(),
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

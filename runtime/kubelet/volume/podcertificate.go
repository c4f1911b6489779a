package volume

import (
	"context"
	"io/fs"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/objects"
	"github.com/gantry-run/gantry/runtime/kubelet/podcertificate"
)

// Certificates gives the certificates of pods.
type Certificates interface {
	Credential(ctx context.Context, pod *corev1.Pod, s podcertificate.Source, p *corev1.PodCertificateProjection,
		follow func(request *certificatesv1.PodCertificateRequest)) (podcertificate.Credential, error)
}

// podCertificate is a key and the certificates that were issued for it, in one file, in
// two, or both.
func (c content) podCertificate(ctx context.Context, m Mounting, index int, p *corev1.PodCertificateProjection, def fs.FileMode) ([]File, error) {
	source := podcertificate.Source{Volume: m.Volume.Name, Index: index}
	credential, err := c.certificates.Credential(ctx, m.Pod, source, p, func(r *certificatesv1.PodCertificateRequest) {
		key := objects.Key{Kind: objects.PodCertificateRequest, Namespace: r.Namespace, Name: r.Name}
		c.objects.Follow(ctx, key, string(m.Pod.UID), r.ResourceVersion, m.Changed)
	})
	if err != nil {
		return nil, err
	}
	var out []File
	for _, f := range []File{
		{Path: p.CredentialBundlePath, Data: slices.Concat(credential.Key, credential.Chain)},
		{Path: p.KeyPath, Data: credential.Key}, {Path: p.CertificateChainPath, Data: credential.Chain},
	} {
		if f.Path != "" {
			out = append(out, m.identity(f, def))
		}
	}
	return out, nil
}

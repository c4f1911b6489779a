package volume

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/kubelet/objects"
)

// trustBundle is a file with the certificates of one bundle, or of all bundles of a signer
// that have the labels.
func (c content) trustBundle(ctx context.Context, m Mounting, p *corev1.ClusterTrustBundleProjection, def fs.FileMode) ([]File, error) {
	// Before they are read, so that none is missed; of any that changes the pod is told.
	c.objects.Follow(ctx, objects.Key{Kind: objects.ClusterTrustBundle}, string(m.Pod.UID), "", m.Changed)
	bundles, err := c.trustBundles(ctx, p)
	if err != nil {
		return nil, err
	}
	return []File{m.identity(File{Path: p.Path, Data: anchors(bundles)}, def)}, nil
}

// trustBundles are those that a projection chooses. As upstream, no label selector chooses
// none, and an empty one all of the signer.
func (c content) trustBundles(ctx context.Context, p *corev1.ClusterTrustBundleProjection) ([]certificatesv1.ClusterTrustBundle, error) {
	optional := ptr.Deref(p.Optional, false)
	if p.Name != nil {
		b, err := c.objects.TrustBundle(ctx, *p.Name)
		if apierrors.IsNotFound(err) && optional {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cluster trust bundle %s: %w", *p.Name, err)
		}
		return []certificatesv1.ClusterTrustBundle{*b}, nil
	}
	signer := ptr.Deref(p.SignerName, "")
	selector, err := metav1.LabelSelectorAsSelector(p.LabelSelector)
	if err != nil {
		return nil, fmt.Errorf("cluster trust bundles of %s: %w", signer, err)
	}
	var bundles []certificatesv1.ClusterTrustBundle
	if p.LabelSelector != nil {
		if bundles, err = c.objects.TrustBundles(ctx, signer, selector); err != nil {
			return nil, fmt.Errorf("cluster trust bundles of %s: %w", signer, err)
		}
	}
	if len(bundles) == 0 && !optional {
		return nil, fmt.Errorf("no cluster trust bundle of signer %s has the labels %q", signer, selector)
	}
	return bundles, nil
}

// anchors are the certificates of bundles, each once, in an order that nobody may rely on:
// that of their bytes, so that a file changes only with what is in it. Headers and what
// stands between certificates are left out.
func anchors(bundles []certificatesv1.ClusterTrustBundle) []byte {
	certificates := map[string]struct{}{}
	for _, b := range bundles {
		rest := []byte(b.Spec.TrustBundle)
		for {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			certificates[string(block.Bytes)] = struct{}{}
		}
	}
	var out bytes.Buffer
	for _, der := range slices.Sorted(maps.Keys(certificates)) {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(der)}))
	}
	return out.Bytes()
}

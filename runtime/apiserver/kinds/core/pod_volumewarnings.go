package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// volumes tells of volumes whose files hide each other, and of claims that ask for parts of
// bytes. Volumes that no node has a driver of are refused.
func (w *warner) volumes(volumes []corev1.Volume, path *field.Path) {
	for i, v := range volumes {
		if v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil {
			resources := path.Index(i).Child("ephemeral", "volumeClaimTemplate", "spec", "resources")
			w.claim(&v.Ephemeral.VolumeClaimTemplate.Spec, resources)
		}
	}
	for _, v := range volumes {
		switch s := &v.VolumeSource; {
		case s.ConfigMap != nil:
			w.overlaps(v.Name, fmt.Sprintf("ConfigMap %q", s.ConfigMap.Name), keyFiles(s.ConfigMap.Items, ""))
		case s.Secret != nil:
			w.overlaps(v.Name, fmt.Sprintf("Secret %q", s.Secret.SecretName), keyFiles(s.Secret.Items, ""))
		case s.DownwardAPI != nil:
			w.overlaps(v.Name, "DownwardAPI", fieldFiles(s.DownwardAPI.Items, ""))
		case s.Projected != nil:
			var files []fileOf
			for _, p := range s.Projected.Sources {
				if p == (corev1.VolumeProjection{}) {
					w.out = append(w.out, fmt.Sprintf("volume %q (Projected) has no sources provided", v.Name))
				}
				files = append(files, projectedFiles(&p)...)
			}
			w.overlaps(v.Name, "Projected", files)
		}
	}
}

// claim tells of storage in parts of bytes.
func (w *warner) claim(s *corev1.PersistentVolumeClaimSpec, resources *field.Path) {
	if q := s.Resources.Requests[corev1.ResourceStorage]; !whole(q) {
		w.bytes(q, resources.Child("requests").Key(string(corev1.ResourceStorage)))
	}
	if q := s.Resources.Limits[corev1.ResourceStorage]; !whole(q) {
		w.bytes(q, resources.Child("limits").Key(string(corev1.ResourceStorage)))
	}
}

// fileOf is a file of a volume, and the source that it is of where there are several.
type fileOf struct{ path, source string }

func (f fileOf) String() string {
	if f.source == "" {
		return fmt.Sprintf("%q", f.path)
	}
	return fmt.Sprintf("%q (%s)", f.path, f.source)
}

// overlaps tells of files that are the same, or one of which is where the other has a
// directory.
func (w *warner) overlaps(volume, what string, files []fileOf) {
	for i := range files {
		files[i].path = strings.TrimRight(files[i].path, "/")
		for _, before := range files[:i] {
			this, other := files[i].path+"/", before.path+"/"
			if this == "/" || other == "/" || !strings.HasPrefix(this, other) && !strings.HasPrefix(other, this) {
				continue
			}
			w.out = append(w.out, fmt.Sprintf("volume %q (%s): overlapping paths: %s with %s", volume, what, files[i], before))
		}
	}
}

func keyFiles(items []corev1.KeyToPath, source string) []fileOf {
	var out []fileOf
	for _, it := range items {
		out = append(out, fileOf{it.Path, source})
	}
	return out
}

func fieldFiles(items []corev1.DownwardAPIVolumeFile, source string) []fileOf {
	var out []fileOf
	for _, it := range items {
		out = append(out, fileOf{it.Path, source})
	}
	return out
}

func projectedFiles(p *corev1.VolumeProjection) []fileOf {
	switch {
	case p.ConfigMap != nil && p.ConfigMap.Items != nil:
		return keyFiles(p.ConfigMap.Items, fmt.Sprintf("ConfigMap %q", p.ConfigMap.Name))
	case p.Secret != nil && p.Secret.Items != nil:
		return keyFiles(p.Secret.Items, fmt.Sprintf("Secret %q", p.Secret.Name))
	case p.DownwardAPI != nil && p.DownwardAPI.Items != nil:
		return fieldFiles(p.DownwardAPI.Items, "DownwardAPI")
	case p.ServiceAccountToken != nil:
		return []fileOf{{p.ServiceAccountToken.Path, "ServiceAccountToken"}}
	case p.ClusterTrustBundle != nil:
		name := p.ClusterTrustBundle.Name
		if name == nil {
			name = p.ClusterTrustBundle.SignerName
		}
		if name == nil {
			return nil // refused
		}
		return []fileOf{{p.ClusterTrustBundle.Path, fmt.Sprintf("ClusterTrustBundle %q", *name)}}
	case p.PodCertificate != nil:
		var out []fileOf
		for _, f := range []fileOf{
			{p.PodCertificate.CertificateChainPath, "PodCertificate chain"}, {p.PodCertificate.KeyPath, "PodCertificate key"},
			{p.PodCertificate.CredentialBundlePath, "PodCertificate credential bundle"},
		} {
			if f.path != "" {
				out = append(out, f)
			}
		}
		return out
	}
	return nil
}

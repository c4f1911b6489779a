package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// How long a certificate of a pod may be asked for, in seconds: Kubernetes' own signers
// issue none for longer than a day.
const (
	minCertificateSeconds           = 60 * 60
	maxCertificateSeconds           = 91 * 24 * 60 * 60
	maxKubernetesCertificateSeconds = 24 * 60 * 60
)

// keyTypes are those that a kubelet generates.
func keyTypes() []string {
	return []string{"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"}
}

// validateTrustBundle checks a projection of one bundle by name, or of a signer's.
func validateTrustBundle(c *corev1.ClusterTrustBundleProjection, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case c.Name != nil && c.SignerName != nil:
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "only one of name and signerName may be used"))
	case c.Name != nil:
		name := *c.Name
		if name == "" {
			errs = append(errs, field.Required(at.Child("name"), "must be a valid object name"))
		}
		signer := ""
		if i := strings.LastIndex(name, ":"); i >= 0 {
			signer = strings.ReplaceAll(name[:i], ":", "/")
		}
		for _, msg := range validate.TrustBundleName(signer, name, false) {
			errs = append(errs, field.Invalid(at.Child("name"), name, "not a valid clustertrustbundlename: "+msg))
		}
		if c.LabelSelector != nil {
			errs = append(errs, field.Invalid(at.Child("labelSelector"), c.LabelSelector, "labelSelector must be unset if name is specified"))
		}
	case c.SignerName != nil:
		if *c.SignerName == "" {
			errs = append(errs, field.Required(at.Child("signerName"), "must be a valid signer name"))
		}
		errs = append(errs, validate.SignerName(*c.SignerName, at.Child("signerName"))...)
		errs = append(errs, validate.LabelSelector(c.LabelSelector, at.Child("labelSelector"))...)
	default:
		errs = append(errs, field.Required(at, "either name or signerName must be specified"))
	}
	errs = append(errs, fileUser(c.User, at.Child("user"))...)
	return append(errs, filePath(c.Path, at.Child("path"))...)
}

// validatePodCertificate checks what is asked of a signer, and where it is put.
func validatePodCertificate(c *corev1.PodCertificateProjection, at *field.Path) field.ErrorList {
	errs := validate.SignerName(c.SignerName, at.Child("signerName"))
	errs = append(errs, fileUser(c.User, at.Child("user"))...)
	for _, k := range slices.Sorted(maps.Keys(c.UserAnnotations)) {
		errs = append(errs, utilvalidation.IsDomainPrefixedKey(at.Child("userAnnotations"), strings.ToLower(k))...)
	}
	if err := apivalidation.ValidateAnnotationsSize(c.UserAnnotations); err != nil {
		errs = append(errs, field.TooLong(at.Child("userAnnotations"), "", apivalidation.TotalAnnotationSizeLimitB))
	}
	if !slices.Contains(keyTypes(), c.KeyType) {
		errs = append(errs, field.NotSupported(at.Child("keyType"), c.KeyType, keyTypes()))
	}
	if n := c.MaxExpirationSeconds; n != nil {
		longest := int32(maxCertificateSeconds)
		if validate.IsKubernetesSigner(c.SignerName) {
			longest = maxKubernetesCertificateSeconds
		}
		if *n < minCertificateSeconds {
			errs = append(errs, field.Invalid(at.Child("maxExpirationSeconds"), *n, fmt.Sprintf("if provided, maxExpirationSeconds must be >= %d", minCertificateSeconds)))
		}
		if *n > longest {
			errs = append(errs, field.Invalid(at.Child("maxExpirationSeconds"), *n, fmt.Sprintf("if provided, maxExpirationSeconds must be <= %d", longest)))
		}
	}
	some := false
	for _, p := range []struct{ field, path string }{
		{"credentialBundlePath", c.CredentialBundlePath}, {"keyPath", c.KeyPath}, {"certificateChainPath", c.CertificateChainPath},
	} {
		if p.path != "" {
			some = true
			errs = append(errs, filePath(p.path, at.Child(p.field))...)
		}
	}
	if !some {
		errs = append(errs, field.Required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
	return errs
}

// samePaths refuses a file that two sources of a projected volume would write, as far as
// the sources say what their files are. As upstream, tokens are left out, and of objects
// the name is told.
func samePaths(v *corev1.ProjectedVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[string]bool{}
	file := func(path, told string) {
		if seen[path] {
			errs = append(errs, field.Invalid(at, told, "conflicting duplicate paths"))
		}
		seen[path] = true
	}
	add := func(path, told string) {
		if path != "" {
			file(path, told)
		}
	}
	items := func(name string, items []corev1.KeyToPath) {
		for _, it := range items {
			add(it.Path, name)
		}
	}
	for _, s := range v.Sources {
		if s.Secret != nil {
			items(s.Secret.Name, s.Secret.Items)
		}
		if s.ConfigMap != nil {
			items(s.ConfigMap.Name, s.ConfigMap.Items)
		}
		if s.DownwardAPI != nil {
			for _, f := range s.DownwardAPI.Items {
				add(f.Path, f.Path)
			}
		}
		if c := s.ClusterTrustBundle; c != nil {
			file(c.Path, c.Path) // also none
		}
		if c := s.PodCertificate; c != nil {
			for _, p := range []string{c.CredentialBundlePath, c.KeyPath, c.CertificateChainPath} {
				add(p, p)
			}
		}
	}
	return errs
}

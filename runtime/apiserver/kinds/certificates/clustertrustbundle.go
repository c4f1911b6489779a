package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

const maxTrustBundleSize = 1 << 20

func clusterTrustBundle() kind.Kind {
	return kind.Kind{
		GVK:                    certificatesv1.SchemeGroupVersion.WithKind("ClusterTrustBundle"),
		Resource:               "clustertrustbundles",
		NoWatchCache:           true,
		RequireResourceVersion: true,

		Declared:       kind.Declared(Validate_ClusterTrustBundle),
		Validate:       kind.Check(validateBundleName),
		ValidateUpdate: kind.CheckUpdate(validateBundleUpdate),
		ValidateCreate: kind.Check(func(b *certificatesv1.ClusterTrustBundle) field.ErrorList { return validateAnchors(b.Spec.TrustBundle) }),
		// Which names are good depends on the signer: validateBundleName has the rule.
		ValidateName: validate.PathSegmentName,

		Columns: printers.Columns("Name", "SignerName"),
		Cells: kind.Cells(func(b *certificatesv1.ClusterTrustBundle, _ time.Time) []any {
			return []any{b.Name, printers.OrNone(b.Spec.SignerName)}
		}),
		Fields: kind.Fields(func(b *certificatesv1.ClusterTrustBundle) fields.Set {
			return fields.Set{"spec.signerName": b.Spec.SignerName}
		}),
	}
}

func validateBundleName(b *certificatesv1.ClusterTrustBundle) field.ErrorList {
	var errs field.ErrorList
	check := func(name string, prefix bool, path *field.Path) {
		for _, msg := range validate.TrustBundleName(b.Spec.SignerName, name, prefix) {
			errs = append(errs, field.Invalid(path, name, msg))
		}
	}
	if b.GenerateName != "" {
		check(b.GenerateName, true, field.NewPath("metadata", "generateName"))
	}
	if b.Name != "" { // else it is told that it is required
		check(b.Name, false, field.NewPath("metadata", "name"))
	}
	if b.Spec.SignerName != "" {
		errs = append(errs, validate.SignerName(b.Spec.SignerName, field.NewPath("spec", "signerName"))...)
	}
	return errs
}

func validateBundleUpdate(b, old *certificatesv1.ClusterTrustBundle) field.ErrorList {
	errs := validate.Immutable(b.Spec.SignerName, old.Spec.SignerName, field.NewPath("spec", "signerName"))
	if b.Spec.TrustBundle != old.Spec.TrustBundle {
		errs = append(errs, validateAnchors(b.Spec.TrustBundle)...)
	}
	return errs
}

// validateAnchors wants certificates of authorities, each once.
func validateAnchors(bundle string) field.ErrorList {
	path := field.NewPath("spec", "trustBundle")
	if len(bundle) > maxTrustBundleSize {
		return field.ErrorList{field.TooLong(path, "", maxTrustBundleSize)}
	}
	var errs field.ErrorList
	at := map[string][]int{}
	var order []string
	rest := []byte(bundle)
	for i := 0; ; i++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if wrong := anchor(block); wrong != "" {
			errs = append(errs, field.Invalid(path, "<value omitted>", fmt.Sprintf("entry %d %s", i, wrong)))
			continue
		}
		if at[string(block.Bytes)] == nil {
			order = append(order, string(block.Bytes))
		}
		at[string(block.Bytes)] = append(at[string(block.Bytes)], i)
	}
	if len(errs) > 0 {
		return errs
	}
	if len(order) == 0 {
		return field.ErrorList{field.Invalid(path, "<value omitted>", "at least one trust anchor must be provided")}
	}
	for _, der := range order {
		if len(at[der]) > 1 {
			errs = append(errs, field.Invalid(path, "<value omitted>", fmt.Sprintf("duplicate trust anchor (indices %v)", at[der])))
		}
	}
	return errs
}

// anchor says what keeps a PEM block from being a trust anchor.
func anchor(block *pem.Block) string {
	if block.Type != "CERTIFICATE" {
		return fmt.Sprintf("has bad block type: %v", block.Type)
	}
	if len(block.Headers) > 0 {
		return "has PEM block headers"
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return "does not parse as X.509"
	case !cert.IsCA:
		return "does not have the CA bit set"
	case !cert.BasicConstraintsValid:
		return "has invalid basic constraints"
	}
	return ""
}

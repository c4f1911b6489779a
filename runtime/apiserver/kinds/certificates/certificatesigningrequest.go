package certificates

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func certificateSigningRequest() kind.Kind {
	return kind.Kind{
		GVK:          certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"),
		Resource:     "certificatesigningrequests",
		ShortNames:   []string{"csr"},
		Status:       true,
		Subresources: []kind.Subresource{{Name: "approval", Served: kind.Approval}},
		NoWatchCache: true,

		// Who asks is not the client's to say.
		SetRequester: kind.RequestedBy(func(r *certificatesv1.CertificateSigningRequest, by kind.Requester) {
			r.Spec.Username, r.Spec.UID, r.Spec.Groups, r.Spec.Extra = by.Username, by.UID, by.Groups, nil
			for k, v := range by.Extra {
				if r.Spec.Extra == nil {
					r.Spec.Extra = map[string]certificatesv1.ExtraValue{}
				}
				r.Spec.Extra[k] = v
			}
		}),
		// A request is what it was when it was made.
		PrepareForUpdate: kind.OnUpdate(func(r, old *certificatesv1.CertificateSigningRequest) {
			r.Spec = *old.Spec.DeepCopy()
			r.Status = *old.Status.DeepCopy()
		}),
		PrepareForStatusUpdate: kind.OnUpdate(prepareCSRStatus),
		Declared:               kind.Declared(Validate_CertificateSigningRequest),
		Validate:               kind.Check(validateCSR),
		ValidateStatusUpdate:   kind.CheckUpdate(validateCSRStatus),
		ValidateName:           validate.PathSegmentName,

		Columns: printers.Columns("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
		Cells: kind.Cells(func(r *certificatesv1.CertificateSigningRequest, now time.Time) []any {
			wish := printers.None
			if s := r.Spec.ExpirationSeconds; s != nil {
				wish = duration.HumanDuration(time.Duration(*s) * time.Second)
			}
			return []any{r.Name, printers.Age(r.ObjectMeta, now), r.Spec.SignerName, r.Spec.Username, wish, csrCondition(r)}
		}),
		Fields: kind.Fields(func(r *certificatesv1.CertificateSigningRequest) fields.Set {
			return fields.Set{"spec.signerName": r.Spec.SignerName}
		}),
	}
}

// prepareCSRStatus keeps approval and denial out of the status subresource: they
// come through the approval subresource, and are final.
func prepareCSRStatus(r, old *certificatesv1.CertificateSigningRequest) {
	r.Spec = *old.Spec.DeepCopy()
	kept := make([]certificatesv1.CertificateSigningRequestCondition, 0, len(r.Status.Conditions))
	for _, c := range old.Status.Conditions {
		if decides(c.Type) {
			kept = append(kept, c)
		}
	}
	for _, c := range r.Status.Conditions {
		if !decides(c.Type) {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		kept = nil
	}
	r.Status.Conditions = kept
}

func decides(t certificatesv1.RequestConditionType) bool {
	return t == certificatesv1.CertificateApproved || t == certificatesv1.CertificateDenied
}

func validateCSR(r *certificatesv1.CertificateSigningRequest) field.ErrorList {
	s, spec := &r.Spec, field.NewPath("spec")
	var errs field.ErrorList
	if len(s.Request) == 0 {
		errs = append(errs, field.Required(spec.Child("request"), ""))
	} else if err := pemRequest(s.Request); err != "" {
		errs = append(errs, field.Invalid(spec.Child("request"), s.Request, err))
	}
	if len(s.Usages) == 0 {
		errs = append(errs, field.Required(spec.Child("usages"), ""))
	}
	known := keyUsages()
	for i, u := range s.Usages {
		if !known.Has(u) {
			errs = append(errs, field.NotSupported(spec.Child("usages").Index(i), u, sets.List(known)))
		}
	}
	if s.ExpirationSeconds != nil && *s.ExpirationSeconds < 600 {
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *s.ExpirationSeconds, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return append(errs, signerName(s.SignerName, spec.Child("signerName"))...)
}

// signerName checks domain/path, where the domain has at least two labels.
func signerName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	domain, rest, ok := strings.Cut(name, "/")
	if !ok || rest == "" {
		return field.ErrorList{field.Invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	errs := validate.InvalidIf(validation.IsDNS1123Subdomain(domain), path, domain)
	if !strings.Contains(domain, ".") {
		errs = append(errs, field.Invalid(path, domain, "should be a domain with at least two segments separated by dots"))
	}
	for _, label := range strings.Split(rest, ".") {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(strings.ReplaceAll(label, ":", "-")), path, rest)...)
	}
	return errs
}

func pemRequest(raw []byte) string {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return "PEM block type must be CERTIFICATE REQUEST"
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return err.Error()
	}
	if err := request.CheckSignature(); err != nil {
		return err.Error()
	}
	return ""
}

func keyUsages() sets.Set[certificatesv1.KeyUsage] {
	return sets.New(
		certificatesv1.UsageSigning, certificatesv1.UsageDigitalSignature, certificatesv1.UsageContentCommitment,
		certificatesv1.UsageKeyEncipherment, certificatesv1.UsageKeyAgreement, certificatesv1.UsageDataEncipherment,
		certificatesv1.UsageCertSign, certificatesv1.UsageCRLSign, certificatesv1.UsageEncipherOnly,
		certificatesv1.UsageDecipherOnly, certificatesv1.UsageAny, certificatesv1.UsageServerAuth,
		certificatesv1.UsageClientAuth, certificatesv1.UsageCodeSigning, certificatesv1.UsageEmailProtection,
		certificatesv1.UsageSMIME, certificatesv1.UsageIPsecEndSystem, certificatesv1.UsageIPsecTunnel,
		certificatesv1.UsageIPsecUser, certificatesv1.UsageTimestamping, certificatesv1.UsageOCSPSigning,
		certificatesv1.UsageMicrosoftSGC, certificatesv1.UsageNetscapeSGC,
	)
}

func validateCSRStatus(r, old *certificatesv1.CertificateSigningRequest) field.ErrorList {
	status := field.NewPath("status")
	var errs field.ErrorList
	if len(old.Status.Certificate) > 0 && string(r.Status.Certificate) != string(old.Status.Certificate) {
		errs = append(errs, field.Forbidden(status.Child("certificate"), "updates may not set certificate content once it is set"))
	}
	has := sets.New[certificatesv1.RequestConditionType]()
	for i, c := range r.Status.Conditions {
		at := status.Child("conditions").Index(i)
		errs = append(errs, validate.Required(string(c.Type), at.Child("type"))...)
		errs = append(errs, validate.OneOf(c.Status, at.Child("status"), corev1.ConditionTrue, corev1.ConditionFalse, corev1.ConditionUnknown)...)
		if (decides(c.Type) || c.Type == certificatesv1.CertificateFailed) && c.Status != corev1.ConditionTrue && c.Status != "" {
			errs = append(errs, field.NotSupported(at.Child("status"), c.Status, []corev1.ConditionStatus{corev1.ConditionTrue}))
		}
		if has.Has(c.Type) {
			errs = append(errs, field.Duplicate(at.Child("type"), c.Type))
		}
		has.Insert(c.Type)
	}
	return errs
}

func csrCondition(r *certificatesv1.CertificateSigningRequest) string {
	out := "Pending"
	failed := false
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificatesv1.CertificateApproved, certificatesv1.CertificateDenied:
			out = string(c.Type)
		case certificatesv1.CertificateFailed:
			failed = true
		}
	}
	if failed {
		out += ",Failed"
	}
	if len(r.Status.Certificate) > 0 {
		out += ",Issued"
	}
	return out
}

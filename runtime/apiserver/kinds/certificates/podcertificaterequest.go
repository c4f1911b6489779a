package certificates

import (
	"maps"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// How long certificates of pods live, in seconds: as their kubelet wishes, within
// these bounds. Kubernetes' own signers stay below a day.
const (
	defaultPodCertificateSeconds = 24 * 60 * 60
	minPodCertificateSeconds     = 60 * 60
	maxPodCertificateSeconds     = 91 * 24 * 60 * 60
	maxKubernetesSignerSeconds   = 24 * 60 * 60
)

const (
	maxUIDLength    = 128
	maxStubRequest  = 10 << 10
	maxCertificates = 100 << 10
)

func podCertificateRequest() kind.Kind {
	return kind.Kind{
		GVK:                    certificatesv1.SchemeGroupVersion.WithKind("PodCertificateRequest"),
		Resource:               "podcertificaterequests",
		Namespaced:             true,
		Status:                 true,
		StatusKeeps:            kind.AllMetadata,
		NoWatchCache:           true,
		RequireResourceVersion: true,

		Default: kind.On(func(r *certificatesv1.PodCertificateRequest) {
			kind.SetDefaultPtr(&r.Spec.MaxExpirationSeconds, defaultPodCertificateSeconds)
		}),
		Declared:       kind.Declared(Validate_PodCertificateRequest),
		ValidateCreate: kind.Check(validatePCR),
		ValidateUpdate: kind.CheckUpdate(func(r, old *certificatesv1.PodCertificateRequest) field.ErrorList {
			return validate.Immutable(r.Spec, old.Spec, field.NewPath("spec"))
		}),
		ValidateStatusUpdate: kind.CheckUpdate(validatePCRStatus),

		Columns: printers.Columns("Name", "PodName", "ServiceAccountName", "NodeName", "SignerName", "State", "UnverifiedUserAnnotations"),
		Cells: kind.Cells(func(r *certificatesv1.PodCertificateRequest, _ time.Time) []any {
			s := &r.Spec
			return []any{r.Name, s.PodName, s.ServiceAccountName, string(s.NodeName), s.SignerName, pcrState(r), printers.Labels(s.UnverifiedUserAnnotations)}
		}),
		Fields: kind.Fields(func(r *certificatesv1.PodCertificateRequest) fields.Set {
			return fields.Set{"spec.signerName": r.Spec.SignerName, "spec.podName": r.Spec.PodName, "spec.nodeName": string(r.Spec.NodeName)}
		}),
	}
}

func pcrState(r *certificatesv1.PodCertificateRequest) string {
	for _, t := range pcrOutcomes() {
		if meta.IsStatusConditionTrue(r.Status.Conditions, t) {
			return t
		}
	}
	return "Pending"
}

// pcrOutcomes are the conditions that end a request. They are final, and there is
// at most one.
func pcrOutcomes() []string {
	return []string{
		certificatesv1.PodCertificateRequestConditionTypeIssued,
		certificatesv1.PodCertificateRequestConditionTypeDenied,
		certificatesv1.PodCertificateRequestConditionTypeFailed,
	}
}

func validatePCR(r *certificatesv1.PodCertificateRequest) field.ErrorList {
	s, spec := &r.Spec, field.NewPath("spec")
	errs := validate.SignerName(s.SignerName, spec.Child("signerName"))
	for _, k := range slices.Sorted(maps.Keys(s.UnverifiedUserAnnotations)) {
		errs = append(errs, utilvalidation.IsDomainPrefixedKey(spec.Child("unverifiedUserAnnotations"), strings.ToLower(k))...)
	}
	if err := validation.ValidateAnnotationsSize(s.UnverifiedUserAnnotations); err != nil {
		errs = append(errs, field.TooLong(spec.Child("unverifiedUserAnnotations"), "", validation.TotalAnnotationSizeLimitB))
	}
	for _, of := range []struct{ what, name, uid string }{
		{"pod", s.PodName, string(s.PodUID)}, {"serviceAccount", s.ServiceAccountName, string(s.ServiceAccountUID)}, {"node", string(s.NodeName), string(s.NodeUID)},
	} {
		errs = append(errs, validate.InvalidIf(validation.NameIsDNSSubdomain(of.name, false), spec.Child(of.what+"Name"), of.name)...)
		if of.uid == "" {
			errs = append(errs, field.Invalid(spec.Child(of.what+"UID"), of.uid, "must not be empty"))
		}
		if len(of.uid) > maxUIDLength {
			errs = append(errs, field.TooLong(spec.Child(of.what+"UID"), of.uid, maxUIDLength))
		}
	}
	if s.MaxExpirationSeconds == nil {
		return append(errs, field.Required(spec.Child("maxExpirationSeconds"), "must be set"))
	}
	longest := int32(maxPodCertificateSeconds)
	if validate.IsKubernetesSigner(s.SignerName) {
		longest = maxKubernetesSignerSeconds
	}
	if n := *s.MaxExpirationSeconds; n < minPodCertificateSeconds || n > longest {
		errs = append(errs, field.Invalid(spec.Child("maxExpirationSeconds"), n, rangeText(minPodCertificateSeconds, longest)))
	}
	return append(errs, validateStub(s.StubPKCS10Request, spec)...)
}

// validatePCRStatus lets a signer end a request once, in one of three ways.
func validatePCRStatus(r, old *certificatesv1.PodCertificateRequest) field.ErrorList {
	path := field.NewPath("status")
	if errs := validatePCRConditions(r.Status.Conditions, path.Child("conditions")); len(errs) > 0 {
		return errs
	}
	differs := func(a, b certificatesv1.PodCertificateRequestStatus, detail string) field.ErrorList {
		if len(validate.Immutable(a, b, path)) > 0 {
			return field.ErrorList{field.Invalid(path, field.OmitValueType{}, detail)}
		}
		return nil
	}
	if pcrState(old) != "Pending" {
		return differs(r.Status, old.Status, "immutable after PodCertificateRequest is issued, denied, or failed")
	}
	switch pcrState(r) {
	case certificatesv1.PodCertificateRequestConditionTypeIssued:
		return validateIssued(r, old)
	case certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed:
		return differs(r.Status, certificatesv1.PodCertificateRequestStatus{Conditions: r.Status.Conditions},
			"non-condition status fields must be empty when denying or failing the PodCertificateRequest")
	}
	return differs(r.Status, old.Status, `status is immutable unless transitioning to "Issued", "Denied", or "Failed"`)
}

func validatePCRConditions(conditions []metav1.Condition, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	outcomes := 0
	for i, c := range conditions {
		at := path.Index(i)
		if unknown := validate.OneOf(c.Type, at.Child("type"), pcrOutcomes()...); len(unknown) > 0 {
			errs = append(errs, unknown...)
			continue
		}
		if outcomes++; outcomes > 1 {
			errs = append(errs, field.Invalid(at.Child("type"), c.Type, `There may be at most one condition with type "Issued", "Denied", or "Failed"`))
		}
		errs = append(errs, validate.OneOf(c.Status, at.Child("status"), metav1.ConditionTrue)...)
		if c.Reason == "" {
			errs = append(errs, field.Required(at.Child("reason"), "must be set"))
		}
		if c.LastTransitionTime.IsZero() {
			errs = append(errs, field.Required(at.Child("lastTransitionTime"), "must be set"))
		}
	}
	return errs
}

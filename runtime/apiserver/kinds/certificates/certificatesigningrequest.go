package certificates

import (
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/duration"

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
		Subresources: []kind.Subresource{{Name: "approval", Served: kind.Approval, Validate: kind.CheckUpdate(validateCSRApproval)}},
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
		Resets: []string{"spec"},
		PrepareForUpdate: kind.OnUpdate(func(r, old *certificatesv1.CertificateSigningRequest) {
			r.Spec = *old.Spec.DeepCopy()
			r.Status = *old.Status.DeepCopy()
		}),
		PrepareForStatusUpdate: kind.OnUpdate(prepareCSRStatus),
		Stamp:                  kind.Stamp(stampCSR),
		Declared:               kind.Declared(Validate_CertificateSigningRequest),
		Validate:               kind.Check(validateCSR),
		ValidateCreate:         kind.Check(validateNewCSR),
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

// prepareCSRStatus keeps approval and denial as they are: they come through the
// approval subresource. Where their number differs, validation refuses the write.
func prepareCSRStatus(r, old *certificatesv1.CertificateSigningRequest) {
	r.Spec = *old.Spec.DeepCopy()
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		kept, at := conditionsOf(old, t), indexesOf(r, t)
		if len(kept) != len(at) {
			continue
		}
		for i := range kept {
			r.Status.Conditions[at[i]] = *kept[i].DeepCopy()
		}
	}
}

// stampCSR gives conditions their times: the cleaner counts from them.
func stampCSR(r, old *certificatesv1.CertificateSigningRequest, now time.Time) {
	for i := range r.Status.Conditions {
		c := &r.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = metav1.NewTime(now)
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = metav1.NewTime(now)
		for _, was := range conditionsOf(old, c.Type) {
			if was.Status == c.Status && !was.LastTransitionTime.IsZero() {
				c.LastTransitionTime = was.LastTransitionTime
				break
			}
		}
	}
}

func indexesOf(r *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) []int {
	var out []int
	for i := range r.Status.Conditions {
		if r.Status.Conditions[i].Type == t {
			out = append(out, i)
		}
	}
	return out
}

func conditionsOf(r *certificatesv1.CertificateSigningRequest, t certificatesv1.RequestConditionType) []certificatesv1.CertificateSigningRequestCondition {
	var out []certificatesv1.CertificateSigningRequestCondition
	for _, i := range indexesOf(r, t) {
		out = append(out, r.Status.Conditions[i])
	}
	return out
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

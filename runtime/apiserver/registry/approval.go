package registry

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// NewApproval is certificatesigningrequests/approval: it writes the approval
// conditions and nothing else.
func NewApproval(s *Store) *SubresourceREST {
	return newSubresource(s, approvalStrategy{statusStrategy{s.strategy}})
}

type approvalStrategy struct{ statusStrategy }

func (s approvalStrategy) PrepareForUpdate(ctx context.Context, obj, old runtime.Object) {
	conditions := obj.(*certificatesv1.CertificateSigningRequest).Status.Conditions
	s.statusStrategy.PrepareForUpdate(ctx, obj, old)
	s.layout.keepStatus(obj, old)
	obj.(*certificatesv1.CertificateSigningRequest).Status.Conditions = conditions
}

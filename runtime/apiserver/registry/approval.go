package registry

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// NewApproval is certificatesigningrequests/approval: it writes the conditions, of
// which only it may add approval and denial. validate is the row's rule for it.
func NewApproval(s *Store, validate func(obj, old runtime.Object) field.ErrorList) *SubresourceREST {
	return newSubresource(s, approvalStrategy{s.strategy, validate})
}

type approvalStrategy struct {
	strategy
	validate func(obj, old runtime.Object) field.ErrorList
}

func (s approvalStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (s approvalStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	conditions := obj.(*certificatesv1.CertificateSigningRequest).Status.Conditions
	s.layout.keepAllButStatus(obj, old)
	s.layout.keepStatus(obj, old)
	obj.(*certificatesv1.CertificateSigningRequest).Status.Conditions = conditions
	s.stamp(obj, old)
}

func (s approvalStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return s.validate(obj, old)
}

func (s approvalStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s approvalStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.resetFields("spec", "status.certificate")
}

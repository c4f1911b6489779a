package admission

import (
	"context"
	"errors"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/component-base/metrics"
	podsecurity "k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/admission/api/load"
	"k8s.io/pod-security-admission/api"
	psmetrics "k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// PodSecurity holds pods to the Pod Security Standard that their namespace's labels
// name, or its configuration where they name none, and warns of workloads whose pods
// would be refused.
//
// https://kubernetes.io/docs/concepts/security/pod-security-admission/
type PodSecurity struct{ library *podsecurity.Admission }

var _ admission.ValidationInterface = &PodSecurity{}

// PodSecuritySources are where PodSecurity finds objects, which it does not change.
type PodSecuritySources struct {
	Namespace func(ctx context.Context, name string) (*corev1.Namespace, error)
	// Pods returns those of a namespace: they are checked when its labels change.
	Pods func(ctx context.Context, namespace string) ([]*corev1.Pod, error)
}

// GetNamespace implements the library's interface.
func (s PodSecuritySources) GetNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	return s.Namespace(ctx, name)
}

// ListPods implements the library's interface.
func (s PodSecuritySources) ListPods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	return s.Pods(ctx, namespace)
}

// NewPodSecurity returns the plugin with a PodSecurityConfiguration; without one, what is
// not labelled is free, and nobody is exempt. register takes its metrics.
func NewPodSecurity(configuration []byte, from PodSecuritySources, register func(metrics.Registerable) error) (*PodSecurity, error) {
	cfg, err := load.LoadFromData(configuration)
	if err != nil {
		return nil, err
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, err
	}
	recorder := psmetrics.NewPrometheusRecorder(api.GetAPIVersion())
	var errs []error
	recorder.MustRegister(func(all ...metrics.Registerable) {
		for _, m := range all {
			errs = append(errs, register(m))
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p := &PodSecurity{&podsecurity.Admission{
		Configuration: cfg, Evaluator: evaluator, Metrics: recorder, PodSpecExtractor: podsecurity.DefaultPodSpecExtractor{},
		NamespaceGetter: from, PodLister: from,
	}}
	if err := p.library.CompleteConfiguration(); err != nil {
		return nil, err
	}
	return p, p.library.ValidateConfiguration()
}

// Handles says that writes are looked at.
func (p *PodSecurity) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate asks the library, and hands on its warnings and what it has for the
// audit log.
func (p *PodSecurity) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	gr := a.GetResource().GroupResource()
	if gr != corev1.Resource("namespaces") && !p.library.PodSpecExtractor.HasPodSpec(gr) {
		return nil
	}
	got := p.library.Validate(ctx, podSecurityAttributes{a})
	for _, w := range got.Warnings {
		warning.AddWarning(ctx, "", w)
	}
	for k, v := range got.AuditAnnotations {
		audit.AddAuditAnnotation(ctx, api.AuditAnnotationPrefix+k, v)
	}
	if got.Allowed {
		return nil
	}
	err := admission.NewForbidden(a, errors.New("Not allowed by PodSecurity")) //nolint:staticcheck // upstream's words
	refusal := &apierrors.StatusError{}
	if why := got.Result; why != nil && errors.As(err, &refusal) {
		s := &refusal.ErrStatus
		if why.Message != "" {
			s.Message = why.Message
		}
		if why.Reason != "" {
			s.Reason = why.Reason
		}
		if why.Details != nil {
			s.Details = why.Details
		}
		if why.Code != 0 {
			s.Code = why.Code
		}
	}
	return err
}

// podSecurityAttributes are a request as the library wants it.
type podSecurityAttributes struct{ admission.Attributes }

func (a podSecurityAttributes) GetObject() (runtime.Object, error) {
	return a.Attributes.GetObject(), nil
}

func (a podSecurityAttributes) GetOldObject() (runtime.Object, error) {
	return a.Attributes.GetOldObject(), nil
}

func (a podSecurityAttributes) GetOperation() admissionv1.Operation {
	return admissionv1.Operation(a.Attributes.GetOperation())
}

func (a podSecurityAttributes) GetUserName() string { return a.GetUserInfo().GetName() }

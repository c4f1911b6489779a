package core

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// validateProbe checks a probe. A probe that restarts its container on failure
// (liveness, startup) cannot ask for more than one success.
func validateProbe(p *corev1.Probe, restarts bool, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := validateHandler(p.Exec, p.HTTPGet, p.TCPSocket, path)
	handlers := handlerCount(p.Exec, p.HTTPGet, p.TCPSocket)
	if p.GRPC != nil {
		handlers++
		errs = append(errs, validate.PortNumber(p.GRPC.Port, path.Child("grpc", "port"))...)
	}
	errs = append(errs, exactlyOneHandler(handlers, path)...)
	for _, f := range []struct {
		name string
		n    int32
	}{
		{"initialDelaySeconds", p.InitialDelaySeconds},
		{"timeoutSeconds", p.TimeoutSeconds},
		{"periodSeconds", p.PeriodSeconds},
		{"successThreshold", p.SuccessThreshold},
		{"failureThreshold", p.FailureThreshold},
	} {
		errs = append(errs, validate.NonNegative(f.n, path.Child(f.name))...)
	}
	if p.TerminationGracePeriodSeconds != nil {
		errs = append(errs, validate.Positive(*p.TerminationGracePeriodSeconds, path.Child("terminationGracePeriodSeconds"))...)
	}
	if restarts && p.SuccessThreshold != 1 {
		errs = append(errs, field.Invalid(path.Child("successThreshold"), p.SuccessThreshold, "must be 1"))
	}
	return errs
}

// validateHook checks a lifecycle hook; grace is the pod's grace period in
// seconds, which a sleep may not outlast.
func validateHook(h *corev1.LifecycleHandler, grace int64, path *field.Path) field.ErrorList {
	if h == nil {
		return nil
	}
	errs := validateHandler(h.Exec, h.HTTPGet, h.TCPSocket, path)
	handlers := handlerCount(h.Exec, h.HTTPGet, h.TCPSocket)
	if h.Sleep != nil {
		handlers++
		if h.Sleep.Seconds < 0 || h.Sleep.Seconds > grace {
			errs = append(errs, field.Invalid(path.Child("sleep"), h.Sleep.Seconds,
				fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", grace)))
		}
	}
	return append(errs, exactlyOneHandler(handlers, path)...)
}

func handlerCount(exec *corev1.ExecAction, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) int {
	n := 0
	for _, set := range []bool{exec != nil, http != nil, tcp != nil} {
		if set {
			n++
		}
	}
	return n
}

func exactlyOneHandler(n int, path *field.Path) field.ErrorList {
	switch {
	case n == 0:
		return field.ErrorList{field.Required(path, "must specify a handler type")}
	case n > 1:
		return field.ErrorList{field.Forbidden(path, "may not specify more than 1 handler type")}
	}
	return nil
}

func validateHandler(exec *corev1.ExecAction, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if exec != nil && len(exec.Command) == 0 {
		errs = append(errs, field.Required(path.Child("exec", "command"), ""))
	}
	if http != nil {
		p := path.Child("httpGet")
		errs = append(errs, validate.Required(http.Path, p.Child("path"))...)
		errs = append(errs, validate.PortOrName(http.Port, p.Child("port"))...)
		errs = append(errs, validate.OneOf(http.Scheme, p.Child("scheme"), corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
		for i, h := range http.HTTPHeaders {
			errs = append(errs, validate.InvalidIf(validation.IsHTTPHeaderName(h.Name), p.Child("httpHeaders").Index(i).Child("name"), h.Name)...)
		}
	}
	if tcp != nil {
		errs = append(errs, validate.PortOrName(tcp.Port, path.Child("tcpSocket", "port"))...)
	}
	return errs
}

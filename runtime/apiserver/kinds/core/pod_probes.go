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
	errs := validateHandlers(path, append(commonHandlers(p.Exec, p.HTTPGet, p.TCPSocket), handler{"grpc", p.GRPC != nil, func(at *field.Path) field.ErrorList {
		return validate.PortNumber(p.GRPC.Port, at.Child("port"))
	}}))
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
	return validateHandlers(path, append(commonHandlers(h.Exec, h.HTTPGet, h.TCPSocket), handler{"sleep", h.Sleep != nil, func(at *field.Path) field.ErrorList {
		if h.Sleep.Seconds >= 0 && h.Sleep.Seconds <= grace {
			return nil
		}
		return field.ErrorList{field.Invalid(at, h.Sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", grace))}
	}}))
}

// handler is one of the things that a probe or a hook may do.
type handler struct {
	name  string
	set   bool
	check func(at *field.Path) field.ErrorList
}

// validateHandlers: there is exactly one. Those beyond the first are not looked at.
func validateHandlers(path *field.Path, all []handler) field.ErrorList {
	var errs field.ErrorList
	found := false
	for _, h := range all {
		switch {
		case !h.set:
		case found:
			errs = append(errs, field.Forbidden(path.Child(h.name), "may not specify more than 1 handler type"))
		default:
			found = true
			errs = append(errs, h.check(path.Child(h.name))...)
		}
	}
	if !found {
		errs = append(errs, field.Required(path, "must specify a handler type"))
	}
	return errs
}

func commonHandlers(exec *corev1.ExecAction, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) []handler {
	return []handler{
		{"exec", exec != nil, func(at *field.Path) field.ErrorList {
			if len(exec.Command) == 0 {
				return field.ErrorList{field.Required(at.Child("command"), "")}
			}
			return nil
		}},
		{"httpGet", http != nil, func(at *field.Path) field.ErrorList {
			errs := validate.Required(http.Path, at.Child("path"))
			errs = append(errs, validate.PortOrName(http.Port, at.Child("port"))...)
			errs = append(errs, validate.Known(http.Scheme, at.Child("scheme"), corev1.URISchemeHTTP, corev1.URISchemeHTTPS)...)
			for _, h := range http.HTTPHeaders {
				errs = append(errs, validate.InvalidIf(validation.IsHTTPHeaderName(h.Name), at.Child("httpHeaders"), h.Name)...)
			}
			return errs
		}},
		{"tcpSocket", tcp != nil, func(at *field.Path) field.ErrorList { return validate.PortOrName(tcp.Port, at.Child("port")) }},
	}
}

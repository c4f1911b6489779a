package core

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// No node of the cluster runs Windows; templates of pods that do may be kept for one that will.

// What Windows takes of credentials and names.
const (
	maxCredentialSpec = 64 * 1024
	maxUserDomain     = 256
	maxUserName       = 104
)

// Names of domains, and what is no name of a user.
const (
	netBIOSName = `^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$`
	domainName  = `^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$`
	noUserName  = `["/\\:;|=,\+\*\?<>@\[\]]|^[\. ]+$`
	control     = `[[:cntrl:]]`
)

// validateOS checks the system that a pod is for, and that it asks nothing of it that only
// another has.
func validateOS(s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	if s.OS == nil {
		return nil
	}
	path := spec.Child("os")
	switch s.OS.Name {
	case "":
		return field.ErrorList{field.Required(path.Child("name"), "")}
	case corev1.Linux:
		return validateLinux(s, spec)
	case corev1.Windows:
		return validateWindows(s, spec)
	}
	return field.ErrorList{field.NotSupported(path, s.OS.Name, []corev1.OSName{corev1.Linux, corev1.Windows})}
}

func validateLinux(s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	const why = "windows options cannot be set for a linux pod"
	var errs field.ErrorList
	if s.SecurityContext != nil && s.SecurityContext.WindowsOptions != nil {
		errs = append(errs, field.Forbidden(spec.Child("securityContext", "windowsOptions"), why))
	}
	containersAt(s, spec, func(c *corev1.Container, path *field.Path) {
		if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil {
			errs = append(errs, field.Forbidden(path.Child("securityContext", "windowsOptions"), why))
		}
	})
	return errs
}

func validateWindows(s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	const why = "cannot be set for a windows pod"
	var errs field.ErrorList
	if sc := s.SecurityContext; sc != nil {
		of := *sc
		if len(of.Sysctls) == 0 {
			of.Sysctls = nil
		}
		errs = append(errs, validate.OnlySet(of, spec.Child("securityContext"), why, "windowsOptions", "runAsNonRoot")...)
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"hostUsers", s.HostUsers != nil}, {"hostPID", s.HostPID}, {"hostIPC", s.HostIPC}, {"shareProcessNamespace", s.ShareProcessNamespace != nil}} {
		if f.set {
			errs = append(errs, field.Forbidden(spec.Child(f.name), why))
		}
	}
	containersAt(s, spec, func(c *corev1.Container, path *field.Path) {
		if c.SecurityContext != nil {
			errs = append(errs, validate.OnlySet(*c.SecurityContext, path.Child("securityContext"), why, "windowsOptions", "runAsNonRoot")...)
		}
	})
	return errs
}

func validateWindowsOptions(o *corev1.WindowsSecurityContextOptions, path *field.Path) field.ErrorList {
	if o == nil {
		return nil
	}
	var errs field.ErrorList
	if n := o.GMSACredentialSpecName; n != nil {
		errs = append(errs, validate.InvalidIf(validation.IsDNS1123Subdomain(*n), path.Child("gmsaCredentialSpecName"), *n)...)
	}
	if c, at := o.GMSACredentialSpec, path.Child("gmsaCredentialSpec"); c != nil {
		switch {
		case *c == "":
			errs = append(errs, field.Invalid(at, *c, "gmsaCredentialSpec cannot be an empty string"))
		case len(*c) > maxCredentialSpec:
			errs = append(errs, field.Invalid(at, *c, fmt.Sprintf("gmsaCredentialSpec size must be under %d KiB", maxCredentialSpec/1024)))
		}
	}
	if u := o.RunAsUserName; u != nil {
		errs = append(errs, validate.InvalidIf(userNameProblems(*u), path.Child("runAsUserName"), *u)...)
	}
	return errs
}

// userNameProblems says what is wrong with a user, or a user of a domain.
func userNameProblems(name string) []string {
	switch {
	case name == "":
		return []string{"runAsUserName cannot be an empty string"}
	case regexp.MustCompile(control).MatchString(name):
		return []string{"runAsUserName cannot contain control characters"}
	case strings.Count(name, `\`) > 1:
		return []string{"runAsUserName cannot contain more than one backslash"}
	}
	var out []string
	domain, user, of := strings.Cut(name, `\`)
	if !of {
		domain, user = "", name
	}
	if len(domain) >= maxUserDomain {
		out = append(out, fmt.Sprintf("runAsUserName's Domain length must be under %d characters", maxUserDomain))
	}
	if of && !regexp.MustCompile(netBIOSName).MatchString(domain) && !regexp.MustCompile(domainName).MatchString(domain) {
		out = append(out, "runAsUserName's Domain doesn't match the NetBios nor the DNS format")
	}
	switch {
	case user == "":
		out = append(out, "runAsUserName's User cannot be empty")
	case len(user) > maxUserName:
		out = append(out, fmt.Sprintf("runAsUserName's User length must not be longer than %d characters", maxUserName))
	}
	if regexp.MustCompile(noUserName).MatchString(user) {
		out = append(out, `runAsUserName's User cannot contain only periods or spaces, nor any of "/\:;|=,+*?<>@[]`)
	}
	return out
}

// validateHostProcess: containers that are processes of a Windows host are all of a pod's, and
// in the host's network.
func validateHostProcess(s *corev1.PodSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	var pod *bool
	if s.SecurityContext != nil && s.SecurityContext.WindowsOptions != nil {
		pod = s.SecurityContext.WindowsOptions.HostProcess
	}
	all, host := 0, 0
	containersAt(s, spec, func(c *corev1.Container, path *field.Path) {
		all++
		own := pod
		if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil && c.SecurityContext.WindowsOptions.HostProcess != nil {
			own = c.SecurityContext.WindowsOptions.HostProcess
			if pod != nil && *pod != *own {
				errs = append(errs, field.Invalid(path.Child("securityContext", "windowsOptions", "hostProcess"), *own, fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *pod)))
			}
		}
		if ptr.Deref(own, false) {
			host++
		}
	})
	if host == 0 {
		return errs
	}
	if host != all {
		errs = append(errs, field.Invalid(spec, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"))
	}
	if !s.HostNetwork {
		errs = append(errs, field.Invalid(spec.Child("hostNetwork"), s.HostNetwork, "hostNetwork must be true if pod contains any hostProcess containers"))
	}
	return errs
}

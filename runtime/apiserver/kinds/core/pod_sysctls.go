package core

import (
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/component-helpers/node/util/sysctl"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// sysctlName is of segments that dots or slashes join, and no longer than sysctlLength.
const (
	sysctlName   = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
	sysctlLength = 253
)

// validateSysctls checks the names of a pod's sysctls; which of them it may have its node
// decides. One of a namespace that the pod shares with the host would be the host's.
func validateSysctls(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	if len(s.SecurityContext.Sysctls) == 0 {
		return nil
	}
	var errs field.ErrorList
	valid := regexp.MustCompile(sysctlName)
	names := sets.New[string]()
	for i, ctl := range s.SecurityContext.Sysctls {
		p := path.Index(i).Child("name")
		switch {
		case ctl.Name == "":
			errs = append(errs, validate.Required(ctl.Name, p)...)
		case len(ctl.Name) > sysctlLength || !valid.MatchString(ctl.Name):
			errs = append(errs, field.Invalid(p, ctl.Name, fmt.Sprintf("must have at most %d characters and match regex %s", sysctlLength, sysctlName)))
		case names.Has(ctl.Name):
			errs = append(errs, field.Duplicate(p, ctl.Name))
		}
		switch ns, _, _ := sysctl.GetNamespace(ctl.Name); {
		case s.HostNetwork && ns == sysctl.NetNamespace:
			errs = append(errs, field.Invalid(p, ctl.Name, "may not be specified when 'hostNetwork' is true"))
		case s.HostIPC && ns == sysctl.IPCNamespace:
			errs = append(errs, field.Invalid(p, ctl.Name, "may not be specified when 'hostIPC' is true"))
		}
		names.Insert(ctl.Name)
	}
	return errs
}

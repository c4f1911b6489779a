package apps

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

// defaultHistory is how many old revisions are kept.
const defaultHistory int32 = 10

// rollingPace checks how many pods an update may take away and add at a time;
// with neither it could not begin.
func rollingPace(unavailable, surge *intstr.IntOrString, path *field.Path) field.ErrorList {
	errs := validate.IntOrPercent(unavailable, 100, path.Child("maxUnavailable"))
	errs = append(errs, validate.IntOrPercent(surge, 0, path.Child("maxSurge"))...)
	if validate.IsZero(unavailable) && validate.IsZero(surge) {
		errs = append(errs, field.Invalid(path.Child("maxUnavailable"), unavailable.String(), "may not be 0 when `maxSurge` is 0"))
	}
	return errs
}

// selectorString serializes a selector for the scale subresource; empty where
// it cannot be parsed, which validation does not let in.
func selectorString(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return ""
	}
	return selector.String()
}

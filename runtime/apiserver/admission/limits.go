package admission

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// constraint is a bound of one resource.
type constraint struct {
	resource corev1.ResourceName
	value    resource.Quantity
}

// each collects what check says of the bounds of a list, by name.
func each(list corev1.ResourceList, check func(constraint) error) []error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if err := check(constraint{name, list[name]}); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// numbers are quantities at one precision: in thousandths, or, where one is too
// large for that, in whole units.
func (b constraint) numbers(request, limit resource.Quantity) (r, l, bound int64) {
	r, l, bound = request.Value(), limit.Value(), b.value.Value()
	if r <= resource.MaxMilliValue && l <= resource.MaxMilliValue && bound <= resource.MaxMilliValue {
		return request.MilliValue(), limit.MilliValue(), b.value.MilliValue()
	}
	return r, l, bound
}

func (b constraint) min(of corev1.LimitType, requests, limits corev1.ResourceList) error {
	request, requested := requests[b.resource]
	limit, limited := limits[b.resource]
	r, l, least := b.numbers(request, limit)
	usage := fmt.Sprintf("minimum %s usage per %s is %s", b.resource, of, b.value.String())
	switch {
	case !requested:
		return fmt.Errorf("%s.  No request is specified", usage)
	case r < least:
		return fmt.Errorf("%s, but request is %s", usage, request.String())
	case limited && l < least:
		return fmt.Errorf("%s, but limit is %s", usage, limit.String())
	}
	return nil
}

func (b constraint) max(of corev1.LimitType, requests, limits corev1.ResourceList) error {
	request, requested := requests[b.resource]
	limit, limited := limits[b.resource]
	r, l, most := b.numbers(request, limit)
	usage := fmt.Sprintf("maximum %s usage per %s is %s", b.resource, of, b.value.String())
	switch {
	case !limited:
		return fmt.Errorf("%s.  No limit is specified", usage)
	case l > most:
		return fmt.Errorf("%s, but limit is %s", usage, limit.String())
	case requested && r > most:
		return fmt.Errorf("%s, but request is %s", usage, request.String())
	}
	return nil
}

// maxRequest is the maximum of what has no limits.
func (b constraint) maxRequest(of corev1.LimitType, requests corev1.ResourceList) error {
	request, requested := requests[b.resource]
	r, _, most := b.numbers(request, resource.Quantity{})
	usage := fmt.Sprintf("maximum %s usage per %s is %s", b.resource, of, b.value.String())
	switch {
	case !requested:
		return fmt.Errorf("%s.  No request is specified", usage)
	case r > most:
		return fmt.Errorf("%s, but request is %s", usage, request.String())
	}
	return nil
}

func (b constraint) ratio(of corev1.LimitType, requests, limits corev1.ResourceList) error {
	r, l, _ := b.numbers(requests[b.resource], limits[b.resource])
	what := fmt.Sprintf("%s max limit to request ratio per %s is %s", b.resource, of, b.value.String())
	if r == 0 {
		return fmt.Errorf("%s, but no request is specified or request is 0", what)
	}
	if l == 0 {
		return fmt.Errorf("%s, but no limit is specified or limit is 0", what)
	}
	if got := float64(l) / float64(r); got > b.value.AsApproximateFloat64() {
		return fmt.Errorf("%s, but provided ratio is %f", what, got)
	}
	return nil
}

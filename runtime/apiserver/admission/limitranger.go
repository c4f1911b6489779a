package admission

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/component-helpers/resource"
)

// limitRangerAnnotation tells which requests and limits of a pod come from a
// LimitRange.
const limitRangerAnnotation = "kubernetes.io/limit-ranger"

// LimitRanger gives containers the requests and limits that their namespace has
// for those that name none, and refuses pods and claims outside its bounds.
//
// https://kubernetes.io/docs/concepts/policy/limit-range/
type LimitRanger struct {
	// Limits returns the LimitRanges of a namespace, which are not changed.
	Limits func(ctx context.Context, namespace string) ([]*corev1.LimitRange, error)
}

var (
	_ admission.MutationInterface   = &LimitRanger{}
	_ admission.ValidationInterface = &LimitRanger{}
)

// Handles says that writes are looked at.
func (p *LimitRanger) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Admit fills in the defaults of containers.
func (p *LimitRanger) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || !limited(a) {
		return nil
	}
	list, err := p.limits(ctx, a)
	if err != nil {
		return err
	}
	for _, l := range list {
		setDefaults(pod, l)
	}
	return nil
}

// Validate checks the bounds.
func (p *LimitRanger) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !limited(a) {
		return nil
	}
	list, err := p.limits(ctx, a)
	if err != nil {
		return err
	}
	for _, l := range list {
		var errs []error
		switch o := a.GetObject().(type) {
		case *corev1.Pod:
			errs = podOutside(o, l)
		case *corev1.PersistentVolumeClaim:
			errs = claimOutside(o, l)
		}
		if len(errs) > 0 {
			return admission.NewForbidden(a, utilerrors.NewAggregate(errs))
		}
	}
	return nil
}

// limited says whether a write can change what is limited: a new pod, the resize of
// one, and a claim, unless it is on its way out.
func limited(a admission.Attributes) bool {
	if old := a.GetOldObject(); old != nil {
		if m, err := meta.Accessor(old); err == nil && m.GetDeletionTimestamp() != nil {
			return false
		}
	}
	switch a.GetResource().GroupResource() {
	case corev1.Resource("pods"):
		return a.GetSubresource() == "" && a.GetOperation() == admission.Create ||
			a.GetSubresource() == "resize" && a.GetOperation() == admission.Update
	case corev1.Resource("persistentvolumeclaims"):
		return a.GetSubresource() == ""
	}
	return false
}

// limits are in order of their names: of two that give a default, the first does.
func (p *LimitRanger) limits(ctx context.Context, a admission.Attributes) ([]*corev1.LimitRange, error) {
	list, err := p.Limits(ctx, a.GetNamespace())
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("unable to %s %v at this time because there was an error enforcing limit ranges: %w", a.GetOperation(), a.GetResource(), err))
	}
	return slices.SortedFunc(slices.Values(list), func(x, y *corev1.LimitRange) int { return strings.Compare(x.Name, y.Name) }), nil
}

// setDefaults gives each container what it does not name, and says so in an
// annotation.
func setDefaults(pod *corev1.Pod, l *corev1.LimitRange) {
	requests, limits := corev1.ResourceList{}, corev1.ResourceList{}
	for _, item := range l.Spec.Limits {
		if item.Type == corev1.LimitTypeContainer {
			maps.Copy(requests, item.DefaultRequest)
			maps.Copy(limits, item.Default)
		}
	}
	var done []string
	for _, kind := range []struct {
		name string
		list []corev1.Container
	}{{"container", pod.Spec.Containers}, {"init container", pod.Spec.InitContainers}} {
		for i := range kind.list {
			c := &kind.list[i]
			for _, f := range []struct {
				name     string
				of       *corev1.ResourceList
				defaults corev1.ResourceList
			}{{"request", &c.Resources.Requests, requests}, {"limit", &c.Resources.Limits, limits}} {
				if set := fill(f.of, f.defaults); len(set) > 0 {
					done = append(done, fmt.Sprintf("%s %s for %s %s", strings.Join(set, ", "), f.name, kind.name, c.Name))
				}
			}
		}
	}
	if len(done) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[limitRangerAnnotation] = "LimitRanger plugin set: " + strings.Join(done, "; ")
}

// fill adds what a list lacks, and returns the names of that.
func fill(to *corev1.ResourceList, defaults corev1.ResourceList) []string {
	var set []string
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, ok := (*to)[name]; ok {
			continue
		}
		if *to == nil {
			*to = corev1.ResourceList{}
		}
		(*to)[name] = defaults[name].DeepCopy()
		set = append(set, string(name))
	}
	return set
}

// podOutside lists how a pod and its containers are outside a LimitRange.
func podOutside(pod *corev1.Pod, l *corev1.LimitRange) []error {
	var errs []error
	for _, item := range l.Spec.Limits {
		switch item.Type {
		case corev1.LimitTypeContainer:
			for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
				for i := range list {
					errs = append(errs, outside(item, list[i].Resources.Requests, list[i].Resources.Limits)...)
				}
			}
		case corev1.LimitTypePod:
			// What the pod asks for, without the overhead that its RuntimeClass adds.
			o := resource.PodResourcesOptions{ExcludeOverhead: true}
			errs = append(errs, outside(item, resource.PodRequests(pod, o), resource.PodLimits(pod, o))...)
		}
	}
	return errs
}

// claimOutside does the same with a claim, of which only requests count.
func claimOutside(claim *corev1.PersistentVolumeClaim, l *corev1.LimitRange) []error {
	var errs []error
	requests := claim.Spec.Resources.Requests
	for _, item := range l.Spec.Limits {
		if item.Type != corev1.LimitTypePersistentVolumeClaim {
			continue
		}
		errs = append(errs, each(item.Min, func(b constraint) error { return b.min(item.Type, requests, nil) })...)
		errs = append(errs, each(item.Max, func(b constraint) error { return b.maxRequest(item.Type, requests) })...)
	}
	return errs
}

func outside(item corev1.LimitRangeItem, requests, limits corev1.ResourceList) []error {
	errs := each(item.Min, func(b constraint) error { return b.min(item.Type, requests, limits) })
	errs = append(errs, each(item.Max, func(b constraint) error { return b.max(item.Type, requests, limits) })...)
	return append(errs, each(item.MaxLimitRequestRatio, func(b constraint) error { return b.ratio(item.Type, requests, limits) })...)
}

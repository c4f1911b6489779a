package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/admission"
	apiquota "k8s.io/apiserver/pkg/quota/v1"
	resourcehelper "k8s.io/component-helpers/resource"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/pod"
)

func pods(lists Lists, c clock.PassiveClock) apiquota.Evaluator {
	gr := corev1.Resource("pods")
	return evaluator[*corev1.Pod]{rules[*corev1.Pod]{
		resource: gr, list: lists(gr), handles: podWrite, counts: podCounts, inScope: podInScope, constraints: podConstraints,
		usage: func(p *corev1.Pod) corev1.ResourceList { return PodUsage(p, c.Now()) },
	}}
}

// podWrite: a new pod, a resize, and an update that moves it from one scope to
// another.
func podWrite(a admission.Attributes) bool {
	switch op := a.GetOperation(); a.GetSubresource() {
	case "":
		now, ok1 := a.GetObject().(*corev1.Pod)
		old, ok2 := a.GetOldObject().(*corev1.Pod)
		return op == admission.Create || op == admission.Update && ok1 && ok2 && Terminating(now) != Terminating(old)
	case "resize":
		return op == admission.Update
	}
	return false
}

func podCounts(name corev1.ResourceName) bool {
	switch name {
	case countName(corev1.Resource("pods")), corev1.ResourcePods,
		corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
		corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
		corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage:
		return true
	}
	n := string(name)
	of, requested := strings.CutPrefix(n, corev1.DefaultResourceRequestsPrefix)
	return strings.HasPrefix(n, corev1.ResourceHugePagesPrefix) || requested &&
		(strings.HasPrefix(of, corev1.ResourceHugePagesPrefix) || strings.HasPrefix(of, resourcev1.ResourceDeviceClassPrefix) || !native(n))
}

// native says whether a name is Kubernetes' own.
func native(name string) bool {
	return !strings.Contains(name, "/") || strings.Contains(name, corev1.ResourceDefaultNamespacePrefix)
}

// extended says whether a container's resource is one of a device plugin or of a
// device class. Of these only requests are counted: they are not overcommitted.
func extended(name corev1.ResourceName) bool {
	n := string(name)
	if strings.HasPrefix(n, resourcev1.ResourceDeviceClassPrefix) {
		return true
	}
	return !native(n) && !strings.HasPrefix(n, corev1.DefaultResourceRequestsPrefix) &&
		len(validation.IsQualifiedName(corev1.DefaultResourceRequestsPrefix+n)) == 0
}

// Terminating says whether a pod has a deadline: the scope of that name.
func Terminating(p *corev1.Pod) bool {
	return p.Spec.ActiveDeadlineSeconds != nil && *p.Spec.ActiveDeadlineSeconds >= 0
}

// Charged says whether a pod takes resources: not once it has ended, nor when its
// node lets it linger a grace period beyond its end, as a lost node does.
func Charged(p *corev1.Pod, now time.Time) bool {
	if pod.IsTerminal(p) {
		return false
	}
	if p.DeletionTimestamp != nil && p.DeletionGracePeriodSeconds != nil {
		grace := time.Duration(*p.DeletionGracePeriodSeconds) * time.Second
		return !now.After(p.DeletionTimestamp.Add(grace))
	}
	return true
}

// PodUsage is what a pod costs: count/pods as long as it exists, the rest while it
// is charged.
func PodUsage(p *corev1.Pod, now time.Time) corev1.ResourceList {
	out := corev1.ResourceList{countName(corev1.Resource("pods")): *resource.NewQuantity(1, resource.DecimalSI)}
	if !Charged(p, now) {
		return out
	}
	limits := resourcehelper.PodLimits(p, resourcehelper.PodResourcesOptions{UseStatusResources: true})
	maps.Copy(out, compute(pod.Reserved(p), limits))
	return out
}

// compute are requests and limits by the names that quotas have for them.
func compute(requests, limits corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(1, resource.DecimalSI)}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		if q, ok := requests[name]; ok {
			out[name], out[corev1.DefaultResourceRequestsPrefix+name] = q, q
		}
		if q, ok := limits[name]; ok {
			out["limits."+name] = q
		}
	}
	for name, q := range requests {
		huge := strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix)
		if huge {
			out[name] = q
		}
		if huge || extended(name) {
			out[corev1.DefaultResourceRequestsPrefix+name] = q
		}
	}
	return out
}

// podConstraints: where CPU or memory is limited, every container must say how much
// it takes, or the pod as a whole.
func podConstraints(required []corev1.ResourceName, p *corev1.Pod) error {
	if resourcehelper.IsPodLevelResourcesSet(p) {
		return nil
	}
	missing := map[corev1.ResourceName][]string{}
	for _, name := range required {
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory:
		default:
			continue
		}
		for _, c := range pod.Containers(&p.Spec, pod.InitContainers|pod.MainContainers) {
			if _, ok := compute(c.Resources.Requests, c.Resources.Limits)[name]; !ok && !slices.Contains(missing[name], c.Name) {
				missing[name] = append(missing[name], c.Name)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		slices.Sort(missing[name])
		parts = append(parts, fmt.Sprintf("%s for: %s", name, strings.Join(missing[name], ",")))
	}
	return fmt.Errorf("must specify %s", strings.Join(parts, "; "))
}

func podInScope(s corev1.ScopedResourceSelectorRequirement, p *corev1.Pod) (bool, error) {
	switch s.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return Terminating(p), nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return !Terminating(p), nil
	case corev1.ResourceQuotaScopeBestEffort:
		return pod.QOSClass(p) == corev1.PodQOSBestEffort, nil
	case corev1.ResourceQuotaScopeNotBestEffort:
		return pod.QOSClass(p) != corev1.PodQOSBestEffort, nil
	case corev1.ResourceQuotaScopePriorityClass:
		if p.Spec.PriorityClassName == "" {
			return selects(s)
		}
		return selects(s, p.Spec.PriorityClassName)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(p.Spec.Affinity), nil
	}
	return false, nil
}

// crossesNamespaces says whether a pod's affinity looks at other namespaces.
func crossesNamespaces(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	var weighted []corev1.WeightedPodAffinityTerm
	if a.PodAffinity != nil {
		terms = append(terms, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	if a.PodAntiAffinity != nil {
		terms = append(terms, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution...)
		weighted = append(weighted, a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution...)
	}
	for _, w := range weighted {
		terms = append(terms, w.PodAffinityTerm)
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}

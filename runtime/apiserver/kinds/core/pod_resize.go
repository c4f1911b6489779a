package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	podutil "github.com/gantry-run/gantry/runtime/pod"
)

// preparePodResize leaves of a write to pods/resize what a resize is: the resources and
// resize policies of containers, and the resources of the pod as a whole. Containers that
// were added, removed or renamed stay as they are sent, for validatePodResize to refuse.
// https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
func preparePodResize(p, old *corev1.Pod) {
	sent := p.Spec
	if len(sent.Containers) != len(old.Spec.Containers) || len(sent.InitContainers) != len(old.Spec.InitContainers) {
		return
	}
	old.Spec.DeepCopyInto(&p.Spec)
	p.Spec.Containers = resized(p.Spec.Containers, sent.Containers)
	p.Spec.InitContainers = resized(p.Spec.InitContainers, sent.InitContainers)
	// A client that does not know the resources of pods leaves them out.
	if sent.Resources != nil {
		p.Spec.Resources = sent.Resources
	}
	defaultPodResources(p)
}

func resized(containers, sent []corev1.Container) []corev1.Container {
	for i := range containers {
		if containers[i].Name != sent[i].Name {
			return sent
		}
		containers[i].Resources, containers[i].ResizePolicy = sent[i].Resources, sent[i].ResizePolicy
	}
	return containers
}

func validatePodResize(p, old *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validatePod(p)
	if _, mirror := old.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods cannot be resized")}
	}
	if old.Spec.OS != nil && old.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "windows pods cannot be resized")}
	}
	if podutil.QOSClass(old) != podutil.ComputeQOSClass(p) {
		errs = append(errs, field.Invalid(spec, p.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	if !resizes(old) {
		errs = append(errs, field.Forbidden(spec, "Pod running on node without support for resize"))
	}
	errs = append(errs, podLevelResize(p, old, spec.Child("resources"))...)
	order := sameContainers(p, old, spec)
	if errs = append(errs, order...); len(order) > 0 {
		return errs
	}
	for _, kind := range []struct {
		name     string
		now, old []corev1.Container
	}{{"initContainers", p.Spec.InitContainers, old.Spec.InitContainers}, {"containers", p.Spec.Containers, old.Spec.Containers}} {
		for i := range kind.old {
			errs = append(errs, containerResize(&kind.now[i], &kind.old[i], kind.name == "initContainers", spec, spec.Child(kind.name).Index(i))...)
		}
	}
	return errs
}

// resizes says whether the node of a pod can resize it: it then says what containers have.
func resizes(p *corev1.Pod) bool {
	for _, s := range p.Status.ContainerStatuses {
		if s.State.Running != nil {
			return s.Resources != nil
		}
	}
	return true
}

func sameContainers(p, old *corev1.Pod, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, kind := range []struct {
		name     string
		now, old []corev1.Container
	}{{"containers", p.Spec.Containers, old.Spec.Containers}, {"initContainers", p.Spec.InitContainers, old.Spec.InitContainers}} {
		if len(kind.now) != len(kind.old) {
			errs = append(errs, field.Forbidden(spec.Child(kind.name), kind.name+" may not be added or removed on resize"))
			continue
		}
		for i := range kind.old {
			if kind.now[i].Name != kind.old[i].Name {
				errs = append(errs, field.Forbidden(spec.Child(kind.name).Index(i).Child("name"), kind.name+" may not be renamed or reordered on resize"))
			}
		}
	}
	return errs
}

func containerResize(c, old *corev1.Container, init bool, spec, path *field.Path) field.ErrorList {
	errs := kept(c.Resources, old.Resources, path.Child("resources"), "resource")
	if !onlyComputeDiffers(c.Resources, old.Resources) || !equality.Semantic.DeepEqual(c.ResizePolicy, old.ResizePolicy) {
		if init {
			errs = append(errs, field.Forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable"))
		} else {
			errs = append(errs, field.Forbidden(spec, "only cpu and memory resources are mutable"))
		}
	}
	if init && !podutil.IsSidecar(c) && !equality.Semantic.DeepEqual(c, old) {
		for _, policy := range c.ResizePolicy {
			if policy.RestartPolicy == corev1.RestartContainer {
				errs = append(errs, field.Forbidden(path, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"))
			}
		}
	}
	return errs
}

func podLevelResize(p, old *corev1.Pod, path *field.Path) field.ErrorList {
	switch {
	case p.Spec.Resources == nil && old.Spec.Resources == nil:
		return nil
	case p.Spec.Resources == nil:
		return field.ErrorList{field.Forbidden(path, "pod-level resources cannot be removed")}
	}
	was := corev1.ResourceRequirements{}
	if old.Spec.Resources != nil {
		was = *old.Spec.Resources
	}
	errs := kept(*p.Spec.Resources, was, path, "pod-level resource")
	if !onlyComputeDiffers(*p.Spec.Resources, was) {
		errs = append(errs, field.Forbidden(field.NewPath("spec"), "only cpu and memory resources are mutable at pod-level"))
	}
	return errs
}

// kept refuses to take requests or limits away.
func kept(now, old corev1.ResourceRequirements, path *field.Path, what string) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name     string
		now, old corev1.ResourceList
	}{{"requests", now.Requests, old.Requests}, {"limits", now.Limits, old.Limits}} {
		for name := range list.old {
			if _, ok := list.now[name]; !ok {
				errs = append(errs, field.Forbidden(path.Child(list.name), what+" "+list.name+" cannot be removed"))
				break
			}
		}
	}
	return errs
}

// onlyComputeDiffers says whether two requirements are the same but for CPU and memory.
func onlyComputeDiffers(a, b corev1.ResourceRequirements) bool {
	rest := func(r corev1.ResourceRequirements) corev1.ResourceRequirements {
		r = *r.DeepCopy()
		for _, list := range []corev1.ResourceList{r.Requests, r.Limits} {
			delete(list, corev1.ResourceCPU)
			delete(list, corev1.ResourceMemory)
		}
		return r
	}
	return equality.Semantic.DeepEqual(rest(a), rest(b))
}

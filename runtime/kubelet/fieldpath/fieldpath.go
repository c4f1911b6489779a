// Package fieldpath evaluates the downward API: the fields of a pod and the resources
// of its containers that environment variables and files may show. It is pure, and may
// import runtime/pod.
package fieldpath

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubectl/pkg/util/fieldpath"
	resourcehelper "k8s.io/kubectl/pkg/util/resource"

	"github.com/gantry-run/gantry/runtime/pod"
)

// Field is a field of the pod as text. status holds the pod's addresses, which the
// API's own version of the pod may not have yet.
// https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#downwardapi-fieldRef
func Field(p *corev1.Pod, status *corev1.PodStatus, path string) (string, error) {
	switch path {
	case "spec.nodeName":
		return p.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return p.Spec.ServiceAccountName, nil
	case "status.hostIP":
		return status.HostIP, nil
	case "status.podIP":
		return status.PodIP, nil
	case "status.hostIPs":
		ips := make([]string, 0, len(status.HostIPs))
		for _, ip := range status.HostIPs {
			ips = append(ips, ip.IP)
		}
		return strings.Join(ips, ","), nil
	case "status.podIPs":
		ips := make([]string, 0, len(status.PodIPs))
		for _, ip := range status.PodIPs {
			ips = append(ips, ip.IP)
		}
		return strings.Join(ips, ","), nil
	}
	v, err := fieldpath.ExtractFieldPathAsString(p, path)
	if err != nil {
		return "", fmt.Errorf("field %q is not available to containers: %w", path, err)
	}
	return v, nil
}

// Resource is a request or limit of a container, in units of the divisor, rounded up.
// c is the container that asks, unless ref names another. A request that is not set is
// the limit; a limit that is not set is the pod's, or else what the node has.
func Resource(p *corev1.Pod, c *corev1.Container, allocatable corev1.ResourceList, ref *corev1.ResourceFieldSelector) (string, error) {
	if ref.ContainerName != "" {
		if c, _ = pod.FindContainer(&p.Spec, ref.ContainerName); c == nil {
			return "", fmt.Errorf("container %q of a resource field does not exist", ref.ContainerName)
		}
	}
	kind, name, _ := strings.Cut(ref.Resource, ".")
	filled := *c.DeepCopy()
	resource := corev1.ResourceName(name)
	_, limited := filled.Resources.Limits[resource]
	_, requested := filled.Resources.Requests[resource]
	switch {
	case kind == "limits" && !limited:
		filled.Resources.Limits = corev1.ResourceList{resource: allocatable[resource]}
		if own := p.Spec.Resources; own != nil {
			if q, ok := own.Limits[resource]; ok {
				filled.Resources.Limits[resource] = q
			}
		}
	case kind == "requests" && !requested:
		filled.Resources.Requests = corev1.ResourceList{resource: filled.Resources.Limits[resource]}
	}
	v, err := resourcehelper.ExtractContainerResourceValue(ref, &filled)
	if err != nil {
		return "", fmt.Errorf("resource field %q: %w", ref.Resource, err)
	}
	return v, nil
}

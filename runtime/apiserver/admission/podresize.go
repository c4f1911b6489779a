package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"

	podspec "github.com/gantry-run/gantry/runtime/pod"
)

// PodResizeValidator refuses resizes that the pod's node can never do: it runs another
// system than Linux, or has less than is asked for.
type PodResizeValidator struct {
	// Node returns a node, or an error.
	Node func(ctx context.Context, name string) (*corev1.Node, error)
}

var _ admission.ValidationInterface = &PodResizeValidator{}

// Handles says that changes are looked at.
func (p *PodResizeValidator) Handles(op admission.Operation) bool { return op == admission.Update }

// Causes that a client tells refusals by.
const (
	unsupportedPlatform metav1.CauseType = "UnsupportedPlatform"
	nodeCapacity        metav1.CauseType = "NodeCapacity"
)

// Validate checks the resize of a pod that has a node.
func (p *PodResizeValidator) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := a.GetObject().(*corev1.Pod)
	old, was := a.GetOldObject().(*corev1.Pod)
	if !ok || !was || a.GetSubresource() != "resize" || pod.Spec.NodeName == "" || pod.Generation == old.Generation {
		return nil
	}
	node, err := p.Node(ctx, pod.Spec.NodeName)
	switch {
	case apierrors.IsNotFound(err):
		return admission.NewForbidden(a, fmt.Errorf("node %q not found", pod.Spec.NodeName))
	case err != nil:
		return admission.NewForbidden(a, fmt.Errorf("failed to get node %q: %w", pod.Spec.NodeName, err))
	}
	if os := node.Labels[corev1.LabelOSStable]; os != "" && os != string(corev1.Linux) {
		return refusedResize(a, fmt.Errorf("pod resize is only supported on linux nodes, node %q is %q", node.Name, os), unsupportedPlatform)
	}
	var short []string
	requests, has := podspec.Requests(pod), node.Status.Allocatable
	if requests.Cpu().Cmp(*has.Cpu()) > 0 {
		short = append(short, fmt.Sprintf("cpu, requested: %d, allocatable: %d", requests.Cpu().MilliValue(), has.Cpu().MilliValue()))
	}
	if requests.Memory().Cmp(*has.Memory()) > 0 {
		short = append(short, fmt.Sprintf("memory, requested: %d, allocatable: %d", requests.Memory().Value(), has.Memory().Value()))
	}
	if len(short) > 0 {
		return refusedResize(a, fmt.Errorf("node didn't have enough allocatable resources: %s", strings.Join(short, "; ")), nodeCapacity)
	}
	return nil
}

func refusedResize(a admission.Attributes, err error, cause metav1.CauseType) error {
	refused := admission.NewForbidden(a, err)
	var status *apierrors.StatusError
	if errors.As(refused, &status) && status.ErrStatus.Details != nil {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, metav1.StatusCause{Type: cause})
	}
	return refused
}

package admission

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"

	"github.com/gantry-run/gantry/runtime/apiserver/nodeauth"
)

// NodeRestriction holds kubelets to what the authorizer cannot see: the contents
// of what they write.
type NodeRestriction struct {
	// Pod returns a pod, or a NotFound error.
	Pod func(ctx context.Context, namespace, name string) (*corev1.Pod, error)
}

var _ admission.ValidationInterface = &NodeRestriction{}

// Handles says that writes are looked at.
func (p *NodeRestriction) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate checks one write of a node.
func (p *NodeRestriction) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	node, ok := nodeauth.NodeOf(a.GetUserInfo())
	if !ok {
		return nil
	}
	refuse := func(format string, args ...any) error { return admission.NewForbidden(a, fmt.Errorf(format, args...)) }
	switch o := a.GetObject().(type) {
	case *corev1.Node:
		return p.node(a, node, o, refuse)
	case *coordinationv1.Lease:
		if o.Namespace != corev1.NamespaceNodeLease || o.Name != node {
			return refuse("node %q may write its own lease only, %s/%s", node, corev1.NamespaceNodeLease, node)
		}
	case *authenticationv1.TokenRequest:
		return p.token(ctx, a, node, o, refuse)
	default:
		if m, err := meta.Accessor(a.GetObject()); err == nil && a.GetResource().Resource == "csinodes" && m.GetName() != node {
			return refuse("node %q may write its own CSINode only", node)
		}
	}
	return nil
}

func (p *NodeRestriction) node(a admission.Attributes, node string, o *corev1.Node, refuse func(string, ...any) error) error {
	if o.Name != node {
		return refuse("node %q may not write node %q", node, o.Name)
	}
	old, _ := a.GetOldObject().(*corev1.Node)
	if old == nil {
		if labels := restrictedLabels(o.Labels); len(labels) > 0 {
			return refuse("node %q may not set the labels %v", node, labels)
		}
		return nil
	}
	if a.GetSubresource() != "" {
		return nil
	}
	if !equality.Semantic.DeepEqual(o.Spec.Taints, old.Spec.Taints) {
		return refuse("node %q may not change its taints", node)
	}
	for _, l := range append(restrictedLabels(o.Labels), restrictedLabels(old.Labels)...) {
		if o.Labels[l] != old.Labels[l] {
			return refuse("node %q may not change the label %s", node, l)
		}
	}
	return nil
}

// token: a node gets tokens for its own pods, bound to them.
func (p *NodeRestriction) token(ctx context.Context, a admission.Attributes, node string, o *authenticationv1.TokenRequest, refuse func(string, ...any) error) error {
	ref := o.Spec.BoundObjectRef
	if ref == nil || ref.Kind != "Pod" || ref.Name == "" {
		return refuse("node %q may request tokens that are bound to a pod only", node)
	}
	pod, err := p.Pod(ctx, a.GetNamespace(), ref.Name)
	if err != nil {
		return refuse("look up pod %s/%s: %w", a.GetNamespace(), ref.Name, err)
	}
	if pod.Spec.NodeName != node {
		return refuse("node %q may not request a token for pod %s, which is on node %q", node, ref.Name, pod.Spec.NodeName)
	}
	if ref.UID != pod.UID {
		return refuse("the UID in the bound object reference (%s) is not that of pod %s", ref.UID, ref.Name)
	}
	return nil
}

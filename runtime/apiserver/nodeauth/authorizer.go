package nodeauth

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/config"
)

// Cluster is what the decisions are made from. fresh asks for the newest state,
// at the cost of a round trip; otherwise a cache answers.
type Cluster interface {
	// Pods returns the pods bound to the node.
	Pods(ctx context.Context, node string, fresh bool) ([]corev1.Pod, error)
	// Pod returns a pod, or a NotFound error.
	Pod(ctx context.Context, namespace, name string, fresh bool) (*corev1.Pod, error)
	// Claim returns a volume claim, or a NotFound error.
	Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
}

// Authorizer allows nodes what they need and has no opinion on anything else.
type Authorizer struct{ cluster Cluster }

// New returns an authorizer over the cluster's state.
func New(c Cluster) *Authorizer { return &Authorizer{c} }

// NodeOf returns the node that a user is, if it is one.
func NodeOf(u user.Info) (string, bool) {
	if u == nil || !slices.Contains(u.GetGroups(), config.NodesGroup) {
		return "", false
	}
	return strings.CutPrefix(u.GetName(), config.NodeUserPrefix)
}

// Authorize decides one request.
func (n *Authorizer) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	node, ok := NodeOf(a.GetUser())
	if !ok || !a.IsResourceRequest() {
		return authorizer.DecisionNoOpinion, "", nil
	}
	allowed, err := n.allowed(ctx, node, a)
	switch {
	case err != nil:
		return authorizer.DecisionNoOpinion, "the objects of node " + node + " cannot be read", err
	case allowed:
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "no pod of node " + node + " needs this", nil
}

// resource is a request's target, as the table below names it.
type resource struct{ group, name, subresource string }

func (n *Authorizer) allowed(ctx context.Context, node string, a authorizer.Attributes) (bool, error) {
	verb := a.GetVerb()
	read := verb == "get" || verb == "list" || verb == "watch"
	write := verb == "update" || verb == "patch"
	switch (resource{a.GetAPIGroup(), a.GetResource(), a.GetSubresource()}) {
	case resource{"", "nodes", ""}:
		// All may be read: the pod network needs every node's address. That a node
		// creates only itself is checked on admission, where the name is known.
		return read || verb == "create" || (write || verb == "delete") && a.GetName() == node, nil
	case resource{"", "nodes", "status"}:
		return write && a.GetName() == node, nil
	case resource{"", "services", ""}, resource{"node.k8s.io", "runtimeclasses", ""}, resource{"storage.k8s.io", "csidrivers", ""}:
		return read, nil
	case resource{"", "events", ""}:
		return verb == "create" || write, nil
	case resource{"coordination.k8s.io", "leases", ""}:
		return a.GetNamespace() == corev1.NamespaceNodeLease && (verb == "create" || a.GetName() == node && (verb == "get" || write || verb == "delete")), nil
	case resource{"storage.k8s.io", "csinodes", ""}:
		return verb == "create" || a.GetName() == node && (verb == "get" || write || verb == "delete"), nil
	case resource{"authentication.k8s.io", "tokenreviews", ""}, resource{"authorization.k8s.io", "subjectaccessreviews", ""},
		resource{"authorization.k8s.io", "localsubjectaccessreviews", ""}:
		return verb == "create", nil
	case resource{"certificates.k8s.io", "certificatesigningrequests", ""}:
		return read || verb == "create", nil

	case resource{"", "pods", ""}:
		if verb == "list" || verb == "watch" {
			return selectsNode(a, node), nil
		}
		return n.ownPod(ctx, node, a, verb == "get" || verb == "delete")
	case resource{"", "pods", "status"}:
		return n.ownPod(ctx, node, a, write)
	case resource{"", "pods", "eviction"}:
		return n.ownPod(ctx, node, a, verb == "create")

	case resource{"", "secrets", ""}:
		return n.used(ctx, node, a, read, usesSecret)
	case resource{"", "configmaps", ""}:
		return n.used(ctx, node, a, read, usesConfigMap)
	case resource{"", "serviceaccounts", ""}, resource{"", "serviceaccounts", "token"}:
		return n.used(ctx, node, a, read || verb == "create" && a.GetSubresource() == "token", usesServiceAccount)
	case resource{"", "persistentvolumeclaims", ""}:
		return n.used(ctx, node, a, read, usesClaim)
	case resource{"", "persistentvolumes", ""}:
		return n.volume(ctx, node, a, verb == "get")
	}
	return false, nil
}

// selectsNode reports whether a list or watch is restricted to the node's pods.
func selectsNode(a authorizer.Attributes, node string) bool {
	requirements, err := a.GetFieldSelector()
	if err != nil {
		return false
	}
	for _, r := range requirements {
		if r.Field == "spec.nodeName" && (r.Operator == "=" || r.Operator == "==") && r.Value == node {
			return true
		}
	}
	return false
}

func (n *Authorizer) ownPod(ctx context.Context, node string, a authorizer.Attributes, verbOK bool) (bool, error) {
	if !verbOK || a.GetName() == "" {
		return false, nil
	}
	for _, fresh := range []bool{false, true} {
		pod, err := n.cluster.Pod(ctx, a.GetNamespace(), a.GetName(), fresh)
		switch {
		case err == nil && pod.Spec.NodeName == node:
			return true, nil
		case err != nil && !errors.IsNotFound(err):
			return false, err
		case fresh && err != nil:
			return true, nil //nolint:nilerr // the pod is gone: the kubelet shall learn that, rather than be told that it may not ask
		}
	}
	return false, nil
}

// used allows what a pod of the node refers to. The cache is asked first; only
// what it does not know costs a fresh read, since it may lag behind a binding.
func (n *Authorizer) used(ctx context.Context, node string, a authorizer.Attributes, verbOK bool, uses func(*corev1.Pod, string) bool) (bool, error) {
	if !verbOK || a.GetName() == "" {
		return false, nil
	}
	return n.anyPod(ctx, node, func(p *corev1.Pod) (bool, error) {
		return p.Namespace == a.GetNamespace() && uses(p, a.GetName()), nil
	})
}

func (n *Authorizer) anyPod(ctx context.Context, node string, match func(*corev1.Pod) (bool, error)) (bool, error) {
	for _, fresh := range []bool{false, true} {
		pods, err := n.cluster.Pods(ctx, node, fresh)
		if err != nil {
			return false, err
		}
		for i := range pods {
			if ok, err := match(&pods[i]); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// volume allows the volume that a claim of one of the node's pods is bound to.
func (n *Authorizer) volume(ctx context.Context, node string, a authorizer.Attributes, verbOK bool) (bool, error) {
	if !verbOK {
		return false, nil
	}
	return n.anyPod(ctx, node, func(p *corev1.Pod) (bool, error) {
		for _, name := range claims(p) {
			c, err := n.cluster.Claim(ctx, p.Namespace, name)
			if err != nil && !errors.IsNotFound(err) {
				return false, err
			}
			if err == nil && c.Spec.VolumeName == a.GetName() {
				return true, nil
			}
		}
		return false, nil
	})
}

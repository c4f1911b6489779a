package nodeauth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
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
	// The others are read from the cache. Each returns a NotFound error where there is
	// no such object.
	Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Volume(ctx context.Context, name string) (*corev1.PersistentVolume, error)
	Attachment(ctx context.Context, name string) (*storagev1.VolumeAttachment, error)
	ResourceSlice(ctx context.Context, name string) (*resourcev1.ResourceSlice, error)
	PodCertificateRequest(ctx context.Context, namespace, name string) (*certificatesv1.PodCertificateRequest, error)
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
	if node == "" {
		return authorizer.DecisionNoOpinion, fmt.Sprintf("unknown node for user %q", a.GetUser().GetName()), nil
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
		// None deletes itself: it would come back without the taints that it had.
		return read || verb == "create" || write && a.GetName() == node, nil
	case resource{"", "nodes", "status"}:
		return write && a.GetName() == node, nil
	case resource{"", "services", ""}, resource{"node.k8s.io", "runtimeclasses", ""}, resource{"storage.k8s.io", "csidrivers", ""},
		resource{"certificates.k8s.io", "clustertrustbundles", ""}:
		return read, nil
	case resource{"", "events", ""}, resource{"events.k8s.io", "events", ""}:
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
	case resource{"certificates.k8s.io", "podcertificaterequests", ""}:
		switch verb {
		case "create": // which ones, admission sees
			return true, nil
		case "list", "watch":
			return selectsNode(a, node), nil
		}
		return n.ownCertificateRequest(ctx, node, a, verb == "get")
	case resource{"resource.k8s.io", "resourceslices", ""}:
		switch verb {
		case "create": // of which node it is, admission sees
			return true, nil
		case "list", "watch", "deletecollection":
			return selectsNode(a, node), nil
		}
		return n.ownSlice(ctx, node, a, verb == "get" || write || verb == "delete")
	case resource{"resource.k8s.io", "resourceclaims", ""}:
		return n.used(ctx, node, a, verb == "get", usesResourceClaim)

	case resource{"", "pods", ""}:
		switch verb {
		case "create": // mirror pods; that they are such, admission sees
			return true, nil
		case "list", "watch":
			if selectsNode(a, node) {
				return true, nil
			}
		}
		return n.ownPod(ctx, node, a, read || verb == "delete")
	case resource{"", "pods", "status"}:
		return n.ownPod(ctx, node, a, write)
	case resource{"", "pods", "eviction"}:
		return n.ownPod(ctx, node, a, verb == "create")

	case resource{"", "secrets", ""}:
		return n.secret(ctx, node, a, read)
	case resource{"", "configmaps", ""}:
		return n.used(ctx, node, a, read, usesConfigMap)
	case resource{"", "serviceaccounts", ""}:
		return n.used(ctx, node, a, verb == "get", usesServiceAccount)
	case resource{"", "serviceaccounts", "token"}:
		return n.used(ctx, node, a, verb == "create", usesServiceAccount)
	case resource{"", "persistentvolumeclaims", ""}:
		return n.used(ctx, node, a, verb == "get", usesClaim)
	case resource{"", "persistentvolumeclaims", "status"}:
		return n.used(ctx, node, a, write, usesClaim)
	case resource{"", "persistentvolumes", ""}:
		if verb == "list" || verb == "watch" {
			return selectsOwnVolumes(a, node), nil
		}
		return n.volume(ctx, node, a, verb == "get", write)
	case resource{"storage.k8s.io", "volumeattachments", ""}:
		return n.attachment(ctx, node, a, verb == "get")
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
			// The pod is gone: the kubelet shall learn that, rather than be told that it
			// may not ask. A list or watch would tell of whoever has the name next.
			return a.GetVerb() != "list" && a.GetVerb() != "watch", nil
		}
	}
	return false, nil
}

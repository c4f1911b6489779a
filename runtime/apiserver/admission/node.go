package admission

import (
	"context"
	"errors"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/apiserver/nodeauth"
	"github.com/gantry-run/gantry/runtime/config"
)

// NodeObjects is what nodes' writes are compared with. Each returns the newest state,
// or a NotFound error.
type NodeObjects interface {
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
	Node(ctx context.Context, name string) (*corev1.Node, error)
	Account(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
	Claim(ctx context.Context, namespace, name string) (*corev1.PersistentVolumeClaim, error)
	Volume(ctx context.Context, name string) (*corev1.PersistentVolume, error)
	Driver(ctx context.Context, name string) (*storagev1.CSIDriver, error)
}

// NodeRestriction holds kubelets to what the authorizer cannot see: the contents of
// what they write. A stolen kubelet's certificate does what its node can do: report
// on that node and its pods, and nothing that would draw other work to it.
type NodeRestriction struct {
	Objects NodeObjects
	// All decides on audiences and signers that no volume of a pod names.
	All authorizer.UnconditionalAuthorizer
}

var _ admission.ValidationInterface = &NodeRestriction{}

// Handles says that writes and deletions are looked at.
func (p *NodeRestriction) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update || op == admission.Delete
}

// Validate checks one request of a node.
func (p *NodeRestriction) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	name, ok := nodeauth.NodeOf(a.GetUserInfo())
	if !ok {
		return nil
	}
	if name == "" {
		return admission.NewForbidden(a, fmt.Errorf("could not determine node from user %q", a.GetUserInfo().GetName()))
	}
	n := nodeRequest{p, name, a}
	switch a.GetResource().GroupResource() {
	case corev1.Resource("pods"):
		return n.pods(ctx)
	case corev1.Resource("nodes"):
		return n.node()
	case corev1.Resource("persistentvolumeclaims"):
		return n.claimStatus()
	case corev1.Resource("persistentvolumes"):
		return n.localVolume()
	case corev1.Resource("serviceaccounts"):
		return n.token(ctx)
	case schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}:
		if a.GetNamespace() != corev1.NamespaceNodeLease {
			return n.forbid("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
		}
		return n.ownName("can only access node lease with the same name as the requesting node")
	case storagev1.Resource("csinodes"):
		return n.ownName("can only access CSINode with the same name as the requesting node")
	case resourcev1.Resource("resourceslices"):
		return n.resourceSlice()
	case certificatesResource("certificatesigningrequests"):
		return n.signingRequest()
	case certificatesResource("podcertificaterequests"):
		return n.podCertificate(ctx)
	}
	return nil
}

// nodeRequest is a request of a node.
type nodeRequest struct {
	*NodeRestriction
	name string
	admission.Attributes
}

func (n nodeRequest) forbid(format string, args ...any) error {
	return admission.NewForbidden(n.Attributes, fmt.Errorf(format, args...))
}

// unread tells of an object that could not be compared with. One that is not there is
// told as such: the kubelet shall learn that it is gone.
func (n nodeRequest) unread(err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return admission.NewForbidden(n.Attributes, err)
}

func (n nodeRequest) ownName(refusal string) error {
	name := n.GetName()
	if n.GetOperation() == admission.Create {
		m, err := meta.Accessor(n.GetObject())
		if err != nil {
			return n.forbid("unable to access the object name")
		}
		name = m.GetName()
	}
	if name != n.name {
		return admission.NewForbidden(n.Attributes, errors.New(refusal))
	}
	return nil
}

func (n nodeRequest) node() error {
	if n.GetName() != n.name {
		return n.forbid("node %q is not allowed to modify node %q", n.name, n.GetName())
	}
	if n.GetOperation() == admission.Delete {
		// It would register again without the taints that keep pods away.
		return n.forbid("node %q is not allowed to delete itself", n.name)
	}
	node, ok := n.GetObject().(*corev1.Node)
	if !ok {
		return n.forbid("unexpected type %T", n.GetObject())
	}
	old := &corev1.Node{}
	if n.GetOperation() == admission.Create {
		// A new node may have taints: they only keep pods away from it.
		old.Spec.Taints = node.Spec.Taints
	} else if old, ok = n.GetOldObject().(*corev1.Node); !ok {
		return n.forbid("unexpected type %T", n.GetOldObject())
	}
	switch {
	case node.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(node.Spec.ConfigSource, old.Spec.ConfigSource): //nolint:staticcheck // removed, and still not a node's to write
		return n.forbid("node %q is not allowed to update configSource to a new non-nil configSource", n.name)
	case !equality.Semantic.DeepEqual(node.Spec.Taints, old.Spec.Taints):
		return n.forbid("node %q is not allowed to modify taints", n.name)
	case !equality.Semantic.DeepEqual(node.OwnerReferences, old.OwnerReferences):
		return n.forbid("node %q is not allowed to modify ownerReferences", n.name)
	case node.Spec.PodCIDR != old.Spec.PodCIDR || !equality.Semantic.DeepEqual(node.Spec.PodCIDRs, old.Spec.PodCIDRs):
		// All other nodes route it there: it is the cluster's to give.
		return n.forbid("node %q is not allowed to set podCIDR or podCIDRs", n.name)
	}
	if keys := forbiddenLabels(node.Labels, old.Labels); len(keys) > 0 {
		return n.forbid("node %q is not allowed to modify labels: %s", n.name, keys)
	}
	if keys := forbiddenAnnotations(node.Annotations, old.Annotations); len(keys) > 0 {
		return n.forbid("node %q is not allowed to modify annotations: %s", n.name, keys)
	}
	return nil
}

// claimStatus lets a node report that a volume has grown, and nothing else.
func (n nodeRequest) claimStatus() error {
	if n.GetSubresource() != "status" {
		return n.forbid("may only update PVC status")
	}
	now, ok1 := n.GetObject().(*corev1.PersistentVolumeClaim)
	old, ok2 := n.GetOldObject().(*corev1.PersistentVolumeClaim)
	if n.GetOperation() != admission.Update || !ok1 || !ok2 {
		return n.forbid("unexpected operation %q", n.GetOperation())
	}
	now, old = now.DeepCopy(), old.DeepCopy()
	for _, c := range []*corev1.PersistentVolumeClaim{now, old} {
		c.ResourceVersion, c.ManagedFields = "", nil
		c.Status.Capacity, c.Status.Conditions = nil, nil
		c.Status.AllocatedResources, c.Status.AllocatedResourceStatuses = nil, nil
	}
	if !equality.Semantic.DeepEqual(now, old) {
		return n.forbid("node %q is not allowed to update fields other than status.quantity and status.conditions", n.name)
	}
	return nil
}

// signingRequest lets a node ask Kubernetes' signers for no other node's identity.
func (n nodeRequest) signingRequest() error {
	r, ok := n.GetObject().(*certificatesv1.CertificateSigningRequest)
	if n.GetOperation() != admission.Create || !ok {
		return nil
	}
	if s := r.Spec.SignerName; s != certificatesv1.KubeletServingSignerName && s != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil
	}
	asked, err := parseRequest(r.Spec.Request)
	if err != nil {
		return n.forbid("unable to parse csr: %w", err)
	}
	if own := config.NodeUserPrefix + n.name; asked.Subject.CommonName != own {
		return n.forbid("can only create a node CSR with CN=%s", own)
	}
	return nil
}

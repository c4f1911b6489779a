package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"

	"github.com/gantry-run/gantry/runtime/apiserver/nodeauth"
)

// pods lets a node make mirror pods, and delete, evict and report on pods of its own.
func (n nodeRequest) pods(ctx context.Context) error {
	switch n.GetSubresource() {
	case "":
		switch n.GetOperation() {
		case admission.Create:
			return n.mirrorPod(ctx)
		case admission.Delete:
			return n.ownPod(ctx, n.GetName(), "can only delete pods with spec.nodeName set to itself")
		}
		return n.forbid("unexpected operation %q, node %q can only create and delete mirror pods", n.GetOperation(), n.name)
	case "status":
		return n.podStatus()
	case "eviction":
		e, ok := n.GetObject().(*policyv1.Eviction)
		if n.GetOperation() != admission.Create || !ok {
			return n.forbid("unexpected operation %s", n.GetOperation())
		}
		name := n.GetName()
		if name == "" {
			name = e.Name
		}
		if name == "" {
			return n.forbid("could not determine pod from request data")
		}
		return n.ownPod(ctx, name, "can only evict pods with spec.nodeName set to itself")
	}
	return n.forbid("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", n.GetSubresource())
}

func (n nodeRequest) ownPod(ctx context.Context, name, refusal string) error {
	pod, err := n.Objects.Pod(ctx, n.GetNamespace(), name)
	if err != nil {
		return n.unread(err)
	}
	if pod.Spec.NodeName != n.name {
		return n.forbid("node %q %s", n.name, refusal)
	}
	return nil
}

// mirrorPod shows a pod of the node's disk. It takes part in nothing of the API's: a
// node could give itself secrets with it, or an account.
func (n nodeRequest) mirrorPod(ctx context.Context) error {
	pod, ok := n.GetObject().(*corev1.Pod)
	if !ok {
		return n.forbid("unexpected type %T", n.GetObject())
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; !mirror {
		return n.forbid("pod does not have %q annotation, node %q can only create mirror pods", corev1.MirrorPodAnnotationKey, n.name)
	}
	if pod.Spec.NodeName != n.name {
		return n.forbid("node %q can only create pods with spec.nodeName set to itself", n.name)
	}
	if len(pod.OwnerReferences) != 1 {
		return n.forbid("node %q can only create pods with a single owner reference set to itself", n.name)
	}
	owner := pod.OwnerReferences[0]
	switch {
	case owner.APIVersion != "v1", owner.Kind != "Node", owner.Name != n.name:
		return n.forbid("node %q can only create pods with an owner reference set to itself", n.name)
	case owner.Controller == nil, !*owner.Controller:
		return n.forbid("node %q can only create pods with a controller owner reference set to itself", n.name)
	case owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion:
		return n.forbid("node %q must not set blockOwnerDeletion on an owner reference", n.name)
	}
	node, err := n.Objects.Node(ctx, n.name)
	if err != nil {
		return n.unread(err)
	}
	if owner.UID != node.UID {
		return n.forbid("node %s UID mismatch: expected %s got %s", n.name, owner.UID, node.UID)
	}
	what, err := ReferencedByPod(pod)
	if err != nil {
		return n.forbid("error checking mirror pod for API references: %w", err)
	}
	if what != "" {
		return n.forbid("node %q can not create pods that reference %s", n.name, what)
	}
	return nil
}

// ReferencedByPod names what of the API a pod refers to, or is "".
func ReferencedByPod(pod *corev1.Pod) (string, error) {
	secrets, configMaps := nodeauth.References(pod)
	switch {
	case pod.Spec.ServiceAccountName != "":
		return "serviceaccounts", nil
	case secrets:
		return "secrets", nil
	case configMaps:
		return "configmaps", nil
	case len(pod.Spec.ResourceClaims) > 0:
		return "resourceclaims", nil
	}
	for i := range pod.Spec.Volumes {
		if what, err := referencedByVolume(&pod.Spec.Volumes[i]); what != "" || err != nil {
			return what, err
		}
	}
	return "", nil
}

// referencedByVolume knows the types of volumes that need nothing of the API: one that
// it does not know is an error.
func referencedByVolume(v *corev1.Volume) (string, error) {
	switch s := &v.VolumeSource; {
	case s.AWSElasticBlockStore != nil, s.AzureDisk != nil, s.CephFS != nil, s.Cinder != nil, s.DownwardAPI != nil, s.EmptyDir != nil, s.FC != nil,
		s.FlexVolume != nil, s.Flocker != nil, s.GCEPersistentDisk != nil, s.GitRepo != nil, s.HostPath != nil, s.Image != nil, s.ISCSI != nil, s.NFS != nil,
		s.PhotonPersistentDisk != nil, s.PortworxVolume != nil, s.Quobyte != nil, s.RBD != nil, s.ScaleIO != nil, s.StorageOS != nil, s.VsphereVolume != nil:
		return "", nil
	case s.ConfigMap != nil:
		return "configmaps (via configmap volumes)", nil
	case s.Secret != nil:
		return "secrets (via secret volumes)", nil
	case s.CSI != nil:
		return "csidrivers (via CSI volumes)", nil
	case s.Glusterfs != nil:
		return "endpoints (via glusterFS volumes)", nil
	case s.PersistentVolumeClaim != nil:
		return "persistentvolumeclaims", nil
	case s.Ephemeral != nil:
		return "persistentvolumeclaims (via ephemeral volumes)", nil
	case s.AzureFile != nil:
		return "secrets (via azureFile volumes)", nil
	case s.Projected != nil:
		for i := range s.Projected.Sources {
			if what, err := referencedByProjection(&s.Projected.Sources[i], v.Name); what != "" || err != nil {
				return what, err
			}
		}
		return "", nil
	}
	return "", fmt.Errorf("unknown volume type for volume %q", v.Name)
}

func referencedByProjection(s *corev1.VolumeProjection, volume string) (string, error) {
	switch {
	case s.ConfigMap != nil:
		return "configmaps (via projected volumes)", nil
	case s.Secret != nil:
		return "secrets (via projected volumes)", nil
	case s.ServiceAccountToken != nil:
		return "serviceaccounts (via projected volumes)", nil
	case s.ClusterTrustBundle != nil:
		return "clustertrustbundles", nil
	case s.PodCertificate != nil:
		return "podcertificates", nil
	case s.DownwardAPI != nil:
		return "", nil
	}
	return "", fmt.Errorf("unknown source for projected volume %q", volume)
}

// podStatus lets a node report on its pods. Labels go with a status, and would make a
// pod an endpoint of any Service; claims are the scheduler's to report.
func (n nodeRequest) podStatus() error {
	now, ok1 := n.GetObject().(*corev1.Pod)
	old, ok2 := n.GetOldObject().(*corev1.Pod)
	if n.GetOperation() != admission.Update || !ok1 || !ok2 {
		return n.forbid("unexpected operation %q", n.GetOperation())
	}
	switch {
	case old.Spec.NodeName != n.name:
		return n.forbid("node %q can only update pod status for pods with spec.nodeName set to itself", n.name)
	case !labels.Equals(old.Labels, now.Labels):
		return n.forbid("node %q cannot update labels through pod status", n.name)
	case !equality.Semantic.DeepEqual(old.Status.ResourceClaimStatuses, now.Status.ResourceClaimStatuses):
		return n.forbid("node %q cannot update resource claim statues", n.name)
	case !equality.Semantic.DeepEqual(old.Status.ExtendedResourceClaimStatus, now.Status.ExtendedResourceClaimStatus):
		return n.forbid("node %q cannot update extended resource claim status", n.name)
	case !equality.Semantic.DeepEqual(old.Status.NodeAllocatableResourceClaimStatuses, now.Status.NodeAllocatableResourceClaimStatuses):
		return n.forbid("node %q cannot update node allocatable resource claim statuses", n.name)
	}
	return nil
}

package nodeauth

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/gantry-run/gantry/runtime/config"
)

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

// anyPod asks about the node's pods. Mirror pods refer to nothing: they are the
// node's own word.
func (n *Authorizer) anyPod(ctx context.Context, node string, match func(*corev1.Pod) (bool, error)) (bool, error) {
	for _, fresh := range []bool{false, true} {
		pods, err := n.cluster.Pods(ctx, node, fresh)
		if err != nil {
			return false, err
		}
		for i := range pods {
			if _, mirror := pods[i].Annotations[corev1.MirrorPodAnnotationKey]; mirror {
				continue
			}
			if ok, err := match(&pods[i]); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// secret allows one that a pod refers to, or a volume that a pod claims.
func (n *Authorizer) secret(ctx context.Context, node string, a authorizer.Attributes, verbOK bool) (bool, error) {
	if !verbOK || a.GetName() == "" {
		return false, nil
	}
	return n.anyPod(ctx, node, func(p *corev1.Pod) (bool, error) {
		if p.Namespace == a.GetNamespace() && usesSecret(p, a.GetName()) {
			return true, nil
		}
		for _, name := range claims(p) {
			v, err := n.claimed(ctx, p.Namespace, name)
			if err != nil {
				return false, err
			}
			if v != nil && volumeUsesSecret(v, a.GetNamespace(), a.GetName()) {
				return true, nil
			}
		}
		return false, nil
	})
}

// claimed is the volume that is bound to a claim, which both of them have to say; nil
// where there is none.
func (n *Authorizer) claimed(ctx context.Context, namespace, name string) (*corev1.PersistentVolume, error) {
	c, err := n.cluster.Claim(ctx, namespace, name)
	if err != nil || c.Spec.VolumeName == "" {
		return nil, unlessGone(err)
	}
	v, err := n.cluster.Volume(ctx, c.Spec.VolumeName)
	if err != nil || !boundTo(v, namespace, name) {
		return nil, unlessGone(err)
	}
	return v, nil
}

func boundTo(v *corev1.PersistentVolume, namespace, name string) bool {
	ref := v.Spec.ClaimRef
	return ref != nil && ref.Namespace == namespace && ref.Name == name
}

func unlessGone(err error) error {
	if errors.IsNotFound(err) {
		return nil
	}
	return err
}

// volume allows one that is bound to a claim of one of the node's pods, and one of the
// cluster's own that lies on the node: of that the node tells, too. What it may write of
// it, admission sees.
func (n *Authorizer) volume(ctx context.Context, node string, a authorizer.Attributes, read, write bool) (bool, error) {
	if !read && !write || a.GetName() == "" {
		return false, nil
	}
	v, err := n.cluster.Volume(ctx, a.GetName())
	if err != nil {
		return false, unlessGone(err)
	}
	if v.Labels[config.LocalVolumeNode] == node {
		return true, nil
	}
	if write || v.Spec.ClaimRef == nil {
		return false, nil
	}
	return n.anyPod(ctx, node, func(p *corev1.Pod) (bool, error) {
		return p.Namespace == v.Spec.ClaimRef.Namespace && usesClaim(p, v.Spec.ClaimRef.Name), nil
	})
}

// selectsOwnVolumes reports whether a list or watch is restricted to the cluster's own
// volumes that lie on the node.
func selectsOwnVolumes(a authorizer.Attributes, node string) bool {
	requirements, err := a.GetLabelSelector()
	return err == nil && slices.ContainsFunc(requirements, func(r labels.Requirement) bool {
		values := r.ValuesUnsorted()
		return r.Key() == config.LocalVolumeNode && len(values) == 1 && values[0] == node &&
			(r.Operator() == selection.Equals || r.Operator() == selection.DoubleEquals || r.Operator() == selection.In)
	})
}

// attachment allows one of a volume to the node.
func (n *Authorizer) attachment(ctx context.Context, node string, a authorizer.Attributes, verbOK bool) (bool, error) {
	if !verbOK || a.GetName() == "" {
		return false, nil
	}
	v, err := n.cluster.Attachment(ctx, a.GetName())
	if err != nil {
		return false, unlessGone(err)
	}
	return v.Spec.NodeName == node, nil
}

func (n *Authorizer) ownSlice(ctx context.Context, node string, a authorizer.Attributes, verbOK bool) (bool, error) {
	if !verbOK || a.GetName() == "" {
		return false, nil
	}
	s, err := n.cluster.ResourceSlice(ctx, a.GetName())
	if err != nil {
		return false, unlessGone(err)
	}
	return s.Spec.NodeName != nil && *s.Spec.NodeName == node, nil
}

func (n *Authorizer) ownCertificateRequest(ctx context.Context, node string, a authorizer.Attributes, verbOK bool) (bool, error) {
	if !verbOK || a.GetName() == "" {
		return false, nil
	}
	r, err := n.cluster.PodCertificateRequest(ctx, a.GetNamespace(), a.GetName())
	if err != nil {
		return false, unlessGone(err)
	}
	return string(r.Spec.NodeName) == node, nil
}

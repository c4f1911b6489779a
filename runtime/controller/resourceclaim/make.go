package resourceclaim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	claimhelper "k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// fieldManager owns the names of claims in the status of pods.
const fieldManager = "ResourceClaimController"

// makeClaims makes the claims that a pod's templates ask for, and tells their names in its
// status, from which its scheduler and its node know them.
func (c *Controller) makeClaims(ctx context.Context, p *corev1.Pod) error {
	made := map[string]string{}
	for i := range p.Spec.ResourceClaims {
		ref := &p.Spec.ResourceClaims[i]
		name, err := c.ensure(ctx, p, ref)
		if err != nil {
			c.events.Eventf(p, corev1.EventTypeWarning, "FailedResourceClaimCreation", "PodResourceClaim %s: %v", ref.Name, err)
			return fmt.Errorf("pod %s, PodResourceClaim %s: %w", reconcile.Key(p), ref.Name, err)
		}
		if name != "" {
			made[ref.Name] = name
		}
	}
	if len(made) == 0 {
		return nil
	}
	for _, s := range p.Status.ResourceClaimStatuses {
		if s.ResourceClaimName != nil && made[s.Name] == "" {
			made[s.Name] = *s.ResourceClaimName
		}
	}
	status := coreapply.PodStatus()
	for _, name := range slices.Sorted(maps.Keys(made)) {
		status.WithResourceClaimStatuses(coreapply.PodResourceClaimStatus().WithName(name).WithResourceClaimName(made[name]))
	}
	_, err := c.client.CoreV1().Pods(p.Namespace).ApplyStatus(ctx, coreapply.Pod(p.Name, p.Namespace).WithStatus(status), metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return fmt.Errorf("update pod %s ResourceClaimStatuses: %w", reconcile.Key(p), err)
	}
	return nil
}

// ensure returns the name of a claim that the pod's status does not tell yet, and makes the
// claim unless it is there: an earlier attempt may have come no further.
func (c *Controller) ensure(ctx context.Context, p *corev1.Pod, ref *corev1.PodResourceClaim) (string, error) {
	name, owned, err := claimhelper.Name(p, ref)
	switch {
	case errors.Is(err, claimhelper.ErrClaimNotFound):
	case err != nil:
		return "", fmt.Errorf("checking for claim before creating it: %w", err)
	case name == nil || ref.ResourceClaimTemplateName == nil:
		return "", nil
	default:
		there, err := reconcile.Get(c.claims.ResourceClaims(p.Namespace), "ResourceClaim "+*name, *name)
		if err != nil {
			return "", err
		}
		if there == nil { // the cache may not know yet what was made a moment ago
			there, err = c.client.ResourceV1().ResourceClaims(p.Namespace).Get(ctx, *name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				there, err = nil, nil
			}
			if err != nil {
				return "", fmt.Errorf("checking claim existence: %w", err)
			}
		}
		if there != nil && (!owned || claimhelper.IsForPod(p, there, false) == nil) {
			return "", nil
		}
	}
	if ref.ResourceClaimTemplateName == nil {
		return "", nil
	}
	orphan, err := c.orphan(p, ref.Name)
	if err != nil || orphan != "" {
		return orphan, err
	}
	template, err := c.client.ResourceV1().ResourceClaimTemplates(p.Namespace).Get(ctx, *ref.ResourceClaimTemplateName, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("resource claim template %q: %w", *ref.ResourceClaimTemplateName, err)
	}
	claim, err := c.client.ResourceV1().ResourceClaims(p.Namespace).Create(ctx, claimOf(p, ref.Name, template), metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create ResourceClaim: %w", err)
	}
	return claim.Name, nil
}

// orphan is a claim that was made for the pod, and not told of.
func (c *Controller) orphan(p *corev1.Pod, ref string) (string, error) {
	claims, err := c.byPod.ByIndex(claimsByPod, string(p.UID))
	if err != nil {
		return "", fmt.Errorf("look for the ResourceClaims of pod %s: %w", reconcile.Key(p), err)
	}
	for _, o := range claims {
		if claim, ok := o.(*resourcev1.ResourceClaim); ok && claim.Namespace == p.Namespace && claim.Annotations[resourcev1.PodResourceClaimAnnotation] == ref && claim.DeletionTimestamp == nil {
			return claim.Name, nil
		}
	}
	return "", nil
}

// longestBase leaves room for five characters of the server's after it, in a name of 63.
const longestBase = 57

// claimOf is a claim as a template wants it, for a pod.
func claimOf(p *corev1.Pod, ref string, template *resourcev1.ResourceClaimTemplate) *resourcev1.ResourceClaim {
	base := p.Name + "-" + ref + "-"
	if n := len(base); n > longestBase { // both of them shrink alike
		base = p.Name[:len(p.Name)*longestBase/n] + "-" + ref[:len(ref)*longestBase/n]
	}
	annotations := map[string]string{}
	maps.Copy(annotations, template.Spec.Annotations)
	annotations[resourcev1.PodResourceClaimAnnotation] = ref
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: base, Annotations: annotations, Labels: template.Spec.Labels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: p.Name, UID: p.UID, Controller: ptr.To(true)}},
		},
		Spec: template.Spec.Spec,
	}
}

// owningPod is the pod that a claim was made for; nil where there is none.
func owningPod(claim metav1.Object) *metav1.OwnerReference {
	owner := metav1.GetControllerOf(claim)
	if owner == nil || owner.APIVersion != "v1" || owner.Kind != "Pod" {
		return nil
	}
	return owner
}

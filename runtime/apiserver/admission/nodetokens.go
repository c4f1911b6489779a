package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// token lets a node have tokens that are bound to its own pods, for the audiences that
// the pods' volumes name.
func (n nodeRequest) token(ctx context.Context) error {
	if n.GetOperation() != admission.Create || n.GetSubresource() != "token" {
		return nil
	}
	r, ok := n.GetObject().(*authenticationv1.TokenRequest)
	if !ok {
		return n.forbid("unexpected type %T", n.GetObject())
	}
	ref := r.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return n.forbid("node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return n.forbid("node requested token with a pod binding without a uid")
	}
	pod, err := n.Objects.Pod(ctx, n.GetNamespace(), ref.Name)
	if err != nil {
		return n.unread(err)
	}
	if ref.UID != pod.UID {
		return n.forbid("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if pod.Spec.NodeName != n.name {
		return n.forbid("node requested token bound to a pod scheduled on a different node")
	}
	if len(r.Spec.Audiences) > 1 {
		return n.forbid("node may only request 0 or 1 audiences")
	}
	audience := ""
	if len(r.Spec.Audiences) == 1 {
		audience = r.Spec.Audiences[0]
	}
	named, err := n.namesAudience(ctx, pod, audience)
	if named {
		return nil
	}
	if err != nil {
		return n.forbid("error validating audience %q: %w", audience, err)
	}
	return n.granted(ctx, "request-serviceaccounts-token-audience", audience, n.GetName(),
		fmt.Sprintf("%s is not authorized to request tokens for audience %q", n.GetUserInfo().GetName(), audience))
}

// granted asks RBAC for what no volume of the pod names.
func (n nodeRequest) granted(ctx context.Context, verb, resource, account, refusal string) error {
	decision, _, err := n.All.Authorize(ctx, authorizer.AttributesRecord{
		User: n.GetUserInfo(), Verb: verb, APIGroup: n.GetResource().Group, APIVersion: n.GetResource().Version,
		Resource: resource, Namespace: n.GetNamespace(), Name: account, ResourceRequest: true,
	})
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return n.forbid("%s: %w", refusal, err)
	}
	return admission.NewForbidden(n.Attributes, errors.New(refusal))
}

// namesAudience tells whether a volume of the pod wants tokens for the audience: one
// that projects them, or the driver of one.
func (n nodeRequest) namesAudience(ctx context.Context, pod *corev1.Pod, audience string) (bool, error) {
	var unread []error
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		if projectsToken(v, audience) {
			return true, nil
		}
		driver, err := n.driverOf(ctx, pod, v)
		if err == nil && driver != "" {
			var wants bool
			if wants, err = n.driverWants(ctx, driver, audience); wants {
				return true, nil
			}
		}
		if err != nil {
			unread = append(unread, err)
		}
	}
	return false, errors.Join(unread...)
}

func projectsToken(v *corev1.Volume, audience string) bool {
	if v.Projected == nil {
		return false
	}
	for _, s := range v.Projected.Sources {
		if s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience {
			return true
		}
	}
	return false
}

// driverOf is the CSI driver behind a volume, by way of its claim; "" is none.
func (n nodeRequest) driverOf(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (string, error) {
	claim := ""
	switch {
	case v.CSI != nil:
		return v.CSI.Driver, nil
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
		claim = pod.Name + "-" + v.Name
	default:
		return "", nil
	}
	c, err := n.Objects.Claim(ctx, pod.Namespace, claim)
	if err != nil {
		return "", err
	}
	pv, err := n.Objects.Volume(ctx, c.Spec.VolumeName)
	if err != nil {
		return "", err
	}
	if pv.Spec.CSI == nil {
		return "", nil
	}
	return pv.Spec.CSI.Driver, nil
}

func (n nodeRequest) driverWants(ctx context.Context, name, audience string) (bool, error) {
	driver, err := n.Objects.Driver(ctx, name)
	if err != nil {
		return false, err
	}
	for _, r := range driver.Spec.TokenRequests {
		if r.Audience == audience {
			return true, nil
		}
	}
	return false, nil
}

// podCertificate lets a node ask for certificates of its own pods, from the signers
// that the pods' volumes name. What only a lagging view could explain is no refusal:
// the kubelet asks again.
func (n nodeRequest) podCertificate(ctx context.Context) error {
	r, ok := n.GetObject().(*certificatesv1.PodCertificateRequest)
	switch {
	case n.GetOperation() != admission.Create:
		return n.forbid("unexpected operation %v", n.GetOperation())
	case n.GetSubresource() != "":
		return n.forbid("unexpected subresource %v", n.GetSubresource())
	case !ok:
		return n.forbid("unexpected type %T", n.GetObject())
	}
	s, name := &r.Spec, n.GetNamespace()+"/"+r.Spec.PodName
	if string(s.NodeName) != n.name {
		return n.forbid("PodCertificateRequest.Spec.NodeName=%q, which is not the requesting node %q", s.NodeName, n.name)
	}
	node, err := n.Objects.Node(ctx, n.name)
	if err != nil {
		return n.unread(fmt.Errorf("while retrieving node %q named in the PodCertificateRequest: %w", n.name, err))
	}
	if node.UID != s.NodeUID {
		return fmt.Errorf("PodCertificateRequest for pod %q names node UID %q, inconsistent with the running node (%q)", name, s.NodeUID, node.UID)
	}
	pod, err := n.Objects.Pod(ctx, n.GetNamespace(), s.PodName)
	if err != nil {
		return n.unread(fmt.Errorf("while retrieving pod %q named in the PodCertificateRequest: %w", name, err))
	}
	if pod.UID != s.PodUID {
		return fmt.Errorf("PodCertificateRequest for pod %q contains pod UID (%q) which differs from running pod %q", name, s.PodUID, pod.UID)
	}
	if pod.Spec.NodeName != n.name {
		return n.forbid("pod %q is not running on node %q named in the PodCertificateRequest", name, n.name)
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return n.forbid("pod %q is a mirror pod", name)
	}
	if s.ServiceAccountName != pod.Spec.ServiceAccountName {
		return n.forbid("PodCertificateRequest for pod %q contains serviceAccountName (%q) that differs from running pod (%q)", name, s.ServiceAccountName, pod.Spec.ServiceAccountName)
	}
	account, err := n.Objects.Account(ctx, n.GetNamespace(), s.ServiceAccountName)
	if err != nil {
		return n.unread(fmt.Errorf("while retrieving service account %q named in the PodCertificateRequest: %w", n.GetNamespace()+"/"+s.ServiceAccountName, err))
	}
	if account.UID != s.ServiceAccountUID {
		return fmt.Errorf("PodCertificateRequest for pod %q names service account UID %q, which differs from the running service account (%q)", name, s.ServiceAccountUID, account.UID)
	}
	if projectsCertificate(pod, s.SignerName) {
		return nil
	}
	return n.granted(ctx, "request-serviceaccounts-podcertificate-signer", strings.ReplaceAll(s.SignerName, "/", ":"), s.ServiceAccountName,
		fmt.Sprintf("pod %q does not mount a podCertificate projected volume for signer %q", name, s.SignerName))
}

func projectsCertificate(pod *corev1.Pod, signer string) bool {
	for _, v := range pod.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.PodCertificate != nil && s.PodCertificate.SignerName == signer {
				return true
			}
		}
	}
	return false
}

package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/storage/names"

	"github.com/gantry-run/gantry/runtime/apiserver/nodeauth"
)

const (
	// tokenMount is where a container finds its token, CA and namespace.
	tokenMount = "/var/run/secrets/kubernetes.io/serviceaccount"
	// tokenSeconds is how long a projected token lives; kubelets renew it well before.
	// The odd seconds tell such tokens from those that people ask for.
	tokenSeconds = 3607
	volumePrefix = "kube-api-access-"
)

// ServiceAccount gives every pod its service account ("default" where it names
// none) and mounts a token for it.
type ServiceAccount struct {
	// Account returns a service account, or a NotFound error.
	Account func(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error)
}

var (
	_ admission.MutationInterface   = &ServiceAccount{}
	_ admission.ValidationInterface = &ServiceAccount{}
)

// Handles says that new pods are looked at, and debug containers that are added.
func (p *ServiceAccount) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

func newPod(a admission.Attributes) (*corev1.Pod, bool) {
	if a.GetResource().GroupResource() != corev1.Resource("pods") || a.GetSubresource() != "" || a.GetOperation() != admission.Create {
		return nil, false
	}
	pod, ok := a.GetObject().(*corev1.Pod)
	return pod, ok
}

// Admit completes the pod.
func (p *ServiceAccount) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := newPod(a)
	if !ok {
		return nil
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return nil
	}
	if pod.Spec.ServiceAccountName == "" {
		pod.Spec.ServiceAccountName = "default"
	}
	pod.Spec.DeprecatedServiceAccount = pod.Spec.ServiceAccountName
	sa, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if mountsToken(pod, sa) {
		mount(pod)
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, sa.ImagePullSecrets...)
	}
	return nil
}

// Validate makes sure that the account still exists after other plugins had
// their say, that the pod uses only secrets that it may, and that a mirror pod has no
// part in it.
func (p *ServiceAccount) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := newPod(a)
	debugged := false
	if !ok && a.GetOperation() == admission.Update && a.GetSubresource() == "ephemeralcontainers" {
		pod, debugged = a.GetObject().(*corev1.Pod)
	}
	if !ok && !debugged {
		return nil
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		if what := refusedOfMirror(pod); what != "" {
			return admission.NewForbidden(a, fmt.Errorf("a mirror pod may not %s", what))
		}
		return nil
	}
	sa, err := p.account(ctx, a, pod)
	if err != nil {
		return err
	}
	if err := mountable(sa, pod, debugged); err != nil {
		return admission.NewForbidden(a, err)
	}
	return nil
}

// refusedOfMirror names what an account would have to allow, which a mirror pod does not
// have: whoever may make pods may write the annotation.
func refusedOfMirror(pod *corev1.Pod) string {
	secrets, _ := nodeauth.References(pod)
	token := false
	for i := range pod.Spec.Volumes {
		v := &pod.Spec.Volumes[i]
		secrets = secrets || v.Secret != nil || v.AzureFile != nil || v.CSI != nil && v.CSI.NodePublishSecretRef != nil
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			secrets, token = secrets || s.Secret != nil, token || s.ServiceAccountToken != nil
		}
	}
	switch {
	case pod.Spec.ServiceAccountName != "":
		return "reference service accounts"
	case secrets:
		return "reference secrets"
	case token:
		return "use ServiceAccountToken volume projections"
	}
	return ""
}

func (p *ServiceAccount) account(ctx context.Context, a admission.Attributes, pod *corev1.Pod) (*corev1.ServiceAccount, error) {
	sa, err := p.Account(ctx, a.GetNamespace(), pod.Spec.ServiceAccountName)
	if errors.IsNotFound(err) {
		return nil, admission.NewForbidden(a, fmt.Errorf("error looking up service account %s/%s: %w", a.GetNamespace(), pod.Spec.ServiceAccountName, err))
	}
	if err != nil {
		return nil, errors.NewInternalError(fmt.Errorf("look up service account %s/%s: %w", a.GetNamespace(), pod.Spec.ServiceAccountName, err))
	}
	return sa, nil
}

func mountsToken(pod *corev1.Pod, sa *corev1.ServiceAccount) bool {
	if b := pod.Spec.AutomountServiceAccountToken; b != nil {
		return *b
	}
	return sa.AutomountServiceAccountToken == nil || *sa.AutomountServiceAccountToken
}

// mount adds the volume, and a mount to each container that has nothing there.
func mount(pod *corev1.Pod) {
	volume := ""
	for _, v := range pod.Spec.Volumes {
		if len(v.Name) > len(volumePrefix) && v.Name[:len(volumePrefix)] == volumePrefix {
			volume = v.Name
		}
	}
	name := volume
	if name == "" {
		name = names.SimpleNameGenerator.GenerateName(volumePrefix)
	}
	used := false
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if !mounted(&list[i]) {
				list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: tokenMount})
				used = true
			}
		}
	}
	if used && volume == "" {
		pod.Spec.Volumes = append(pod.Spec.Volumes, tokenVolume(name))
	}
}

func mounted(c *corev1.Container) bool {
	for _, m := range c.VolumeMounts {
		if m.MountPath == tokenMount {
			return true
		}
	}
	return false
}

func tokenVolume(name string) corev1.Volume {
	seconds, mode := int64(tokenSeconds), corev1.ProjectedVolumeSourceDefaultMode
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: &mode,
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
				Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"},
			}}}},
		},
	}}}
}

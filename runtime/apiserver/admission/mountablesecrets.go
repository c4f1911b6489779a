package admission

import (
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	podspec "github.com/gantry-run/gantry/runtime/pod"
)

// mountableAnnotation of a service account says that its pods use only the secrets that
// it lists.
const mountableAnnotation = "kubernetes.io/enforce-mountable-secrets"

// mountable refuses secrets that a pod's account does not list: all of a new pod's, or
// those of the containers that are added to it.
func mountable(sa *corev1.ServiceAccount, p *corev1.Pod, added bool) error {
	if enforced, err := strconv.ParseBool(sa.Annotations[mountableAnnotation]); err != nil || !enforced {
		return nil
	}
	listed := func(name string) bool {
		return slices.ContainsFunc(sa.Secrets, func(r corev1.ObjectReference) bool { return r.Name == name })
	}
	types := podspec.EphemeralContainers
	if !added {
		types = podspec.InitContainers | podspec.MainContainers
		for _, v := range p.Spec.Volumes {
			if v.Secret != nil && !listed(v.Secret.SecretName) {
				return fmt.Errorf("volume with secret.secretName=%q is not allowed because service account %s does not reference that secret", v.Secret.SecretName, sa.Name)
			}
		}
	}
	for t, c := range podspec.Containers(&p.Spec, types) {
		for _, env := range c.Env {
			if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil && !listed(env.ValueFrom.SecretKeyRef.Name) {
				return fmt.Errorf("%s %s with envVar %s referencing secret.secretName=%q is not allowed because service account %s does not reference that secret",
					typeName(t), c.Name, env.Name, env.ValueFrom.SecretKeyRef.Name, sa.Name)
			}
		}
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil && !listed(from.SecretRef.Name) {
				return fmt.Errorf("%s %s with envFrom referencing secret.secretName=%q is not allowed because service account %s does not reference that secret",
					typeName(t), c.Name, from.SecretRef.Name, sa.Name)
			}
		}
	}
	if added {
		return nil
	}
	for i, s := range p.Spec.ImagePullSecrets {
		if !slices.Contains(sa.ImagePullSecrets, s) {
			return fmt.Errorf("imagePullSecrets[%d].name=%q is not allowed because service account %s does not reference that imagePullSecret", i, s.Name, sa.Name)
		}
	}
	return nil
}

// typeName is a kind of containers as messages name it.
func typeName(t podspec.ContainerType) string {
	switch t {
	case podspec.InitContainers:
		return "init container"
	case podspec.EphemeralContainers:
		return "ephemeral container"
	}
	return "container"
}

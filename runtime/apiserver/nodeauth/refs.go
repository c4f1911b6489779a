package nodeauth

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func usesServiceAccount(p *corev1.Pod, name string) bool { return p.Spec.ServiceAccountName == name }

func usesClaim(p *corev1.Pod, name string) bool { return slices.Contains(claims(p), name) }

// usesResourceClaim knows claims made of templates by what the pod's status says.
func usesResourceClaim(p *corev1.Pod, name string) bool {
	if s := p.Status.ExtendedResourceClaimStatus; s != nil && s.ResourceClaimName == name {
		return true
	}
	return slices.ContainsFunc(p.Spec.ResourceClaims, func(c corev1.PodResourceClaim) bool {
		if c.ResourceClaimName != nil {
			return *c.ResourceClaimName == name
		}
		return slices.ContainsFunc(p.Status.ResourceClaimStatuses, func(s corev1.PodResourceClaimStatus) bool {
			return s.Name == c.Name && s.ResourceClaimName != nil && *s.ResourceClaimName == name
		})
	})
}

// claims are the volume claims of a pod, those of ephemeral volumes too.
func claims(p *corev1.Pod) []string {
	var out []string
	for _, v := range p.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil:
			out = append(out, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			out = append(out, p.Name+"-"+v.Name)
		}
	}
	return out
}

func usesSecret(p *corev1.Pod, name string) bool {
	for _, s := range p.Spec.ImagePullSecrets {
		if s.Name == name {
			return true
		}
	}
	if slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return volumeSecret(&v, name) }) {
		return true
	}
	return anyEnv(p, func(from []corev1.EnvFromSource, env []corev1.EnvVar) bool {
		return slices.ContainsFunc(from, func(e corev1.EnvFromSource) bool { return e.SecretRef != nil && e.SecretRef.Name == name }) ||
			slices.ContainsFunc(env, func(e corev1.EnvVar) bool {
				return e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil && e.ValueFrom.SecretKeyRef.Name == name
			})
	})
}

func volumeSecret(v *corev1.Volume, name string) bool {
	ref := func(r *corev1.LocalObjectReference) bool { return r != nil && r.Name == name }
	switch {
	case v.Secret != nil:
		return v.Secret.SecretName == name
	case v.Projected != nil:
		return slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.Secret != nil && s.Secret.Name == name })
	case v.CSI != nil:
		return ref(v.CSI.NodePublishSecretRef)
	case v.CephFS != nil:
		return ref(v.CephFS.SecretRef)
	case v.RBD != nil:
		return ref(v.RBD.SecretRef)
	case v.ISCSI != nil:
		return ref(v.ISCSI.SecretRef)
	case v.FlexVolume != nil:
		return ref(v.FlexVolume.SecretRef)
	case v.AzureFile != nil:
		return v.AzureFile.SecretName == name
	case v.Cinder != nil:
		return ref(v.Cinder.SecretRef)
	case v.ScaleIO != nil:
		return ref(v.ScaleIO.SecretRef)
	case v.StorageOS != nil:
		return ref(v.StorageOS.SecretRef)
	}
	return false
}

// volumeUsesSecret reports whether nodes need a secret to mount a volume. Where the
// volume names no namespace for it, it is that of its claim.
func volumeUsesSecret(v *corev1.PersistentVolume, namespace, name string) bool {
	own := ""
	if v.Spec.ClaimRef != nil {
		own = v.Spec.ClaimRef.Namespace
	}
	ref := func(r *corev1.SecretReference) bool {
		return r != nil && r.Name == name && (r.Namespace == namespace || r.Namespace == "" && own == namespace)
	}
	switch s := &v.Spec.PersistentVolumeSource; {
	case s.AzureFile != nil:
		of := own
		if n := s.AzureFile.SecretNamespace; n != nil && *n != "" {
			of = *n
		}
		return s.AzureFile.SecretName == name && of == namespace
	case s.CephFS != nil:
		return ref(s.CephFS.SecretRef)
	case s.Cinder != nil:
		return ref(s.Cinder.SecretRef)
	case s.FlexVolume != nil:
		return ref(s.FlexVolume.SecretRef)
	case s.RBD != nil:
		return ref(s.RBD.SecretRef)
	case s.ScaleIO != nil:
		return ref(s.ScaleIO.SecretRef)
	case s.ISCSI != nil:
		return ref(s.ISCSI.SecretRef)
	case s.StorageOS != nil:
		return s.StorageOS.SecretRef != nil && s.StorageOS.SecretRef.Name == name && s.StorageOS.SecretRef.Namespace == namespace
	case s.CSI != nil: // those of controllers are not for nodes
		return ref(s.CSI.NodePublishSecretRef) || ref(s.CSI.NodeStageSecretRef) || ref(s.CSI.NodeExpandSecretRef)
	}
	return false
}

// References reports whether a pod refers to any secret or config map in its pull
// secrets and environments.
func References(p *corev1.Pod) (secrets, configMaps bool) {
	secrets = len(p.Spec.ImagePullSecrets) > 0
	for i := range p.Spec.Volumes {
		secrets = secrets || namesSecret(&p.Spec.Volumes[i])
	}
	anyEnv(p, func(from []corev1.EnvFromSource, env []corev1.EnvVar) bool {
		for _, e := range from {
			secrets, configMaps = secrets || e.SecretRef != nil, configMaps || e.ConfigMapRef != nil
		}
		for _, e := range env {
			if e.ValueFrom != nil {
				secrets, configMaps = secrets || e.ValueFrom.SecretKeyRef != nil, configMaps || e.ValueFrom.ConfigMapKeyRef != nil
			}
		}
		return false
	})
	return secrets, configMaps
}

// namesSecret reports whether a volume of a type that needs nothing else of the API
// names a secret.
func namesSecret(v *corev1.Volume) bool {
	switch {
	case v.CephFS != nil:
		return v.CephFS.SecretRef != nil
	case v.RBD != nil:
		return v.RBD.SecretRef != nil
	case v.ISCSI != nil:
		return v.ISCSI.SecretRef != nil
	case v.FlexVolume != nil:
		return v.FlexVolume.SecretRef != nil
	case v.Cinder != nil:
		return v.Cinder.SecretRef != nil
	case v.ScaleIO != nil:
		return v.ScaleIO.SecretRef != nil
	case v.StorageOS != nil:
		return v.StorageOS.SecretRef != nil
	}
	return false
}

func usesConfigMap(p *corev1.Pod, name string) bool {
	inVolume := slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool {
		return v.ConfigMap != nil && v.ConfigMap.Name == name ||
			v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.ConfigMap != nil && s.ConfigMap.Name == name })
	})
	return inVolume || anyEnv(p, func(from []corev1.EnvFromSource, env []corev1.EnvVar) bool {
		return slices.ContainsFunc(from, func(e corev1.EnvFromSource) bool { return e.ConfigMapRef != nil && e.ConfigMapRef.Name == name }) ||
			slices.ContainsFunc(env, func(e corev1.EnvVar) bool {
				return e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil && e.ValueFrom.ConfigMapKeyRef.Name == name
			})
	})
}

// anyEnv asks about the environment of every container of a pod.
func anyEnv(p *corev1.Pod, match func([]corev1.EnvFromSource, []corev1.EnvVar) bool) bool {
	for _, c := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		if match(c.EnvFrom, c.Env) {
			return true
		}
	}
	for _, c := range p.Spec.EphemeralContainers {
		if match(c.EnvFrom, c.Env) {
			return true
		}
	}
	return false
}

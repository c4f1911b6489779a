package nodeauth

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

func usesServiceAccount(p *corev1.Pod, name string) bool { return p.Spec.ServiceAccountName == name }

func usesClaim(p *corev1.Pod, name string) bool { return slices.Contains(claims(p), name) }

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

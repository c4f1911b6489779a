package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/admission"
)

// A service account that says so has pods that use its secrets only.
func TestMountableSecrets(t *testing.T) {
	const notMine = " is not allowed because service account bot does not reference that secret"
	strict, lax := account("bot"), account("lax")
	strict.Annotations = map[string]string{"kubernetes.io/enforce-mountable-secrets": "true"}
	strict.Secrets, strict.ImagePullSecrets = []corev1.ObjectReference{{Name: "mine"}}, []corev1.LocalObjectReference{{Name: "pull"}}
	lax.Annotations = map[string]string{"kubernetes.io/enforce-mountable-secrets": "false"}
	plugin := &ServiceAccount{Account: accounts{"team/bot": strict, "team/lax": lax}.get}
	env := func(secret string) corev1.Container {
		return corev1.Container{Name: "c", Env: []corev1.EnvVar{{Name: "E", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}}
	}
	from := func(secret string) corev1.Container {
		return corev1.Container{Name: "c", EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}}}
	}
	spec := func(change func(*corev1.PodSpec)) corev1.PodSpec {
		s := corev1.PodSpec{ServiceAccountName: "bot"}
		change(&s)
		return s
	}
	volume := func(s *corev1.PodSpec) {
		s.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "other"}}}}
	}
	debug := func(c corev1.Container) func(*corev1.PodSpec) {
		return func(s *corev1.PodSpec) {
			s.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon(c)}}
		}
	}
	free := spec(volume)
	free.ServiceAccountName = "lax"
	tests := []struct {
		name  string
		spec  corev1.PodSpec
		added bool
		want  string
	}{
		{"all its own", spec(func(s *corev1.PodSpec) {
			s.InitContainers, s.Containers = []corev1.Container{env("mine")}, []corev1.Container{from("mine")}
			s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pull"}}
		}), false, ""},
		{"a volume", spec(volume), false, `volume with secret.secretName="other"` + notMine},
		{"a variable", spec(func(s *corev1.PodSpec) { s.Containers = []corev1.Container{env("other")} }), false, `container c with envVar E referencing secret.secretName="other"` + notMine},
		{"variables", spec(func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{from("other")} }), false, `init container c with envFrom referencing secret.secretName="other"` + notMine},
		{"of an image", spec(func(s *corev1.PodSpec) { s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "mine"}} }), false,
			`imagePullSecrets[0].name="mine" is not allowed because service account bot does not reference that imagePullSecret`},
		{"an account that does not ask", free, false, ""},
		{"a debug container's", spec(debug(env("other"))), true, `ephemeral container c with envVar E referencing secret.secretName="other"` + notMine},
		{"a debug container's own", spec(debug(from("mine"))), true, ""},
		{"a debug container beside a volume", spec(func(s *corev1.PodSpec) { volume(s); debug(env("mine"))(s) }), true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := write{resource: "pods", obj: pod(tt.spec)}
			if tt.added {
				w.op, w.subresource, w.old = admission.Update, "ephemeralcontainers", pod(corev1.PodSpec{})
			}
			refused(t, plugin.Validate(t.Context(), w.attributes(t), nil), tt.want)
		})
	}
}

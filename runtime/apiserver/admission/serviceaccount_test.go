package admission

import (
	"context"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/utils/ptr"
)

// accounts are the service accounts that exist, by namespace and name.
type accounts map[string]*corev1.ServiceAccount

func (m accounts) get(_ context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
	switch sa, ok := m[namespace+"/"+name]; {
	case !ok:
		return nil, apierrors.NewNotFound(corev1.Resource("serviceaccounts"), name)
	case sa == nil:
		return nil, errAway
	default:
		return sa, nil
	}
}

func account(name string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}}
}

func mirrored(p *corev1.Pod) *corev1.Pod {
	p.Annotations = map[string]string{"kubernetes.io/config.mirror": "hash"}
	return p
}

// mirroring is a mirror pod with a volume.
func mirroring(s corev1.VolumeSource) *corev1.Pod {
	return mirrored(pod(corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: s}}}))
}

func projected(s corev1.VolumeProjection) corev1.VolumeSource {
	return corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{s}}}
}

func TestServiceAccountOfAPod(t *testing.T) {
	plugin := &ServiceAccount{Account: accounts{"team/default": account("default"), "team/bot": account("bot"), "other/only": account("only"), "team/away": nil}.get}
	tests := []struct {
		name string
		pod  *corev1.Pod
		want outcome
		sa   string // that the pod has then
	}{
		{"none", pod(corev1.PodSpec{}), allowed, "default"},
		{"one", pod(corev1.PodSpec{ServiceAccountName: "bot"}), allowed, "bot"},
		{"one under two names", pod(corev1.PodSpec{ServiceAccountName: "bot", DeprecatedServiceAccount: "default"}), allowed, "bot"},
		{"one that is not there", pod(corev1.PodSpec{ServiceAccountName: "gone"}), forbidden, ""},
		{"one of another namespace", pod(corev1.PodSpec{ServiceAccountName: "only"}), forbidden, ""},
		{"one that cannot be read", pod(corev1.PodSpec{ServiceAccountName: "away"}), broken, ""},
		{"a mirror's", mirrored(pod(corev1.PodSpec{})), allowed, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := plugin.Admit(t.Context(), creation(t, tt.pod), nil)
			if got := outcomeOf(err); got != tt.want {
				t.Errorf("%s: %v", got, err)
			}
			if s := tt.pod.Spec; err == nil && (s.ServiceAccountName != tt.sa || s.DeprecatedServiceAccount != tt.sa) {
				t.Errorf("%q, %q", s.ServiceAccountName, s.DeprecatedServiceAccount)
			}
		})
	}
}

func TestServiceAccountLooksAtNewPodsOnly(t *testing.T) {
	plugin := &ServiceAccount{Account: accounts{}.get}
	p := pod(corev1.PodSpec{})
	for _, w := range []write{
		{op: admission.Update, resource: "pods", obj: p, old: p}, {resource: "pods", subresource: "eviction", obj: p}, {resource: "configmaps", obj: &corev1.ConfigMap{}},
	} {
		if err := plugin.Admit(t.Context(), w.attributes(t), nil); err != nil || p.Spec.ServiceAccountName != "" {
			t.Errorf("%+v: %v", w, err)
		}
		if err := plugin.Validate(t.Context(), w.attributes(t), nil); err != nil {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestServiceAccountValidate(t *testing.T) {
	plugin := &ServiceAccount{Account: accounts{"team/bot": account("bot"), "team/away": nil}.get}
	tests := []struct {
		name string
		pod  *corev1.Pod
		want outcome
	}{
		{"one", pod(corev1.PodSpec{ServiceAccountName: "bot"}), allowed},
		{"one that is not there any more", pod(corev1.PodSpec{ServiceAccountName: "gone"}), forbidden},
		{"none", pod(corev1.PodSpec{}), forbidden},
		{"one that cannot be read", pod(corev1.PodSpec{ServiceAccountName: "away"}), broken},
		{"a mirror's", mirrored(pod(corev1.PodSpec{ServiceAccountName: "bot"})), forbidden},
		{"a mirror without", mirrored(pod(corev1.PodSpec{})), allowed},
		{"a mirror's pull secrets", mirrored(pod(corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{{Name: "s"}}})), forbidden},
		{"a mirror's secret in an environment", mirrored(pod(corev1.PodSpec{InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{}}}}}})), forbidden},
		{"a mirror's secret in a volume", mirroring(corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{}}), forbidden},
		{"a mirror's secret of a file system", mirroring(corev1.VolumeSource{CephFS: &corev1.CephFSVolumeSource{SecretRef: &corev1.LocalObjectReference{}}}), forbidden},
		{"a mirror's projected secret", mirroring(projected(corev1.VolumeProjection{Secret: &corev1.SecretProjection{}})), forbidden},
		{"a mirror's token", mirroring(projected(corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}})), forbidden},
		{"a mirror's config map", mirroring(projected(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{}})), allowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := plugin.Validate(t.Context(), creation(t, tt.pod), nil)
			if got := outcomeOf(err); got != tt.want {
				t.Errorf("%s: %v", got, err)
			}
		})
	}
}

// The pod's own word on its token goes before the account's; both silent is yes.
func TestMountsToken(t *testing.T) {
	yes, no := ptr.To(true), ptr.To(false)
	tests := []struct {
		pod, account *bool
		want         bool
	}{
		{nil, nil, true}, {nil, yes, true}, {nil, no, false},
		{yes, nil, true}, {yes, yes, true}, {yes, no, true},
		{no, nil, false}, {no, yes, false}, {no, no, false},
	}
	for _, tt := range tests {
		sa := account("default")
		sa.AutomountServiceAccountToken = tt.account
		p := pod(corev1.PodSpec{AutomountServiceAccountToken: tt.pod, Containers: []corev1.Container{{Name: "a"}}})
		if err := (&ServiceAccount{Account: accounts{"team/default": sa}.get}).Admit(t.Context(), creation(t, p), nil); err != nil {
			t.Fatal(err)
		}
		want := 0
		if tt.want {
			want = 1
		}
		if len(p.Spec.Volumes) != want || len(p.Spec.Containers[0].VolumeMounts) != want {
			t.Errorf("pod %v, account %v: %+v", tt.pod, tt.account, p.Spec)
		}
	}
}

func TestPullSecrets(t *testing.T) {
	secrets := func(names ...string) []corev1.LocalObjectReference {
		var out []corev1.LocalObjectReference
		for _, n := range names {
			out = append(out, corev1.LocalObjectReference{Name: n})
		}
		return out
	}
	tests := []struct {
		name               string
		pod, account, want []corev1.LocalObjectReference
	}{
		{"the account's", nil, secrets("a", "b"), secrets("a", "b")},
		{"the pod's own", secrets("p"), secrets("a", "b"), secrets("p")},
		{"none", nil, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sa := account("default")
			sa.ImagePullSecrets = tt.account
			p := pod(corev1.PodSpec{ImagePullSecrets: tt.pod})
			if err := (&ServiceAccount{Account: accounts{"team/default": sa}.get}).Admit(t.Context(), creation(t, p), nil); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(p.Spec.ImagePullSecrets, tt.want) {
				t.Errorf("%v", p.Spec.ImagePullSecrets)
			}
			// The account is the cache's own: a later plugin must not reach it.
			if len(tt.account) > 0 && len(p.Spec.ImagePullSecrets) > 0 {
				p.Spec.ImagePullSecrets[0].Name = "changed"
				if sa.ImagePullSecrets[0].Name != "a" {
					t.Error("the account's list is shared")
				}
			}
		})
	}
}

func TestTokenMounts(t *testing.T) {
	const path = "/var/run/secrets/kubernetes.io/serviceaccount"
	at := func(name, path string) corev1.VolumeMount { return corev1.VolumeMount{Name: name, MountPath: path} }
	container := func(name string, mounts ...corev1.VolumeMount) corev1.Container {
		return corev1.Container{Name: name, VolumeMounts: mounts}
	}
	volume := func(name string) corev1.Volume {
		return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
	}
	tests := []struct {
		name    string
		spec    corev1.PodSpec
		mounted []string // names of the containers that get a mount
		volume  string   // what they mount, if it is the pod's own
		added   bool     // whether the pod gets a volume
	}{
		{"each container", corev1.PodSpec{InitContainers: []corev1.Container{container("i"), container("j")}, Containers: []corev1.Container{container("a"), container("b")}},
			[]string{"i", "j", "a", "b"}, "", true},
		{"beside other mounts", corev1.PodSpec{Volumes: []corev1.Volume{volume("data")}, Containers: []corev1.Container{container("a", at("data", "/data"))}}, []string{"a"}, "", true},
		{"below the path is not there", corev1.PodSpec{Volumes: []corev1.Volume{volume("data")}, Containers: []corev1.Container{container("a", at("data", path+"/x"))}}, []string{"a"}, "", true},
		{"not where something is mounted", corev1.PodSpec{Volumes: []corev1.Volume{volume("data")}, Containers: []corev1.Container{container("a", at("data", "/data"), at("data", path)), container("b")}},
			[]string{"b"}, "", true},
		{"not where everything is", corev1.PodSpec{Volumes: []corev1.Volume{volume("data")}, Containers: []corev1.Container{container("a", at("data", path))}}, nil, "", false},
		{"a volume of that name is used", corev1.PodSpec{Volumes: []corev1.Volume{volume("kube-api-access-x"), volume("data")}, Containers: []corev1.Container{container("a")}},
			[]string{"a"}, "kube-api-access-x", false},
		{"a volume of another name is not", corev1.PodSpec{Volumes: []corev1.Volume{volume("kube-api-accessories")}, Containers: []corev1.Container{container("a")}}, []string{"a"}, "", true},
		{"no containers", corev1.PodSpec{}, nil, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, before := pod(*tt.spec.DeepCopy()), pod(tt.spec)
			if err := (&ServiceAccount{Account: accounts{"team/default": account("default")}.get}).Admit(t.Context(), creation(t, p), nil); err != nil {
				t.Fatal(err)
			}
			added := p.Spec.Volumes[len(before.Spec.Volumes):]
			if len(added) != map[bool]int{true: 1, false: 0}[tt.added] {
				t.Fatalf("volumes %+v", p.Spec.Volumes)
			}
			name := tt.volume
			if tt.added {
				if name = added[0].Name; !strings.HasPrefix(name, "kube-api-access-") || len(name) <= len("kube-api-access-") {
					t.Errorf("volume %s", name)
				}
			}
			gets := map[string]bool{}
			for _, c := range tt.mounted {
				gets[c] = true
			}
			check := func(now, was []corev1.Container) {
				t.Helper()
				for i, c := range now {
					want := was[i].VolumeMounts
					if gets[c.Name] {
						want = append(append([]corev1.VolumeMount(nil), want...), corev1.VolumeMount{Name: name, MountPath: path, ReadOnly: true})
					}
					if !reflect.DeepEqual(c.VolumeMounts, want) {
						t.Errorf("container %s: %+v", c.Name, c.VolumeMounts)
					}
				}
			}
			check(p.Spec.InitContainers, before.Spec.InitContainers)
			check(p.Spec.Containers, before.Spec.Containers)
		})
	}
}

// The volume is what kubelets and clients of every kind expect there.
func TestTokenVolume(t *testing.T) {
	want := corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: ptr.To[int32](0o644),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: ptr.To[int64](3607)}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
		},
	}}}
	if got := tokenVolume("v"); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

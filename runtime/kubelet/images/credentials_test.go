package images

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

func TestCredentials(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	json := func(auths string) *corev1.Secret {
		return &corev1.Secret{Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":` + auths + `}`)}}
	}
	all := secrets{
		"ns/json": json(fmt.Sprintf(`{"https://index.docker.io/v1/":{"auth":%q},"reg:5000":{"username":"u","password":"p"},"http://t/x":{"identitytoken":"tok"}}`, b64("me:my:secret"))),
		"ns/cfg":  {Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte(`{"old":{"username":"a","password":"b"}}`)}},
		"ns/bad":  json(`{`), "ns/opaque": {Type: corev1.SecretTypeOpaque},
	}
	for _, c := range []struct {
		refs []string
		want []container.RegistryAuth
		err  string
	}{
		{nil, nil, ""},
		{[]string{"json"}, []container.RegistryAuth{
			{Host: "t", Token: "tok"}, {Host: "docker.io", Username: "me", Password: "my:secret"}, {Host: "reg:5000", Username: "u", Password: "p"},
		}, ""},
		{[]string{"none", "cfg"}, []container.RegistryAuth{{Host: "old", Username: "a", Password: "b"}}, "image pull secret none"},
		{[]string{"bad", "opaque"}, nil, "type Opaque is not one for images"},
	} {
		p := pod()
		for _, r := range c.refs {
			p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: r})
		}
		creds, err := credentials(t.Context(), all, p)
		var got []container.RegistryAuth
		for _, cred := range creds {
			got = append(got, cred.RegistryAuth)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.refs, got, c.want)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v: error %v, want %q", c.refs, err, c.err)
		}
	}
}

// TestAPullUsesTheSecrets: those that can be read, though another is missing.
func TestAPullUsesTheSecrets(t *testing.T) {
	s := &store{present: map[string]bool{}, registry: map[string]error{"i": nil}}
	r := &recorder{}
	p := pod()
	p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "none"}, {Name: "cfg"}}
	cfg := &corev1.Secret{Type: corev1.SecretTypeDockercfg, Data: map[string][]byte{corev1.DockerConfigKey: []byte(`{"old":{"username":"a","password":"b"}}`)}}
	if _, err := NewManager(s, secrets{"ns/cfg": cfg}, r, unverified(t)).EnsureImage(t.Context(), p, &corev1.Container{Image: "i"}, func() {}); err != nil {
		t.Fatal(err)
	}
	if len(s.auth) != 1 || s.auth[0].Username != "a" || r.events[0] != "W:FailedToRetrieveImagePullSecret" {
		t.Errorf("pulled with %+v, events %v", s.auth, r.events)
	}
}

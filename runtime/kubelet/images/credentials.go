package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Secrets reads the Secrets that pods name.
type Secrets interface {
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// credential is one for a registry, and where it came from.
type credential struct {
	container.RegistryAuth
	origin origin
}

// credentials are those of the pod's image pull secrets. What can be read is returned
// beside the error about what cannot.
func credentials(ctx context.Context, secrets Secrets, pod *corev1.Pod) ([]credential, error) {
	var out []credential
	var errs []error
	for _, ref := range pod.Spec.ImagePullSecrets {
		s, err := secrets.Secret(ctx, pod.Namespace, ref.Name)
		var auth []container.RegistryAuth
		if err == nil {
			auth, err = parse(s)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("image pull secret %s: %w", ref.Name, err))
		}
		for _, a := range auth {
			out = append(out, credential{a, origin{Namespace: s.Namespace, Name: s.Name, UID: string(s.UID), Hash: hashOf(a)}})
		}
	}
	return out, errors.Join(errs...)
}

func hashOf(a container.RegistryAuth) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", a.Host, a.Username, a.Password, a.Token))
	return hex.EncodeToString(sum[:])
}

// parse reads a Secret of either type for images, in the order of its hosts.
func parse(s *corev1.Secret) ([]container.RegistryAuth, error) {
	var cfg struct {
		Auths map[string]registryEntry `json:"auths"`
	}
	var err error
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		err = json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &cfg)
	case corev1.SecretTypeDockercfg:
		err = json.Unmarshal(s.Data[corev1.DockerConfigKey], &cfg.Auths)
	default:
		err = fmt.Errorf("type %s is not one for images", s.Type)
	}
	if err != nil {
		return nil, err
	}
	var out []container.RegistryAuth
	for _, key := range slices.Sorted(maps.Keys(cfg.Auths)) {
		e := cfg.Auths[key]
		user, password := e.credentials()
		out = append(out, container.RegistryAuth{Host: registryHost(key), Username: user, Password: password, Token: e.IdentityToken})
	}
	return out, nil
}

// registryHost is the host of a key, which may be a URL.
func registryHost(key string) string {
	host := strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	if host == "index.docker.io" {
		return "docker.io"
	}
	return host
}

type registryEntry struct {
	Username, Password string
	Auth               []byte // base64 of user:password
	IdentityToken      string
}

func (e registryEntry) credentials() (user, password string) {
	if u, p, ok := strings.Cut(string(e.Auth), ":"); ok {
		return u, p
	}
	return e.Username, e.Password
}

package core

import (
	"crypto/tls"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/printers"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/validate"
)

func secret() kind.Kind {
	return kind.Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Secret"),
		Resource:   "secrets",
		Namespaced: true,
		Default: kind.On(func(s *corev1.Secret) {
			kind.SetDefault(&s.Type, corev1.SecretTypeOpaque)
			// stringData is for writing only: it becomes data and is not stored.
			for k, v := range s.StringData {
				if s.Data == nil {
					s.Data = map[string][]byte{}
				}
				s.Data[k] = []byte(v)
			}
			s.StringData = nil
		}),
		Validate: kind.Check(validateSecret),
		ValidateUpdate: kind.CheckUpdate(func(s, old *corev1.Secret) field.ErrorList {
			errs := validate.Immutable(s.Type, old.Type, field.NewPath("type"))
			if ptr.Deref(old.Immutable, false) {
				errs = append(errs, stillImmutable(s.Immutable)...)
				errs = append(errs, unchanged(s.Data, old.Data, "data")...)
			}
			return errs
		}),
		Warnings: kind.Warnings(func(s *corev1.Secret) []string {
			if s.Type != corev1.SecretTypeTLS {
				return nil
			}
			if _, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey]); err != nil {
				return []string{err.Error()}
			}
			return nil
		}),
		Columns: printers.Columns("Name", "Type", "Data", "Age"),
		Cells: kind.Cells(func(s *corev1.Secret, now time.Time) []any {
			return []any{s.Name, string(s.Type), int64(len(s.Data)), printers.Age(s.ObjectMeta, now)}
		}),
		Fields: kind.Fields(func(s *corev1.Secret) fields.Set { return fields.Set{"type": string(s.Type)} }),
	}
}

func validateSecret(s *corev1.Secret) field.ErrorList {
	data := field.NewPath("data")
	var errs field.ErrorList
	total := 0
	for _, k := range slices.Sorted(maps.Keys(s.Data)) {
		errs = append(errs, configKey(k, data)...)
		total += len(s.Data[k])
	}
	errs = append(errs, validate.TooLong(total, corev1.MaxSecretSize, data)...)

	need := func(keys ...string) {
		for _, k := range keys {
			if _, ok := s.Data[k]; !ok {
				errs = append(errs, field.Required(data.Key(k), ""))
			}
		}
	}
	switch s.Type {
	case corev1.SecretTypeServiceAccountToken:
		if s.Annotations[corev1.ServiceAccountNameKey] == "" {
			errs = append(errs, field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), ""))
		}
	case corev1.SecretTypeDockercfg:
		need(corev1.DockerConfigKey)
		errs = append(errs, jsonObject(s.Data, corev1.DockerConfigKey, data)...)
	case corev1.SecretTypeDockerConfigJson:
		need(corev1.DockerConfigJsonKey)
		errs = append(errs, jsonObject(s.Data, corev1.DockerConfigJsonKey, data)...)
	case corev1.SecretTypeBasicAuth:
		_, user := s.Data[corev1.BasicAuthUsernameKey]
		_, password := s.Data[corev1.BasicAuthPasswordKey]
		if !user && !password {
			need(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		if strings.TrimSpace(string(s.Data[corev1.SSHAuthPrivateKey])) == "" {
			errs = append(errs, field.Required(data.Key(corev1.SSHAuthPrivateKey), ""))
		}
	case corev1.SecretTypeTLS:
		need(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return errs
}

func jsonObject(m map[string][]byte, key string, path *field.Path) field.ErrorList {
	raw, ok := m[key]
	if !ok {
		return nil
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		// The value is secret and may not appear in the message.
		return field.ErrorList{field.Invalid(path.Key(key), "<secret contents redacted>", "invalid JSON object")}
	}
	return nil
}

package kinds

import (
	"encoding/json"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func configMap() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		Resource:   "configmaps",
		ShortNames: []string{"cm"},
		Namespaced: true,
		Validate:   check(validateConfigMap),
		ValidateUpdate: checkUpdate(func(c, old *corev1.ConfigMap) field.ErrorList {
			if !deref(old.Immutable, false) {
				return nil
			}
			errs := stillImmutable(c.Immutable)
			errs = append(errs, unchanged(c.Data, old.Data, "data")...)
			return append(errs, unchanged(c.BinaryData, old.BinaryData, "binaryData")...)
		}),
		Columns: columns("Name", "Data", "Age"),
		Cells: cells(func(c *corev1.ConfigMap, now time.Time) []any {
			return []any{c.Name, int64(len(c.Data) + len(c.BinaryData)), age(c.ObjectMeta, now)}
		}),
	}
}

func validateConfigMap(c *corev1.ConfigMap) field.ErrorList {
	var errs field.ErrorList
	total := 0
	for k, v := range c.Data {
		errs = append(errs, configKey(k, field.NewPath("data"))...)
		if _, twice := c.BinaryData[k]; twice {
			errs = append(errs, field.Invalid(field.NewPath("data").Key(k), k, "duplicate of key present in binaryData"))
		}
		total += len(v)
	}
	for k, v := range c.BinaryData {
		errs = append(errs, configKey(k, field.NewPath("binaryData"))...)
		total += len(v)
	}
	// The size is of all keys together, so there is no one field to blame.
	return append(errs, tooLong(total, corev1.MaxSecretSize, field.NewPath(""))...)
}

func stillImmutable(now *bool) field.ErrorList {
	if !deref(now, false) {
		return field.ErrorList{field.Forbidden(field.NewPath("immutable"), "field is immutable when `immutable` is set")}
	}
	return nil
}

func unchanged(now, old any, name string) field.ErrorList {
	if same(now, old) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath(name), "field is immutable when `immutable` is set")}
}

func secret() Kind {
	return Kind{
		GVK:        corev1.SchemeGroupVersion.WithKind("Secret"),
		Resource:   "secrets",
		Namespaced: true,
		Default: on(func(s *corev1.Secret) {
			setDefault(&s.Type, corev1.SecretTypeOpaque)
			// stringData is for writing only: it becomes data and is not stored.
			for k, v := range s.StringData {
				if s.Data == nil {
					s.Data = map[string][]byte{}
				}
				s.Data[k] = []byte(v)
			}
			s.StringData = nil
		}),
		Validate: check(validateSecret),
		ValidateUpdate: checkUpdate(func(s, old *corev1.Secret) field.ErrorList {
			errs := immutable(s.Type, old.Type, field.NewPath("type"))
			if deref(old.Immutable, false) {
				errs = append(errs, stillImmutable(s.Immutable)...)
				errs = append(errs, unchanged(s.Data, old.Data, "data")...)
			}
			return errs
		}),
		Columns: columns("Name", "Type", "Data", "Age"),
		Cells: cells(func(s *corev1.Secret, now time.Time) []any {
			return []any{s.Name, string(s.Type), int64(len(s.Data)), age(s.ObjectMeta, now)}
		}),
		Fields: selectable(func(s *corev1.Secret) fields.Set { return fields.Set{"type": string(s.Type)} }),
	}
}

func validateSecret(s *corev1.Secret) field.ErrorList {
	data := field.NewPath("data")
	var errs field.ErrorList
	total := 0
	for k, v := range s.Data {
		errs = append(errs, configKey(k, data)...)
		total += len(v)
	}
	errs = append(errs, tooLong(total, corev1.MaxSecretSize, data)...)

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

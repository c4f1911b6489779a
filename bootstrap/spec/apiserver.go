package spec

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// APIServer is what can be set of the API servers. Zero values are their defaults.
type APIServer struct {
	Audit Audit `json:"audit,omitzero"`
	// Authentication is an AuthenticationConfiguration (YAML): JWT issuers, and who is
	// let in as anonymous.
	Authentication string `json:"authentication,omitempty"`
	// TokenWebhook is asked about tokens that no API server knows.
	TokenWebhook TokenWebhook `json:"tokenWebhook,omitzero"`
	// EncryptionKeyRotation is how often the key that encrypts Secrets was replaced.
	EncryptionKeyRotation int `json:"encryptionKeyRotation,omitempty"`
	// DenyServiceExternalIPs refuses Services that name external IPs which they did not
	// have.
	DenyServiceExternalIPs bool `json:"denyServiceExternalIPs,omitempty"`
	// PodSecurity is a PodSecurityConfiguration (YAML): what holds in namespaces without
	// labels of Pod Security, and who is exempt.
	PodSecurity string `json:"podSecurity,omitempty"`
	// DisableLocalStorageClass takes away the StorageClass of the cluster's own volumes.
	DisableLocalStorageClass bool `json:"disableLocalStorageClass,omitempty"`
	// EventRateLimits bound how many Events are written.
	EventRateLimits []EventRateLimit `json:"eventRateLimits,omitempty"`
}

// Audit is the log of requests.
type Audit struct {
	Disabled bool `json:"disabled,omitempty"`
	// Policy is a Policy of audit.k8s.io/v1 (YAML).
	Policy     string `json:"policy,omitempty"`
	MaxAgeDays int    `json:"maxAgeDays,omitempty"`
	MaxBackups int    `json:"maxBackups,omitempty"`
	MaxSizeMiB int    `json:"maxSizeMiB,omitempty"`
}

// TokenWebhook is a server that reviews tokens.
type TokenWebhook struct {
	// Kubeconfig (YAML) says how it is reached.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// CacheTTL is how long an answer is believed.
	CacheTTL time.Duration `json:"cacheTTL,omitempty"`
}

// EventRateLimit is one limit, of the events that share it.
type EventRateLimit struct {
	// Type is Server, Namespace, User or SourceAndObject.
	Type string `json:"type"`
	// QPS are accepted in the long run, Burst at once.
	QPS   int `json:"qps"`
	Burst int `json:"burst"`
	// CacheSize is how many of the type are remembered.
	CacheSize int `json:"cacheSize,omitempty"`
}

// EventRateLimitTypes are those that an EventRateLimit may have.
func EventRateLimitTypes() []string {
	return []string{"Server", "Namespace", "User", "SourceAndObject"}
}

func (a APIServer) validate() error {
	err := a.Audit.validate()
	if a.Authentication != "" {
		if e := validateAuthentication(a.Authentication); e != nil {
			err = errors.Join(err, fmt.Errorf("api_server: authentication_configuration: %w", e))
		}
	}
	if a.PodSecurity != "" {
		if e := validatePodSecurity(a.PodSecurity); e != nil {
			err = errors.Join(err, fmt.Errorf("api_server: pod_security_configuration: %w", e))
		}
	}
	err = errors.Join(err, a.TokenWebhook.validate())
	if a.EncryptionKeyRotation < 0 {
		err = errors.Join(err, fmt.Errorf("api_server: encryption_key_rotation %d is negative", a.EncryptionKeyRotation))
	}
	for i, l := range a.EventRateLimits {
		at := fmt.Sprintf("api_server: event_rate_limits[%d]", i)
		if !slices.Contains(EventRateLimitTypes(), l.Type) {
			err = errors.Join(err, fmt.Errorf("%s: type %q is none of %v", at, l.Type, EventRateLimitTypes()))
		}
		if slices.ContainsFunc(a.EventRateLimits[:i], func(o EventRateLimit) bool { return o.Type == l.Type }) {
			err = errors.Join(err, fmt.Errorf("%s: type %s has a limit already", at, l.Type))
		}
		const most = 1 << 30
		if l.QPS < 1 || l.QPS > most || l.Burst < 1 || l.Burst > most {
			err = errors.Join(err, fmt.Errorf("%s: qps %d and burst %d have to be between 1 and %d", at, l.QPS, l.Burst, most))
		}
		if l.CacheSize < 0 || l.CacheSize > most {
			err = errors.Join(err, fmt.Errorf("%s: cache_size %d is not between 0 and %d", at, l.CacheSize, most))
		}
	}
	return err
}

func (w TokenWebhook) validate() error {
	switch {
	case w.Kubeconfig == "" && w.CacheTTL != 0:
		return errors.New("api_server: token_webhook: cache_ttl is of no use without kubeconfig")
	case w.Kubeconfig == "":
		return nil
	case w.CacheTTL < 0:
		return fmt.Errorf("api_server: token_webhook: cache_ttl %s is negative", w.CacheTTL)
	}
	if err := validateTokenWebhook(w.Kubeconfig); err != nil {
		return fmt.Errorf("api_server: token_webhook: kubeconfig: %w", err)
	}
	return nil
}

func (a Audit) validate() error {
	var err error
	for _, n := range []struct {
		name  string
		value int
	}{{"max_age_days", a.MaxAgeDays}, {"max_backups", a.MaxBackups}, {"max_size_mib", a.MaxSizeMiB}} {
		if n.value < 0 {
			err = errors.Join(err, fmt.Errorf("api_server: audit: %s %d is negative", n.name, n.value))
		}
		if n.value != 0 && a.Disabled {
			err = errors.Join(err, fmt.Errorf("api_server: audit: %s is of no use with enabled = false", n.name))
		}
	}
	if a.Policy == "" {
		return err
	}
	if a.Disabled {
		err = errors.Join(err, errors.New("api_server: audit: policy is of no use with enabled = false"))
	}
	if e := validateAuditPolicy(a.Policy); e != nil {
		err = errors.Join(err, fmt.Errorf("api_server: audit: policy: %w", e))
	}
	return err
}

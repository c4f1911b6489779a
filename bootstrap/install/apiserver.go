package install

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// document is a file of the API servers that may be there or not.
type document struct{ path, content string }

func documents(n spec.Node) []document {
	return []document{
		{config.AuditPolicyFile, n.APIServer.Audit.Policy},
		{config.AuthenticationConfigFile, n.APIServer.Authentication},
		{config.TokenWebhookConfigFile, n.APIServer.TokenWebhook.Kubeconfig},
		{config.PodSecurityConfigFile, n.APIServer.PodSecurity},
	}
}

// documentFiles are those that are wanted, and the paths of the others.
func documentFiles(n spec.Node) (files []step.File, unwanted []string) {
	for _, d := range documents(n) {
		if d.content == "" {
			unwanted = append(unwanted, d.path)
			continue
		}
		files = append(files, step.File{Path: d.path, Data: []byte(d.content), Mode: 0o600})
	}
	return files, unwanted
}

// configure gives the API server's configuration what the settings say. An API server
// reads its documents again when they change; it is started again all the same, so
// that they are in force, or refused, when the apply ends.
func configure(c *config.APIServerConfig, a spec.APIServer) {
	c.EncryptionConfigFile = config.EncryptionConfigFile
	if !a.Audit.Disabled {
		c.Audit = config.Audit{LogFile: config.AuditLogFile, MaxAgeDays: a.Audit.MaxAgeDays, MaxBackups: a.Audit.MaxBackups, MaxSizeMiB: a.Audit.MaxSizeMiB}
		if a.Audit.Policy != "" {
			c.Audit.PolicyFile = config.AuditPolicyFile
		}
	}
	if a.Authentication != "" {
		c.AuthenticationConfigFile = config.AuthenticationConfigFile
	}
	if w := a.TokenWebhook; w.Kubeconfig != "" {
		c.TokenWebhook = config.TokenWebhook{ConfigFile: config.TokenWebhookConfigFile, CacheTTL: metav1.Duration{Duration: w.CacheTTL}}
	}
	if a.PodSecurity != "" {
		c.Admission.PodSecurityConfigFile = config.PodSecurityConfigFile
	}
	c.DisableLocalStorageClass = a.DisableLocalStorageClass
	if a.DenyServiceExternalIPs {
		c.Admission.Enable = append(c.Admission.Enable, config.DenyServiceExternalIPs)
	}
	if len(a.EventRateLimits) > 0 {
		c.Admission.Enable = append(c.Admission.Enable, config.EventRateLimit)
	}
	for _, l := range a.EventRateLimits {
		c.Admission.EventRateLimits = append(c.Admission.EventRateLimits, config.EventLimit{
			Type: config.EventLimitType(l.Type), QPS: int32(l.QPS), Burst: int32(l.Burst), CacheSize: int32(l.CacheSize), //nolint:gosec // validated
		})
	}
}

// APIServerSettings are those of the configuration that an API server has, and of the
// files beside it.
func APIServerSettings(c config.APIServerConfig, files map[string][]byte) spec.APIServer {
	other := func(n, byDefault int) int {
		if n == byDefault {
			return 0
		}
		return n
	}
	a := spec.APIServer{EncryptionKeyRotation: encryption.Rotation(files[config.EncryptionConfigFile])}
	byDefault := config.APIServerConfig{}
	byDefault.Complete() //nolint:errcheck // what is missing has no part in it
	if c.Audit.LogFile == "" {
		a.Audit.Disabled = c.EncryptionConfigFile != "" // older ones did not log, and had no say in it
	} else {
		a.Audit = spec.Audit{
			MaxAgeDays: other(c.Audit.MaxAgeDays, byDefault.Audit.MaxAgeDays), MaxBackups: other(c.Audit.MaxBackups, byDefault.Audit.MaxBackups),
			MaxSizeMiB: other(c.Audit.MaxSizeMiB, byDefault.Audit.MaxSizeMiB),
		}
		if c.Audit.PolicyFile != "" {
			a.Audit.Policy = string(files[config.AuditPolicyFile])
		}
	}
	if c.AuthenticationConfigFile != "" {
		a.Authentication = string(files[config.AuthenticationConfigFile])
	}
	if c.TokenWebhook.ConfigFile != "" {
		a.TokenWebhook.Kubeconfig = string(files[config.TokenWebhookConfigFile])
		if c.TokenWebhook.CacheTTL != byDefault.TokenWebhook.CacheTTL {
			a.TokenWebhook.CacheTTL = c.TokenWebhook.CacheTTL.Duration
		}
	}
	if c.Admission.PodSecurityConfigFile != "" {
		a.PodSecurity = string(files[config.PodSecurityConfigFile])
	}
	a.DisableLocalStorageClass = c.DisableLocalStorageClass
	a.DenyServiceExternalIPs = slices.Contains(c.Admission.Enable, config.DenyServiceExternalIPs)
	for _, l := range c.Admission.EventRateLimits {
		a.EventRateLimits = append(a.EventRateLimits, spec.EventRateLimit{Type: string(l.Type), QPS: int(l.QPS), Burst: int(l.Burst), CacheSize: int(l.CacheSize)})
	}
	return a
}

// APIServerFiles are the paths that [APIServerSettings] needs of a master beside those of
// its authorities.
func APIServerFiles() []string {
	return []string{config.AuditPolicyFile, config.AuthenticationConfigFile, config.TokenWebhookConfigFile, config.PodSecurityConfigFile}
}

func encryptionFile(data []byte) step.File {
	return step.File{Path: config.EncryptionConfigFile, Data: data, Mode: 0o600}
}

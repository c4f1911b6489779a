package spec

import (
	"strings"
	"testing"
	"time"
)

const (
	policyHead      = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
	podSecurityHead = "apiVersion: pod-security.admission.config.k8s.io/v1\nkind: PodSecurityConfiguration\n"
	authHead        = "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n"
	webhook         = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: s, cluster: {server: \"https://reviews.example/v1\"}}]\n" +
		"users: [{name: u, user: {client-certificate: /etc/c.crt, client-key: /etc/c.key}}]\ncontexts: [{name: c, context: {cluster: s, user: u}}]\n"
	jwt = "jwt:\n- issuer: {url: https://issuer.example, audiences: [a]}\n  claimMappings: {username: {claim: sub, prefix: \"\"}}\n"
)

func TestWhatIsWrongWithAPIServersIsTold(t *testing.T) {
	limit := func(change func(*EventRateLimit)) APIServer {
		l := EventRateLimit{Type: "Server", QPS: 1, Burst: 1}
		change(&l)
		return APIServer{EventRateLimits: []EventRateLimit{l}}
	}
	for what, tc := range map[string]struct {
		settings APIServer
		want     []string
	}{
		"nothing":                {APIServer{}, nil},
		"no log":                 {APIServer{Audit: Audit{Disabled: true}}, nil},
		"bounds of the log":      {APIServer{Audit: Audit{MaxAgeDays: 1, MaxBackups: 1, MaxSizeMiB: 1}}, nil},
		"negative ones":          {APIServer{Audit: Audit{MaxAgeDays: -1, MaxBackups: -1, MaxSizeMiB: -1}}, []string{"max_age_days -1", "max_backups -1", "max_size_mib -1"}},
		"bounds of no log":       {APIServer{Audit: Audit{Disabled: true, MaxAgeDays: 1}}, []string{"max_age_days is of no use with enabled = false"}},
		"a policy of no log":     {APIServer{Audit: Audit{Disabled: true, Policy: policyHead + "rules: [{level: None}]"}}, []string{"policy is of no use"}},
		"a policy":               {APIServer{Audit: Audit{Policy: policyHead + "rules: [{level: None}]"}}, nil},
		"another's policy":       {APIServer{Audit: Audit{Policy: authHead}}, []string{`api_server: audit: policy: it is "AuthenticationConfiguration" of "apiserver.config.k8s.io/v1"`}},
		"authentication":         {APIServer{Authentication: authHead + jwt}, nil},
		"another's":              {APIServer{Authentication: policyHead}, []string{`api_server: authentication_configuration: it is "Policy"`}},
		"a webhook":              {APIServer{TokenWebhook: TokenWebhook{Kubeconfig: webhook, CacheTTL: time.Second}}, nil},
		"another's kubeconfig":   {APIServer{TokenWebhook: TokenWebhook{Kubeconfig: policyHead}}, []string{`api_server: token_webhook: kubeconfig: it is "Policy"`}},
		"a cache of no webhook":  {APIServer{TokenWebhook: TokenWebhook{CacheTTL: time.Second}}, []string{"api_server: token_webhook: cache_ttl is of no use without kubeconfig"}},
		"a negative cache_ttl":   {APIServer{TokenWebhook: TokenWebhook{Kubeconfig: webhook, CacheTTL: -1}}, []string{"cache_ttl -1ns is negative"}},
		"a rotation":             {APIServer{EncryptionKeyRotation: 1}, nil},
		"a negative one":         {APIServer{EncryptionKeyRotation: -1}, []string{"encryption_key_rotation -1 is negative"}},
		"pod security":           {APIServer{PodSecurity: podSecurityHead + "defaults: {enforce: baseline}\nexemptions: {namespaces: [kube-system]}"}, nil},
		"an older one":           {APIServer{PodSecurity: strings.Replace(podSecurityHead, "/v1", "/v1beta1", 1)}, nil},
		"another's of it":        {APIServer{PodSecurity: policyHead}, []string{"api_server: pod_security_configuration: it is no PodSecurityConfiguration: "}},
		"one with a typo":        {APIServer{PodSecurity: podSecurityHead + "default: {}"}, []string{"unknown field"}},
		"one with wrong values":  {APIServer{PodSecurity: podSecurityHead + "defaults: {enforce: high, warn-version: next}"}, []string{`[defaults.enforce: Invalid value: "high": must be one of privileged, baseline, restricted, defaults.warn-version: Invalid value: "next": must be "latest"`}},
		"a limit":                {limit(func(*EventRateLimit) {}), nil},
		"a limit of nobody":      {limit(func(l *EventRateLimit) { l.Type = "All" }), []string{`event_rate_limits[0]: type "All" is none of`}},
		"a limit of none":        {limit(func(l *EventRateLimit) { l.QPS = 0 }), []string{"qps 0 and burst 1 have to be"}},
		"a limit without burst":  {limit(func(l *EventRateLimit) { l.Burst = 0 }), []string{"qps 1 and burst 0 have to be"}},
		"too large a limit":      {limit(func(l *EventRateLimit) { l.QPS = 1<<30 + 1 }), []string{"have to be between"}},
		"too large a burst":      {limit(func(l *EventRateLimit) { l.Burst = 1<<30 + 1 }), []string{"have to be between"}},
		"a cache":                {limit(func(l *EventRateLimit) { l.CacheSize = 1 << 30 }), nil},
		"too large a cache":      {limit(func(l *EventRateLimit) { l.CacheSize = 1<<30 + 1 }), []string{"cache_size"}},
		"a negative cache":       {limit(func(l *EventRateLimit) { l.CacheSize = -1 }), []string{"cache_size -1"}},
		"two limits of the same": {APIServer{EventRateLimits: []EventRateLimit{{"User", 1, 1, 0}, {"User", 2, 2, 0}}}, []string{"event_rate_limits[1]: type User has a limit already"}},
	} {
		c := valid()
		c.APIServer = tc.settings
		told(t, what, c.Validate(), tc.want...)
	}
}

func TestAuditPolicies(t *testing.T) {
	for body, want := range map[string]string{
		"rules: [{level: Metadata}]": "",
		"omitStages: [RequestReceived]\nrules: [{level: RequestResponse, users: [a], userGroups: [b], verbs: [get], resources: [{group: apps, resources: [pods], resourceNames: [x]}], namespaces: [n], omitStages: [Panic], omitManagedFields: true}]": "",
		"rules: [{level: Request, nonResourceURLs: [\"/metrics\"]}]": "",
		"rules: []":                                   "rules: at least one is required",
		"rule: []":                                    `unknown field "rule"`,
		"rules: [{level: metadata}]":                  `rules[0].level: "metadata" is none of`,
		"rules: [{level: None}, {}]":                  `rules[1].level: "" is none of`,
		"rules: [{level: None, user: a}]":             `unknown field`,
		"rules: [{level: None}]\nrules: 1":            "already set",
		"rules: [{level: None, omitStages: [Never]}]": `rules[0].omitStages[0]: "Never" is none of`,
		"omitStages: [Never]\nrules: [{level: None}]": `omitStages[0]: "Never" is none of`,
		"rules: [{level: None, nonResourceURLs: [\"/a\"], namespaces: [n]}]":                    "rules[0].nonResourceURLs: they cannot be",
		"rules: [{level: None, nonResourceURLs: [\"/a\"], resources: [{group: apps}]}]":         "rules[0].nonResourceURLs: they cannot be",
		"rules: [{level: None, resources: [{group: apps}, {group: apps, resourceNames: [a]}]}]": "rules[0].resources[1].resourceNames: they need resources",
	} {
		refuses(t, body, validateAuditPolicy(policyHead+body), want)
	}
}

func TestAuthenticationConfigurations(t *testing.T) {
	for body, want := range map[string]string{
		"":  "",
		jwt: "",
		"anonymous: {enabled: true, conditions: [{path: /healthz}]}": "",
		strings.Replace(jwt, "{claim: sub, prefix: \"\"}", "{expression: claims.sub}, groups: {claim: g, prefix: \"x:\"}, uid: {claim: u}, extra: [{key: a/b, valueExpression: claims.x}]", 1) +
			"  claimValidationRules: [{claim: hd, requiredValue: example}]\n  userValidationRules: [{expression: \"true\", message: m}]\n": "",
		strings.Replace(jwt, "https:", "http:", 1):                        `jwt[0].issuer.url: "http://issuer.example" is no https URL`,
		strings.Replace(jwt, "https://issuer.example", "https://", 1):     "is no https URL",
		strings.Replace(jwt, "audiences: [a]", "audiences: []", 1):        "jwt[0].issuer.audiences: at least one",
		strings.Replace(jwt, ", prefix: \"\"", "", 1):                     "jwt[0].claimMappings.username.prefix: required",
		strings.Replace(jwt, "claim: sub, prefix: \"\"", "", 1):           "either claim or expression",
		strings.Replace(jwt, "prefix: \"\"", "expression: claims.sub", 1): "either claim or expression",
		strings.Replace(jwt, "issuer:", "issuers:", 1):                    `unknown field`,
		jwt + strings.TrimPrefix(jwt, "jwt:\n"):                           `jwt[1].issuer.url: "https://issuer.example" is that of another one too`,
		"anonymous: {enabled: 1}":                                         "AuthenticationConfiguration",
	} {
		refuses(t, body, validateAuthentication(authHead+body), want)
	}
}

func TestTokenWebhooks(t *testing.T) {
	for change, want := range map[[2]string]string{
		{}: "",
		{"user: {client-certificate: /etc/c.crt, client-key: /etc/c.key}", "user: {tokenFile: /etc/token}"}: "",
		{", user: u}", "}"}: "",
		{"server: \"https://reviews.example/v1\"", "server: \"https://[2001:db8::1]:8443\", tls-server-name: r, certificate-authority: /etc/ca.crt, proxy-url: \"http://p\""}: "",
		{"server: \"https://reviews.example/v1\"", "server: \"https://r\", certificate-authority-data: QUFB"}:                                                                 "",
		{"https:", "http:"}:                                                      `clusters[0].cluster.server: "http://reviews.example/v1" is no https URL`,
		{"https://reviews.example/v1", "https://"}:                               "is no https URL",
		{"server: ", "insecure-skip-tls-verify: true, server: "}:                 `unknown field "insecure-skip-tls-verify"`,
		{"server: ", "certificate-authority: ca.crt, server: "}:                  `clusters[0].cluster.certificate-authority: "ca.crt" is no absolute path`,
		{"/etc/c.crt", "c.crt"}:                                                  `users[0].user.client-certificate: "c.crt" is no absolute path`,
		{"/etc/c.key", "c.key"}:                                                  `users[0].user.client-key: "c.key" is no absolute path`,
		{"client-key: /etc/c.key", "client-key-data: QUFB"}:                      "users[0].user.client-key-data: it would be in Terraform's state: name a file of the masters in client-key",
		{"client-key: /etc/c.key", "client-key: /etc/c.key, token: x"}:           "users[0].user.token: it would be in Terraform's state: name a file of the masters in tokenFile",
		{"client-key: /etc/c.key", "client-key: /etc/c.key, password: x"}:        "users[0].user.password: it would be in Terraform's state",
		{"client-key: /etc/c.key", "client-key: /etc/c.key, tokenFile: t"}:       `users[0].user.tokenFile: "t" is no absolute path`,
		{", client-key: /etc/c.key", ""}:                                         "it and its client-key are needed together",
		{"client-certificate: /etc/c.crt, ", ""}:                                 "it and its client-key are needed together",
		{"client-key: /etc/c.key", "client-key: /etc/c.key, exec: {command: x}"}: `unknown field "exec"`,
		{"current-context: c", "current-context: d"}:                             `current-context: there is no context "d"`,
		{"cluster: s, user", "cluster: x, user"}:                                 `contexts[0].context.cluster: there is no cluster "x"`,
		{"user: u}", "user: x}"}:                                                 `contexts[0].context.user: there is no user "x"`,
		{"kind: Config", "kind: Pod"}:                                            `it is "Pod" of "v1"`,
	} {
		refuses(t, change[1], validateTokenWebhook(strings.Replace(webhook, change[0], change[1], 1)), want)
	}
}

func refuses(t *testing.T, body string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s\n%v, want %q", body, err, want)
	}
}

func TestUnsafeSysctls(t *testing.T) {
	for s, want := range map[string]string{
		"net.core.somaxconn": "", "net.core.*": "", "net/core/somaxconn": "", "kernel.shm*": "", "kernel.msgmax": "", "kernel.sem": "", "fs.mqueue.*": "", "net.*": "",
		"": "neither the name", "*": "neither the name", "net..core": "neither the name", "Net.core": "neither the name", "net.core.": "neither the name", "net.*.x": "neither the name",
		strings.Repeat("a", 254): "neither the name", "net." + strings.Repeat("a", 249): "",
		"kernel.core_pattern": "would be set for the whole server", "vm.*": "would be set for the whole server", "network.x": "would be set for the whole server", "kernel.*": "would be set for the whole server",
	} {
		refuses(t, s, Kubelet{AllowedUnsafeSysctls: []string{s}}.validate(), want)
	}
}

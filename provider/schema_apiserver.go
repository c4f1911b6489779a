package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func apiServerAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "Settings of the API servers. A change restarts them, on one master at a time.",
		Attributes: map[string]schema.Attribute{
			"audit": auditAttribute(),
			"authentication_configuration": schema.StringAttribute{Optional: true,
				MarkdownDescription: "An AuthenticationConfiguration of `apiserver.config.k8s.io/v1` (YAML, such as `file(\"authentication.yaml\")`): issuers whose JSON Web Tokens are accepted (OIDC), how claims become users and groups, " +
					"and which paths anonymous users may ask for. What cannot be decoded is refused by the plan; expressions are compiled by the API server. It is in state, and needs no secret."},
			"token_webhook": tokenWebhookAttribute(),
			"encryption_key_rotation": schema.Int64Attribute{Optional: true,
				MarkdownDescription: "Secrets are encrypted in etcd with a key that is made on the first apply and is on masters only. Raise this by one (default 0) to replace it: all masters are given the new key, then write with it, " +
					"then all Secrets are rewritten, and then the old key is removed. Every master has to be reached for it; an apply that was interrupted is taken up by the next. " +
					"A snapshot of etcd is read with the keys of its time only."},
			"deny_service_external_ips": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "Refuse Services that name `externalIPs` which they did not have (admission plugin DenyServiceExternalIPs; default `false`)."},
			"pod_security_configuration": schema.StringAttribute{Optional: true,
				MarkdownDescription: "A PodSecurityConfiguration of `pod-security.admission.config.k8s.io/v1` (YAML, such as `file(\"pod-security.yaml\")`): which Pod Security Standards hold in namespaces that no label says it of, " +
					"and which users, namespaces and runtime classes are exempt. Default: `privileged`, and nobody. It is what an AdmissionConfiguration has as the configuration of the plugin PodSecurity."},
			"local_storage_class": schema.BoolAttribute{Optional: true,
				MarkdownDescription: "Whether the cluster has the StorageClass `local`, which is the default one, of volumes on its nodes' own disks (default `true`). " +
					"Without it claims that name no class wait for another default; volumes that were made of it stay as they are."},
			"event_rate_limits": schema.ListNestedAttribute{Optional: true,
				MarkdownDescription: "Limits of Events that are written (admission plugin EventRateLimit; default: none). Those beyond are refused with 429.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"type":  schema.StringAttribute{Required: true, MarkdownDescription: "Which Events share a limit: `Server` (all), or those of one `Namespace`, `User` or `SourceAndObject`."},
					"qps":   schema.Int64Attribute{Required: true, MarkdownDescription: "How many a second are accepted in the long run."},
					"burst": schema.Int64Attribute{Required: true, MarkdownDescription: "How many are accepted at once."},
					"cache_size": schema.Int64Attribute{Optional: true,
						MarkdownDescription: "How many namespaces, users, or sources and objects are remembered (default 4096)."},
				}}},
		},
	}
}

func tokenWebhookAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "A server that is asked about bearer tokens which no API server knows (TokenReview of `authentication.k8s.io/v1`).",
		Attributes: map[string]schema.Attribute{
			"kubeconfig": schema.StringAttribute{Required: true,
				MarkdownDescription: "How it is reached: a kubeconfig (YAML, such as `file(\"token-webhook.yaml\")`) with an https URL. It is in state, so that a key, a token or a password in it is refused: " +
					"`client-key` and `tokenFile` name files that are on all masters."},
			"cache_ttl": schema.StringAttribute{Optional: true, Validators: []validator.String{duration{}},
				MarkdownDescription: "How long its answers are believed, good ones and bad ones (default `2m`)."},
		},
	}
}

func auditAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "The log of requests, one JSON event a line, in `/var/lib/gantry/audit/audit.log` of each master.",
		Attributes: map[string]schema.Attribute{
			"enabled": schema.BoolAttribute{Optional: true, MarkdownDescription: "Whether requests are logged (default `true`)."},
			"policy": schema.StringAttribute{Optional: true,
				MarkdownDescription: "A Policy of `audit.k8s.io/v1` (YAML, such as `file(\"audit-policy.yaml\")`). Default: level `Metadata`, without what nodes and controllers ask for all the time."},
			"max_age_days": schema.Int64Attribute{Optional: true, MarkdownDescription: "How many days rotated files are kept (default 30)."},
			"max_backups":  schema.Int64Attribute{Optional: true, MarkdownDescription: "How many rotated files are kept (default 5)."},
			"max_size_mib": schema.Int64Attribute{Optional: true, MarkdownDescription: "At which size, in MiB, the file is rotated (default 100)."},
		},
	}
}

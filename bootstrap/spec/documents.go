package spec

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	podsecurity "k8s.io/pod-security-admission/admission/api/load"
	podsecurityvalidation "k8s.io/pod-security-admission/admission/api/validation"
	"sigs.k8s.io/yaml"
)

// Documents that an API server reads are decoded here as strictly as it does, so that
// one that it would refuse is refused before anything is changed. Expressions are
// compiled by the API server alone.

// header is what tells one document from another.
type header struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata,omitempty"`
}

func decode(text, apiVersion, kind string, into any, h *header) error {
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		return fmt.Errorf("it is no %s: %w", kind, err)
	}
	if h.APIVersion != apiVersion || h.Kind != kind {
		return fmt.Errorf("it is %q of %q, and has to be %s of %s", h.Kind, h.APIVersion, kind, apiVersion)
	}
	return nil
}

type auditPolicy struct {
	header            `json:",inline"`
	Rules             []auditRule `json:"rules"`
	OmitStages        []string    `json:"omitStages,omitempty"`
	OmitManagedFields bool        `json:"omitManagedFields,omitempty"`
}

type auditRule struct {
	Level      string   `json:"level"`
	Users      []string `json:"users,omitempty"`
	UserGroups []string `json:"userGroups,omitempty"`
	Verbs      []string `json:"verbs,omitempty"`
	Resources  []struct {
		Group         string   `json:"group,omitempty"`
		Resources     []string `json:"resources,omitempty"`
		ResourceNames []string `json:"resourceNames,omitempty"`
	} `json:"resources,omitempty"`
	Namespaces        []string `json:"namespaces,omitempty"`
	NonResourceURLs   []string `json:"nonResourceURLs,omitempty"`
	OmitStages        []string `json:"omitStages,omitempty"`
	OmitManagedFields *bool    `json:"omitManagedFields,omitempty"`
}

func validateAuditPolicy(text string) error {
	var p auditPolicy
	if err := decode(text, "audit.k8s.io/v1", "Policy", &p, &p.header); err != nil {
		return err
	}
	var err error
	if len(p.Rules) == 0 {
		err = errors.New("rules: at least one is required; to log nothing, set enabled = false")
	}
	err = errors.Join(err, stages("omitStages", p.OmitStages))
	for i, r := range p.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if levels := []string{"None", "Metadata", "Request", "RequestResponse"}; !slices.Contains(levels, r.Level) {
			err = errors.Join(err, fmt.Errorf("%s.level: %q is none of %v", at, r.Level, levels))
		}
		if len(r.NonResourceURLs) > 0 && len(r.Resources)+len(r.Namespaces) > 0 {
			err = errors.Join(err, fmt.Errorf("%s.nonResourceURLs: they cannot be in a rule with resources or namespaces", at))
		}
		for j, g := range r.Resources {
			if len(g.ResourceNames) > 0 && len(g.Resources) == 0 {
				err = errors.Join(err, fmt.Errorf("%s.resources[%d].resourceNames: they need resources", at, j))
			}
		}
		err = errors.Join(err, stages(at+".omitStages", r.OmitStages))
	}
	return err
}

func stages(at string, names []string) error {
	for i, s := range names {
		if known := []string{"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"}; !slices.Contains(known, s) {
			return fmt.Errorf("%s[%d]: %q is none of %v", at, i, s, known)
		}
	}
	return nil
}

// validatePodSecurity is what the admission plugin's library does with it at the API
// server's start.
func validatePodSecurity(text string) error {
	c, err := podsecurity.LoadFromData([]byte(text))
	if err != nil {
		return fmt.Errorf("it is no PodSecurityConfiguration: %w", err)
	}
	return podsecurityvalidation.ValidatePodSecurityConfiguration(c).ToAggregate()
}

type authentication struct {
	header    `json:",inline"`
	JWT       []jwtAuthenticator `json:"jwt,omitempty"`
	Anonymous *struct {
		Enabled    bool `json:"enabled"`
		Conditions []struct {
			Path string `json:"path"`
		} `json:"conditions,omitempty"`
	} `json:"anonymous,omitempty"`
}

type jwtAuthenticator struct {
	Issuer struct {
		URL                  string   `json:"url"`
		DiscoveryURL         string   `json:"discoveryURL,omitempty"`
		CertificateAuthority string   `json:"certificateAuthority,omitempty"`
		Audiences            []string `json:"audiences"`
		AudienceMatchPolicy  string   `json:"audienceMatchPolicy,omitempty"`
		EgressSelectorType   string   `json:"egressSelectorType,omitempty"`
	} `json:"issuer"`
	ClaimValidationRules []struct {
		Claim         string `json:"claim,omitempty"`
		RequiredValue string `json:"requiredValue,omitempty"`
		Expression    string `json:"expression,omitempty"`
		Message       string `json:"message,omitempty"`
	} `json:"claimValidationRules,omitempty"`
	ClaimMappings struct {
		Username prefixedClaim `json:"username"`
		Groups   prefixedClaim `json:"groups,omitempty"`
		UID      struct {
			Claim      string `json:"claim,omitempty"`
			Expression string `json:"expression,omitempty"`
		} `json:"uid,omitempty"`
		Extra []struct {
			Key             string `json:"key"`
			ValueExpression string `json:"valueExpression"`
		} `json:"extra,omitempty"`
	} `json:"claimMappings"`
	UserValidationRules []struct {
		Expression string `json:"expression"`
		Message    string `json:"message,omitempty"`
	} `json:"userValidationRules,omitempty"`
}

type prefixedClaim struct {
	Claim      string  `json:"claim,omitempty"`
	Prefix     *string `json:"prefix,omitempty"`
	Expression string  `json:"expression,omitempty"`
}

func validateAuthentication(text string) error {
	var c authentication
	if err := decode(text, "apiserver.config.k8s.io/v1", "AuthenticationConfiguration", &c, &c.header); err != nil {
		return err
	}
	var err error
	issuers := map[string]bool{}
	for i, j := range c.JWT {
		at := fmt.Sprintf("jwt[%d]", i)
		if u, e := url.Parse(j.Issuer.URL); e != nil || u.Scheme != "https" || u.Host == "" {
			err = errors.Join(err, fmt.Errorf("%s.issuer.url: %q is no https URL", at, j.Issuer.URL))
		}
		if issuers[j.Issuer.URL] {
			err = errors.Join(err, fmt.Errorf("%s.issuer.url: %q is that of another one too", at, j.Issuer.URL))
		}
		issuers[j.Issuer.URL] = true
		if len(j.Issuer.Audiences) == 0 {
			err = errors.Join(err, fmt.Errorf("%s.issuer.audiences: at least one is required", at))
		}
		if name := j.ClaimMappings.Username; (name.Claim == "") == (name.Expression == "") {
			err = errors.Join(err, fmt.Errorf("%s.claimMappings.username: either claim or expression is required", at))
		} else if name.Claim != "" && name.Prefix == nil {
			err = errors.Join(err, fmt.Errorf("%s.claimMappings.username.prefix: required with claim; \"\" is none", at))
		}
	}
	return err
}

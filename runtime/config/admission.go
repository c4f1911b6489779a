package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Admission plugins that are off unless the configuration names them.
const (
	DenyServiceExternalIPs = "DenyServiceExternalIPs"
	EventRateLimit         = "EventRateLimit"
)

// OptionalAdmissionPlugins are all of them.
func OptionalAdmissionPlugins() []string { return []string{DenyServiceExternalIPs, EventRateLimit} }

// Admission configures admission plugins. The default plugins are always on.
type Admission struct {
	// PodSecurityConfigFile is a PodSecurityConfiguration
	// (pod-security.admission.config.k8s.io/v1, YAML): what holds in namespaces without
	// labels, and who is exempt. Without one, upstream's defaults hold: privileged, nobody.
	PodSecurityConfigFile string `json:"podSecurityConfigFile,omitempty"`
	// Enable names optional plugins: DenyServiceExternalIPs, EventRateLimit.
	Enable []string `json:"enable,omitempty"`
	// EventRateLimits are what EventRateLimit enforces; it needs at least one.
	EventRateLimits []EventLimit `json:"eventRateLimits,omitempty"`
}

// EventLimitType says which events share one allowance.
type EventLimitType string

// The types, by upstream's names.
const (
	EventsOfServer          EventLimitType = "Server"
	EventsOfNamespace       EventLimitType = "Namespace"
	EventsOfUser            EventLimitType = "User"
	EventsOfSourceAndObject EventLimitType = "SourceAndObject"
)

// EventLimit is one limit of events written per second.
type EventLimit struct {
	Type EventLimitType `json:"type"`
	// QPS are accepted in the long run, Burst at once.
	QPS   int32 `json:"qps"`
	Burst int32 `json:"burst"`
	// CacheSize is how many allowances are remembered (default 4096); the longest
	// unused is forgotten first. The server's is one.
	CacheSize int32 `json:"cacheSize,omitempty"`
}

func (a Admission) check() error {
	var errs []error
	for i, name := range a.Enable {
		if !slices.Contains(OptionalAdmissionPlugins(), name) {
			errs = append(errs, fmt.Errorf("admission.enable[%d]: %q is no optional plugin; these are: %s", i, name, strings.Join(OptionalAdmissionPlugins(), ", ")))
		}
		if slices.Contains(a.Enable[:i], name) {
			errs = append(errs, fmt.Errorf("admission.enable[%d]: %q is there twice", i, name))
		}
	}
	if on := slices.Contains(a.Enable, EventRateLimit); on != (len(a.EventRateLimits) > 0) {
		errs = append(errs, fmt.Errorf("admission.eventRateLimits: %s in admission.enable and limits need each other", EventRateLimit))
	}
	types := []EventLimitType{EventsOfServer, EventsOfNamespace, EventsOfUser, EventsOfSourceAndObject}
	for i, l := range a.EventRateLimits {
		at := fmt.Sprintf("admission.eventRateLimits[%d]", i)
		if !slices.Contains(types, l.Type) {
			errs = append(errs, fmt.Errorf("%s.type: %q is none of %v", at, l.Type, types))
		}
		if l.QPS <= 0 {
			errs = append(errs, fmt.Errorf("%s.qps: %d must be positive", at, l.QPS))
		}
		if l.Burst <= 0 {
			errs = append(errs, fmt.Errorf("%s.burst: %d must be positive", at, l.Burst))
		}
		if l.CacheSize < 0 {
			errs = append(errs, fmt.Errorf("%s.cacheSize: %d must not be negative", at, l.CacheSize))
		}
	}
	return errors.Join(errs...)
}

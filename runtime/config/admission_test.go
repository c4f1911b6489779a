package config

import (
	"strings"
	"testing"
)

func TestAdmissionIsChecked(t *testing.T) {
	limit := EventLimit{Type: EventsOfUser, QPS: 1, Burst: 1}
	with := func(change func(*EventLimit)) Admission {
		l := limit
		change(&l)
		return Admission{Enable: []string{EventRateLimit}, EventRateLimits: []EventLimit{l}}
	}
	tests := []struct {
		name string
		a    Admission
		want string // "" for valid
	}{
		{"nothing", Admission{}, ""},
		{"a plugin", Admission{Enable: []string{DenyServiceExternalIPs}}, ""},
		{"all", Admission{Enable: OptionalAdmissionPlugins(), EventRateLimits: []EventLimit{limit}}, ""},
		{"a default plugin", Admission{Enable: []string{"LimitRanger"}}, "admission.enable[0]: \"LimitRanger\" is no optional plugin"},
		{"one twice", Admission{Enable: []string{DenyServiceExternalIPs, DenyServiceExternalIPs}}, "admission.enable[1]"},
		{"limits that are off", Admission{EventRateLimits: []EventLimit{limit}}, "need each other"},
		{"no limits", Admission{Enable: []string{EventRateLimit}}, "need each other"},
		{"another type", with(func(l *EventLimit) { l.Type = "Cluster" }), "eventRateLimits[0].type"},
		{"no rate", with(func(l *EventLimit) { l.QPS = 0 }), "qps: 0 must be positive"},
		{"no burst", with(func(l *EventLimit) { l.Burst = 0 }), "burst: 0 must be positive"},
		{"a negative cache", with(func(l *EventLimit) { l.CacheSize = -1 }), "cacheSize: -1 must not be negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.a.check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}

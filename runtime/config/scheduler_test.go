package config

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func schedulerConfig(profiles ...SchedulerProfile) *SchedulerConfig {
	return &SchedulerConfig{
		Client: client(), Health: Health{ClientCAFile: "ca", KeyPair: KeyPair{"c", "k"}},
		LeaderElection: LeaderElection{Identity: "m1"}, Profiles: profiles,
	}
}

func TestSchedulerWithoutProfilesKeepsItsFile(t *testing.T) {
	c := schedulerConfig()
	if err := c.Complete(); err != nil {
		t.Fatal(err)
	}
	data, err := Marshal(c)
	if err != nil || strings.Contains(string(data), "profiles") {
		t.Errorf("%v\n%s", err, data)
	}
}

func TestSchedulerProfiles(t *testing.T) {
	weight := func(w int32) SchedulerProfile {
		return SchedulerProfile{Plugins: SchedulerPlugins{Score: PluginSet{Enabled: []Plugin{{Name: "A", Weight: ptr.To(w)}}}}}
	}
	for _, tc := range []struct {
		name     string
		profiles []SchedulerProfile
		want     string // in the error
	}{
		{"one, not named", []SchedulerProfile{{}}, ""},
		{"two", []SchedulerProfile{{}, {SchedulerName: "x"}}, ""},
		{"two of one name", []SchedulerProfile{{}, {SchedulerName: corev1.DefaultSchedulerName}}, `profiles[1].schedulerName: "default-scheduler"`},
		{"all nodes", []SchedulerProfile{{PercentageOfNodesToScore: 100}}, ""},
		{"more than all nodes", []SchedulerProfile{{PercentageOfNodesToScore: 101}}, "profiles[0].percentageOfNodesToScore: 101"},
		{"less than none", []SchedulerProfile{{PercentageOfNodesToScore: -1}}, "profiles[0].percentageOfNodesToScore: -1"},
		{"the least weight", []SchedulerProfile{weight(1)}, ""},
		{"no weight", []SchedulerProfile{weight(0)}, "profiles[0].plugins: A: weight 0"},
		{"the most weight", []SchedulerProfile{weight(100)}, ""},
		{"too much weight", []SchedulerProfile{{}, {SchedulerName: "x", Plugins: SchedulerPlugins{MultiPoint: PluginSet{Enabled: []Plugin{{Name: "A", Weight: ptr.To[int32](101)}}}}}}, "profiles[1].plugins: A: weight 101"},
	} {
		c := schedulerConfig(tc.profiles...)
		err := c.Complete()
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
		if err == nil && c.Profiles[0].SchedulerName != corev1.DefaultSchedulerName {
			t.Errorf("%s: named %q", tc.name, c.Profiles[0].SchedulerName)
		}
	}
}

package config

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// SchedulerConfig configures the scheduler process.
type SchedulerConfig struct {
	Client         APIClient      `json:"client"`
	Health         Health         `json:"health"`
	LeaderElection LeaderElection `json:"leaderElection"`
	// Profiles are what pods choose from by spec.schedulerName (default: one, named
	// default-scheduler, with all plugins). The words are those of upstream's
	// KubeSchedulerConfiguration.
	Profiles []SchedulerProfile `json:"profiles,omitempty"`
}

// SchedulerProfile is one way of scheduling pods.
type SchedulerProfile struct {
	// SchedulerName is what pods name the profile by (default: default-scheduler).
	SchedulerName string `json:"schedulerName,omitempty"`
	// PercentageOfNodesToScore is the share of all nodes that are enough to choose
	// among, 100 of them at least (default: 50 to 5, by the size of the cluster).
	PercentageOfNodesToScore int `json:"percentageOfNodesToScore,omitempty"`
	// Plugins changes which plugins run.
	Plugins SchedulerPlugins `json:"plugins,omitzero"`
}

// SchedulerPlugins changes the default plugins, for all extension points at once
// (MultiPoint) or for one.
type SchedulerPlugins struct {
	MultiPoint PluginSet `json:"multiPoint,omitzero"`
	PreFilter  PluginSet `json:"preFilter,omitzero"`
	Filter     PluginSet `json:"filter,omitzero"`
	PostFilter PluginSet `json:"postFilter,omitzero"`
	Score      PluginSet `json:"score,omitzero"`
	Reserve    PluginSet `json:"reserve,omitzero"`
	Permit     PluginSet `json:"permit,omitzero"`
	PreBind    PluginSet `json:"preBind,omitzero"`
}

// PluginSet disables plugins ("*": all), then enables others, or the same with
// another weight.
type PluginSet struct {
	Enabled  []Plugin `json:"enabled,omitempty"`
	Disabled []Plugin `json:"disabled,omitempty"`
}

// Plugin names a plugin. Weight is what its scores are multiplied with (1 to 100;
// default: the plugin's own).
type Plugin struct {
	Name   string `json:"name"`
	Weight *int32 `json:"weight,omitempty"`
}

// Complete fills defaults and validates. Which plugins there are, the scheduler knows.
func (c *SchedulerConfig) Complete() error {
	err := errors.Join(c.Client.complete(), c.Health.complete(Scheduler), c.LeaderElection.complete())
	names := map[string]bool{}
	for i := range c.Profiles {
		p := &c.Profiles[i]
		setDefault(&p.SchedulerName, corev1.DefaultSchedulerName)
		if names[p.SchedulerName] {
			err = errors.Join(err, fmt.Errorf("profiles[%d].schedulerName: %q is another profile's", i, p.SchedulerName))
		}
		names[p.SchedulerName] = true
		if n := p.PercentageOfNodesToScore; n < 0 || n > 100 {
			err = errors.Join(err, fmt.Errorf("profiles[%d].percentageOfNodesToScore: %d is not between 0 and 100", i, n))
		}
		for _, plugin := range p.Plugins.enabled() {
			if w := plugin.Weight; w != nil && (*w < 1 || *w > 100) {
				err = errors.Join(err, fmt.Errorf("profiles[%d].plugins: %s: weight %d is not between 1 and 100", i, plugin.Name, *w))
			}
		}
	}
	return err
}

func (p *SchedulerPlugins) enabled() (out []Plugin) {
	for _, set := range []PluginSet{p.MultiPoint, p.PreFilter, p.Filter, p.PostFilter, p.Score, p.Reserve, p.Permit, p.PreBind} {
		out = append(out, set.Enabled...)
	}
	return out
}

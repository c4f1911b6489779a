package scheduler

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

// newProfiles makes the profiles of the configuration by their names; with none, the
// default profile. plugins are those that there are, in its order and with its weights.
func newProfiles(profiles []config.SchedulerProfile, plugins []core.WeightedPlugin) (map[string]*core.Profile, error) {
	if len(profiles) == 0 {
		profiles = []config.SchedulerProfile{{SchedulerName: corev1.DefaultSchedulerName}}
	}
	out := map[string]*core.Profile{}
	for _, p := range profiles {
		points, err := newPoints(p.Plugins, plugins)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", p.SchedulerName, err)
		}
		if out[p.SchedulerName], err = core.NewProfile(p.SchedulerName, p.PercentageOfNodesToScore, points); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// newPoints applies a profile's changes to the default plugins: multiPoint changes
// what runs wherever it can, an extension point's own set what runs there.
func newPoints(c config.SchedulerPlugins, plugins []core.WeightedPlugin) (core.Points, error) {
	known := map[string]core.WeightedPlugin{}
	for _, p := range plugins {
		known[p.Name()] = p
	}
	multi, err := apply(plugins, c.MultiPoint, known)
	if err != nil {
		return core.Points{}, fmt.Errorf("multiPoint: %w", err)
	}
	points := core.AllPoints(multi)
	for _, point := range []struct {
		name    string
		plugins *[]core.WeightedPlugin
		set     config.PluginSet
	}{
		{"preFilter", &points.PreFilter, c.PreFilter}, {"filter", &points.Filter, c.Filter}, {"postFilter", &points.PostFilter, c.PostFilter},
		{"score", &points.Score, c.Score}, {"reserve", &points.Reserve, c.Reserve}, {"permit", &points.Permit, c.Permit}, {"preBind", &points.PreBind, c.PreBind},
	} {
		if *point.plugins, err = apply(*point.plugins, point.set, known); err != nil {
			return core.Points{}, fmt.Errorf("%s: %w", point.name, err)
		}
	}
	return points, nil
}

// apply disables and enables plugins. One that is enabled already gets the weight
// that is given; others come last.
func apply(plugins []core.WeightedPlugin, set config.PluginSet, known map[string]core.WeightedPlugin) ([]core.WeightedPlugin, error) {
	named := func(name string) func(core.WeightedPlugin) bool {
		return func(p core.WeightedPlugin) bool { return p.Name() == name }
	}
	out := slices.Clone(plugins)
	for _, p := range set.Disabled {
		if p.Name == "*" {
			out = nil
			continue
		}
		if _, ok := known[p.Name]; !ok {
			return nil, fmt.Errorf("disabled: there is no plugin %q", p.Name)
		}
		out = slices.DeleteFunc(out, named(p.Name))
	}
	for _, p := range set.Enabled {
		plugin, ok := known[p.Name]
		if !ok {
			return nil, fmt.Errorf("enabled: there is no plugin %q", p.Name)
		}
		if p.Weight != nil {
			plugin.Weight = int64(*p.Weight)
		}
		if i := slices.IndexFunc(out, named(p.Name)); i >= 0 {
			out[i] = plugin
		} else {
			out = append(out, plugin)
		}
	}
	return out, nil
}

package core

import (
	"fmt"
	"slices"

	"k8s.io/kube-scheduler/framework"
)

// Profile is how the pods that name it are scheduled: which plugins run at each
// extension point, in which order, and what their ratings weigh.
type Profile struct {
	// SchedulerName is what pods name it by (spec.schedulerName).
	SchedulerName string

	percentageOfNodesToScore int // 0: by the size of the cluster
	plugins                  []Plugin
	events                   [][]ClusterEventWithHint // of each plugin; nil: all
	preFilter                []at[PreFilterPlugin]
	extensions               []at[PreFilterExtensions]
	filter                   []at[FilterPlugin]
	postFilter               []PostFilterPlugin
	score                    []at[ScorePlugin]
	reserve                  []at[ReservePlugin]
	permit                   []at[PermitPlugin]
	preBind                  []at[PreBindPlugin]
}

// at is a plugin at an extension point.
type at[P any] struct {
	plugin P
	index  int // of the plugin's state
	weight int64
}

// WeightedPlugin is a plugin that a profile enables. Weight is that of its ratings.
type WeightedPlugin struct {
	Plugin
	Weight int64
}

// Points lists the plugins of each extension point in the order in which they run.
type Points struct {
	PreFilter, Filter, PostFilter, Score, Reserve, Permit, PreBind []WeightedPlugin
}

// DefaultPlugins are the plugins of the default profile, by upstream's order and with
// its weights, each for all extension points that it implements.
func DefaultPlugins(v Volumes, d Devices) []WeightedPlugin {
	return []WeightedPlugin{
		{newNodeUnschedulable(), 1},
		{newNodeName(), 1},
		{taintToleration{}, 3},
		{newNodeAffinity(), 2},
		{newNodePorts(), 1},
		{newNodeResourcesFit(), 1},
		{newVolumeRestrictions(v), 1},
		{newNodeVolumeLimits(v), 1},
		{newVolumeBinding(v), 1},
		{newVolumeZone(v), 1},
		{newPodTopologySpread(), 2},
		{newInterPodAffinity(), 2},
		{newDynamicResources(d), 1},
		{defaultPreemption{}, 1},
		{balancedAllocation{}, 1},
		{imageLocality{}, 1},
	}
}

// AllPoints enables each plugin wherever it can be.
func AllPoints(plugins []WeightedPlugin) Points {
	return Points{
		PreFilter: Implementing[PreFilterPlugin](plugins), Filter: Implementing[FilterPlugin](plugins),
		PostFilter: Implementing[PostFilterPlugin](plugins), Score: Implementing[ScorePlugin](plugins),
		Reserve: Implementing[ReservePlugin](plugins), Permit: Implementing[PermitPlugin](plugins),
		PreBind: Implementing[PreBindPlugin](plugins),
	}
}

// Implementing are those of the plugins that implement an extension point.
func Implementing[P Plugin](plugins []WeightedPlugin) []WeightedPlugin {
	var out []WeightedPlugin
	for _, p := range plugins {
		if _, ok := p.Plugin.(P); ok {
			out = append(out, p)
		}
	}
	return out
}

// NewProfile returns a profile. It fails when a plugin is enabled at a point that it
// does not implement, or twice, or filters without the PreFilter that it needs.
// percentageOfNodesToScore is how many of a cluster's nodes are enough to choose
// among (0: by the size of the cluster).
func NewProfile(schedulerName string, percentageOfNodesToScore int, points Points) (*Profile, error) {
	pr := &Profile{SchedulerName: schedulerName, percentageOfNodesToScore: percentageOfNodesToScore}
	b := &profileBuilder{profile: pr, index: map[string]int{}}
	pr.preFilter = enable[PreFilterPlugin](b, "preFilter", points.PreFilter)
	preFiltered := len(pr.plugins)
	for _, p := range pr.preFilter {
		if ext, ok := p.plugin.(PreFilterExtensions); ok {
			pr.extensions = append(pr.extensions, at[PreFilterExtensions]{plugin: ext, index: p.index})
		}
	}
	pr.filter = enable[FilterPlugin](b, "filter", points.Filter)
	for _, p := range enable[PostFilterPlugin](b, "postFilter", points.PostFilter) {
		pr.postFilter = append(pr.postFilter, p.plugin)
	}
	pr.score = enable[ScorePlugin](b, "score", points.Score)
	pr.reserve = enable[ReservePlugin](b, "reserve", points.Reserve)
	pr.permit = enable[PermitPlugin](b, "permit", points.Permit)
	pr.preBind = enable[PreBindPlugin](b, "preBind", points.PreBind)
	for _, f := range pr.filter {
		if _, ok := f.plugin.(PreFilterPlugin); ok && f.index >= preFiltered {
			b.fail("plugin %s filters by what its preFilter finds out: enable or disable both", f.plugin.Name())
		}
	}
	if b.err != nil {
		return nil, fmt.Errorf("profile %s: %w", schedulerName, b.err)
	}
	return pr, nil
}

// profileBuilder keeps the first error.
type profileBuilder struct {
	profile *Profile
	index   map[string]int
	err     error
}

func (b *profileBuilder) fail(format string, args ...any) {
	if b.err == nil {
		b.err = fmt.Errorf(format, args...)
	}
}

func enable[P Plugin](b *profileBuilder, point string, plugins []WeightedPlugin) []at[P] {
	var out []at[P]
	for _, p := range plugins {
		typed, ok := p.Plugin.(P)
		if !ok {
			b.fail("plugin %s does not implement %s", p.Name(), point)
			continue
		}
		for _, other := range out {
			if other.plugin.Name() == p.Name() {
				b.fail("plugin %s is enabled twice at %s", p.Name(), point)
			}
		}
		i, known := b.index[p.Name()]
		if !known {
			i = len(b.profile.plugins)
			b.index[p.Name()] = i
			b.profile.plugins = append(b.profile.plugins, p.Plugin)
			var events []ClusterEventWithHint
			if ext, ok := p.Plugin.(EnqueueExtensions); ok {
				events = ext.EventsToRegister()
			}
			b.profile.events = append(b.profile.events, events)
		}
		out = append(out, at[P]{plugin: typed, index: i, weight: p.Weight})
	}
	return out
}

// MayHelp says whether an event is worth another attempt for a pod that the named
// plugins rejected. When none is named, any event is.
func (pr *Profile) MayHelp(p *PodInfo, rejectedBy []string, event framework.ClusterEvent, old, now any) bool {
	if len(rejectedBy) == 0 {
		return true
	}
	for i, plugin := range pr.plugins {
		if !slices.Contains(rejectedBy, plugin.Name()) {
			continue
		}
		if pr.events[i] == nil {
			return true
		}
		for _, e := range pr.events[i] {
			if e.Matches(event) && (e.Hint == nil || e.Hint(p, old, now)) {
				return true
			}
		}
	}
	return false
}

package scheduler

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/scheduler/core"
)

func plugins(names ...string) (out []config.Plugin) {
	for _, name := range names {
		out = append(out, config.Plugin{Name: name})
	}
	return out
}

func TestProfilesChangeTheDefault(t *testing.T) {
	const (
		filters = "NodeUnschedulable NodeName TaintToleration NodeAffinity NodePorts NodeResourcesFit VolumeRestrictions NodeVolumeLimits VolumeBinding VolumeZone PodTopologySpread InterPodAffinity DynamicResources"
		scores  = "TaintToleration:3 NodeAffinity:2 NodeResourcesFit:1 PodTopologySpread:2 InterPodAffinity:2 NodeResourcesBalancedAllocation:1 ImageLocality:1"
	)
	for _, tc := range []struct {
		name            string
		plugins         config.SchedulerPlugins
		filters, scores string
	}{
		{"nothing", config.SchedulerPlugins{}, filters, scores},
		{"one off everywhere", config.SchedulerPlugins{MultiPoint: config.PluginSet{Disabled: plugins("PodTopologySpread")}},
			strings.Replace(filters, " PodTopologySpread", "", 1), strings.Replace(scores, " PodTopologySpread:2", "", 1)},
		{"one off for scores", config.SchedulerPlugins{Score: config.PluginSet{Disabled: plugins("ImageLocality", "NodeAffinity")}},
			filters, strings.NewReplacer(" ImageLocality:1", "", " NodeAffinity:2", "").Replace(scores)},
		{"another weight", config.SchedulerPlugins{Score: config.PluginSet{Enabled: []config.Plugin{{Name: "ImageLocality", Weight: ptr.To[int32](5)}}}},
			filters, strings.Replace(scores, "ImageLocality:1", "ImageLocality:5", 1)},
		{"only these", config.SchedulerPlugins{MultiPoint: config.PluginSet{Disabled: plugins("*"), Enabled: plugins("NodeResourcesFit", "NodeUnschedulable")}},
			"NodeResourcesFit NodeUnschedulable", "NodeResourcesFit:1"},
		{"all off, and one on for scores", config.SchedulerPlugins{MultiPoint: config.PluginSet{Disabled: plugins("*")}, Score: config.PluginSet{Enabled: plugins("TaintToleration")}},
			"", "TaintToleration:3"},
		{"off and on again comes last", config.SchedulerPlugins{Filter: config.PluginSet{Disabled: plugins("NodeUnschedulable"), Enabled: plugins("NodeUnschedulable")}},
			strings.TrimPrefix(filters, "NodeUnschedulable ") + " NodeUnschedulable", scores},
	} {
		t.Run(tc.name, func(t *testing.T) {
			points, err := newPoints(tc.plugins, core.DefaultPlugins(core.Volumes{}, core.Devices{}))
			if err != nil {
				t.Fatal(err)
			}
			var filters, scores []string
			for _, p := range points.Filter {
				filters = append(filters, p.Name())
			}
			for _, p := range points.Score {
				scores = append(scores, p.Name()+":"+string(rune('0'+p.Weight)))
			}
			if got := strings.Join(filters, " "); got != tc.filters {
				t.Errorf("filters: %s\nwant:    %s", got, tc.filters)
			}
			if got := strings.Join(scores, " "); got != tc.scores {
				t.Errorf("scores: %s\nwant:   %s", got, tc.scores)
			}
		})
	}
}

func TestProfilesByName(t *testing.T) {
	got, err := newProfiles(nil, core.DefaultPlugins(core.Volumes{}, core.Devices{}))
	if err != nil || len(got) != 1 || got["default-scheduler"] == nil {
		t.Errorf("no profile in the configuration: %v, %v", got, err)
	}
	got, err = newProfiles([]config.SchedulerProfile{{SchedulerName: "a"}, {SchedulerName: "b"}}, core.DefaultPlugins(core.Volumes{}, core.Devices{}))
	if err != nil || len(got) != 2 || got["a"] == got["b"] || got["b"].SchedulerName != "b" {
		t.Errorf("two: %v, %v", got, err)
	}
	for want, p := range map[string]config.SchedulerPlugins{
		`profile x: multiPoint: enabled: there is no plugin "NodeMagic"`:    {MultiPoint: config.PluginSet{Enabled: plugins("NodeMagic")}},
		`profile x: score: disabled: there is no plugin "NodeMagic"`:        {Score: config.PluginSet{Disabled: plugins("NodeMagic")}},
		`profile x: plugin ImageLocality does not implement filter`:         {Filter: config.PluginSet{Enabled: plugins("ImageLocality")}},
		`profile x: plugin NodePorts filters by what its preFilter finds`:   {PreFilter: config.PluginSet{Disabled: plugins("NodePorts")}},
		`profile x: plugin NodeUnschedulable does not implement permit`:     {Permit: config.PluginSet{Enabled: plugins("NodeUnschedulable")}},
		`profile x: plugin NodeUnschedulable does not implement reserve`:    {Reserve: config.PluginSet{Enabled: plugins("NodeUnschedulable")}},
		`profile x: plugin NodeUnschedulable does not implement preBind`:    {PreBind: config.PluginSet{Enabled: plugins("NodeUnschedulable")}},
		`profile x: plugin NodeUnschedulable does not implement postFilter`: {PostFilter: config.PluginSet{Enabled: plugins("NodeUnschedulable")}},
	} {
		_, err := newProfiles([]config.SchedulerProfile{{SchedulerName: "x", Plugins: p}}, core.DefaultPlugins(core.Volumes{}, core.Devices{}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestApplyLeavesTheDefaultAlone(t *testing.T) {
	def := core.DefaultPlugins(core.Volumes{}, core.Devices{})
	before := slices.Clone(def)
	_, err := newPoints(config.SchedulerPlugins{
		MultiPoint: config.PluginSet{Disabled: plugins("NodeName"), Enabled: []config.Plugin{{Name: "NodePorts", Weight: ptr.To[int32](7)}}},
	}, def)
	if err != nil || !slices.Equal(def, before) {
		t.Errorf("%v, %v", def, err)
	}
}

package devices

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// grace is how long a resource without its plugin counts as one that the node has: a
// plugin that is upgraded is back within it.
const grace = 5 * time.Minute

// pool is what is known of one resource.
type pool struct {
	plugin  *plugin                  // nil: none serves it
	lost    time.Time                // since when, if so
	options *api.DevicePluginOptions // of the one that served it last; nil: not since this process started
	devices map[string]bool          // all that it named last; true: healthy
}

// usable are the devices that may be chosen.
func (p *pool) usable() sets.Set[string] {
	out := sets.New[string]()
	if p.plugin == nil {
		return out
	}
	for id, healthy := range p.devices {
		if healthy {
			out.Insert(id)
		}
	}
	return out
}

// gone says whether the node does not have the resource any more.
func (p *pool) gone(now time.Time) bool { return p.plugin == nil && now.Sub(p.lost) > grace }

// demand is what a container asks for of one resource.
type demand struct {
	resource string
	needed   int
	// reusable are devices that init containers of its pod have given back.
	reusable sets.Set[string]
}

// choice is what devices can be chosen from.
type choice struct {
	mine sets.Set[string] // chosen already
	free sets.Set[string] // to choose the rest from
}

// choices takes what can be reused and says what the rest can be chosen from; inUse are the
// devices of others. It is pure.
func (d demand) choices(p *pool, inUse sets.Set[string]) (choice, error) {
	usable := p.usable()
	if usable.Len() == 0 {
		return choice{}, fmt.Errorf("no healthy devices present; cannot allocate unhealthy devices %s", d.resource)
	}
	c := choice{mine: sets.New[string](), free: usable.Difference(inUse).Difference(d.reusable)}
	c.take(sets.List(d.reusable), d.needed)
	if rest := d.needed - c.mine.Len(); c.free.Len() < rest {
		return choice{}, fmt.Errorf("requested number of devices unavailable for %s. Requested: %d, Available: %d", d.resource, rest, c.free.Len())
	}
	return c, nil
}

// take adds devices until there are as many as needed.
func (c *choice) take(ids []string, needed int) {
	for _, id := range ids {
		if c.mine.Len() >= needed {
			return
		}
		c.mine.Insert(id)
	}
}

// complete takes what the plugin prefers, and then any.
func (c *choice) complete(preferred []string, needed int) []string {
	c.take(slices.DeleteFunc(slices.Clone(preferred), func(id string) bool { return !c.free.Has(id) }), needed)
	c.take(sets.List(c.free), needed)
	return sets.List(c.mine)
}

// grants are what the containers of a pod were given: by container and resource.
type grants map[string]map[string]grant

// inUse are the devices of a resource that pods have.
func inUse(pods map[string]grants, resource string) sets.Set[string] {
	out := sets.New[string]()
	for _, g := range pods {
		for of := range maps.Values(g) {
			out.Insert(of[resource].Devices...)
		}
	}
	return out
}

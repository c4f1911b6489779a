package devices

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/pod"
)

// Admit implements admit.Handler: it gives the pod the devices that it asks for, unless it
// has them. A pod that is rejected for another reason releases them when it has ended.
func (m *Manager) Admit(ctx context.Context, a admit.Attributes) *admit.Rejection {
	if !m.asksForDevices(a.Pod) {
		return nil
	}
	others := sets.New[string]()
	for _, p := range a.Others {
		others.Insert(string(p.UID))
	}
	if err := m.allocate(ctx, a.Pod, others.Has); err != nil {
		return &admit.Rejection{Reason: "UnexpectedAdmissionError", Message: fmt.Sprintf("Allocate failed due to %v, which is unexpected", err)}
	}
	return nil
}

// Edits are what a container needs for its devices, which their plugin makes ready. A pod
// that was admitted before the plugin was there is given them now.
func (m *Manager) Edits(ctx context.Context, p *corev1.Pod, c *corev1.Container) ([]container.Edits, error) {
	uid := string(p.UID)
	var out []container.Edits
	for _, d := range m.demands(c) {
		given, ok := m.given(uid, c.Name, d.resource)
		if !ok {
			if err := m.allocate(ctx, p, func(string) bool { return true }); err != nil {
				return nil, err
			}
			given, _ = m.given(uid, c.Name, d.resource)
		}
		if err := m.preStart(ctx, d.resource, given.Devices); err != nil {
			return nil, err
		}
		out = append(out, given.Edits)
	}
	return out, nil
}

func (m *Manager) given(uid, container, resource string) (g grant, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	g, ok = m.pods[uid][container][resource]
	return g, ok
}

// preStart has the plugin make devices ready. One that is away for a while is not waited
// for, unless it has to.
func (m *Manager) preStart(ctx context.Context, resource string, devices []string) error {
	m.mu.Lock()
	now := *m.pools[resource]
	m.mu.Unlock()
	switch {
	case now.plugin != nil:
		return now.plugin.preStart(ctx, devices)
	case now.options == nil || now.options.PreStartRequired || now.gone(m.now()):
		return fmt.Errorf("the device plugin of %s has not registered: the container can start once it has", resource)
	}
	return nil
}

func (m *Manager) asksForDevices(p *corev1.Pod) bool {
	for _, c := range pod.Containers(&p.Spec, pod.InitContainers|pod.MainContainers) {
		if len(m.demands(c)) > 0 {
			return true
		}
	}
	return false
}

// demands are what a container asks for of the resources that plugins have or had. Of
// others it gets nothing: somebody else counts them.
func (m *Manager) demands(c *corev1.Container) []demand {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []demand
	for _, name := range slices.Sorted(maps.Keys(c.Resources.Limits)) {
		n := c.Resources.Limits[name]
		if m.pools[string(name)] != nil && n.Value() > 0 {
			out = append(out, demand{resource: string(name), needed: int(n.Value())})
		}
	}
	return out
}

// allocate gives a pod all that its containers ask for and do not have, or nothing. What
// pods have that do not count is free.
func (m *Manager) allocate(ctx context.Context, p *corev1.Pod, counts func(uid string) bool) error {
	m.allocating.Lock()
	defer m.allocating.Unlock()
	uid := string(p.UID)
	m.mu.Lock()
	mine, others := grants{}, maps.Clone(m.pods)
	for container, of := range m.pods[uid] {
		mine[container] = maps.Clone(of)
	}
	m.mu.Unlock()
	maps.DeleteFunc(others, func(other string, _ grants) bool { return other == uid || !counts(other) })

	reusable := map[string]sets.Set[string]{} // that init containers have given back
	added := false
	for kind, c := range pod.Containers(&p.Spec, pod.InitContainers|pod.MainContainers) {
		for _, d := range m.demands(c) {
			if reusable[d.resource] == nil {
				reusable[d.resource] = sets.New[string]()
			}
			given, ok := mine[c.Name][d.resource]
			if !ok {
				var err error
				d.reusable = reusable[d.resource]
				if given, err = m.choose(ctx, d, inUse(others, d.resource).Union(inUse(map[string]grants{uid: mine}, d.resource))); err != nil {
					return err
				}
				if mine[c.Name] == nil {
					mine[c.Name] = map[string]grant{}
				}
				mine[c.Name][d.resource], added = given, true
			} else if len(given.Devices) != d.needed {
				return fmt.Errorf("pod %q container %q changed request for resource %q from %d to %d", uid, c.Name, d.resource, len(given.Devices), d.needed)
			}
			if kind == pod.InitContainers && !pod.IsSidecar(c) {
				reusable[d.resource].Insert(given.Devices...)
			} else {
				reusable[d.resource].Delete(given.Devices...)
			}
		}
	}
	if !added {
		return nil
	}
	if err := m.kept.savePod(uid, mine); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pods[uid] = mine
	return nil
}

// choose chooses the devices of a container for one resource.
func (m *Manager) choose(ctx context.Context, d demand, inUse sets.Set[string]) (grant, error) {
	m.mu.Lock()
	p := m.pools[d.resource] // which is there as long as this process runs
	c, err := d.choices(p, inUse)
	plugin := p.plugin
	m.mu.Unlock()
	if err != nil {
		return grant{}, err
	}
	var preferred []string
	if c.mine.Len() < d.needed {
		if preferred, err = plugin.prefer(ctx, c, d.needed); err != nil {
			return grant{}, err
		}
	}
	g := grant{Devices: c.complete(preferred, d.needed)}
	g.Edits, err = plugin.allocate(ctx, g.Devices)
	return g, err
}

package dra

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	resourceclient "k8s.io/client-go/kubernetes/typed/resource/v1"
	claimhelper "k8s.io/dynamic-resource-allocation/resourceclaim"
	api "k8s.io/kubelet/pkg/apis/dra/v1"

	"github.com/gantry-run/gantry/runtime/durable"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Manager prepares the claims of pods.
type Manager struct {
	Claims  resourceclient.ResourceClaimsGetter
	Drivers *Drivers
	// File is what is prepared, on Disk (nil: the host's).
	File string
	Disk durable.FS

	changing sync.Mutex // for one pod at a time: drivers are asked meanwhile
	mu       sync.Mutex
	state    state // nil: not read yet
}

// loaded is what is prepared. What cannot be read is an error: the drivers would never be
// asked to unprepare.
func (m *Manager) loaded() (state, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state == nil {
		s, err := load(m.File)
		if err != nil {
			return nil, err
		}
		m.state = s
	}
	return m.state, nil
}

// keep changes the state, on disk first.
func (m *Manager) keep(change func(s state)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := state{}
	for uid, p := range m.state {
		c := *p
		c.Pods, c.Drivers = slices.Clone(p.Pods), maps.Clone(p.Drivers)
		next[uid] = &c
	}
	change(next)
	if err := next.save(m.Disk, m.File); err != nil {
		return err
	}
	m.state = next
	return nil
}

// Prepare has the drivers prepare the claims of a pod that are not, and returns why its
// containers cannot start.
func (m *Manager) Prepare(ctx context.Context, p *corev1.Pod) error {
	if len(p.Spec.ResourceClaims) == 0 {
		return nil
	}
	m.changing.Lock()
	defer m.changing.Unlock()
	kept, err := m.loaded()
	if err != nil {
		return err
	}
	uid, names := string(p.UID), slices.Collect(maps.Keys(maps.Collect(claimhelper.PodClaims(p))))
	if len(names) > 0 && !slices.ContainsFunc(names, func(name string) bool { return kept.find(uid, p.Namespace, name) == nil }) {
		return nil // as after a restart, for which the API need not answer
	}
	claims, err := m.claims(ctx, p)
	if err != nil {
		return err
	}
	if err := m.keep(func(s state) {
		for _, c := range claims {
			s.use(c, uid)
		}
	}); err != nil {
		return err
	}
	return m.askDrivers(ctx, claims)
}

// find is a claim of a pod that is prepared; nil where it is not.
func (s state) find(pod, namespace, name string) *prepared {
	for _, p := range s {
		if p.Namespace == namespace && p.Name == name && p.usedBy(pod) && p.done() {
			return p
		}
	}
	return nil
}

// use notes that a pod has a claim.
func (s state) use(c *resourcev1.ResourceClaim, pod string) {
	p := s[string(c.UID)]
	if p == nil {
		p = &prepared{Namespace: c.Namespace, Name: c.Name, Drivers: map[string][]device{}}
		for _, r := range c.Status.Allocation.Devices.Results {
			p.Drivers[r.Driver] = nil
		}
		s[string(c.UID)] = p
	}
	if !p.usedBy(pod) {
		p.Pods = append(p.Pods, pod)
	}
}

// claims are those of a pod, as the API has them now.
func (m *Manager) claims(ctx context.Context, p *corev1.Pod) ([]*resourcev1.ResourceClaim, error) {
	var out []*resourcev1.ResourceClaim
	for i := range p.Spec.ResourceClaims {
		name, owned, err := claimhelper.Name(p, &p.Spec.ResourceClaims[i])
		if err != nil {
			return nil, err
		}
		if name == nil {
			continue
		}
		c, err := m.Claims.ResourceClaims(p.Namespace).Get(ctx, *name, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("fetch ResourceClaim %s: %w", *name, err)
		}
		if owned {
			if err := claimhelper.IsForPod(p, c, false); err != nil {
				return nil, err
			}
		}
		switch {
		case c.Status.Allocation == nil:
			return nil, fmt.Errorf("ResourceClaim %s is not allocated", c.Name)
		case !claimhelper.IsReservedForPod(p, c, false):
			return nil, fmt.Errorf("pod %s (%s) is not allowed to use ResourceClaim %s (%s)", p.Name, p.UID, c.Name, c.UID)
		}
		out = append(out, c)
	}
	return out, nil
}

// askDrivers has each driver prepare those of the claims that it has not.
func (m *Manager) askDrivers(ctx context.Context, claims []*resourcev1.ResourceClaim) error {
	kept, err := m.loaded()
	if err != nil {
		return err
	}
	asked := map[string][]*api.Claim{}
	for _, c := range claims {
		for name, devices := range kept[string(c.UID)].Drivers {
			if devices == nil {
				asked[name] = append(asked[name], &api.Claim{Namespace: c.Namespace, Name: c.Name, Uid: string(c.UID)})
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		given, err := m.Drivers.prepare(ctx, name, asked[name])
		if err != nil {
			return err
		}
		if err := m.keep(func(s state) {
			for uid, devices := range given {
				list := []device{}
				for _, d := range devices {
					list = append(list, device{Requests: d.RequestNames, CDI: d.CdiDeviceIds})
				}
				s[uid].Drivers[name] = list
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// Unprepare has the drivers take back what they prepared for a pod whose containers have
// ended, unless another has it too. It may be asked again: what is done is not done twice.
func (m *Manager) Unprepare(ctx context.Context, pod string) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	kept, err := m.loaded()
	if err != nil {
		return err
	}
	for _, uid := range slices.Sorted(maps.Keys(kept)) {
		p := kept[uid]
		if !p.usedBy(pod) {
			continue
		}
		if len(p.Pods) > 1 {
			if err := m.keep(func(s state) {
				s[uid].Pods = slices.DeleteFunc(s[uid].Pods, func(other string) bool { return other == pod })
			}); err != nil {
				return err
			}
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(p.Drivers)) {
			if err := m.Drivers.unprepare(ctx, name, &api.Claim{Namespace: p.Namespace, Name: p.Name, Uid: uid}); err != nil {
				return err
			}
		}
		if err := m.keep(func(s state) { delete(s, uid) }); err != nil {
			return err
		}
	}
	return nil
}

// Edits are the CDI devices of the claims that a container names: of a claim all, or those of
// one request.
func (m *Manager) Edits(_ context.Context, p *corev1.Pod, c *corev1.Container) ([]container.Edits, error) {
	if len(c.Resources.Claims) == 0 {
		return nil, nil
	}
	kept, err := m.loaded()
	if err != nil {
		return nil, err
	}
	var out []container.Edits
	for _, ref := range c.Resources.Claims {
		i := slices.IndexFunc(p.Spec.ResourceClaims, func(of corev1.PodResourceClaim) bool { return of.Name == ref.Name })
		if i < 0 {
			return nil, fmt.Errorf("container %s: there is no ResourceClaim %q of the pod", c.Name, ref.Name)
		}
		name, _, err := claimhelper.Name(p, &p.Spec.ResourceClaims[i])
		if err != nil {
			return nil, err
		}
		if name == nil {
			continue
		}
		claim := kept.find(string(p.UID), p.Namespace, *name)
		if claim == nil {
			return nil, fmt.Errorf("ResourceClaim %s is not prepared", *name)
		}
		var e container.Edits
		for _, driver := range slices.Sorted(maps.Keys(claim.Drivers)) {
			for _, d := range claim.Drivers[driver] {
				if ref.Request == "" || len(d.Requests) == 0 || slices.ContainsFunc(d.Requests, func(r string) bool { return claimhelper.BaseRequestRef(r) == ref.Request }) {
					e.CDIDevices = append(e.CDIDevices, d.CDI...)
				}
			}
		}
		out = append(out, e)
	}
	return out, nil
}

package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/dynamic-resource-allocation/cel"
	claimhelper "k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/dynamic-resource-allocation/structured"
	"k8s.io/kube-scheduler/framework"
)

// Devices are what claims of devices are allocated from.
type Devices struct {
	Claims  resourcelisters.ResourceClaimLister
	Classes resourcelisters.DeviceClassLister
	// Slices are those of the drivers, with the taints of DeviceTaintRules.
	Slices interface {
		ListPatchedResourceSlices() ([]*resourcev1.ResourceSlice, error)
	}
	Binder DeviceBinder
}

// DeviceBinder writes what was allocated.
type DeviceBinder interface {
	// Allocate gives a claim its allocation, unless that is nil, and reserves it for the pod.
	// It returns the claim as it was written.
	Allocate(ctx context.Context, p *corev1.Pod, c *resourcev1.ResourceClaim, a *resourcev1.AllocationResult) (*resourcev1.ResourceClaim, error)
	// Release takes the reservation of the pod back.
	Release(ctx context.Context, p *corev1.Pod, c *resourcev1.ResourceClaim) error
}

const (
	// allocateTimeout bounds the search for devices of one node, as upstream.
	allocateTimeout = 10 * time.Second
	// compiledSelectors are kept.
	compiledSelectors = 10
)

// dynamicResources places pods where the devices are, or can be, that their claims ask for.
// What was decided is assumed until it is written: two claims get no device together.
type dynamicResources struct {
	Devices
	assumed  assumedClaims
	compiled *cel.Cache
}

func newDynamicResources(d Devices) *dynamicResources {
	return &dynamicResources{Devices: d, compiled: cel.NewCache(compiledSelectors, cel.Features{EnableConsumableCapacity: true})}
}

func (*dynamicResources) Name() string { return "DynamicResources" }

// claimState is a pod's claims, by what is to become of them.
type claimState struct {
	snapshot  *Snapshot
	allocated []*resourcev1.ResourceClaim
	nodes     []*nodeaffinity.NodeSelector // of the allocated ones; nil for all
	pending   []*resourcev1.ResourceClaim
	allocator structured.Allocator // where some are pending

	mu      sync.Mutex
	results map[string][]resourcev1.AllocationResult // of the pending ones, by node
	// chosen are those of the node that was chosen.
	chosen []resourcev1.AllocationResult
	// written are the claims that name the pod already.
	written []*resourcev1.ResourceClaim
}

// Clone implements State: nothing in it depends on what pods are where.
func (st *claimState) Clone() State { return st }

// PreFilter rejects a pod that would wait for somebody else wherever it is.
func (pl *dynamicResources) PreFilter(s *Snapshot, p *PodInfo) (State, sets.Set[string], *framework.Status) {
	if len(p.Pod.Spec.ResourceClaims) == 0 {
		return nil, nil, skip()
	}
	claims, err := pl.claims(p.Pod)
	if err != nil {
		return nil, nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, err.Error())
	}
	st := &claimState{snapshot: s, results: map[string][]resourcev1.AllocationResult{}}
	for _, c := range claims {
		if a := c.Status.Allocation; a != nil {
			var at *nodeaffinity.NodeSelector
			if a.NodeSelector != nil {
				if at, err = nodeaffinity.NewNodeSelector(a.NodeSelector); err != nil {
					return nil, nil, framework.AsStatus(err)
				}
			}
			st.allocated, st.nodes = append(st.allocated, c), append(st.nodes, at)
			continue
		}
		if pl.assumed.pending(c.UID) {
			return nil, nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, fmt.Sprintf("resource claim %s/%s is in the process of being allocated", c.Namespace, c.Name))
		}
		if err := pl.classesOf(c); err != nil {
			return nil, nil, framework.NewStatus(framework.UnschedulableAndUnresolvable, err.Error())
		}
		st.pending = append(st.pending, c)
	}
	if len(st.pending) > 0 {
		if st.allocator, err = pl.newAllocator(); err != nil {
			return nil, nil, framework.AsStatus(err)
		}
	}
	return st, nil, nil
}

// claims are a pod's, or why it cannot have them.
func (pl *dynamicResources) claims(p *corev1.Pod) ([]*resourcev1.ResourceClaim, error) {
	var out []*resourcev1.ResourceClaim
	for i := range p.Spec.ResourceClaims {
		name, owned, err := claimhelper.Name(p, &p.Spec.ResourceClaims[i])
		if err != nil {
			return nil, err
		}
		if name == nil {
			continue
		}
		c, err := pl.Claims.ResourceClaims(p.Namespace).Get(*name)
		if err != nil {
			return nil, err
		}
		c = pl.assumed.newest(c)
		if c.DeletionTimestamp != nil {
			return nil, fmt.Errorf("resourceclaim %q is being deleted", c.Name)
		}
		if owned {
			if err := claimhelper.IsForPod(p, c, false); err != nil {
				return nil, err
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// classesOf finds the classes of a claim.
func (pl *dynamicResources) classesOf(c *resourcev1.ResourceClaim) error {
	find := func(request, class string) error {
		_, err := pl.Classes.Get(class)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("request %s: device class %s does not exist", request, class)
		}
		return err
	}
	for _, r := range c.Spec.Devices.Requests {
		if r.Exactly != nil {
			if err := find(r.Name, r.Exactly.DeviceClassName); err != nil {
				return err
			}
		}
		for _, sub := range r.FirstAvailable {
			if err := find(r.Name+"/"+sub.Name, sub.DeviceClassName); err != nil {
				return err
			}
		}
	}
	return nil
}

// deviceClasses is how the allocator reads them.
type deviceClasses struct {
	resourcelisters.DeviceClassLister
}

func (c deviceClasses) List() ([]*resourcev1.DeviceClass, error) {
	return c.DeviceClassLister.List(labels.Everything())
}

// newAllocator takes the devices as they are now. What claims have does not change within a
// scheduling cycle.
func (pl *dynamicResources) newAllocator() (structured.Allocator, error) {
	all, err := pl.Claims.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	slices, err := pl.Slices.ListPatchedResourceSlices()
	if err != nil {
		return nil, err
	}
	return structured.NewAllocator(context.Background(), structured.Features{
		AdminAccess: true, PrioritizedList: true, PartitionableDevices: true, DeviceTaints: true, ConsumableCapacity: true, FractionalCapacityRange: true,
	}, pl.assumed.inUse(all), deviceClasses{pl.Classes}, slices, pl.compiled)
}

func (pl *dynamicResources) Filter(state State, _ *PodInfo, n *NodeInfo) *framework.Status {
	st, ok := state.(*claimState)
	if !ok {
		return nil
	}
	for _, at := range st.nodes {
		if at != nil && !at.Match(n.node) {
			return reject(pl.Name(), framework.UnschedulableAndUnresolvable, "resourceclaim not available on the node")
		}
	}
	if len(st.pending) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), allocateTimeout)
	defer cancel()
	results, err := st.allocator.Allocate(ctx, n.node, st.pending)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return framework.AsStatus(fmt.Errorf("node %s: timed out trying to allocate devices", n.name))
	case errors.Is(err, structured.ErrFailedAllocationOnNode):
		return reject(pl.Name(), framework.UnschedulableAndUnresolvable, err.Error())
	case err != nil:
		return framework.AsStatus(err)
	case results == nil:
		return reject(pl.Name(), framework.UnschedulableAndUnresolvable, "cannot allocate all claims")
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.results[n.name] = results
	return nil
}

// Reserve assumes what Filter found for the node.
func (pl *dynamicResources) Reserve(_ context.Context, state State, _ *PodInfo, nodeName string) *framework.Status {
	st, ok := state.(*claimState)
	if !ok || len(st.pending) == 0 {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	chosen := st.results[nodeName]
	if len(chosen) != len(st.pending) {
		return framework.AsStatus(errors.New("claim allocation not found for node"))
	}
	if c := pl.assumed.add(st.pending, chosen); c != nil {
		return reject(pl.Name(), framework.UnschedulableAndUnresolvable, fmt.Sprintf("resource claim %s/%s is in the process of being allocated", c.Namespace, c.Name))
	}
	st.chosen = chosen
	return nil
}

// Unreserve gives what was assumed to others, and takes back what was written for the pod.
func (pl *dynamicResources) Unreserve(ctx context.Context, state State, p *PodInfo, _ string) {
	st, ok := state.(*claimState)
	if !ok {
		return
	}
	if st.chosen != nil {
		pl.assumed.remove(st.pending)
		st.chosen = nil
	}
	for _, c := range st.written {
		// What is not taken back, the controller of claims does once the pod is gone.
		_ = pl.Binder.Release(ctx, p.Pod, c)
	}
	st.written = nil
}

// PreBind writes what was allocated, and that the pod has it.
func (pl *dynamicResources) PreBind(ctx context.Context, state State, p *PodInfo, _ string) *framework.Status {
	st, ok := state.(*claimState)
	if !ok {
		return nil
	}
	claims := slices.Concat(st.allocated, st.pending)
	for i, c := range claims {
		if claimhelper.IsReservedForPod(p.Pod, c, false) {
			continue
		}
		var result *resourcev1.AllocationResult
		if i >= len(st.allocated) {
			result = &st.chosen[i-len(st.allocated)]
		}
		written, err := pl.Binder.Allocate(ctx, p.Pod, c, result)
		if err != nil {
			return framework.AsStatus(err)
		}
		st.written = append(st.written, written)
		pl.assumed.wrote(written)
	}
	st.chosen = nil // the cache has it by now, or what was written stands for it
	return nil
}

package core

import (
	"sync"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/dynamic-resource-allocation/structured"
	"k8s.io/utils/ptr"
)

// assumedClaims is what was allocated and the cache does not show yet. Scheduling cycles add
// to it, binding cycles write it.
type assumedClaims struct {
	mu sync.Mutex
	// deciding are allocations that are not written yet, by the UID of the claim.
	deciding map[types.UID]*resourcev1.AllocationResult
	// written are claims that the cache may not have yet.
	written map[types.UID]*resourcev1.ResourceClaim
}

// add assumes the allocations of claims, of all or none: it returns the first that is being
// allocated for another pod.
func (a *assumedClaims) add(claims []*resourcev1.ResourceClaim, results []resourcev1.AllocationResult) *resourcev1.ResourceClaim {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range claims {
		if a.deciding[c.UID] != nil {
			return c
		}
	}
	if a.deciding == nil {
		a.deciding = map[types.UID]*resourcev1.AllocationResult{}
	}
	for i, c := range claims {
		a.deciding[c.UID] = &results[i]
	}
	return nil
}

func (a *assumedClaims) remove(claims []*resourcev1.ResourceClaim) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range claims {
		delete(a.deciding, c.UID)
	}
}

// wrote takes a claim as it was written in place of what was decided.
func (a *assumedClaims) wrote(c *resourcev1.ResourceClaim) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.deciding, c.UID)
	if a.written == nil {
		a.written = map[types.UID]*resourcev1.ResourceClaim{}
	}
	a.written[c.UID] = c
}

// pending says whether a claim is being allocated.
func (a *assumedClaims) pending(claim types.UID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.deciding[claim] != nil
}

// newest is a claim as it was written last, if the cache is behind.
func (a *assumedClaims) newest(c *resourcev1.ResourceClaim) *resourcev1.ResourceClaim {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.newestLocked(c)
}

func (a *assumedClaims) newestLocked(c *resourcev1.ResourceClaim) *resourcev1.ResourceClaim {
	w := a.written[c.UID]
	if w == nil {
		return c
	}
	if order, err := resourceversion.CompareResourceVersion(c.ResourceVersion, w.ResourceVersion); err != nil || order >= 0 {
		delete(a.written, c.UID)
		return c
	}
	return w
}

// inUse are the devices that claims have, or are about to get. What was written of claims
// that are gone is forgotten.
func (a *assumedClaims) inUse(claims []*resourcev1.ResourceClaim) structured.AllocatedState {
	used := structured.AllocatedState{
		AllocatedDevices: sets.New[structured.DeviceID](), AllocatedSharedDeviceIDs: sets.New[structured.SharedDeviceID](),
		AggregatedCapacity: structured.NewConsumedCapacityCollection(),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	there := sets.New[types.UID]()
	for _, c := range claims {
		there.Insert(c.UID)
		take(&used, a.newestLocked(c).Status.Allocation)
	}
	for _, result := range a.deciding {
		take(&used, result)
	}
	for uid, c := range a.written {
		if !there.Has(uid) { // it came later than the list, or it is gone
			take(&used, c.Status.Allocation)
			delete(a.written, uid)
		}
	}
	return used
}

// take adds what an allocation takes. Admin access takes nothing from others.
func take(used *structured.AllocatedState, a *resourcev1.AllocationResult) {
	if a == nil {
		return
	}
	for _, r := range a.Devices.Results {
		if ptr.Deref(r.AdminAccess, false) {
			continue
		}
		id := structured.MakeDeviceID(r.Driver, r.Pool, r.Device)
		if r.ShareID == nil {
			used.AllocatedDevices.Insert(id)
			continue
		}
		used.AllocatedSharedDeviceIDs.Insert(structured.MakeSharedDeviceID(id, r.ShareID))
		if r.ConsumedCapacity != nil {
			used.AggregatedCapacity.Insert(structured.NewDeviceConsumedCapacity(id, r.ConsumedCapacity))
		}
	}
}

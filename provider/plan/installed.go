package plan

import (
	"slices"
	"sync"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/provider/model"
)

// Installed are the servers that resources of this run have in state. Of a resource
// that is replaced Terraform plans the second half as if it were new: what is on its
// servers then is its own, and will be gone. The zero value has none.
type Installed struct {
	mu  sync.Mutex
	all map[installed]bool
}

type installed struct{ resource, address string }

// Add notes the servers that a resource has; resource is its title.
func (x *Installed) Add(resource string, status map[string]model.HostStatus) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all == nil {
		x.all = map[installed]bool{}
	}
	for _, s := range status {
		if !s.Is(bootstrap.Pending, bootstrap.Absent) {
			x.all[installed{resource, s.Address.ValueString()}] = true
		}
	}
}

// Without are the names of those hosts that the resource does not have already.
func (x *Installed) Without(resource string, hosts []spec.Host, names []string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(hosts, func(h spec.Host) bool { return h.Name == name && x.all[installed{resource, h.Address}] })
	})
}

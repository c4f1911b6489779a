package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// preflightTimeout is what looking at new hosts may add to a plan.
const preflightTimeout = 10 * time.Second

// newHosts are those that nothing of the cluster is known to be on: a plan looks
// at no others.
func newHosts(prior map[string]hostStatus, hosts []spec.Host) []string {
	var out []string
	for _, h := range hosts {
		old, ok := prior[h.Name]
		state := bootstrap.State(old.State.ValueString())
		if !ok || old.Address.ValueString() != h.Address || state == bootstrap.Pending || state == bootstrap.Absent {
			out = append(out, h.Name)
		}
	}
	return out
}

// holdings are the servers that resources of this run have in state. Of a resource
// that is replaced Terraform plans the second half as if it were new: what is on its
// servers then is its own, and will be gone.
type holdings struct {
	mu   sync.Mutex
	held map[string]bool
}

func holding(owner, address string) string { return owner + " at " + address }

// holds notes the servers that a resource has.
func (x *holdings) holds(owner string, status map[string]hostStatus) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.held == nil {
		x.held = map[string]bool{}
	}
	for _, s := range status {
		if s.State.ValueString() != string(bootstrap.Pending) && s.State.ValueString() != string(bootstrap.Absent) {
			x.held[holding(owner, s.Address.ValueString())] = true
		}
	}
}

// notHeld are those of the named hosts that the resource does not have already.
func (x *holdings) notHeld(owner string, hosts []spec.Host, names []string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(hosts, func(h spec.Host) bool { return h.Name == name && x.held[holding(owner, h.Address)] })
	})
}

// preflight warns of what an apply would refuse. It is never an error: what is
// found may be mended, and who cannot be reached may be there, by then.
func (s *session) preflight(ctx context.Context, names []string, look func(context.Context, *bootstrap.Engine, []string) map[string]error, diags *diag.Diagnostics) {
	if s.incomplete || len(names) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	found := look(ctx, s.engine(ctx, 0), names)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		err := found[name]
		if unfit := (*preflight.Error)(nil); errors.As(err, &unfit) {
			// A summary of its own: Terraform shows only the first of warnings that have
			// one summary, and that must not hide what the apply did.
			_, detail := diagnose(name, err)
			diags.AddWarning(fmt.Sprintf("Host %s would be refused as it is", name), detail)
			continue
		}
		if doubt := (*preflight.Doubt)(nil); errors.As(err, &doubt) {
			diags.AddWarning(fmt.Sprintf("Host %s does not reach every master", name), doubt.Error())
			continue
		}
		diags.AddWarning(fmt.Sprintf("Host %s could not be looked at", name),
			err.Error()+"\nWhether it can become a node is seen when the plan is applied.")
	}
}

package workers

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Config is what operations on pools work with.
type Config struct {
	machine.Lifecycle
	// HandOn has workers take the bundle from a master, where they can.
	HandOn bool
	// AbandonUnreachable lets a destroy end although hosts cannot be reached.
	AbandonUnreachable bool
}

// Change says which hosts of a pool an update is about.
type Change struct {
	// Touch are hosts (by name) to be made what they should be.
	Touch []string
	// Leaving are hosts that are no longer wanted. One whose name is in Touch too
	// leaves before another server takes the name, and one whose server is to have
	// another name before it gets that.
	Leaving []spec.Host
	// Force lets a leaving host go although its pods could not be moved within
	// DrainTimeout. Without it, the host stays and is schedulable again.
	Force bool
	// Destroy: the whole pool goes. AbandonUnreachable counts then.
	Destroy bool
}

// Operation is one change of a pool, as far as it has come. Its methods are its
// phases, in the order of the root package's list.
type Operation struct {
	Config
	Connection spec.Connection
	Want       spec.Pool
	Change     Change

	// access and api are the way to the cluster; nil, for noAccess, where there is none.
	access   *access.Access
	api      kubernetes.Interface
	noAccess error

	joining, leaving *fleet.Fleet
	revoked          nodes.Revoked
	// moving are leaving hosts whose name goes to another server, or whose server gets
	// another name; others are the rest.
	moving, others []string
	ended          bool
}

// Abandons reports whether hosts that are not reached are given up with their pool.
func (o *Operation) Abandons() bool { return o.Change.Destroy && o.AbandonUnreachable }

// Reach finds a master whose API answers. Without one nothing is done, for no pod
// could be moved and nobody says that no other run is at work; but for a pool that is
// destroyed, whose masters are given up.
func (o *Operation) Reach(ctx context.Context) error {
	o.access, o.api, o.noAccess = reach(ctx, o.Config.Lifecycle.Config, o.Connection)
	if o.noAccess != nil && !o.Abandons() {
		return o.noAccess
	}
	return nil
}

func reach(ctx context.Context, cfg access.Config, c spec.Connection) (*access.Access, kubernetes.Interface, error) {
	a, err := access.Reach(ctx, cfg, c)
	if err != nil {
		return nil, nil, err
	}
	api, err := a.Kubernetes(c)
	if err == nil {
		_, err = nodes.ReadRevoked(ctx, api)
	}
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	return a, api, nil
}

// Reached reports whether the cluster is reached.
func Reached(o *Operation) bool { return o.noAccess == nil }

// NotReached is its opposite: the pool is destroyed without the cluster.
func NotReached(o *Operation) bool { return o.noAccess != nil }

// Connect logs in to the hosts of the change, and tells those whose name moves.
func (o *Operation) Connect(ctx context.Context) error {
	o.joining, o.leaving = fleet.ConnectBoth(ctx, o.Config.Lifecycle.Config.Config, fleet.Pick(o.Want.Hosts, o.Change.Touch), o.Change.Leaving)
	o.moving, o.others = orderRemovals(o.Change.Leaving, fleet.Pick(o.Want.Hosts, o.Change.Touch))
	return nil
}

// orderRemovals tells those apart whose name goes to another server, or whose server gets
// another name: it must be free before that comes.
func orderRemovals(leaving, touch []spec.Host) (moving, others []string) {
	for _, h := range leaving {
		if slices.ContainsFunc(touch, func(o spec.Host) bool { return o.Name == h.Name || o.SameServer(h) }) {
			moving = append(moving, h.Name)
		} else {
			others = append(others, h.Name)
		}
	}
	slices.Sort(moving)
	slices.Sort(others)
	return slices.Compact(moving), slices.Compact(others)
}

// Joins reports whether hosts are to be made what they should be.
func Joins(o *Operation) bool { return Reached(o) && len(o.Change.Touch) > 0 }

// Moves reports whether names go to other servers, or servers get other names.
func Moves(o *Operation) bool { return Reached(o) && len(o.moving) > 0 }

// Removes reports whether hosts leave for good.
func Removes(o *Operation) bool { return Reached(o) && len(o.others) > 0 }

// End takes the hosts that left into the report.
func (o *Operation) End(context.Context) error {
	o.joining.Include(o.leaving)
	o.ended = true
	return nil
}

// Report says how the hosts stand that the operation has come to.
func (o *Operation) Report() fleet.Report {
	switch {
	case o.joining == nil:
		return fleet.Report{}
	case !Reached(o), o.leaving.Only != nil:
		return o.leaving.Report()
	}
	r := o.joining.Report()
	if o.ended {
		r.ClusterID, r.CAFingerprint = o.Connection.ClusterID, pki.Fingerprint(o.access.Trust.CA.Cert)
	}
	return r
}

// Close ends the connections.
func (o *Operation) Close() {
	if o.access != nil {
		o.access.Close()
	}
	if o.joining != nil {
		o.joining.Close()
		o.leaving.Close()
	}
}

// CheckMoved refuses to let a name go to another server that has not left the old one, and a
// server get another name that has not left under the old one.
func (o *Operation) CheckMoved(context.Context) error {
	for _, name := range o.moving {
		if s := o.leaving.Members[name].Status; s.State != fleet.Gone {
			o.leaving.Only = o.moving
			if !slices.Contains(o.Change.Touch, name) {
				return fmt.Errorf("the server of %s cannot have another name before it has left under this one: %w", name, s.Err)
			}
			return fmt.Errorf("%s cannot move to another server before it has left the old one: %w", name, s.Err)
		}
	}
	return nil
}

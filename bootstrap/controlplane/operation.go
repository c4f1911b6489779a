package controlplane

import (
	"context"
	"fmt"
	"time"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
)

// Config is what operations on masters work with.
type Config struct {
	machine.Lifecycle
	// NewID makes the ID of a new cluster, NewAuthorities its authorities.
	NewID          func() string
	NewAuthorities func(clusterName string, now time.Time) (install.Authorities, error)
	// NewEncryptionKey makes a key of that name that encrypts Secrets.
	NewEncryptionKey func(name string) (encryption.Key, error)
	// AbandonUnreachable lets a destroy end although hosts cannot be reached.
	AbandonUnreachable bool
}

// Change says which masters an update is about. All others are left alone.
type Change struct {
	// Touch are masters (by name) to be made what they should be.
	Touch []string
	// Leaving are masters that are no longer wanted.
	Leaving []spec.Host
	// Force lets one go although its pods could not be moved within DrainTimeout.
	Force bool
}

// Operation is one change of a cluster's masters, as far as it has come. Its methods
// are its phases, in the order of the root package's lists.
type Operation struct {
	Config
	// Want is the cluster as it should be; of a destroy, as it is.
	Want   spec.Cluster
	Change Change

	masters, leaving *fleet.Fleet
	access           *access.Access
	// identities are those that earlier runs left, by name; nil of a bare host.
	identities map[string]*install.Identity
	join       joining
	removals   removals
	// encryption is what the masters are to know of the keys that encrypt Secrets.
	encryption encryption.Plan
	// ended is set when the report is of an operation that came to its end.
	ended bool
}

// joining is the masters that are made what they should be, as far as they are reached.
type joining struct {
	order   []string // by name
	masters map[string]*joiner
	revoked nodes.Revoked
	// added are those that are members of etcd and do not serve yet.
	added []string
}

// joiner is a master on its way into the cluster.
type joiner struct {
	*fleet.Member
	node  spec.Node
	input install.Input
	// rest are the steps once its place in etcd is known.
	rest []step.Step
}

// removals are the leaving masters: first those that leave before new ones come, of
// which moving give their name to another server.
type removals struct{ first, moving, last []string }

// Connect logs in to the masters, those that stay and those that leave.
func (o *Operation) Connect(ctx context.Context) error {
	o.masters, o.leaving = fleet.ConnectBoth(ctx, o.Config.Lifecycle.Config.Config, o.Want.Masters, o.Change.Leaving)
	return nil
}

// LoadAuthorities reads them from a master that stays and is a member of etcd.
func (o *Operation) LoadAuthorities(ctx context.Context) (err error) {
	o.access, err = access.Of(ctx, o.Config.Lifecycle.Config, o.masters, o.Want.ID)
	if err == nil && o.access.Source == "" {
		err = fmt.Errorf("no master that stays is a member of the etcd of cluster %s", o.Want.Name)
	}
	if err != nil {
		return err
	}
	return decideEncryption(ctx, o)
}

// MarkKnown marks the reached masters of this cluster as kept in a state.
func (o *Operation) MarkKnown(ctx context.Context) error {
	o.masters.Parallel(ctx, o.masters.Order, func(ctx context.Context, m *fleet.Member) {
		if m.Host == nil {
			return
		}
		files, err := m.Host.ReadFiles(ctx, install.IdentityFile, install.KnownFile)
		if err != nil {
			return
		}
		if id, err := install.ReadIdentity(files); err == nil && id != nil && id.ClusterID == o.Want.ID {
			machine.MarkKnown(ctx, m, *id)
		}
	})
	return nil
}

// WipeAll makes every master as bare as it was.
func (o *Operation) WipeAll(ctx context.Context) error {
	o.masters.Each(ctx, fleet.Names(o.Want.Masters), func(ctx context.Context, m *fleet.Member) error {
		return o.Wipe(ctx, m, o.Want.ID)
	})
	return nil
}

// Abandon gives up the masters that could not be reached.
func (o *Operation) Abandon(context.Context) error {
	machine.Abandon(o.masters)
	return nil
}

// End takes the masters that left into the report.
func (o *Operation) End(context.Context) error {
	o.masters.Include(o.leaving)
	o.ended = true
	return nil
}

// Report says how the masters stand.
func (o *Operation) Report() fleet.Report {
	if o.masters == nil {
		return fleet.Report{}
	}
	r := o.masters.Report()
	if o.ended && o.access != nil {
		r.ClusterID, r.CAFingerprint = o.Want.ID, pki.Fingerprint(o.access.Trust.CA.Cert)
	}
	return r
}

// Close ends the connections.
func (o *Operation) Close() {
	if o.masters != nil {
		o.masters.Close()
		o.leaving.Close()
	}
}

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// Identify reads which cluster each reached host belongs to, and gives a new cluster
// its ID: that of a create that was cut, if the hosts have one, or else a new one.
func (o *Operation) Identify(ctx context.Context) error {
	var err error
	if o.identities, err = readIdentities(ctx, o.masters); err != nil {
		return err
	}
	titles := map[string]string{}
	for name, m := range o.masters.Members {
		titles[name] = m.Title()
	}
	if o.Want.ID, err = cutCreate(o.Want, o.identities, titles); err == nil && o.Want.ID == "" {
		o.Want.ID = o.NewID()
	}
	return err
}

func readIdentities(ctx context.Context, masters *fleet.Fleet) (map[string]*install.Identity, error) {
	var mu sync.Mutex
	var errs []error
	out := map[string]*install.Identity{}
	masters.Look(ctx, masters.Order, func(ctx context.Context, m *fleet.Member) {
		if m.Host == nil {
			return
		}
		files, err := m.Host.ReadFiles(ctx, install.IdentityFile, install.KnownFile)
		var id *install.Identity
		if err == nil {
			id, err = install.ReadIdentity(files)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			err = fmt.Errorf("%s: read its identity: %w", m.Title(), err)
			m.Settle(err)
			errs = append(errs, err)
			return
		}
		out[m.Spec.Name] = id
	})
	return out, errors.Join(errs...)
}

// cutCreate returns the cluster ID of a create of the same cluster that was cut; empty
// when all hosts are bare. Hosts that are another cluster's, or of two creates, are
// refused.
func cutCreate(want spec.Cluster, identities map[string]*install.Identity, titles map[string]string) (string, error) {
	id := ""
	for _, name := range slices.Sorted(maps.Keys(identities)) {
		identity := identities[name]
		if identity == nil {
			continue
		}
		if n, _ := want.Master(name); !machine.OfCutCreate(identity, n) || (id != "" && id != identity.ClusterID) {
			return "", &install.ForeignError{Host: titles[name], Found: *identity}
		}
		id = identity.ClusterID
	}
	return id, nil
}

// fresh reports whether the hosts were asked and none had ever heard of the cluster.
func fresh(identities map[string]*install.Identity) bool {
	for _, id := range identities {
		if id != nil {
			return false
		}
	}
	return identities != nil
}

// LoadOrMakeAuthorities takes those of a create that was cut, or makes new ones.
func (o *Operation) LoadOrMakeAuthorities(ctx context.Context) (err error) {
	o.access, err = access.Of(ctx, o.Config.Lifecycle.Config, o.masters, o.Want.ID)
	if errors.Is(err, access.ErrNoAuthorities) {
		o.access.Trust, err = o.NewAuthorities(o.Want.Name, o.Now())
	}
	if err != nil {
		return err
	}
	return decideEncryption(ctx, o)
}

// CheckUp sees that a master came up: a create has failed when none did.
func (o *Operation) CheckUp(context.Context) error {
	o.ended = true
	if len(o.masters.In(fleet.Ready)) == 0 {
		return fmt.Errorf("no master of cluster %s came up: %w", o.Want.Name, o.masters.Err())
	}
	return nil
}

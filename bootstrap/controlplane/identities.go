package controlplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/machine"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

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

package controlplane

import (
	"context"
	"errors"
	"fmt"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
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

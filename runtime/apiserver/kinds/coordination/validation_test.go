package coordination

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleLease = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: l}\nspec: {holderIdentity: me, leaseDurationSeconds: 40, leaseTransitions: 1, preferredHolder: you, strategy: OldestEmulationVersion}"

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleLease, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("duration", "40", "0", "must be greater than zero"),
		c("transitions", "leaseTransitions: 1", "leaseTransitions: -1", "spec.leaseTransitions: Invalid value"),
	})
	row, obj := kindtest.Row(t, Kinds(), sampleLease)
	row.PrepareForCreate(obj)
	if s := obj.(*coordinationv1.Lease).Spec; s.Strategy != nil || s.PreferredHolder != nil || s.HolderIdentity == nil {
		t.Errorf("what is for elections that there are not is kept: %+v", s)
	}
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "cells", Manifest: sampleLease, Want: "l | me | <unknown>"}})
}

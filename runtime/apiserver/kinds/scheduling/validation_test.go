package scheduling

import (
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleClass = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata: {name: a}\nvalue: 5\nglobalDefault: true"

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleClass, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("name of ours", "name: a", "name: system-mine", "reserved for system use"),
		c("highest", "value: 5", "value: 1000000000", ""),
		c("too high", "value: 5", "value: 1000000001", "maximum allowed value of a user defined priority is 1000000000"),
		c("the system's", "name: a}\nvalue: 5", "name: system-node-critical}\nvalue: 2000001000", ""),
		c("the cluster's", "name: a}\nvalue: 5", "name: system-cluster-critical}\nvalue: 2000000000", ""),
		c("policy", "value: 5", "value: 5\npreemptionPolicy: Maybe", "preemptionPolicy: Unsupported value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("value", "5", "6", "may not be changed in an update"), c("policy", "value: 5", "value: 5\npreemptionPolicy: Never", "preemptionPolicy: Invalid value"), c("default", "true", "false", ""),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "cells", Manifest: sampleClass, Want: "a | 5 | true | <unknown> | PreemptLowerPriority"}})
}

package node

import (
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleClass = "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata: {name: c}\nhandler: runc\noverhead: {podFixed: {cpu: 1}}\nscheduling: {nodeSelector: {a: b}, tolerations: [{key: a, operator: Exists}]}"

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleClass, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("no handler", "handler: runc\n", "", "handler: Required value"),
		c("handler", "runc", "run_c", "handler: Invalid value"),
		c("toleration twice", "[{key: a, operator: Exists}]", "[{key: a, operator: Exists}, {key: a, operator: Exists}]", "scheduling.tolerations[1]: Duplicate value"),
		c("overhead", "cpu: 1", "cpu: -1", "overhead.limits[cpu]: Invalid value"),
		c("selector", "{a: b}", "{'/': b}", "scheduling.nodeSelector: Invalid value"),
		c("toleration", "operator: Exists", "operator: X", "scheduling.tolerations[0].operator: Unsupported value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{c("handler", "runc", "kata", "field is immutable"), c("overhead", "cpu: 1", "cpu: 2", "")})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "cells", Manifest: sampleClass, Want: "c | runc | <unknown>"}})
}

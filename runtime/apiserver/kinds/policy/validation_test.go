package policy

import (
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const samplePDB = `
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: b}
spec: {minAvailable: 1, selector: {matchLabels: {a: b}}, unhealthyPodEvictionPolicy: AlwaysAllow}
status: {disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2}
`

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, samplePDB, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("percent", "minAvailable: 1", "minAvailable: 120%", "must not be greater than 100%"),
		c("most percent", "minAvailable: 1", "minAvailable: 100%", ""),
		c("max", "minAvailable: 1", "maxUnavailable: -1", "spec.maxUnavailable: Invalid value"),
		c("both", "minAvailable: 1", "minAvailable: 1, maxUnavailable: 1", "minAvailable and maxUnavailable cannot be both set"),
		c("selector", "{a: b}", "{'/': b}", "spec.selector.matchLabels: Invalid value"),
		c("policy", "AlwaysAllow", "Maybe", "spec.unhealthyPodEvictionPolicy: Unsupported value"),
	})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("condition", "{disruptionsAllowed: 1", "{conditions: [{type: A, status: Perhaps, reason: R, lastTransitionTime: '2026-01-01T00:00:00Z'}], disruptionsAllowed: 1", "status.conditions[0].status: Unsupported value"),
		c("fine", "", "", ""), c("allowed", "Allowed: 1", "Allowed: -1", "status.disruptionsAllowed: Invalid value"), c("current", "currentHealthy: 2", "currentHealthy: -2", "status.currentHealthy: Invalid value"),
		c("desired", "desiredHealthy: 1", "desiredHealthy: -1", "status.desiredHealthy: Invalid value"), c("expected", "expectedPods: 2", "expectedPods: -2", "status.expectedPods: Invalid value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "cells", Manifest: samplePDB, Want: "b | 1 | N/A | 1 | <unknown>"}})
}

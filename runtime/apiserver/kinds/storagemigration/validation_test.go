package storagemigration

import (
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sample = `
apiVersion: storagemigration.k8s.io/v1
kind: StorageVersionMigration
metadata: {name: m}
spec: {resource: {group: apps, resource: deployments}}
`

func TestValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, sample, from, to, want) }
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("of the core group", "group: apps, ", "", ""),
		c("no resource", ", resource: deployments", "", "spec.resource.resource: Required value"),
		c("resource", "deployments", "Deployments", "spec.resource.resource: Invalid value"),
		c("group", "apps", "A", "spec.resource.group: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("the same", "", "", ""),
		c("another", "deployments", "replicasets", "spec: Invalid value"),
	})
	const condition = ", status: 'True', reason: R, message: '', lastTransitionTime: '2026-01-01T00:00:00Z'}"
	s := func(name, status, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sample+"status: "+status, from, to, want)
	}
	running := "{resourceVersion: '7', conditions: [{type: Running" + condition + "]}"
	succeeded := "{resourceVersion: '7', conditions: [{type: Succeeded" + condition + "]}"
	failed := "{resourceVersion: '7', conditions: [{type: Failed" + condition + "]}"
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("succeeds", running, "Running", "Succeeded", ""),
		s("fails", running, "Running", "Failed", ""),
		s("both", running, "[", "[{type: Succeeded"+condition+", {type: Failed"+condition+", ", "Both success and failed conditions cannot be true at the same time"),
		s("not any more", succeeded, "Succeeded", "Running", "Success condition cannot be set to false once it is true"),
		s("not failed any more", failed, "Failed", "Running", "Failed condition cannot be set to false once it is true"),
		s("another version", running, "'7'", "'8'", "status.resourceVersion: Invalid value: \"8\": field is immutable"),
		s("first version", "{}", "{}", "{resourceVersion: '8'}", ""),
		s("no version", "{}", "{}", "{resourceVersion: a}", "status.resourceVersion: Invalid value"),
		s("no reason", "{}", "{}", "{conditions: [{type: Running, status: 'True', message: '', reason: '', lastTransitionTime: '2026-01-01T00:00:00Z'}]}", "status.conditions[0].reason: Required value"),
	})
	kindtest.Cells(t, Kinds(), []kindtest.Printed{{Name: "migration", Manifest: sample, Want: "m | deployments.apps | <unknown>"}})
}

package apps

import (
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kindtest"
)

func TestRows(t *testing.T) { kindtest.Properties(t, Kinds()) }

const sampleDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
`

const sampleStatefulSet = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1", volumeMounts: [{name: data, mountPath: /var}]}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

const sampleDaemonSet = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  minReadySeconds: 1
  selector: {matchLabels: {app: agent}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  template: {metadata: {labels: {app: agent}}, spec: {containers: [{name: a, image: "a:1"}]}}
status: {desiredNumberScheduled: 3, currentNumberScheduled: 2, numberReady: 1}
`

const sampleReplicaSet = `
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, image: "a:1"}]}}}
status: {replicas: 2, fullyLabeledReplicas: 2, readyReplicas: 2, availableReplicas: 1}
`

func TestDeploymentValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleDeployment, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("selector", "{app: web, tier: front}", "{app: other}", "`selector` does not match template `labels`"),
		c("no selector", "  selector: {matchLabels: {app: web}}\n", "", "spec.selector: Required value"),
		c("empty selector", "{matchLabels: {app: web}}", "{}", "empty selector is invalid for this kind"),
		c("selector operator", "{matchLabels: {app: web}}", "{matchExpressions: [{key: app, operator: Like}]}", "invalid label selector"),
		c("strategy", "type: RollingUpdate", "type: Magic", "spec.strategy: Unsupported value"),
		c("recreate", "type: RollingUpdate", "type: Recreate", "spec.strategy.rollingUpdate: Forbidden"),
		c("recreate alone", "{type: RollingUpdate, rollingUpdate: {maxSurge: 1}}", "{type: Recreate}", ""),
		c("no pace", "{maxSurge: 1}", "{maxSurge: 0, maxUnavailable: 0}", "may not be 0 when `maxSurge` is 0"),
		c("no pace in percent", "{maxSurge: 1}", "{maxSurge: 0%, maxUnavailable: 0%}", "may not be 0 when `maxSurge` is 0"),
		c("one at a time", "{maxSurge: 1}", "{maxSurge: 0, maxUnavailable: 1}", ""),
		c("more than all", "{maxSurge: 1}", "{maxUnavailable: 101%}", "must not be greater than 100%"),
		c("all", "{maxSurge: 1}", "{maxUnavailable: 100%}", ""),
		c("twice as many", "{maxSurge: 1}", "{maxSurge: 200%}", ""),
		c("less than none", "{maxSurge: 1}", "{maxSurge: -1}", "maxSurge: Invalid value"),
		c("percent of what", "{maxSurge: 1}", "{maxSurge: many}", "maxSurge: Invalid value"),
		c("replicas", "replicas: 2", "replicas: -1", "spec.replicas: Invalid value"),
		c("no replicas", "replicas: 2", "replicas: 0", ""),
		c("history", "replicas: 2", "revisionHistoryLimit: -1", "spec.revisionHistoryLimit: Invalid value"),
		c("ready seconds", "replicas: 2", "minReadySeconds: -1", "spec.minReadySeconds: Invalid value"),
		c("progress before ready", "replicas: 2", "minReadySeconds: 10\n  progressDeadlineSeconds: 10", "must be greater than minReadySeconds"),
		c("progress just after ready", "replicas: 2", "minReadySeconds: 10\n  progressDeadlineSeconds: 11", ""),
		c("restart policy", "spec: {containers", "spec: {restartPolicy: Never, containers", "spec.template.spec.restartPolicy: Unsupported value"),
		c("deadline", "spec: {containers", "spec: {activeDeadlineSeconds: 5, containers", "activeDeadlineSeconds in this kind is not Supported"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("scale", "replicas: 2", "replicas: 5", ""),
		c("selector", "{matchLabels: {app: web}}", "{matchLabels: {tier: front}}", "spec.selector: Invalid value"),
	})
	with := strings.TrimSuffix(sampleDeployment, "\n") + "\nstatus: {replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 2, unavailableReplicas: 1, observedGeneration: 1}"
	s := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, with, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("fine", "", "", ""),
		s("updated", "updatedReplicas: 3", "updatedReplicas: 4", "status.updatedReplicas: Invalid value: 4: cannot be greater than status.replicas"),
		s("ready", "readyReplicas: 3", "readyReplicas: 4", "status.readyReplicas: Invalid value"),
		s("available", "readyReplicas: 3, availableReplicas: 2", "readyReplicas: 1, availableReplicas: 2", "cannot be greater than readyReplicas"),
		s("unavailable", "unavailableReplicas: 1", "unavailableReplicas: -1", "status.unavailableReplicas: Invalid value"),
		s("replicas", "{replicas: 3", "{replicas: -3", "status.replicas: Invalid value"),
		s("generation", "observedGeneration: 1", "observedGeneration: -1", "status.observedGeneration: Invalid value"),
		s("terminating", "observedGeneration: 1", "terminatingReplicas: -1", "status.terminatingReplicas: Invalid value"),
		s("collisions", "observedGeneration: 1", "collisionCount: -1", "status.collisionCount: Invalid value"),
	})
}

// Of the pods of a selector that cannot be read, nothing is told.
func TestWhatNothingSelects(t *testing.T) {
	unread := strings.Replace(sampleDeployment, "{matchLabels: {app: web}}", "{matchExpressions: [{key: app, operator: Like}]}", 1)
	k, obj := kindtest.Row(t, Kinds(), strings.Replace(unread, `[{name: web, image: "nginx:1"}]`, "[]", 1))
	if err := k.ErrorsOnCreate(t.Context(), obj).ToAggregate(); err == nil || strings.Contains(err.Error(), "template") {
		t.Errorf("%v", err)
	}
}

func TestStatefulSetValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleStatefulSet, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("mounts its claims", "", "", ""),
		c("mounts nothing else", "{name: data, mountPath", "{name: other, mountPath", "volumeMounts[0].name: Not found"),
		c("a claim stands for a volume of its name", "spec: {containers", "spec: {volumes: [{name: data, emptyDir: {}}], containers", ""),
		c("other volumes stay", "spec: {containers", "spec: {volumes: [{name: Other, emptyDir: {}}], containers", "volumes[0].name: Invalid value"),
		c("replicas", "serviceName: db", "replicas: -1", "spec.replicas: Invalid value"),
		c("management", "serviceName: db", "podManagementPolicy: Wild", "spec.podManagementPolicy: Invalid value: \"Wild\": must be 'OrderedReady' or 'Parallel'"),
		c("strategy", "serviceName: db", "updateStrategy: {type: Magic}", "spec.updateStrategy: Invalid value"),
		c("rolling on delete", "serviceName: db", "updateStrategy: {type: OnDelete, rollingUpdate: {partition: 1}}", "only allowed for updateStrategy 'RollingUpdate'"),
		c("partition", "serviceName: db", "updateStrategy: {rollingUpdate: {partition: -1}}", "spec.updateStrategy.rollingUpdate.partition: Invalid value"),
		c("none at a time", "serviceName: db", "updateStrategy: {rollingUpdate: {maxUnavailable: 0}}", "cannot be 0"),
		c("too many at a time", "serviceName: db", "updateStrategy: {rollingUpdate: {maxUnavailable: 101%}}", "must not be greater than 100%"),
		c("retention", "serviceName: db", "persistentVolumeClaimRetentionPolicy: {whenDeleted: Burn}", "whenDeleted: Unsupported value"),
		c("retention when scaled", "serviceName: db", "persistentVolumeClaimRetentionPolicy: {whenScaled: Burn}", "whenScaled: Unsupported value"),
		c("restart policy", "spec: {containers", "spec: {restartPolicy: Never, containers", "spec.template.spec.restartPolicy: Unsupported value"),
		c("service", "serviceName: db", "serviceName: D_", "spec.serviceName: Invalid value"),
		c("all of the history", "serviceName: db", "revisionHistoryLimit: -1", ""),
		c("names of the pods", "spec: {containers", "spec: {hostname: A_, subdomain: B_, containers", ""),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{
		c("nothing", "", "", ""),
		c("template", "db:1", "db:2", ""),
		c("replicas", "serviceName: db", "serviceName: db\n  replicas: 3", ""),
		c("ordinals", "serviceName: db", "serviceName: db\n  ordinals: {start: 3}", ""),
		c("strategy", "serviceName: db", "serviceName: db\n  updateStrategy: {type: OnDelete}", ""),
		c("history", "serviceName: db", "serviceName: db\n  revisionHistoryLimit: 3", ""),
		c("ready seconds", "serviceName: db", "serviceName: db\n  minReadySeconds: 3", ""),
		c("retention", "serviceName: db", "serviceName: db\n  persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}", ""),
		c("service", "serviceName: db", "serviceName: dc", "spec.serviceName: Invalid value: \"dc\": field is immutable"),
		c("claims", "storage: 1Gi", "storage: 2Gi", "spec.volumeClaimTemplates: Invalid value"),
	})
	with := strings.TrimSuffix(sampleStatefulSet, "\n") + "\nstatus: {replicas: 3, currentReplicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3}"
	s := func(name, from, to, want string) kindtest.Case { return kindtest.Change(name, with, from, to, want) }
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		s("fine", "", "", ""),
		s("current", "currentReplicas: 3", "currentReplicas: 4", "status.currentReplicas: Invalid value"),
		s("updated", "updatedReplicas: 3", "updatedReplicas: 4", "status.updatedReplicas: Invalid value"),
		s("ready", "readyReplicas: 3", "readyReplicas: 4", "status.readyReplicas: Invalid value"),
		s("available", "availableReplicas: 3", "availableReplicas: 4", "cannot be greater than status.readyReplicas"),
		s("generation", "{replicas: 3", "{observedGeneration: -1, replicas: 3", "status.observedGeneration: Invalid value"),
	})
}

func TestDaemonSetValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleDaemonSet, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("selector", "labels: {app: agent}", "labels: {app: b}", "does not match template"),
		c("ready seconds", "minReadySeconds: 1", "minReadySeconds: -1", "spec.minReadySeconds: Invalid value"),
		c("history", "minReadySeconds: 1", "revisionHistoryLimit: -1", "spec.revisionHistoryLimit: Invalid value"),
		c("strategy", "type: RollingUpdate", "type: Magic", "spec.updateStrategy: Unsupported value"),
		c("on delete", "type: RollingUpdate", "type: OnDelete", ""),
		c("both ways", "{maxUnavailable: 1}", "{maxUnavailable: 1, maxSurge: 1}", "may not be set when maxUnavailable is non-zero"),
		c("surge alone", "{maxUnavailable: 1}", "{maxUnavailable: 0, maxSurge: 1}", ""),
		c("neither", "{maxUnavailable: 1}", "{maxUnavailable: 0}", "cannot be 0 when maxSurge is 0"),
		c("more than all", "{maxUnavailable: 1}", "{maxUnavailable: 0, maxSurge: 101%}", "must not be greater than 100%"),
		c("restart policy", "spec: {containers", "spec: {restartPolicy: Never, containers", "restartPolicy: Unsupported value"),
		c("deadline", "spec: {containers", "spec: {activeDeadlineSeconds: 5, containers", "activeDeadlineSeconds in this kind is not Supported"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{c("selector", "{matchLabels: {app: agent}}", "{matchExpressions: [{key: app, operator: Exists}]}", "field is immutable")})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("counts, in the order of the fields", "desiredNumberScheduled: 3, currentNumberScheduled: 2, numberReady: 1", "desiredNumberScheduled: -3, currentNumberScheduled: -2, numberReady: -1",
			"[status.currentNumberScheduled: Invalid value: -2: must be greater than or equal to 0, status.desiredNumberScheduled: Invalid value: -3: must be greater than or equal to 0, status.numberReady: Invalid value: -1"),
		c("generation", "numberReady: 1", "observedGeneration: -1", "status.observedGeneration: Invalid value"),
	})
}

func TestReplicaSetValidation(t *testing.T) {
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, sampleReplicaSet, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("replicas", "{replicas: 2, selector", "{replicas: -2, selector", "spec.replicas: Invalid value"),
		c("ready seconds", "{replicas: 2, selector", "{minReadySeconds: -2, selector", "spec.minReadySeconds: Invalid value"),
		c("selector", "labels: {app: web}", "labels: {app: b}", "does not match template"),
		c("restart policy", "spec: {containers", "spec: {restartPolicy: Never, containers", "restartPolicy: Unsupported value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{c("selector", "{matchLabels: {app: web}}", "{matchExpressions: [{key: app, operator: Exists}]}", "field is immutable")})
	kindtest.UpdateStatus(t, Kinds(), []kindtest.Case{
		c("fine", "", "", ""),
		c("labeled", "fullyLabeledReplicas: 2", "fullyLabeledReplicas: 3", "status.fullyLabeledReplicas: Invalid value"),
		c("available", "availableReplicas: 1", "availableReplicas: 3", "cannot be greater than readyReplicas"),
	})
}

func TestControllerRevisionValidation(t *testing.T) {
	const revision = "apiVersion: apps/v1\nkind: ControllerRevision\ndata: {a: b}\nrevision: 1"
	c := func(name, from, to, want string) kindtest.Case {
		return kindtest.Change(name, revision, from, to, want)
	}
	kindtest.Create(t, Kinds(), []kindtest.Case{
		c("no data", "data: {a: b}\n", "", "data: Required value"),
		c("revision", "revision: 1", "revision: -1", "revision: Invalid value"),
	})
	kindtest.Update(t, Kinds(), []kindtest.Case{c("data", "a: b", "a: c", "data: Invalid value"), c("revision", "revision: 1", "revision: 2", "")})
}

func TestCells(t *testing.T) {
	kindtest.Cells(t, Kinds(), []kindtest.Printed{
		{Name: "deployment", Manifest: sampleDeployment, Want: "web | 0/2 | 0 | 0 | <unknown> | (web) | (nginx:1) | (app=web)"},
		{Name: "daemon set", Manifest: sampleDaemonSet, Want: "agent | 3 | 2 | 1 | 0 | 0 | <none> | <unknown> | (a) | (a:1) | (app=agent)"},
		{Name: "replica set", Manifest: sampleReplicaSet, Want: "web | 2 | 2 | 2 | <unknown> | (a) | (a:1) | (app=web)"},
		{Name: "stateful set", Manifest: sampleStatefulSet, Want: "db | 0/1 | <unknown> | (db) | (db:1)"},
		{Name: "revision", Manifest: "apiVersion: apps/v1\nkind: ControllerRevision\nmetadata: {name: r, ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: a, controller: true}]}\nrevision: 3", Want: "r | daemonset.apps/a | 3 | <unknown>"},
		{Name: "revision of nobody", Manifest: "apiVersion: apps/v1\nkind: ControllerRevision\nmetadata: {name: r}\nrevision: 3", Want: "r | <none> | 3 | <unknown>"},
	})
}

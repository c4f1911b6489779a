package controller

import (
	"context"

	"github.com/gantry-run/gantry/runtime/controller/attachdetach"
	"github.com/gantry-run/gantry/runtime/controller/certificaterenewal"
	"github.com/gantry-run/gantry/runtime/controller/cronjob"
	"github.com/gantry-run/gantry/runtime/controller/csrapproving"
	"github.com/gantry-run/gantry/runtime/controller/csrcleaner"
	"github.com/gantry-run/gantry/runtime/controller/csrsigning"
	"github.com/gantry-run/gantry/runtime/controller/daemonset"
	"github.com/gantry-run/gantry/runtime/controller/deployment"
	"github.com/gantry-run/gantry/runtime/controller/disruption"
	"github.com/gantry-run/gantry/runtime/controller/endpoints"
	"github.com/gantry-run/gantry/runtime/controller/endpointslicemirroring"
	"github.com/gantry-run/gantry/runtime/controller/endpointslices"
	"github.com/gantry-run/gantry/runtime/controller/ephemeralvolume"
	"github.com/gantry-run/gantry/runtime/controller/gc"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
	"github.com/gantry-run/gantry/runtime/controller/job"
	"github.com/gantry-run/gantry/runtime/controller/localvolume"
	"github.com/gantry-run/gantry/runtime/controller/namespace"
	"github.com/gantry-run/gantry/runtime/controller/nodelifecycle"
	"github.com/gantry-run/gantry/runtime/controller/persistentvolume"
	"github.com/gantry-run/gantry/runtime/controller/podautoscaler"
	"github.com/gantry-run/gantry/runtime/controller/podcidr"
	"github.com/gantry-run/gantry/runtime/controller/podgc"
	"github.com/gantry-run/gantry/runtime/controller/pvcprotection"
	"github.com/gantry-run/gantry/runtime/controller/pvprotection"
	"github.com/gantry-run/gantry/runtime/controller/replicaset"
	"github.com/gantry-run/gantry/runtime/controller/replicationcontroller"
	"github.com/gantry-run/gantry/runtime/controller/resourceclaim"
	"github.com/gantry-run/gantry/runtime/controller/resourcequota"
	"github.com/gantry-run/gantry/runtime/controller/rootca"
	"github.com/gantry-run/gantry/runtime/controller/serviceaccount"
	"github.com/gantry-run/gantry/runtime/controller/servicecidrs"
	"github.com/gantry-run/gantry/runtime/controller/statefulset"
	"github.com/gantry-run/gantry/runtime/controller/storageversionmigrator"
	"github.com/gantry-run/gantry/runtime/controller/tainteviction"
	"github.com/gantry-run/gantry/runtime/controller/trustbundle"
	"github.com/gantry-run/gantry/runtime/controller/ttlafterfinished"
	"github.com/gantry-run/gantry/runtime/controller/vacprotection"
)

// runner reconciles until ctx is done and work in progress has ended.
type runner interface {
	Run(ctx context.Context, workers int) error
}

// controller is one of them, and how many of its keys are reconciled at once.
type controller struct {
	make    func(reconcile.Deps) (runner, error)
	workers int
}

// controllers are all.
func controllers() []controller {
	return []controller{
		{maker(replicaset.New), 8},
		{maker(replicationcontroller.New), 5},
		{maker(deployment.New), 5},
		{maker(daemonset.New), 2},
		{maker(statefulset.New), 5},
		{maker(job.New), 5},
		{maker(cronjob.New), 2},
		{maker(ttlafterfinished.New), 2},
		{maker(endpointslices.New), 5},
		{maker(endpoints.New), 5},
		{maker(endpointslicemirroring.New), 5},
		{maker(servicecidrs.New), 1},
		{maker(namespace.New), 5},
		{maker(gc.New), 10},
		{maker(serviceaccount.New), 2},
		{maker(rootca.New), 2},
		{maker(nodelifecycle.New), 4},
		{maker(tainteviction.New), 4},
		{maker(podcidr.New), 1},
		{maker(podgc.New), 1},
		{maker(disruption.New), 2},
		{maker(podautoscaler.New), 5},
		{maker(certificaterenewal.New), 2},
		{maker(csrapproving.New), 2},
		{maker(csrsigning.New), 2},
		{maker(csrcleaner.New), 1},
		{maker(trustbundle.New), 1},
		{maker(resourcequota.New), 3},
		{maker(persistentvolume.New), 4},
		{maker(pvcprotection.New), 2},
		{maker(pvprotection.New), 1},
		{maker(vacprotection.New), 1},
		{maker(ephemeralvolume.New), 2},
		{maker(resourceclaim.New), 4},
		{maker(localvolume.New), 1},
		{maker(attachdetach.New), 1},
		{maker(storageversionmigrator.New), 1},
	}
}

// maker forgets the type of a controller.
func maker[C runner](f func(reconcile.Deps) (C, error)) func(reconcile.Deps) (runner, error) {
	return func(d reconcile.Deps) (runner, error) { return f(d) }
}

package controller

import (
	"context"
	"log/slog"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/controller/cronjob"
	"github.com/gantry-run/gantry/runtime/controller/daemonset"
	"github.com/gantry-run/gantry/runtime/controller/deployment"
	"github.com/gantry-run/gantry/runtime/controller/disruption"
	"github.com/gantry-run/gantry/runtime/controller/endpointslices"
	"github.com/gantry-run/gantry/runtime/controller/gc"
	"github.com/gantry-run/gantry/runtime/controller/job"
	"github.com/gantry-run/gantry/runtime/controller/namespace"
	"github.com/gantry-run/gantry/runtime/controller/nodelifecycle"
	"github.com/gantry-run/gantry/runtime/controller/podcidr"
	"github.com/gantry-run/gantry/runtime/controller/podgc"
	"github.com/gantry-run/gantry/runtime/controller/replicaset"
	"github.com/gantry-run/gantry/runtime/controller/rootca"
	"github.com/gantry-run/gantry/runtime/controller/serviceaccount"
	"github.com/gantry-run/gantry/runtime/controller/statefulset"
)

// Deps are what controllers are made of.
type Deps struct {
	Client    kubernetes.Interface
	Objects   metadata.Interface
	Informers informers.SharedInformerFactory
	Events    record.EventRecorder
	RootCA    []byte // PEM
	Config    config.ControllerManagerConfig
	Log       *slog.Logger
}

// Controller is one controller and how many of its keys are reconciled at once.
type Controller struct {
	Runner
	Workers int
}

// Runner reconciles until ctx is done and work in progress has ended.
type Runner interface {
	Run(ctx context.Context, workers int) error
}

// Controllers makes all controllers. The factory's informers must be started
// after it.
func Controllers(d Deps) ([]Controller, error) {
	clk := clock.RealClock{}
	sets, err := replicaset.New(d.Client, d.Informers, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	deployments, err := deployment.New(d.Client, d.Informers, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	daemons, err := daemonset.New(d.Client, d.Informers, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	stateful, err := statefulset.New(d.Client, d.Informers, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	jobs, err := job.New(d.Client, d.Informers, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	crons, err := cronjob.New(d.Client, d.Informers, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	nodes, err := nodelifecycle.New(d.Client, d.Informers, d.Config.NodeMonitorGracePeriod.Duration, d.Events, clk, d.Log)
	if err != nil {
		return nil, err
	}
	cidrs, err := podcidr.New(d.Client, d.Informers, d.Config.ClusterCIDR, d.Config.NodeCIDRMaskSize, d.Events, d.Log)
	if err != nil {
		return nil, err
	}
	budgets, err := disruption.New(d.Client, d.Informers, clk, d.Log)
	if err != nil {
		return nil, err
	}
	return []Controller{
		{sets, 8},
		{deployments, 5},
		{daemons, 2},
		{stateful, 5},
		{jobs, 5},
		{crons, 2},
		{endpointslices.New(d.Client, d.Informers, d.Events, clk, d.Log), 5},
		{namespace.New(d.Client, d.Objects, d.Informers, clk, d.Log), 5},
		{gc.New(d.Objects, d.Client.Discovery(), d.Log), 10},
		{serviceaccount.New(d.Client, d.Informers, d.Log), 2},
		{rootca.New(d.Client, d.Informers, d.RootCA, d.Log), 2},
		{nodes, 4},
		{cidrs, 1},
		{podgc.New(d.Client, d.Informers, d.Config.TerminatedPodThreshold, clk, d.Log), 1},
		{budgets, 2},
	}, nil
}

package kubelet

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/csi"
	"github.com/gantry-run/gantry/runtime/kubelet/devices"
	"github.com/gantry-run/gantry/runtime/kubelet/dra"
	"github.com/gantry-run/gantry/runtime/kubelet/eviction"
	"github.com/gantry-run/gantry/runtime/kubelet/images"
	"github.com/gantry-run/gantry/runtime/kubelet/localvolume"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
	"github.com/gantry-run/gantry/runtime/kubelet/nodestatus"
	"github.com/gantry-run/gantry/runtime/kubelet/objects"
	"github.com/gantry-run/gantry/runtime/kubelet/pleg"
	"github.com/gantry-run/gantry/runtime/kubelet/plugins"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/kubelet/podsource"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
	"github.com/gantry-run/gantry/runtime/kubelet/server"
	"github.com/gantry-run/gantry/runtime/kubelet/stats"
	"github.com/gantry-run/gantry/runtime/kubelet/token"
	"github.com/gantry-run/gantry/runtime/kubelet/volume"
)

// ContainerRuntime keeps containers and images: what the rooms need of it, together.
type ContainerRuntime interface {
	pleg.Runtime
	podworker.Runtime
	server.Runtime
	probe.Execer
	images.Store
	stats.Runtime
	volume.ImageMounts
	// Features are what containers can have.
	Features() container.Features
}

// Network gives pods their addresses.
type Network interface {
	podworker.Network
	nodestatus.Network
}

// Kubelet runs a node's pods.
type Kubelet struct {
	cfg         config.KubeletConfig
	api         kubernetes.Interface
	log         *slog.Logger
	layout      poddir.Layout
	binds       mount.Binds
	cgroups     *cm.Manager
	memoryLimit int64 // of all pods together, in bytes; 0: none

	events        record.EventBroadcaster
	pods          *podsource.API
	static        *podsource.Static
	mirrors       *podsource.Mirrors
	sources       podsource.Source // both
	services      informers.SharedInformerFactory
	node          *nodestatus.Reporter
	devices       *devices.Manager
	pleg          *pleg.Generator
	workers       *podworker.Workers
	eviction      *eviction.Manager
	local         *localvolume.Manager
	refs          *objects.Manager
	tokens        *token.Manager
	drivers       *csi.Drivers
	csi           *csi.Volumes
	deviceDrivers *dra.Drivers
	claims        *dra.Manager
	plugins       *plugins.Manager
	server        server.Config
	serving       atomic.Bool
}

// Ready implements process.Runner: the node is registered, its containers are
// known and the server listens.
func (k *Kubelet) Ready() error {
	if !k.serving.Load() {
		return errors.New("the kubelet's server does not listen yet")
	}
	if err := k.node.Runtime().Err(); err != nil {
		return err
	}
	if !k.node.Registered() {
		return errors.New("the node is not registered yet")
	}
	return nil
}

// Run runs the node until ctx is done. Containers go on running after it.
func (k *Kubelet) Run(ctx context.Context) error {
	if err := k.layout.Make(); err != nil {
		return err
	}
	if err := csi.MakeDirs(config.SharedKubeletDir); err != nil {
		return err
	}
	if err := k.binds.Make(); err != nil {
		return err
	}
	if err := k.cgroups.EnsureNode(k.memoryLimit); err != nil {
		return err
	}
	srv, err := server.Listen(k.server)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	running.Go(func() { srv.Run(ctx) })
	k.serving.Store(true)

	k.events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: k.api.CoreV1().Events("")})
	defer k.events.Shutdown()
	k.sources.Start(ctx)
	k.services.Start(ctx.Done())
	defer k.services.Shutdown()
	k.devices.Load()
	if err := k.csi.Load(); err != nil {
		k.log.Warn("not all that was mounted by CSI drivers is known", "error", err)
	}
	running.Go(func() { k.node.Run(ctx) })
	running.Go(func() { k.eviction.Run(ctx) })
	running.Go(func() { k.local.Run(ctx) })
	running.Go(func() { k.drivers.Run(ctx) })
	running.Go(func() { k.csi.Run(ctx) })
	running.Go(func() { k.deviceDrivers.Run(ctx) })
	running.Go(func() { k.plugins.Run(ctx) })
	running.Go(func() {
		if err := k.devices.Run(ctx); err != nil {
			k.log.Error("device plugins are not taken up", "error", err)
		}
	})

	defer k.workers.Wait()
	h := handler{ctx, k.workers}
	if err := k.runStatic(ctx, h); err != nil {
		return nil
	}
	running.Go(func() { k.pleg.Run(ctx, k.workers.Exited) })
	adopted, err := k.adopt(ctx)
	if err != nil {
		return nil
	}
	if err := errors.Join(k.pods.Handle(h), k.mirrors.Watch(ctx)); err != nil {
		stop()
		return err
	}
	// A pod that went before changes were handled is told by nobody else.
	for _, p := range podsource.Gone(k.sources, adopted) {
		k.workers.DeletePod(p)
	}
	<-ctx.Done()
	return nil
}

// syncDelay is the pause between looks whether all pods are known.
const syncDelay = 20 * time.Millisecond

// runStatic takes over the static pods once all containers are known: they wait for no
// API. It fails when ctx is done.
func (k *Kubelet) runStatic(ctx context.Context, h handler) error {
	containers, err := k.pleg.List(ctx)
	if err != nil {
		return err
	}
	k.workers.Start(ctx, k.static.Pods(), containers)
	return k.static.Handle(h)
}

// adopt takes over what runs, once all pods are known, and returns them. It fails when ctx
// is done.
func (k *Kubelet) adopt(ctx context.Context) ([]*corev1.Pod, error) {
	k.services.WaitForCacheSync(ctx.Done())
	for !k.sources.Synced() {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(syncDelay):
		}
	}
	containers, err := k.pleg.List(ctx)
	if err != nil {
		return nil, err
	}
	pods := k.sources.Pods()
	k.workers.Adopt(ctx, pods, containers)
	// What has ended since it was listed had no worker to be told.
	if containers, err = k.pleg.List(ctx); err != nil {
		return nil, err
	}
	k.workers.Exited(containers...)
	return pods, nil
}

// handler hands pods to their workers, which end with ctx.
type handler struct {
	ctx     context.Context
	workers *podworker.Workers
}

func (h handler) UpdatePod(p *corev1.Pod) { h.workers.UpdatePod(h.ctx, p) }
func (h handler) DeletePod(p *corev1.Pod) { h.workers.DeletePod(p) }

func (k *Kubelet) recorder() record.EventRecorder {
	return k.events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: k.cfg.NodeName})
}

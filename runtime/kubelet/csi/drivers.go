package csi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
)

// PluginType is that of CSI drivers among the plugins that register.
const PluginType = "CSIPlugin"

// DriversConfig is what drivers are registered with.
type DriversConfig struct {
	API      kubernetes.Interface
	NodeName string
	Log      *slog.Logger
}

// Drivers are those that have registered with this node. It handles their registration.
type Drivers struct {
	cfg   DriversConfig
	queue workqueue.TypedRateLimitingInterface[string] // names whose part of the objects is to be written

	writing sync.Mutex // of the node's objects
	mu      sync.Mutex
	known   map[string]registered
	node    types.UID         // of the Node that the objects were written for
	came    func(name string) // called of a driver that has registered
}

type registered struct {
	driver
	version *version.Version
	// period is how often what the driver says of the node is asked again; 0: never.
	period time.Duration
}

// NewDrivers returns that none has registered.
func NewDrivers(cfg DriversConfig) *Drivers {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[string](100*time.Millisecond, 30*time.Second)
	return &Drivers{cfg: cfg, queue: workqueue.NewTypedRateLimitingQueue(limiter), known: map[string]registered{}, came: func(string) {}}
}

// get is a driver by its name. That it is not there is for as long as it takes to register.
func (d *Drivers) get(name string) (driver, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, ok := d.known[name]
	if !ok {
		return driver{}, fmt.Errorf("driver name %s not found in the list of registered CSI drivers", name)
	}
	return r.driver, nil
}

// Validate implements the handler of plugins: it takes drivers that have a version 1.x,
// and one of the same name as another only with a higher one.
func (d *Drivers) Validate(name, _ string, versions []string) error {
	_, err := d.highest(name, versions)
	return err
}

func (d *Drivers) highest(name string, versions []string) (*version.Version, error) {
	if len(versions) == 0 {
		return nil, fmt.Errorf("CSI driver %q returned an empty list for supported versions", name)
	}
	v, err := version.HighestSupportedVersion(versions)
	if err != nil {
		return nil, fmt.Errorf("none of the versions specified %q of CSI driver %q are supported: %w", versions, name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have, ok := d.known[name]; ok && !have.version.LessThan(v) {
		return nil, fmt.Errorf("another CSI driver with the same name %q is already registered with a higher supported version: %q", name, have.version)
	}
	return v, nil
}

// Register takes a driver up: it says what the node is to it, which goes into the Node and
// the CSINode.
func (d *Drivers) Register(ctx context.Context, name, endpoint string, versions []string) error {
	v, err := d.highest(name, versions)
	if err != nil {
		return err
	}
	r := registered{driver: driver{name, endpoint}, version: v}
	if r.period, err = d.install(ctx, r.driver); err != nil {
		return err
	}
	d.mu.Lock()
	d.known[name] = r
	d.mu.Unlock()
	if r.period > 0 {
		d.queue.AddAfter(name, r.period)
	}
	d.came(name)
	d.cfg.Log.Info("a CSI driver has registered", "driver", name, "endpoint", endpoint)
	return nil
}

// Deregister forgets a driver, unless another one has come in its place. What it has mounted
// stays: it is unmounted once the driver is there again.
func (d *Drivers) Deregister(name, endpoint string) {
	d.mu.Lock()
	if d.known[name].endpoint == endpoint {
		delete(d.known, name)
	}
	d.mu.Unlock()
	d.queue.Add(name)
	d.cfg.Log.Info("a CSI driver has gone", "driver", name, "endpoint", endpoint)
}

// NodeSeen looks at a state of the node: one that is made anew has lost what was written.
func (d *Drivers) NodeSeen(n *corev1.Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node == n.UID || d.node == "" {
		return
	}
	for name := range d.known {
		d.queue.Add(name)
	}
}

// Run keeps the node's objects right until ctx is done.
func (d *Drivers) Run(ctx context.Context) {
	defer context.AfterFunc(ctx, d.queue.ShutDown)()
	for {
		name, ended := d.queue.Get()
		if ended {
			return
		}
		again, err := d.reconcile(ctx, name)
		switch {
		case err == nil:
			d.queue.Forget(name)
			if again > 0 {
				d.queue.AddAfter(name, again)
			}
		case ctx.Err() == nil:
			d.cfg.Log.Warn("the node's objects do not say yet what became of a CSI driver, will retry", "driver", name, "error", err)
			d.queue.AddRateLimited(name)
		}
		d.queue.Done(name)
	}
}

func (d *Drivers) reconcile(ctx context.Context, name string) (again time.Duration, err error) {
	of, err := d.get(name)
	if err != nil {
		return 0, d.uninstall(ctx, name)
	}
	return d.install(ctx, of)
}

// install asks a driver what the node is to it, and writes that. again is when that is to be
// asked again (0: never).
func (d *Drivers) install(ctx context.Context, of driver) (again time.Duration, err error) {
	var info *spec.NodeGetInfoResponse
	err = of.call(ctx, func(ctx context.Context, node spec.NodeClient) (err error) {
		info, err = node.NodeGetInfo(ctx, &spec.NodeGetInfoRequest{})
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case info.GetNodeId() == "":
		return 0, errors.New("error adding CSI driver node info: driverNodeID must not be empty")
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	w := objects{api: d.cfg.API, node: d.cfg.NodeName}
	uid, err := w.writeNode(ctx, of.name, info.GetNodeId(), info.GetAccessibleTopology().GetSegments())
	if err != nil {
		return 0, fmt.Errorf("error updating Node object with CSI driver node info: %w", err)
	}
	if err := w.writeCSINode(ctx, uid, entry(of.name, info)); err != nil {
		return 0, fmt.Errorf("error updating CSINode object with CSI driver node info: %w", err)
	}
	d.mu.Lock()
	d.node = uid
	d.mu.Unlock()
	object, err := w.driver(ctx, of.name)
	if err != nil || object == nil {
		return 0, err
	}
	return time.Duration(ptr.Deref(object.Spec.NodeAllocatableUpdatePeriodSeconds, 0)) * time.Second, nil
}

func (d *Drivers) uninstall(ctx context.Context, name string) error {
	d.writing.Lock()
	defer d.writing.Unlock()
	if _, err := d.get(name); err == nil { // it came back meanwhile
		return nil
	}
	w := objects{api: d.cfg.API, node: d.cfg.NodeName}
	if err := w.removeFromCSINode(ctx, name); err != nil {
		return fmt.Errorf("error uninstalling CSI driver from CSINode object: %w", err)
	}
	if err := w.removeFromNode(ctx, name); err != nil {
		return fmt.Errorf("error removing CSI driver node info from Node object: %w", err)
	}
	return nil
}

// supportsLifecycle says why a driver does not have volumes of a kind; a driver without an
// object has persistent ones only.
func supportsLifecycle(o *storagev1.CSIDriver, name string, mode storagev1.VolumeLifecycleMode) error {
	if o == nil {
		if mode == storagev1.VolumeLifecyclePersistent {
			return nil
		}
		return fmt.Errorf("volume mode %q not supported by driver %s (no CSIDriver object)", mode, name)
	}
	modes := o.Spec.VolumeLifecycleModes
	if len(modes) == 0 {
		modes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
	}
	if slices.Contains(modes, mode) {
		return nil
	}
	return fmt.Errorf("volume mode %q not supported by driver %s (only supports %q)", mode, name, modes)
}

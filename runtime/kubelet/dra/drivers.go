package dra

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	resourceclient "k8s.io/client-go/kubernetes/typed/resource/v1"
	api "k8s.io/kubelet/pkg/apis/dra/v1"
)

const (
	// callTimeout bounds a call of a driver, as upstream.
	callTimeout = 45 * time.Second
	// wipeDelay is how long a driver may be away before what it has is taken out of the API:
	// it may only be restarted.
	wipeDelay = 30 * time.Second
)

// Drivers are those that have registered: the handler of DRA plugins. Of one that runs twice,
// as in a rolling update, the newest is asked.
type Drivers struct {
	nodeName string
	slices   resourceclient.ResourceSlicesGetter
	after    func(d time.Duration, f func()) (stop func() bool)
	log      *slog.Logger

	mu     sync.Mutex
	life   context.Context                  // of Run; nil before
	byName map[string][]*driver             // the newest last
	away   map[string]func() (stopped bool) // what wipes the slices of one that is gone
}

// driver is the connection to one.
type driver struct {
	endpoint string
	conn     *grpc.ClientConn
	api      api.DRAPluginClient
}

// NewDrivers returns the handler; after runs a function later.
func NewDrivers(nodeName string, client resourceclient.ResourceSlicesGetter, after func(d time.Duration, f func()) (stop func() bool), log *slog.Logger) *Drivers {
	return &Drivers{nodeName: nodeName, slices: client, after: after, log: log, byName: map[string][]*driver{}, away: map[string]func() bool{}}
}

// Run takes the slices of the time before out of the API, which drivers that are there write
// anew, and those of drivers that go, until ctx is done.
func (d *Drivers) Run(ctx context.Context) {
	d.mu.Lock()
	d.life = ctx
	d.mu.Unlock()
	d.wipe(ctx, "")
	<-ctx.Done()
}

// Validate implements plugins.Handler.
func (d *Drivers) Validate(name, endpoint string, versions []string) error {
	switch {
	case name == "":
		return fmt.Errorf("the name of the DRA plugin is empty")
	case endpoint == "":
		return fmt.Errorf("the endpoint of DRA plugin %q is empty", name)
	case !slices.Contains(versions, api.DRAPluginService):
		return fmt.Errorf("the DRA plugin %q does not support %q: it offers %q", name, api.DRAPluginService, versions)
	}
	return nil
}

// Register implements plugins.Handler.
func (d *Drivers) Register(_ context.Context, name, endpoint string, _ []string) error {
	conn, err := grpc.NewClient("unix://"+endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"), grpc.WithDisableServiceConfig())
	if err != nil {
		return fmt.Errorf("connect to DRA plugin %q at %s: %w", name, endpoint, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byName[name] = append(d.without(name, endpoint), &driver{endpoint, conn, api.NewDRAPluginClient(conn)})
	if stop := d.away[name]; stop != nil {
		stop()
		delete(d.away, name)
	}
	return nil
}

// Deregister implements plugins.Handler.
func (d *Drivers) Deregister(name, endpoint string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byName[name] = d.without(name, endpoint); len(d.byName[name]) > 0 {
		return
	}
	delete(d.byName, name)
	if stop := d.away[name]; stop != nil {
		stop()
	}
	d.away[name] = d.after(wipeDelay, func() { d.gone(name) })
}

// without closes the connection to an endpoint and returns the others.
func (d *Drivers) without(name, endpoint string) []*driver {
	return slices.DeleteFunc(d.byName[name], func(was *driver) bool {
		if was.endpoint != endpoint {
			return false
		}
		_ = was.conn.Close() // nothing is lost with it
		return true
	})
}

func (d *Drivers) gone(name string) {
	d.mu.Lock()
	ctx := d.life
	back := len(d.byName[name]) > 0
	if !back {
		delete(d.away, name)
	}
	d.mu.Unlock()
	if !back && ctx != nil {
		d.wipe(ctx, name)
	}
}

// wipe deletes the node's slices of a driver, or of all, until that succeeds or the driver is
// back.
func (d *Drivers) wipe(ctx context.Context, driver string) {
	of := fields.Set{resourcev1.ResourceSliceSelectorNodeName: d.nodeName}
	if driver != "" {
		of[resourcev1.ResourceSliceSelectorDriver] = driver
	}
	backoff := wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Cap: time.Minute, Steps: 1 << 30}
	_ = wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) { // ends with ctx only
		if driver != "" && d.newest(driver) != nil {
			return true, nil
		}
		err := d.slices.ResourceSlices().DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: of.String()})
		if err != nil && ctx.Err() == nil {
			d.log.Warn("the ResourceSlices of drivers that are gone are not deleted yet", "selector", of.String(), "error", err)
		}
		return err == nil, nil
	})
}

// newest is the driver of a name; nil where none has registered.
func (d *Drivers) newest(name string) *driver {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := d.byName[name]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

func (d *Drivers) find(name string) (*driver, error) {
	if found := d.newest(name); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("DRA driver %s is not registered", name)
}

// prepare has a driver prepare claims, by their UID, and returns the devices of each.
func (d *Drivers) prepare(ctx context.Context, name string, claims []*api.Claim) (map[string][]*api.Device, error) {
	on, err := d.find(name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := on.api.NodePrepareResources(ctx, &api.NodePrepareResourcesRequest{Claims: claims})
	if err != nil {
		return nil, fmt.Errorf("NodePrepareResources of DRA driver %s: %w", name, err)
	}
	out := map[string][]*api.Device{}
	for _, c := range claims {
		r := resp.Claims[c.Uid]
		switch {
		case r == nil:
			return nil, fmt.Errorf("NodePrepareResources of DRA driver %s says nothing of ResourceClaim %s/%s", name, c.Namespace, c.Name)
		case r.Error != "":
			return nil, fmt.Errorf("NodePrepareResources of DRA driver %s failed for ResourceClaim %s/%s: %s", name, c.Namespace, c.Name, r.Error)
		}
		out[c.Uid] = r.Devices
	}
	return out, nil
}

// unprepare has a driver take back what it did for a claim.
func (d *Drivers) unprepare(ctx context.Context, name string, c *api.Claim) error {
	on, err := d.find(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := on.api.NodeUnprepareResources(ctx, &api.NodeUnprepareResourcesRequest{Claims: []*api.Claim{c}})
	switch {
	case err != nil:
		return fmt.Errorf("NodeUnprepareResources of DRA driver %s: %w", name, err)
	case resp.Claims[c.Uid] == nil:
		return fmt.Errorf("NodeUnprepareResources of DRA driver %s says nothing of ResourceClaim %s/%s", name, c.Namespace, c.Name)
	case resp.Claims[c.Uid].Error != "":
		return fmt.Errorf("NodeUnprepareResources of DRA driver %s failed for ResourceClaim %s/%s: %s", name, c.Namespace, c.Name, resp.Claims[c.Uid].Error)
	}
	return nil
}

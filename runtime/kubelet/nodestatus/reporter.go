package nodestatus

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/stats"
)

// Intervals of a node's reports. The status is written when it changed, or when somebody
// else changed it; the watch of the Node says so. fullReport is a sign of life only.
const (
	heartbeat  = 10 * time.Second
	fullReport = 5 * time.Minute
	retryDelay = time.Second
	// A node that is not ready looks again this soon, and then less and less often: a new
	// one waits for its pod CIDR, which is there within a second.
	quickDelay = 100 * time.Millisecond
)

// Images lists the image store.
type Images interface {
	Images(ctx context.Context) ([]container.Image, error)
}

// Stats says how much of the server is free.
type Stats interface{ Node() stats.Node }

// Network says why pods cannot be attached to it yet.
type Network interface{ Ready() error }

// Devices says what device plugins add to the node.
type Devices interface {
	Resources() (capacity, allocatable corev1.ResourceList)
}

// Config of a Reporter.
type Config struct {
	API       kubernetes.Interface
	Nodes     coreinformers.NodeInformer // has this node; whoever made it starts it
	NodeName  string
	Addresses addr.IPs // of the node
	Port      int32    // of the kubelet's server
	Version   string   // that the node reports
	Labels    map[string]string
	Taints    []corev1.Taint // of a new node

	Machine               stats.Machine
	Capacity, Allocatable corev1.ResourceList // of the server itself
	Devices               Devices
	Features              container.Features // of the runtime
	// VolumesInUse are those that must stay attached, in order.
	VolumesInUse func() []corev1.UniqueVolumeName

	Images  Images
	Stats   Stats
	Network Network
	Log     *slog.Logger
}

// Reporter keeps the Node of this server.
type Reporter struct {
	cfg     Config
	runtime *RuntimeState
	started time.Time // when this process was

	wake       chan struct{}
	registered atomic.Bool
}

// New returns a reporter. Nothing is written before Run.
func New(cfg Config) *Reporter {
	r := &Reporter{cfg: cfg, started: time.Now(), wake: make(chan struct{}, 1)}
	r.runtime = NewRuntimeState(r.Wake)
	return r
}

// Runtime is what the node reports of the container runtime.
func (r *Reporter) Runtime() *RuntimeState { return r.runtime }

// Registered reports whether the node is registered.
func (r *Reporter) Registered() bool { return r.registered.Load() }

// Wake makes the reporter look at once.
func (r *Reporter) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run registers the node and keeps its lease and status until ctx is done. Its requests
// are patient: a server that was cut off reports as soon as a master is there again.
func (r *Reporter) Run(ctx context.Context) {
	ctx = client.Patient(ctx)
	r.watch()
	var lease sync.WaitGroup
	defer lease.Wait()
	var last *corev1.Node // as the API has it; nil: not registered
	var reported time.Time
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	quick := quickDelay
	for ctx.Err() == nil {
		var err error
		if last == nil {
			if last, err = r.register(ctx); err == nil {
				reported = time.Time{}
				if !r.registered.Swap(true) {
					lease.Go(func() { r.renewLease(ctx) })
				}
				r.cfg.Log.Info("the node is registered", "node", r.cfg.NodeName)
			}
		}
		if err == nil {
			var written *corev1.Node
			base, there := r.current(last)
			if written, err = r.report(ctx, base, !there || time.Since(reported) >= fullReport); written != nil {
				base, reported = written, time.Now()
			}
			last = base
		}
		if apierrors.IsNotFound(err) {
			last = nil // deleted: register again
		}
		var wait <-chan time.Time
		switch {
		case err != nil:
			if ctx.Err() == nil {
				r.cfg.Log.Warn("the node's state is not reported yet", "error", err)
			}
			wait = time.After(retryDelay)
		case !isReady(last.Status):
			if quick < heartbeat { // else the tick is soon enough
				wait = time.After(quick)
				quick += quick / 2
			}
		default:
			quick = quickDelay
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-r.wake:
		case <-wait:
		}
	}
}

// report writes the node's status when it is another than the API has, or when full, and
// returns the node as it was written.
func (r *Reporter) report(ctx context.Context, have *corev1.Node, full bool) (*corev1.Node, error) {
	status := compute(have.Status, r.observe(ctx))
	if !full && sameStatus(have.Status, status) {
		return nil, nil
	}
	old, err := json.Marshal(corev1.Node{Status: have.Status})
	if err != nil {
		return nil, err
	}
	now, err := json.Marshal(corev1.Node{Status: status})
	if err != nil {
		return nil, err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(old, now, corev1.Node{})
	if err != nil {
		return nil, fmt.Errorf("compute the change of the node's status: %w", err)
	}
	node, err := r.cfg.API.CoreV1().Nodes().Patch(ctx, r.cfg.NodeName, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return nil, fmt.Errorf("write the status of node %s: %w", r.cfg.NodeName, err)
	}
	return node, nil
}

// watch wakes the reporter when the status of its Node changes, or the Node is deleted:
// a controller that took this server for dead has said so in the status, and nothing
// else would tell that it is wrong.
func (r *Reporter) watch() {
	own := func(n *corev1.Node) bool { return n.Name == r.cfg.NodeName }
	client.Watch(r.cfg.Nodes.Informer(), nil, func(old, now *corev1.Node) {
		if own(now) && !sameStatus(old.Status, now.Status) {
			r.Wake()
		}
	}, func(n *corev1.Node) {
		if own(n) {
			r.Wake()
		}
	})
}

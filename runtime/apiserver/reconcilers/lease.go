package reconcilers

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"
)

const (
	// ttl is how long the key of a master that died outlives it, in seconds.
	ttl = 10
	// resync is the time between two comparisons without an event.
	resync = 30 * time.Second
	// retry is the pause after a failure.
	retry = time.Second
)

// LeaseEndpoints is the reconciler of one master.
type LeaseEndpoints struct {
	etcd   *clientv3.Client
	prefix string
	self   netip.Addr
	port   int32
	kube   kubernetes.Interface
	log    *slog.Logger
}

// NewLeaseEndpoints returns the reconciler of the master at self, whose API is at port. Keys begin
// with prefix.
func NewLeaseEndpoints(etcd *clientv3.Client, prefix string, self netip.Addr, port int32, kube kubernetes.Interface, log *slog.Logger) *LeaseEndpoints {
	return &LeaseEndpoints{etcd, strings.TrimSuffix(prefix, "/") + "/", self, port, kube, log}
}

// Run keeps this master's key alive and reconciles the endpoints until ctx is done,
// then takes itself out of them. joined is closed once endpoints that hold this
// master have been written for the first time.
func (r *LeaseEndpoints) Run(ctx context.Context, joined chan<- struct{}) {
	alive := make(chan struct{})
	left := make(chan struct{})
	go func() { defer close(left); r.keepAlive(ctx, alive) }()
	select {
	case <-alive:
	case <-ctx.Done():
	}
	r.reconcileAll(ctx, joined)
	<-left
}

// keepAlive keeps this master's key alive, and makes it again when it was lost.
func (r *LeaseEndpoints) keepAlive(ctx context.Context, first chan<- struct{}) {
	for ctx.Err() == nil {
		lease, err := r.etcd.Grant(ctx, ttl)
		if err == nil {
			_, err = r.etcd.Put(ctx, r.prefix+r.self.String(), "", clientv3.WithLease(lease.ID))
		}
		var renewed <-chan *clientv3.LeaseKeepAliveResponse
		if err == nil {
			renewed, err = r.etcd.KeepAlive(ctx, lease.ID)
		}
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("cannot write this master's key; trying again", "error", err)
				wait(ctx, retry)
			}
			continue
		}
		if first != nil {
			close(first)
			first = nil
		}
		for range renewed {
		}
		if ctx.Err() != nil {
			r.removeSelf(lease.ID)
		}
	}
}

// removeSelf removes this master at once, rather than when its key expires.
func (r *LeaseEndpoints) removeSelf(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := r.etcd.Revoke(ctx, lease); err != nil {
		r.log.Warn("cannot remove this master's key; it expires", "error", err)
	}
	if err := r.reconcile(ctx); err != nil {
		r.log.Warn("cannot take this master out of the endpoints; the others will", "error", err)
	}
}

func (r *LeaseEndpoints) reconcileAll(ctx context.Context, joined chan<- struct{}) {
	for ctx.Err() == nil {
		changes := r.etcd.Watch(clientv3.WithRequireLeader(ctx), r.prefix, clientv3.WithPrefix())
		for {
			if err := r.reconcile(ctx); err != nil {
				if ctx.Err() == nil {
					r.log.Warn("cannot write the endpoints of the masters; trying again", "error", err)
				}
				wait(ctx, retry)
				break
			}
			if joined != nil {
				close(joined)
				joined = nil
			}
			select {
			case <-ctx.Done():
				return
			case resp, ok := <-changes:
				if !ok || resp.Err() != nil {
					wait(ctx, retry)
					changes = r.etcd.Watch(clientv3.WithRequireLeader(ctx), r.prefix, clientv3.WithPrefix())
				}
			case <-time.After(resync):
			}
		}
	}
}

// live returns the masters whose keys exist, sorted.
func (r *LeaseEndpoints) live(ctx context.Context) ([]netip.Addr, error) {
	resp, err := r.etcd.Get(ctx, r.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("list the keys of masters: %w", err)
	}
	var out []netip.Addr
	for _, kv := range resp.Kvs {
		if addr, err := netip.ParseAddr(strings.TrimPrefix(string(kv.Key), r.prefix)); err == nil {
			out = append(out, addr)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return out, nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

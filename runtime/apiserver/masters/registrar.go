package masters

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

// Registrar announces one master and publishes all.
type Registrar struct {
	etcd   *clientv3.Client
	prefix string
	self   netip.Addr
	port   int32
	kube   kubernetes.Interface
	log    *slog.Logger
}

// New returns a registrar of the master at self, whose API is at port. Keys begin
// with prefix.
func New(etcd *clientv3.Client, prefix string, self netip.Addr, port int32, kube kubernetes.Interface, log *slog.Logger) *Registrar {
	return &Registrar{etcd, strings.TrimSuffix(prefix, "/") + "/", self, port, kube, log}
}

// Run announces this master and publishes the list until ctx is done, then takes
// itself out of it. joined is closed once the first list that holds this master
// has been written.
func (r *Registrar) Run(ctx context.Context, joined chan<- struct{}) {
	announced := make(chan struct{})
	left := make(chan struct{})
	go func() { defer close(left); r.announce(ctx, announced) }()
	select {
	case <-announced:
	case <-ctx.Done():
	}
	r.publishAll(ctx, joined)
	<-left
}

// announce keeps this master's key alive, and makes it again when it was lost.
func (r *Registrar) announce(ctx context.Context, first chan<- struct{}) {
	for ctx.Err() == nil {
		lease, err := r.etcd.Grant(ctx, ttl)
		if err == nil {
			_, err = r.etcd.Put(ctx, r.prefix+r.self.String(), "", clientv3.WithLease(lease.ID))
		}
		var alive <-chan *clientv3.LeaseKeepAliveResponse
		if err == nil {
			alive, err = r.etcd.KeepAlive(ctx, lease.ID)
		}
		if err != nil {
			if ctx.Err() == nil {
				r.log.Warn("cannot announce this master; trying again", "error", err)
				wait(ctx, retry)
			}
			continue
		}
		if first != nil {
			close(first)
			first = nil
		}
		for range alive {
		}
		if ctx.Err() != nil {
			r.leave(lease.ID)
		}
	}
}

// leave removes this master at once, rather than when its key expires.
func (r *Registrar) leave(lease clientv3.LeaseID) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := r.etcd.Revoke(ctx, lease); err != nil {
		r.log.Warn("cannot take this master off the list; it leaves when its key expires", "error", err)
	}
	if err := r.publish(ctx); err != nil {
		r.log.Warn("cannot publish the list without this master; the others will", "error", err)
	}
}

func (r *Registrar) publishAll(ctx context.Context, joined chan<- struct{}) {
	for ctx.Err() == nil {
		changes := r.etcd.Watch(clientv3.WithRequireLeader(ctx), r.prefix, clientv3.WithPrefix())
		for {
			if err := r.publish(ctx); err != nil {
				if ctx.Err() == nil {
					r.log.Warn("cannot publish the list of masters; trying again", "error", err)
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
func (r *Registrar) live(ctx context.Context) ([]netip.Addr, error) {
	resp, err := r.etcd.Get(ctx, r.prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, fmt.Errorf("list masters: %w", err)
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

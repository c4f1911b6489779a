package client

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/gantry-run/gantry/runtime/config"
)

// ErrLostLease is returned by [Lead] when another master took over: the process
// must end, since its caches may have acted on a lease it no longer held.
var ErrLostLease = errors.New("the leader lease was lost")

// Lead waits to hold the Lease kube-system/<name>, then runs work until ctx is
// done (nil) or the lease is lost (ErrLostLease). The lease is given back on the
// way out, so that another master need not wait for it to expire.
func Lead(ctx context.Context, c *Client, name string, le config.LeaderElection, work func(context.Context)) error {
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, metav1.NamespaceSystem, name,
		c.CoreV1(), c.CoordinationV1(), resourcelock.ResourceLockConfig{Identity: le.Identity})
	if err != nil {
		return err
	}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: name, Lock: lock, ReleaseOnCancel: true,
		LeaseDuration: le.LeaseDuration.Duration, RenewDeadline: le.RenewDeadline.Duration, RetryPeriod: le.RetryPeriod.Duration,
		Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: work, OnStoppedLeading: func() {}},
	})
	if err != nil {
		return err
	}
	elector.Run(ctx)
	if ctx.Err() == nil {
		return ErrLostLease
	}
	return nil
}

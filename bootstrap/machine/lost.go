package machine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/runtime/config"
)

// LostStep is the step that waits for the cluster to miss a host.
const LostStep = "see whether the node is gone"

// lostTimeout is how long the cluster may take to see that a node is gone: the
// grace period of its node controller, and then some.
const lostTimeout = time.Minute

// Lost is nil when the host is gone for good, as far as can be told: we do not
// reach it, and neither does the cluster, which is the second witness. Otherwise
// it says why that cannot be told.
func (l Lifecycle) Lost(ctx context.Context, m *fleet.Member, api kubernetes.Interface) error {
	if m.Host != nil {
		return fmt.Errorf("%s can be reached", m.Title())
	}
	var why error
	return l.Wait(m, LostStep, func() error {
		ctx, cancel := context.WithTimeout(ctx, min(lostTimeout, l.NodeTimeout))
		defer cancel()
		for {
			gone, err := drain.Gone(ctx, api, m.Spec.Name)
			if gone {
				return nil
			}
			if err != nil {
				why = err
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("%s cannot be reached from here, but its kubelet still reports to the cluster: it is not gone, and so it is not taken out undrained", m.Title()), why, m.Status.Err)
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
}

// DeadTo reports whether none of the masters that we reach finds any sign of life of
// one that we do not: a second witness that need not wait for the node's lease to
// end. A refused connection is a sign of life, and a master that may not look is no
// witness.
func DeadTo(ctx context.Context, masters *fleet.Fleet, m *fleet.Member) bool {
	var mu sync.Mutex
	witnesses, alive := 0, false
	masters.Parallel(ctx, masters.Order, func(ctx context.Context, witness *fleet.Member) {
		if witness.Host == nil || witness.Spec.Address == m.Spec.Address {
			return
		}
		looking, cancel := context.WithTimeout(ctx, access.DialTimeout)
		defer cancel()
		sign := false
		for _, err := range access.TryAll(looking, witness.Host, m.Spec.IP(), cmp.Or(m.Spec.SSH.Port, 22), config.APIServerPort, config.EtcdPeerPort, config.KubeletPort) {
			sign = sign || err == nil || access.Refused(err) || access.MayNotForward(err)
		}
		if _, err := witness.Host.Stat(ctx, install.IdentityFile); err != nil {
			return // it is lost itself
		}
		mu.Lock()
		defer mu.Unlock()
		witnesses++
		alive = alive || sign
	})
	return witnesses > 0 && !alive
}

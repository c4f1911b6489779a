package machine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// Cluster is what preflight asks besides the hosts' own facts; the zero one is no
// cluster yet.
type Cluster struct {
	// Masters are those that the hosts have to reach: such as serve already.
	Masters []spec.Host
	// Witnesses are those of them that are logged in to, and are asked the reverse.
	Witnesses []*fleet.Member
	// Nodes returns the cluster's Nodes that are Ready; it is called only when a host
	// is new, and may be nil.
	Nodes func(ctx context.Context) []corev1.Node
	// Leaving are hosts that go before others come: a server may be one of them now, and
	// another afterwards.
	Leaving []spec.Host
}

// reaches has a new host try the masters. A worker gets by with one of them, a master
// needs them all, with their etcd, and they need it.
func reaches(ctx context.Context, m *fleet.Member, n spec.Node, c Cluster) (out preflight.Reach) {
	if !n.Master {
		out.Unreached = tryPorts(ctx, m.Host, c.Masters, access.HeadStart, config.APIServerPort)
		out.None = len(c.Masters) > 0 && len(out.Unreached) == len(c.Masters)
		return out
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		out.Unreached = tryPorts(ctx, m.Host, c.Masters, access.DialTimeout, config.APIServerPort, config.EtcdPeerPort)
	})
	var mu sync.Mutex
	for _, w := range c.Witnesses {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, access.DialTimeout)
			defer cancel()
			err := access.Try(ctx, w.Host, n.Host.IP(), config.EtcdPeerPort)
			// Nothing listens there yet: a refusal shows that the way is open.
			if err == nil || access.Refused(err) || access.MayNotForward(err) || errors.Is(err, host.ErrUnreachable) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			out.Unreaching = append(out.Unreaching, fmt.Sprintf("master %s: %v", w.Spec.Name, err))
		})
	}
	wg.Wait()
	slices.Sort(out.Unreaching)
	return out
}

// tryPorts has a host try ports of masters, all at once, and returns those that it
// does not reach, and why. Once one is reached, the others have so long.
func tryPorts(ctx context.Context, h host.Host, masters []spec.Host, others time.Duration, ports ...int) []string {
	ctx, cancel := context.WithTimeout(ctx, access.DialTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	var out []string
	for _, m := range masters {
		for _, p := range ports {
			wg.Go(func() {
				err := access.Try(ctx, h, m.IP(), p)
				if err == nil || access.MayNotForward(err) {
					time.AfterFunc(others, cancel)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				out = append(out, fmt.Sprintf("master %s: %v", m.Name, err))
			})
		}
	}
	wg.Wait()
	slices.Sort(out)
	return out
}

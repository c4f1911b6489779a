package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/runtime/config"
)

// takenOver reports whether the Node that has the name of a leaving host is another
// host's: of the one that the name was moved to, by a run that was cut before
// anybody kept that it had left the old one. Such a Node is none of its business.
func takenOver(ctx context.Context, api kubernetes.Interface, m *member) (bool, error) {
	n, err := api.CoreV1().Nodes().Get(ctx, m.spec.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: see whose node %s is: %w", m.title(), m.spec.Name, err)
	}
	return ofAnother(n, m), nil
}

// ofAnother reports whether the Node is that of another host, as far as can be told.
func ofAnother(n *corev1.Node, m *member) bool {
	_, told := n.Annotations[hostAnnotation]
	elsewhere := told && declared(n).Address != m.spec.Address
	switch ip := internalIP(n); {
	case told && !elsewhere:
		return false
	case ip != "" && ip != m.spec.IP():
		return true
	}
	// Declared elsewhere, with the same address in the cluster: it is the same server
	// by another way, or one that has taken over both. A server that answers may be the
	// former, and then its pods are on it; of one that does not, nothing is left here.
	return elsewhere && m.host == nil
}

// lostTimeout is how long the cluster may take to see that a node is gone: the
// grace period of its node controller, and then some.
const lostTimeout = time.Minute

// lost is nil when the host is gone for good, as far as can be told: we do not
// reach it, and neither does the cluster, which is the second witness. Otherwise
// it says why that cannot be told.
func (e *Engine) lost(ctx context.Context, m *member, api kubernetes.Interface) error {
	if m.host != nil {
		return fmt.Errorf("%s can be reached", m.title())
	}
	var why error
	err := e.timed(m, "see whether the node is gone", func() error {
		ctx, cancel := context.WithTimeout(ctx, min(lostTimeout, e.NodeTimeout))
		defer cancel()
		for {
			gone, err := drain.Gone(ctx, api, m.spec.Name)
			if gone {
				return nil
			}
			if err != nil {
				why = err
			}
			select {
			case <-ctx.Done():
				return errors.Join(fmt.Errorf("%s cannot be reached from here, but its kubelet still reports to the cluster: it is not gone, and so it is not taken out undrained", m.title()), why, m.status.Err)
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	return err
}

// deadToMasters reports whether none of the masters that we reach finds any sign of
// life of one that we do not: a second witness that need not wait for the node's
// lease to end. A refused connection is a sign of life, and a master that may not
// look is no witness.
func (e *Engine) deadToMasters(ctx context.Context, f *fleet, m *member) bool {
	var mu sync.Mutex
	witnesses, alive := 0, false
	f.parallel(ctx, f.order, func(ctx context.Context, witness *member) {
		if witness.host == nil || witness.spec.Address == m.spec.Address {
			return
		}
		looking, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		sign := false
		for _, err := range dialAll(looking, witness.host, m.spec.IP(), cmp.Or(m.spec.SSH.Port, 22), config.APIServerPort, config.EtcdPeerPort, config.KubeletPort) {
			sign = sign || err == nil || strings.Contains(err.Error(), "refused") || mayNotLook(err)
		}
		if _, err := witness.host.Stat(ctx, install.IdentityFile); err != nil {
			return // it is lost itself
		}
		mu.Lock()
		defer mu.Unlock()
		witnesses++
		alive = alive || sign
	})
	return witnesses > 0 && !alive
}

// dialAll has a host try ports of another at the same time.
func dialAll(ctx context.Context, h host.Host, ip string, ports ...int) []error {
	errs := make([]error, len(ports))
	var wg sync.WaitGroup
	for i, p := range ports {
		wg.Go(func() {
			conn, err := dialWithin(ctx, h, net.JoinHostPort(ip, strconv.Itoa(p)))
			if errs[i] = err; err == nil {
				conn.Close() //nolint:errcheck // nothing was sent
			}
		})
	}
	wg.Wait()
	return errs
}

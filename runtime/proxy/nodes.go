package proxy

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/runtime/client"
)

// firstAnswer bounds the wait for the nodes' addresses: until they are known, no
// external IP is served.
const firstAnswer = 10 * time.Second

// nodeAddresses knows the addresses of all nodes. It follows them from the first
// question on: only clusters with external IPs have a reason to.
type nodeAddresses struct {
	start func()

	mu    sync.Mutex
	count map[netip.Addr]int
	known bool
}

// newNodeAddresses returns one that calls changed when an address came or went.
func newNodeAddresses(ctx context.Context, api kubernetes.Interface, changed func()) *nodeAddresses {
	n := &nodeAddresses{count: map[netip.Addr]int{}}
	n.start = sync.OnceFunc(func() {
		factory := client.Informers(api, informers.WithTransform(trimNode))
		tell := func(different bool) {
			if different {
				changed()
			}
		}
		synced := client.Watch(factory.Core().V1().Nodes().Informer(),
			func(o *corev1.Node) { tell(n.move(nil, o)) },
			func(old, now *corev1.Node) { tell(n.move(old, now)) },
			func(o *corev1.Node) { tell(n.move(o, nil)) })
		factory.Start(ctx.Done())
		wait := func(ctx context.Context) {
			if client.WaitForSync(ctx, synced) == nil {
				n.mu.Lock()
				n.known = true
				n.mu.Unlock()
				changed()
			}
		}
		bounded, cancel := context.WithTimeout(ctx, firstAnswer)
		defer cancel()
		if wait(bounded); bounded.Err() != nil {
			go wait(ctx)
		}
	})
	return n
}

// contains reports whether an address is a node's. As long as nodes are not known,
// every address may be one.
func (n *nodeAddresses) contains(ip netip.Addr) bool {
	n.start()
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.known || n.count[ip] > 0
}

func (n *nodeAddresses) move(old, now *corev1.Node) (different bool) {
	was, is := nodeIPs(old), nodeIPs(now)
	if slices.Equal(was, is) {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ip := range is {
		n.count[ip]++
	}
	for _, ip := range was {
		if n.count[ip]--; n.count[ip] == 0 {
			delete(n.count, ip)
		}
	}
	return n.known
}

func nodeIPs(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	if n == nil {
		return nil
	}
	for _, a := range n.Status.Addresses {
		if ip, err := netip.ParseAddr(a.Address); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

// trimNode drops all but a node's addresses.
func trimNode(obj any) (any, error) {
	if n, ok := obj.(*corev1.Node); ok {
		n.ManagedFields, n.Annotations, n.Labels, n.Spec = nil, nil, nil, corev1.NodeSpec{}
		n.Status = corev1.NodeStatus{Addresses: n.Status.Addresses}
	}
	return obj, nil
}

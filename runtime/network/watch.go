package network

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// settle is how long events are collected before the host is looked at: whoever
// removes one route removes more, and one that keeps on doing so costs five looks
// a second.
const settle = 200 * time.Millisecond

// watchHost calls changed when somebody else has removed a route of ours, or a
// link of the host's has changed: systemd-networkd removes what it does not know
// when it starts, which each upgrade of systemd makes it do, and the kernel tells
// nobody of the routes that go down with a link.
func (n *Network) watchHost(ctx context.Context, changed func()) {
	for ctx.Err() == nil {
		if err := n.followHost(ctx, changed); err != nil {
			n.log.Warn("changes of the host's network are noticed late", "error", err)
		}
		changed() // what went unseen
		pause(ctx, time.Second)
	}
}

// followHost does it until the kernel ends the subscription, as it does when events
// come faster than they are read.
func (n *Network) followHost(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	routes, links := make(chan netlink.RouteUpdate, 64), make(chan netlink.LinkUpdate, 64)
	if err := netlink.RouteSubscribe(routes, ctx.Done()); err != nil {
		return fmt.Errorf("watch the host's routes: %w", err)
	}
	defer drain(routes)
	if err := netlink.LinkSubscribe(links, ctx.Done()); err != nil {
		cancel()
		return fmt.Errorf("watch the host's links: %w", err)
	}
	defer drain(links)
	defer cancel() // before they are drained: both end with it
	follow(ctx, routes, links, changed)
	return nil
}

// follow calls changed when events that concern us have settled, until there are no
// more.
func follow(ctx context.Context, routes <-chan netlink.RouteUpdate, links <-chan netlink.LinkUpdate, changed func()) {
	for {
		select {
		case u, ok := <-routes:
			if !ok {
				return
			}
			if !concerns(u) {
				continue
			}
		case u, ok := <-links:
			if !ok {
				return
			}
			if strings.HasPrefix(u.Attrs().Name, config.LinkPrefix) {
				continue
			}
		}
		pause(ctx, settle)
		changed()
	}
}

// concerns tells whether a route of ours has gone, other than that of one pod: it
// goes with its pod.
func concerns(u netlink.RouteUpdate) bool {
	return u.Type == unix.RTM_DELROUTE && u.Protocol == routeProtocol && u.Dst != nil && !single32(u.Dst)
}

func single32(to *net.IPNet) bool {
	ones, bits := to.Mask.Size()
	return ones == 32 && bits == 32
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// drain lets a subscription's sender come to its end.
func drain[T any](updates <-chan T) {
	for range updates {
	}
}

package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/nftables"
	nlsocket "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// The table of NetworkPolicies goes with a boot, and pods come back before the proxy knows
// what the policies are. Until the table stands no pod is attached: it would be open to
// all. The table outlives the proxy, and one that stands lets no pod's packets pass that
// it does not know: so it is looked for once, and never again.

const (
	// policyPatience bounds how long one pod waits for the table before that is told.
	policyPatience = 5 * time.Second
	// policyRetry is the pause after the kernel could not be asked.
	policyRetry = time.Second
)

var errNoPolicies = errors.New("the NetworkPolicies are not in force on this node yet: gantry-proxy has not written their table since the server booted (journalctl -u gantry-proxy tells why)")

// followPolicies notes that the table stands, as soon as it does.
func (n *Network) followPolicies(ctx context.Context) {
	for {
		err := awaitPolicyTable(ctx)
		if err == nil {
			close(n.policies)
			return
		}
		if ctx.Err() != nil {
			return
		}
		n.log.Error("cannot see whether the NetworkPolicies are in force", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(policyRetry):
		}
	}
}

// awaitPolicies waits until pods may be attached, but not for long.
func (n *Network) awaitPolicies(ctx context.Context) error {
	select {
	case <-n.policies:
		return nil
	default:
	}
	patience := time.NewTimer(policyPatience)
	defer patience.Stop()
	select {
	case <-n.policies:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-patience.C:
		return errNoPolicies
	}
}

// awaitPolicyTable returns nil once the kernel has the table. It listens before it looks,
// so that what comes between the two is not missed.
func awaitPolicyTable(ctx context.Context) error {
	events, err := nlsocket.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return fmt.Errorf("listen to nftables: %w", err)
	}
	defer events.Close()
	if err := events.JoinGroup(unix.NFNLGRP_NFTABLES); err != nil {
		return fmt.Errorf("listen to nftables: %w", err)
	}
	stop := context.AfterFunc(ctx, func() {
		events.SetReadDeadline(time.Unix(1, 0)) //nolint:errcheck // what is read next fails then too
	})
	defer stop()
	for {
		stands, err := hasTable(config.PolicyTable)
		if err != nil || stands {
			return err
		}
		// More events than fit are as good as one.
		_, err = events.Receive()
		if err := unless(err, unix.ENOBUFS); err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("listen to nftables: %w", err))
		}
	}
}

func hasTable(name string) (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, fmt.Errorf("open nftables: %w", err)
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, fmt.Errorf("list the nftables tables: %w", err)
	}
	for _, t := range tables {
		if t.Name == name {
			return true, nil
		}
	}
	return false, nil
}

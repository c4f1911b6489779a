package proxy

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// elementsPerMessage keeps a netlink message below the 64 KiB of its length
	// attribute.
	elementsPerMessage = 400
	// socketBuffer holds the answers to a transaction of 10,000 services.
	socketBuffer = 64 << 20
	// affinitySize bounds the clients that are remembered.
	affinitySize = 1 << 18
	// masqueradeMark is set on packets whose source must become the node's.
	masqueradeMark = 0x4000
)

// Table is the node's nftables table: a few maps carry all services, and a chain
// exists per number of endpoints (and of those on this node with their share, and affinity
// time), not per service.
//
//	services:  (ip, protocol, port) → goto chain n<count> (m<count> masquerades)
//	endpoints: (ip, protocol, port, random mod count) → (ip, port)
//	sticky:    (ip, protocol, port, ip, port) of frontends with affinity and their
//	           endpoints: a remembered endpoint that is gone is not in it
//	inside-services, inside-endpoints, inside-sticky: the same for connections from
//	           pods and from the node, where they meet other endpoints
//	inside:    (ip, protocol, port) of those frontends
//	refused:   (ip, protocol, port) → reject or drop
//	sources:   (ip, protocol, port) → jump chain from-<ranges>, which drops what comes
//	           from outside of the ranges
//	affinity:  (client, ip, protocol, port) → (ip, port), for Services with session
//	           affinity; the kernel adds entries, and drops them after their time
//	hairpin:   (ip, ip) of endpoints that reach themselves through a Service
type Table struct {
	conn *nftables.Conn
	pods netip.Prefix // whose connections are from inside

	table                    *nftables.Table
	outer, inner             plane
	inside, refused, sources *nftables.Set
	hairpin, affinity        *nftables.Set
	// chains counts the elements that lead to a chain beside the hooks'.
	chains map[string]int
	// loops counts the frontends behind which an address stands as endpoint.
	loops map[netip.Addr]int
}

// plane is one way from frontends to endpoints.
type plane struct {
	prefix                      string // of names
	services, endpoints, sticky *nftables.Set
}

// sets is how many the table has.
const sets = 11

// OpenTable opens the netlink socket. Nothing is changed until Replace.
func OpenTable(pods netip.Prefix) (*Table, error) {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		if err := c.SetWriteBuffer(socketBuffer); err != nil {
			return err
		}
		return c.SetReadBuffer(socketBuffer)
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return &Table{conn: conn, pods: pods.Masked()}, nil
}

// Close closes the socket; the rules stay in force.
func (t *Table) Close() error { return t.conn.CloseLasting() }

// Exists says whether the kernel still has the table as we left it.
func (t *Table) Exists() (bool, error) {
	have, err := t.conn.GetSets(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: config.ProxyTable})
	if err != nil {
		return false, nil //nolint:nilerr // the kernel answers "no such file" for a missing table
	}
	return len(have) >= sets, nil
}

// Replace swaps the whole table for one with these rules, in one transaction:
// there is no moment without rules.
func (t *Table) Replace(rules Rules) error {
	t.table = &nftables.Table{Family: nftables.TableFamilyIPv4, Name: config.ProxyTable}
	t.chains, t.loops = map[string]int{}, map[netip.Addr]int{}
	t.conn.AddTable(t.table) // so that deleting it cannot fail
	t.conn.DelTable(t.table)
	t.conn.AddTable(t.table)
	if err := t.addSets(); err != nil {
		return err
	}
	t.addHooks()
	if err := t.change(Change{Set: rules}, nil); err != nil {
		return err
	}
	return t.flush("replace the whole table")
}

// Apply makes one change in one transaction. have is what the table has now for
// the frontends in c.Set. After an error the table is in doubt, and must be replaced.
func (t *Table) Apply(c Change, have Rules) error {
	if err := t.change(c, have); err != nil {
		return err
	}
	return t.flush(fmt.Sprintf("set %d and remove %d frontends", len(c.Set), len(c.Remove)))
}

func (t *Table) flush(what string) error {
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("nftables table %s: %s: %w", config.ProxyTable, what, err)
	}
	return nil
}

// recount changes counts, and returns the addresses that are counted now and were not, and
// those that are not any more. One that is taken off and added again is neither.
func recount(counts map[netip.Addr]int, changes ...map[netip.Addr]int) (came, went []netip.Addr) {
	sum := map[netip.Addr]int{}
	for _, change := range changes {
		for ip, n := range change {
			sum[ip] += n
		}
	}
	for ip, n := range sum {
		had := counts[ip] > 0
		counts[ip] += n
		switch has := counts[ip] > 0; {
		case has && !had:
			came = append(came, ip)
		case had && !has:
			went = append(went, ip)
		}
		if counts[ip] == 0 {
			delete(counts, ip)
		}
	}
	return came, went
}

// change queues the elements of a change. Removal comes first, so that an
// element can be replaced within the transaction, and chains that nothing leads to
// any more go last.
func (t *Table) change(c Change, have Rules) error {
	remove, add := newElements(t), newElements(t)
	for f, b := range c.Remove {
		remove.frontend(f, b, -1)
	}
	for f, b := range c.Set {
		if old, ok := have[f]; ok {
			remove.frontend(f, old, -1)
		}
		add.frontend(f, b, +1)
	}
	came, went := recount(t.loops, remove.loops, add.loops)
	for _, ip := range came {
		add.sets[t.hairpin] = append(add.sets[t.hairpin], hairpinElement(ip))
	}
	for _, ip := range went {
		remove.sets[t.hairpin] = append(remove.sets[t.hairpin], hairpinElement(ip))
	}
	if err := remove.queue(t.conn.SetDeleteElements); err != nil {
		return err
	}
	if err := add.queue(t.conn.SetAddElements); err != nil {
		return err
	}
	t.removeChains()
	return nil
}

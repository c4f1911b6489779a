package netpol

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"

	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// elementsPerMessage keeps a netlink message below the 64 KiB of its length
	// attribute.
	elementsPerMessage = 400
	// socketBuffer holds the answers to a transaction of ten thousand pods.
	socketBuffer = 64 << 20
)

// Table is the node's nftables table of policies. It sees what the node forwards, to and
// from its pods: what the node itself sends to them and gets from them is never
// restricted.
//
// Without policies it is empty, and says that there are none: a server that has booted
// has no table until that is known.
//
//	links:           links of pods that are known; no other pod's passes anything
//	same:            (link, link) of those, where a packet leaves by the one it came by
//	ingress, egress: link → goto the chain of the policies that select its pod
type Table struct {
	conn            connection
	table           *nftables.Table
	links, same     *nftables.Set
	ingress, egress *nftables.Set
	// sets are those of pods' addresses and ports.
	sets map[string]*nftables.Set
}

// connection queues changes of nftables until Flush, which makes all of them or none. The
// kernel's is an [nftables.Conn].
type connection interface {
	AddTable(*nftables.Table) *nftables.Table
	DelTable(*nftables.Table)
	AddChain(*nftables.Chain) *nftables.Chain
	DelChain(*nftables.Chain)
	AddRule(*nftables.Rule) *nftables.Rule
	AddSet(*nftables.Set, []nftables.SetElement) error
	DelSet(*nftables.Set)
	SetAddElements(*nftables.Set, []nftables.SetElement) error
	SetDeleteElements(*nftables.Set, []nftables.SetElement) error
	ListChainsOfTableFamily(nftables.TableFamily) ([]*nftables.Chain, error)
	Flush() error
	CloseLasting() error
}

// OpenTable opens the netlink socket. Nothing is changed until Replace.
func OpenTable() (*Table, error) {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		if err := c.SetWriteBuffer(socketBuffer); err != nil {
			return err
		}
		return c.SetReadBuffer(socketBuffer)
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	return &Table{conn: conn, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: config.PolicyTable}}, nil
}

// Close closes the socket; the rules stay in force.
func (t *Table) Close() error { return t.conn.CloseLasting() }

// Exists says whether the kernel still has the table.
func (t *Table) Exists() (bool, error) {
	chains, err := t.conn.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return false, fmt.Errorf("list the nftables chains: %w", err)
	}
	for _, c := range chains {
		if c.Table.Name == config.PolicyTable && c.Name == Egress.String() {
			return true, nil
		}
	}
	return false, nil
}

// Clear swaps the table for one without rules, which no packet passes through.
func (t *Table) Clear() error {
	t.conn.AddTable(t.table) // so that deleting it cannot fail
	t.conn.DelTable(t.table)
	t.conn.AddTable(t.table)
	for _, d := range []Direction{Egress, Ingress} {
		t.conn.AddChain(&nftables.Chain{Name: d.String(), Table: t.table})
	}
	return t.flush("clear it")
}

// Replace swaps the whole table for one with these rules, in one transaction: there is
// no moment without rules.
func (t *Table) Replace(r Ruleset) error {
	t.conn.AddTable(t.table)
	t.conn.DelTable(t.table)
	t.conn.AddTable(t.table)
	t.sets = map[string]*nftables.Set{}
	t.links = &nftables.Set{Table: t.table, Name: "links", KeyType: nftables.TypeIFName}
	t.same = &nftables.Set{Table: t.table, Name: "same", Concatenation: true, KeyType: nftables.MustConcatSetType(nftables.TypeIFName, nftables.TypeIFName)}
	t.ingress = &nftables.Set{Table: t.table, Name: "ingress", IsMap: true, KeyType: nftables.TypeIFName, DataType: nftables.TypeVerdict}
	t.egress = &nftables.Set{Table: t.table, Name: "egress", IsMap: true, KeyType: nftables.TypeIFName, DataType: nftables.TypeVerdict}
	for _, s := range []*nftables.Set{t.links, t.same, t.ingress, t.egress} {
		if err := t.conn.AddSet(s, nil); err != nil {
			return fmt.Errorf("nftables set %s: %w", s.Name, err)
		}
	}
	t.addHooks()
	if err := t.change(r.Whole()); err != nil {
		return err
	}
	return t.flush("replace the whole table")
}

// Apply makes one change in one transaction. After an error the table is in doubt, and
// must be replaced.
func (t *Table) Apply(c Change) error {
	if err := t.change(c); err != nil {
		return err
	}
	return t.flush("change the rules")
}

func (t *Table) flush(what string) error {
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("nftables table %s: %s: %w", config.PolicyTable, what, err)
	}
	return nil
}

// change queues a change: what is new before what leads to it, what is old after what
// led to it.
func (t *Table) change(c Change) error {
	for _, s := range c.NewSets {
		set := &nftables.Set{Table: t.table, Name: s.Name, KeyType: nftables.TypeIPAddr}
		if s.Ports {
			set.Concatenation = true
			set.KeyType = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
		}
		t.sets[s.Name] = set
		if err := t.conn.AddSet(set, nil); err != nil {
			return fmt.Errorf("nftables set %s: %w", s.Name, err)
		}
	}
	q := queue{table: t}
	for name, ips := range c.DropAddresses {
		q.del(t.sets[name], addressElements(ips))
	}
	for name, ports := range c.DropPorts {
		q.del(t.sets[name], portElements(ports))
	}
	for name, ips := range c.AddAddresses {
		q.add(t.sets[name], addressElements(ips))
	}
	for name, ports := range c.AddPorts {
		q.add(t.sets[name], portElements(ports))
	}
	for _, chain := range c.NewChains {
		t.addChain(chain)
	}
	links, same, ingress, egress := linkElements(c.DropLinks)
	q.del(t.ingress, ingress)
	q.del(t.egress, egress)
	q.del(t.same, same)
	q.del(t.links, links)
	links, same, ingress, egress = linkElements(c.SetLinks)
	q.add(t.ingress, ingress)
	q.add(t.egress, egress)
	q.add(t.same, same)
	q.add(t.links, links)
	if q.err != nil {
		return q.err
	}
	for _, chain := range c.OldChains {
		t.conn.DelChain(&nftables.Chain{Table: t.table, Name: chain.Name})
	}
	for _, s := range c.OldSets {
		t.conn.DelSet(t.sets[s.Name])
		delete(t.sets, s.Name)
	}
	return nil
}

package netpol

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/gantry-run/gantry/runtime/config"
)

// kernel is a model of nftables, with the node's table: it does what is queued at a Flush,
// refuses what the kernel refuses, and sends packets through the expressions of its rules
// as the kernel does.
type kernel struct {
	queue  []func() error
	there  bool
	chains map[string]*kernelChain
	sets   map[string]*kernelSet
	others []*nftables.Chain // of other tables
	// established: packets are of a connection that was let through.
	established bool
}

type kernelChain struct {
	*nftables.Chain
	rules [][]expr.Any
}

type kernelSet struct {
	*nftables.Set
	elements map[string]*expr.Verdict
}

func newKernelTable() (*kernel, *Table) {
	k := &kernel{chains: map[string]*kernelChain{}, sets: map[string]*kernelSet{}}
	return k, &Table{conn: k, table: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: config.PolicyTable}}
}

func (k *kernel) do(f func() error) { k.queue = append(k.queue, f) }

func (k *kernel) Flush() error {
	var errs []error
	for _, f := range k.queue {
		errs = append(errs, f())
	}
	k.queue = nil
	return errors.Join(errs...)
}

func (k *kernel) CloseLasting() error { return nil }

func (k *kernel) AddTable(t *nftables.Table) *nftables.Table {
	k.do(func() error { k.there = true; return nil })
	return t
}

func (k *kernel) DelTable(*nftables.Table) {
	k.do(func() error {
		if !k.there {
			return unix.ENOENT
		}
		k.there = false
		clear(k.chains)
		clear(k.sets)
		return nil
	})
}

func (k *kernel) AddChain(c *nftables.Chain) *nftables.Chain {
	k.do(func() error {
		if !k.there || k.chains[c.Name] != nil {
			return fmt.Errorf("chain %s: %w", c.Name, unix.EEXIST)
		}
		k.chains[c.Name] = &kernelChain{Chain: c}
		return nil
	})
	return c
}

func (k *kernel) DelChain(c *nftables.Chain) {
	k.do(func() error {
		if k.chains[c.Name] == nil {
			return fmt.Errorf("chain %s: %w", c.Name, unix.ENOENT)
		}
		delete(k.chains, c.Name)
		if k.uses(func(v *expr.Verdict) bool { return v.Chain == c.Name }, nil) {
			return fmt.Errorf("chain %s: %w", c.Name, unix.EBUSY)
		}
		return nil
	})
}

// uses reports whether a verdict or a look into a set is one of these.
func (k *kernel) uses(verdict func(*expr.Verdict) bool, lookup func(*expr.Lookup) bool) bool {
	for _, c := range k.chains {
		for _, e := range slices.Concat(c.rules...) {
			if v, ok := e.(*expr.Verdict); ok && verdict != nil && verdict(v) {
				return true
			}
			if l, ok := e.(*expr.Lookup); ok && lookup != nil && lookup(l) {
				return true
			}
		}
	}
	for _, s := range k.sets {
		for _, v := range s.elements {
			if v != nil && verdict != nil && verdict(v) {
				return true
			}
		}
	}
	return false
}

func (k *kernel) AddRule(r *nftables.Rule) *nftables.Rule {
	k.do(func() error {
		for _, e := range r.Exprs {
			switch e := e.(type) {
			case *expr.Verdict:
				if e.Chain != "" && k.chains[e.Chain] == nil {
					return fmt.Errorf("rule of %s: chain %s: %w", r.Chain.Name, e.Chain, unix.ENOENT)
				}
			case *expr.Lookup:
				if s := k.sets[e.SetName]; s == nil || s.IsMap != e.IsDestRegSet {
					return fmt.Errorf("rule of %s: set %s: %w", r.Chain.Name, e.SetName, unix.ENOENT)
				}
			}
		}
		c := k.chains[r.Chain.Name]
		c.rules = append(c.rules, r.Exprs)
		return nil
	})
	return r
}

func (k *kernel) AddSet(s *nftables.Set, _ []nftables.SetElement) error {
	if s.Concatenation != strings.Contains(s.KeyType.Name, " . ") || s.IsMap != (s.DataType.Name != "") {
		return unix.EINVAL
	}
	k.do(func() error {
		if k.sets[s.Name] != nil {
			return fmt.Errorf("set %s: %w", s.Name, unix.EEXIST)
		}
		k.sets[s.Name] = &kernelSet{Set: s, elements: map[string]*expr.Verdict{}}
		return nil
	})
	return nil
}

func (k *kernel) DelSet(s *nftables.Set) {
	k.do(func() error {
		if k.sets[s.Name] == nil {
			return fmt.Errorf("set %s: %w", s.Name, unix.ENOENT)
		}
		delete(k.sets, s.Name)
		if k.uses(nil, func(l *expr.Lookup) bool { return l.SetName == s.Name }) {
			return fmt.Errorf("set %s: %w", s.Name, unix.EBUSY)
		}
		return nil
	})
}

func (k *kernel) SetAddElements(s *nftables.Set, els []nftables.SetElement) error {
	k.do(func() error {
		set := k.sets[s.Name]
		for _, e := range els {
			switch _, there := set.elements[string(e.Key)]; {
			case there:
				return fmt.Errorf("set %s, element %x: %w", s.Name, e.Key, unix.EEXIST)
			case len(e.Key) != int(set.KeyType.Bytes), set.IsMap != (e.VerdictData != nil):
				return fmt.Errorf("set %s, element %x: %w", s.Name, e.Key, unix.EINVAL)
			case e.VerdictData != nil && k.chains[e.VerdictData.Chain] == nil:
				return fmt.Errorf("set %s, element %x, chain %s: %w", s.Name, e.Key, e.VerdictData.Chain, unix.ENOENT)
			}
			set.elements[string(e.Key)] = e.VerdictData
		}
		return nil
	})
	return nil
}

func (k *kernel) SetDeleteElements(s *nftables.Set, els []nftables.SetElement) error {
	k.do(func() error {
		for _, e := range els {
			if _, there := k.sets[s.Name].elements[string(e.Key)]; !there {
				return fmt.Errorf("set %s, element %x: %w", s.Name, e.Key, unix.ENOENT)
			}
			delete(k.sets[s.Name].elements, string(e.Key))
		}
		return nil
	})
	return nil
}

func (k *kernel) ListChainsOfTableFamily(nftables.TableFamily) ([]*nftables.Chain, error) {
	out := slices.Clone(k.others)
	for _, c := range k.chains {
		out = append(out, c.Chain)
	}
	return out, nil
}

func (k *kernel) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(k.chains)) {
		fmt.Fprintf(&b, "chain %s\n", name)
		for _, rule := range k.chains[name].rules {
			for _, e := range rule {
				fmt.Fprintf(&b, "  %T%+v", e, e)
			}
			b.WriteString("\n")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(k.sets)) {
		fmt.Fprintf(&b, "set %s\n", name)
		for key, v := range k.sets[name].elements {
			fmt.Fprintf(&b, "  %x %+v\n", key, v)
		}
	}
	return b.String()
}

// hooks are the chains that forwarded packets enter, in their order.
func (k *kernel) hooks() []*kernelChain {
	var out []*kernelChain
	for _, c := range k.chains {
		if c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b *kernelChain) int { return cmp.Compare(*a.Priority, *b.Priority) })
	return out
}

// passes sends a packet through the hooks: each may drop it.
func (k *kernel) passes(p packet) bool {
	for _, hook := range k.hooks() {
		if k.walk(hook, p) == expr.VerdictDrop {
			return false
		}
	}
	return true
}

// walk sends a packet through a chain; VerdictContinue: it has fallen through.
func (k *kernel) walk(c *kernelChain, p packet) expr.VerdictKind {
	for _, rule := range c.rules {
		v := k.match(rule, p)
		switch {
		case v == nil:
			continue
		case v.Kind == expr.VerdictGoto:
			return k.walk(k.chains[v.Chain], p)
		case v.Kind != expr.VerdictJump:
			return v.Kind
		}
		if got := k.walk(k.chains[v.Chain], p); got != expr.VerdictContinue {
			return got
		}
	}
	return expr.VerdictContinue
}

// match is the verdict of a rule on a packet; nil where it does not match.
func (k *kernel) match(rule []expr.Any, p packet) *expr.Verdict {
	var registers [64]byte
	at := func(register uint32) []byte { // the four of sixteen bytes, and the sixteen of four beside them
		if register < 8 {
			return registers[16*(register-1):]
		}
		return registers[4*(register-8):]
	}
	load := func(register uint32, data []byte) { copy(at(register), append(data, make([]byte, -len(data)&3)...)) }
	name := func(link string) []byte { return append([]byte(link), make([]byte, unix.IFNAMSIZ-len(link))...) }
	for _, e := range rule {
		ok := true
		switch e := e.(type) {
		case *expr.Ct:
			state := expr.CtStateBitNEW
			if k.established {
				state = expr.CtStateBitESTABLISHED
			}
			load(e.Register, binaryutil.NativeEndian.PutUint32(state))
		case *expr.Meta:
			load(e.Register, map[expr.MetaKey][]byte{expr.MetaKeyIIFNAME: name(p.in), expr.MetaKeyOIFNAME: name(p.out), expr.MetaKeyL4PROTO: {p.protocol}}[e.Key])
		case *expr.Payload:
			header := make([]byte, 20)
			if e.Base == expr.PayloadBaseNetworkHeader {
				copy(header[12:], p.src.AsSlice())
				copy(header[16:], p.dst.AsSlice())
			} else {
				copy(header[2:], binaryutil.BigEndian.PutUint16(p.port))
			}
			load(e.DestRegister, header[e.Offset:][:e.Len:e.Len])
		case *expr.Bitwise:
			for i := range e.Len {
				at(e.DestRegister)[i] = at(e.SourceRegister)[i]&e.Mask[i] ^ e.Xor[i]
			}
		case *expr.Cmp:
			ok = bytes.HasPrefix(at(e.Register), e.Data) == (e.Op == expr.CmpOpEq)
		case *expr.Range:
			n := at(e.Register)[:len(e.FromData)]
			ok = (bytes.Compare(n, e.FromData) >= 0 && bytes.Compare(n, e.ToData) <= 0) == (e.Op == expr.CmpOpEq)
		case *expr.Lookup:
			set := k.sets[e.SetName]
			verdict, there := set.elements[string(at(e.SourceRegister)[:set.KeyType.Bytes])]
			if ok = there != e.Invert; ok && e.IsDestRegSet {
				return verdict
			}
		case *expr.Verdict:
			return e
		}
		if !ok {
			return nil
		}
	}
	return nil
}

// TestTheOrderOfTheHooks: what a pod may send is seen before what another may get, and
// both before filters of others.
func TestTheOrderOfTheHooks(t *testing.T) {
	k, table := newKernelTable()
	if err := table.Replace(newRuleset()); err != nil {
		t.Fatal(err)
	}
	hooks := k.hooks()
	if len(hooks) != 2 || hooks[0].Name != "egress" || hooks[1].Name != "ingress" || *hooks[0].Priority >= *hooks[1].Priority || *hooks[1].Priority >= *nftables.ChainPriorityFilter {
		t.Fatalf("the hooks are %v", hooks)
	}
}

// TestWhomThePoliciesOfOthersDoNotConcern: links that are no pod's, what a pod sends itself
// through a Service, and connections that were let through before.
func TestWhomThePoliciesOfOthersDoNotConcern(t *testing.T) {
	k, table := newKernelTable()
	drops := podChain(Ingress, nil)
	r := newRuleset()
	r.Chains["drops"] = drops
	pod, free, unknown := config.PodLink("a"), config.PodLink("b"), config.PodLink("c")
	r.Links[pod], r.Links[free] = Chains{"drops", "drops"}, Chains{}
	if err := table.Replace(r); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		in, out string
		passes  bool
	}{
		{"eth0", "eth1", true}, {"eth0", pod, false}, {pod, "eth0", false}, {pod, pod, true},
		{"eth0", free, true}, {free, "eth0", true}, {free, free, true}, {free, pod, false}, {pod, free, false},
		{"eth0", unknown, false}, {unknown, "eth0", false}, {unknown, unknown, false}, {free, unknown, false},
	} {
		p := packet{in: tc.in, out: tc.out, src: netip.MustParseAddr("10.0.0.1"), dst: netip.MustParseAddr("10.0.0.2"), protocol: unix.IPPROTO_TCP, port: 80}
		for _, established := range []bool{false, true} {
			if k.established = established; k.passes(p) != (tc.passes || established) {
				t.Errorf("from %s to %s, established %t: passes %t", tc.in, tc.out, established, k.passes(p))
			}
		}
		if got := r.passes(p); got != tc.passes {
			t.Errorf("from %s to %s: the rules let it pass: %t", tc.in, tc.out, got)
		}
	}
}

// TestWhenTheTableStands: without rules too, and not for another's chains.
func TestWhenTheTableStands(t *testing.T) {
	k, table := newKernelTable()
	k.others = []*nftables.Chain{{Name: "egress", Table: &nftables.Table{Name: "filter"}}, {Name: "input", Table: table.table}}
	stands := func() bool {
		ok, err := table.Exists()
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if stands() {
		t.Error("it stands before it was written")
	}
	for what, write := range map[string]func() error{"cleared": table.Clear, "whole": func() error { return table.Replace(newRuleset()) }} {
		if err := write(); err != nil || !stands() {
			t.Errorf("%s: stands %t, %v", what, stands(), err)
		}
	}
	k.chains = map[string]*kernelChain{} // flushed by another tool
	if stands() {
		t.Error("it stands when its chains are gone")
	}
}

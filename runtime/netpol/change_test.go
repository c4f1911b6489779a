package netpol

import (
	"net/netip"
	"testing"

	"github.com/google/nftables"
)

// TestEmpty: whatever a change holds, alone or beside something else, it is one.
func TestEmpty(t *testing.T) {
	fill := []func(*Change){
		func(c *Change) { c.NewSets = []Set{{}} }, func(c *Change) { c.OldSets = []Set{{}} },
		func(c *Change) { c.NewChains = []NamedChain{{}} }, func(c *Change) { c.OldChains = []NamedChain{{}} },
		func(c *Change) { c.SetLinks = map[string]Chains{"": {}} }, func(c *Change) { c.DropLinks = map[string]Chains{"": {}} },
		func(c *Change) { c.AddAddresses = map[string][]netip.Addr{"": nil} }, func(c *Change) { c.DropAddresses = map[string][]netip.Addr{"": nil} },
		func(c *Change) { c.AddPorts = map[string][]PodPort{"": nil} }, func(c *Change) { c.DropPorts = map[string][]PodPort{"": nil} },
	}
	if !(Change{}).empty() {
		t.Error("nothing is a change")
	}
	for i := range fill {
		for j := range fill {
			var c Change
			fill[i](&c)
			fill[j](&c)
			if c.empty() {
				t.Errorf("what %d and %d fill is none", i, j)
			}
		}
	}
}

// TestRulesOfTheOtherFamily match no packet of the table; those without a block may.
func TestRulesOfTheOtherFamily(t *testing.T) {
	table := &Table{sets: map[string]*nftables.Set{}}
	for block, want := range map[string]bool{"10.0.0.0/8": true, "fd00::/8": false, "": true} {
		r := Rule{Except: []netip.Prefix{netip.MustParsePrefix("fd00::/16"), netip.MustParsePrefix("10.1.0.0/16")}}
		if block != "" {
			r.Block = netip.MustParsePrefix(block)
		}
		exprs, ok := table.exprs(Ingress, r)
		if ok != want {
			t.Errorf("%q: %v", block, ok)
		}
		// Each prefix is loaded, masked and compared; the verdict comes last.
		if n := len(exprs); ok && n != map[string]int{"10.0.0.0/8": 7, "": 1}[block] {
			t.Errorf("%q: %d expressions", block, n)
		}
	}
}

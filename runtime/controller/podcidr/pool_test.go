package podcidr

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestPoolGivesDistinctBlocksUntilFull(t *testing.T) {
	p, err := NewPool(netip.MustParsePrefix("10.244.0.0/16"), 24)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Occupy(netip.MustParsePrefix("10.244.7.0/24")) {
		t.Fatal("a free block is said to be taken")
	}
	seen := map[netip.Prefix]bool{netip.MustParsePrefix("10.244.7.0/24"): true}
	for range 255 {
		b, err := p.Next()
		if err != nil {
			t.Fatal(err)
		}
		if seen[b] || b.Bits() != 24 || !netip.MustParsePrefix("10.244.0.0/16").Contains(b.Addr()) {
			t.Fatalf("block %s is given twice or lies outside", b)
		}
		seen[b] = true
	}
	if _, err := p.Next(); !errors.Is(err, ErrFull) {
		t.Fatalf("block 257 of 256: %v", err)
	}
	p.Release(netip.MustParsePrefix("10.244.9.0/24"))
	if b, err := p.Next(); err != nil || b.String() != "10.244.9.0/24" {
		t.Fatalf("after one was freed: %s, %v", b, err)
	}
}

func TestPoolOccupy(t *testing.T) {
	p, err := NewPool(netip.MustParsePrefix("10.0.0.0/22"), 24)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		prefix string
		free   bool
		taken  int
	}{
		{"10.0.1.0/24", true, 1},
		{"10.0.1.128/25", false, 1}, // part of a taken block
		{"10.0.2.0/23", true, 3},    // two blocks at once
		{"10.1.0.0/24", false, 3},   // outside
		{"10.0.0.0/8", false, 4},    // all of them
	} {
		if got := p.Occupy(netip.MustParsePrefix(tc.prefix)); got != tc.free || p.Taken() != tc.taken {
			t.Errorf("%s: free %v, %d taken; want %v, %d", tc.prefix, got, p.Taken(), tc.free, tc.taken)
		}
	}
}

func TestPoolNeverGivesWhatIsOccupied(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	base := netip.MustParsePrefix("10.32.0.0/20")
	p, err := NewPool(base, 26)
	if err != nil {
		t.Fatal(err)
	}
	held := map[netip.Prefix]bool{}
	for range 5000 {
		if r.IntN(2) == 0 {
			b, err := p.Next()
			if err != nil {
				if len(held) != 64 {
					t.Fatalf("full with %d of 64 blocks held", len(held))
				}
				continue
			}
			if held[b] {
				t.Fatalf("%s is given twice", b)
			}
			held[b] = true
			continue
		}
		for b := range held {
			p.Release(b)
			delete(held, b)
			break
		}
		if p.Taken() != len(held) {
			t.Fatalf("%d taken, %d held", p.Taken(), len(held))
		}
	}
}

func TestPoolRefusesNonsense(t *testing.T) {
	for _, tc := range []struct {
		base string
		size int
	}{{"10.0.0.0/16", 8}, {"10.0.0.0/16", 31}, {"fd00::/48", 64}, {"10.0.0.0/4", 28}} {
		if _, err := NewPool(netip.MustParsePrefix(tc.base), tc.size); err == nil {
			t.Errorf("%s in blocks of /%d is accepted", tc.base, tc.size)
		}
	}
}

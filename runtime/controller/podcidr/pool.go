package podcidr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
)

// ErrFull says that every block of the cluster's range is taken.
var ErrFull = errors.New("no pod CIDR is free")

// Pool divides a range into equal blocks and knows which are taken. Not safe for
// concurrent use.
type Pool struct {
	base netip.Prefix
	size int      // prefix length of a block
	used []uint64 // one bit per block
	n    int      // number of blocks
	next int      // where the search begins: freed blocks rest as long as possible
}

// NewPool divides an IPv4 range into blocks with prefixes of size bits.
func NewPool(base netip.Prefix, size int) (*Pool, error) {
	if !base.Addr().Is4() || size < base.Bits() || size > 30 {
		return nil, fmt.Errorf("%s cannot be divided into blocks of /%d", base, size)
	}
	if size-base.Bits() > 20 {
		return nil, fmt.Errorf("%s has more than a million blocks of /%d: choose a smaller range or larger blocks", base, size)
	}
	n := 1 << (size - base.Bits())
	return &Pool{base: base.Masked(), size: size, n: n, used: make([]uint64, (n+63)/64)}, nil
}

// Occupy marks every block that the prefix touches. False: it was taken already
// in part, or lies outside of the range.
func (p *Pool) Occupy(prefix netip.Prefix) bool {
	first, last, ok := p.blocks(prefix)
	if !ok {
		return false
	}
	free := true
	for i := first; i <= last; i++ {
		free = free && !p.taken(i)
	}
	for i := first; i <= last; i++ {
		p.used[i/64] |= 1 << (i % 64)
	}
	return free
}

// Release frees every block that the prefix touches.
func (p *Pool) Release(prefix netip.Prefix) {
	first, last, ok := p.blocks(prefix)
	for i := first; ok && i <= last; i++ {
		p.used[i/64] &^= 1 << (i % 64)
	}
}

// Next takes a free block, or fails with ErrFull.
func (p *Pool) Next() (netip.Prefix, error) {
	for k := range p.n {
		i := (p.next + k) % p.n
		if p.taken(i) {
			continue
		}
		p.used[i/64] |= 1 << (i % 64)
		p.next = (i + 1) % p.n
		return p.block(i), nil
	}
	return netip.Prefix{}, fmt.Errorf("%w: all %d blocks of /%d in %s are taken", ErrFull, p.n, p.size, p.base)
}

// Taken is the number of blocks taken.
func (p *Pool) Taken() int {
	n := 0
	for _, w := range p.used {
		n += bits.OnesCount64(w)
	}
	return n
}

func (p *Pool) taken(i int) bool { return p.used[i/64]&(1<<(i%64)) != 0 }

func (p *Pool) block(i int) netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], number(p.base.Addr())+uint32(i)<<(32-p.size))
	return netip.PrefixFrom(netip.AddrFrom4(b), p.size)
}

// blocks is the range of blocks that a prefix touches.
func (p *Pool) blocks(prefix netip.Prefix) (first, last int, ok bool) {
	if !prefix.Addr().Is4() || !prefix.Overlaps(p.base) {
		return 0, 0, false
	}
	if prefix.Bits() <= p.base.Bits() {
		return 0, p.n - 1, true
	}
	first = int((number(prefix.Masked().Addr()) - number(p.base.Addr())) >> (32 - p.size))
	last = first
	if prefix.Bits() < p.size {
		last += 1<<(p.size-prefix.Bits()) - 1
	}
	return first, last, true
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

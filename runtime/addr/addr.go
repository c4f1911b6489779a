// Package addr holds lists of addresses and of address ranges, one of each family, as
// configuration has them: joined by commas, the form of upstream's flags (--node-ip,
// --cluster-cidr). A list of one is written as that one. It imports nothing of ours.
package addr

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// IPs are the addresses of one thing, the primary family's first.
type IPs []netip.Addr

// Prefixes are the ranges of one thing, the primary family's first.
type Prefixes []netip.Prefix

var (
	_ encoding.TextMarshaler   = IPs(nil)
	_ encoding.TextUnmarshaler = (*IPs)(nil)
	_ encoding.TextMarshaler   = Prefixes(nil)
	_ encoding.TextUnmarshaler = (*Prefixes)(nil)
)

// ParseIPs reads a list such as 192.0.2.1; of the empty text it is nil.
func ParseIPs(s string) (IPs, error) { return IPsOf(parts(s)) }

// ParsePrefixes reads a list such as 10.244.0.0/16; of the empty text it is nil.
func ParsePrefixes(s string) (Prefixes, error) { return PrefixesOf(parts(s)) }

// IPsOf reads addresses one by one; of none it is nil.
func IPsOf(texts []string) (IPs, error) {
	return parse[IPs](texts, netip.ParseAddr, "an IP address such as 192.0.2.1")
}

// PrefixesOf reads ranges one by one; of none it is nil.
func PrefixesOf(texts []string) (Prefixes, error) {
	return parse[Prefixes](texts, netip.ParsePrefix, "a CIDR such as 10.244.0.0/16")
}

// MustPrefixes is ParsePrefixes of a constant.
func MustPrefixes(s string) Prefixes {
	p, err := ParsePrefixes(s)
	if err != nil {
		panic(err)
	}
	return p
}

// MustIPs is ParseIPs of a constant.
func MustIPs(s string) IPs {
	ips, err := ParseIPs(s)
	if err != nil {
		panic(err)
	}
	return ips
}

func parts(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func parse[L ~[]T, T any](texts []string, one func(string) (T, error), form string) (L, error) {
	var out L
	for _, text := range texts {
		v, err := one(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not %s", text, form)
		}
		out = append(out, v)
	}
	return out, nil
}

func (l IPs) String() string      { return join(l) }
func (l Prefixes) String() string { return join(l) }

func join[T fmt.Stringer](l []T) string {
	parts := make([]string, len(l))
	for i, v := range l {
		parts[i] = v.String()
	}
	return strings.Join(parts, ",")
}

// Strings are the addresses one by one, as fields of the API have them.
func (l IPs) Strings() []string {
	out := make([]string, len(l))
	for i, ip := range l {
		out[i] = ip.String()
	}
	return out
}

// Strings are the ranges one by one.
func (l Prefixes) Strings() []string {
	out := make([]string, len(l))
	for i, p := range l {
		out[i] = p.String()
	}
	return out
}

// MarshalText joins the list by commas.
func (l IPs) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// MarshalText joins the list by commas.
func (l Prefixes) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (l *IPs) UnmarshalText(text []byte) (err error) {
	*l, err = ParseIPs(string(text))
	return err
}

// UnmarshalText reads what MarshalText writes.
func (l *Prefixes) UnmarshalText(text []byte) (err error) {
	*l, err = ParsePrefixes(string(text))
	return err
}

// First is the primary address; the zero one of an empty list.
func (l IPs) First() netip.Addr {
	if len(l) == 0 {
		return netip.Addr{}
	}
	return l[0]
}

// First is the primary range; the zero one of an empty list.
func (l Prefixes) First() netip.Prefix {
	if len(l) == 0 {
		return netip.Prefix{}
	}
	return l[0]
}

// V4 is the list's IPv4 address; the zero one where it has none.
func (l IPs) V4() netip.Addr {
	i := slices.IndexFunc(l, netip.Addr.Is4)
	if i < 0 {
		return netip.Addr{}
	}
	return l[i]
}

// V4 is the list's IPv4 range; the zero one where it has none.
func (l Prefixes) V4() netip.Prefix {
	i := slices.IndexFunc(l, func(p netip.Prefix) bool { return p.Addr().Is4() })
	if i < 0 {
		return netip.Prefix{}
	}
	return l[i]
}

// Contains reports whether an address is in one of the ranges.
func (l Prefixes) Contains(ip netip.Addr) bool {
	return slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// Overlaps reports whether a range shares an address with one of the list.
func (l Prefixes) Overlaps(o netip.Prefix) bool {
	return slices.ContainsFunc(l, func(p netip.Prefix) bool { return p.Overlaps(o) })
}

// errNotYet says which part of dual stack there is: the lists are its form, and one
// family is what every part behind them carries.
var errNotYet = errors.New("a second address (family) is not supported yet: give one of IPv4")

// Check reports what is wrong with the addresses of a node or a Service.
func (l IPs) Check() error {
	switch {
	case len(l) == 0:
		return errors.New("required")
	case len(l) > 1:
		return fmt.Errorf("%s: %w", l, errNotYet)
	case !l[0].Is4():
		return fmt.Errorf("%s is not IPv4: IPv6 is not supported yet", l)
	}
	return nil
}

// Check reports ranges that are none, or that are not as they should be written.
func (l Prefixes) Check() error {
	if len(l) == 0 {
		return errors.New("required")
	}
	for _, p := range l {
		if p != p.Masked() {
			return fmt.Errorf("%s has host bits set; did you mean %s?", p, p.Masked())
		}
	}
	switch {
	case len(l) > 1:
		return fmt.Errorf("%s: %w", l, errNotYet)
	case !l[0].Addr().Is4():
		return fmt.Errorf("%s is not IPv4: IPv6 is not supported yet", l)
	}
	return nil
}

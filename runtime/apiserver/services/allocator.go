package services

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/gantry-run/gantry/runtime/addr"
)

// ErrFull means that every address or port of the range is held.
var ErrFull = errors.New("range is full")

// randomTries is how many random picks are made before the range is searched in
// order: up to a range that is nine tenths full, one of them almost surely works.
const randomTries = 40

// Allocator picks addresses and ports out of the cluster's ranges.
type Allocator struct {
	cidr      netip.Prefix // the configured one
	ranges    Ranges
	low, high int32 // node ports, both included
	reserved  map[netip.Addr]bool
	ledger    Ledger
	random    func(n int64) int64 // uniform in [0, n)
	own       Own
	objects   Objects // nil where no IPAddresses are kept
}

// New returns an allocator. reserved addresses are given only when asked for by
// name. portRange is "30000-32767".
func New(cidrs addr.Prefixes, portRange string, reserved addr.IPs, ledger Ledger, random func(n int64) int64) (*Allocator, error) {
	if len(cidrs) != 1 {
		return nil, fmt.Errorf("service CIDR %q: want one", cidrs)
	}
	a := &Allocator{cidr: cidrs.First().Masked(), ranges: configured{}, reserved: map[netip.Addr]bool{}, ledger: ledger, random: random}
	low, high, ok := strings.Cut(portRange, "-")
	l, err1 := strconv.ParseUint(low, 10, 16)
	h, err2 := strconv.ParseUint(high, 10, 16)
	if !ok || err1 != nil || err2 != nil || l == 0 || l > h {
		return nil, fmt.Errorf("node port range %q: want two ports as in 30000-32767", portRange)
	}
	a.low, a.high = int32(l), int32(h)
	for _, ip := range reserved {
		if !a.cidr.Contains(ip) {
			return nil, fmt.Errorf("address %s is not in the service CIDR %s", ip, a.cidr)
		}
		a.reserved[ip] = true
	}
	return a, nil
}

// First is the first usable address of the primary range: that of the kubernetes
// Service.
func First(cidrs addr.Prefixes) netip.Addr { return cidrs.First().Masked().Addr().Next() }

// owner names a Service in the ledger. Its UID is in it: a service of the same
// name made later is another.
func owner(s *corev1.Service) string { return s.Namespace + "/" + s.Name + "/" + string(s.UID) }

func ipKey(ip netip.Addr) string { return "ip/" + ip.String() }
func portKey(port int32) string  { return "port/" + strconv.Itoa(int(port)) }

// keys are what a Service holds.
func keys(s *corev1.Service) map[string]bool {
	out := map[string]bool{}
	if s.Spec.Type != corev1.ServiceTypeExternalName {
		if ip, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil {
			out[ipKey(ip)] = true
		}
	}
	for _, p := range s.Spec.Ports {
		if p.NodePort != 0 {
			out[portKey(p.NodePort)] = true
		}
	}
	if s.Spec.HealthCheckNodePort != 0 {
		out[portKey(s.Spec.HealthCheckNodePort)] = true
	}
	return out
}

// Allocate completes a Service that is about to be written: it reserves what the
// Service names and old (nil on create) does not hold, and picks what it leaves
// open. dryRun reserves nothing, and fails as the write would. The caller calls done
// when it knows whether the write succeeded: what was reserved in vain is released, or,
// after a success, what old held and the Service holds no more.
func (a *Allocator) Allocate(ctx context.Context, s, old *corev1.Service, dryRun bool) (done func(ctx context.Context, ok bool) error, err error) {
	if err := a.external(ctx, s, old); err != nil {
		return nil, err
	}
	held := map[string]bool{}
	if old != nil {
		held = keys(old)
	}
	t := &transaction{a: a, old: old, owner: owner(s), held: held, own: keys(s), dryRun: dryRun}
	maps.Copy(t.own, held)
	if err := a.complete(ctx, s, t); err != nil {
		return nil, errors.Join(err, t.undo(context.WithoutCancel(ctx)))
	}
	return func(ctx context.Context, ok bool) error {
		if !ok {
			return t.undo(ctx)
		}
		if old == nil || dryRun {
			return nil
		}
		var errs []error
		for k := range held {
			if !keys(s)[k] {
				errs = append(errs, a.ledger.Release(ctx, k, owner(old)))
			}
		}
		return errors.Join(errs...)
	}, nil
}

// Release gives back everything that a deleted Service held.
func (a *Allocator) Release(ctx context.Context, s *corev1.Service) error {
	var errs []error
	for k := range keys(s) {
		errs = append(errs, a.ledger.Release(ctx, k, owner(s)))
	}
	return errors.Join(errs...)
}

func (a *Allocator) complete(ctx context.Context, s *corev1.Service, t *transaction) error {
	if err := a.clusterIP(ctx, s, t); err != nil {
		return err
	}
	if s.Spec.Type == corev1.ServiceTypeClusterIP {
		return nil // a node port that it asks for is refused
	}
	external := s.Spec.Type == corev1.ServiceTypeNodePort ||
		s.Spec.Type == corev1.ServiceTypeLoadBalancer && (s.Spec.AllocateLoadBalancerNodePorts == nil || *s.Spec.AllocateLoadBalancerNodePorts)
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.NodePort == 0 && !external {
			continue
		}
		if p.NodePort == 0 {
			p.NodePort = sharedPort(s.Spec.Ports[:i], p)
		}
		if err := a.nodePort(ctx, &p.NodePort, t, field.NewPath("spec", "ports").Index(i).Child("nodePort")); err != nil {
			return err
		}
	}
	if s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		return a.nodePort(ctx, &s.Spec.HealthCheckNodePort, t, field.NewPath("spec", "healthCheckNodePort"))
	}
	return nil
}

// sharedPort: the same port over another protocol gets the same node port.
func sharedPort(before []corev1.ServicePort, p *corev1.ServicePort) int32 {
	for _, o := range before {
		if o.Port == p.Port && o.Protocol != p.Protocol {
			return o.NodePort
		}
	}
	return 0
}

func (a *Allocator) clusterIP(ctx context.Context, s *corev1.Service, t *transaction) error {
	spec := &s.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if err := a.oneFamily(spec); err != nil {
		return err
	}
	if spec.ClusterIP == corev1.ClusterIPNone {
		spec.ClusterIPs = []string{corev1.ClusterIPNone}
		return nil
	}
	if was := t.old; was != nil && was.Spec.Type != corev1.ServiceTypeExternalName && was.Spec.ClusterIP != spec.ClusterIP {
		return nil // it may not change: validation says so
	}
	path := field.NewPath("spec", "clusterIPs")
	ranges, err := a.allocatable(ctx)
	if err != nil {
		return err
	}
	if spec.ClusterIP != "" {
		ip, err := netip.ParseAddr(spec.ClusterIP)
		if err != nil {
			return nil //nolint:nilerr // validation says so in its own words
		}
		// What it has it keeps, whatever becomes of the range.
		if !t.held[ipKey(ip)] && !slices.ContainsFunc(ranges, func(r netip.Prefix) bool { return usable(r, ip) }) {
			return field.Invalid(path, clusterIPs(spec), fmt.Sprintf("failed to allocate IP %s: the provided network does not match the current range", spec.ClusterIP))
		}
		ok, err := t.reserve(ctx, ipKey(ip))
		if err != nil {
			return err
		}
		if !ok {
			return field.Invalid(path, clusterIPs(spec), fmt.Sprintf("failed to allocate IP %s: provided IP is already allocated", spec.ClusterIP))
		}
	} else {
		ip, err := a.pickIP(ctx, ranges, t)
		if err != nil {
			return fmt.Errorf("failed to allocate a serviceIP for Service %q: %w", s.Name, err)
		}
		spec.ClusterIP = ip.String()
	}
	if len(spec.ClusterIPs) == 0 {
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
	return nil
}

// oneFamily sets the families of addresses that a Service is of, and refuses what needs one
// that the cluster has not.
func (a *Allocator) oneFamily(spec *corev1.ServiceSpec) error {
	path := field.NewPath("spec")
	family := familyOf(a.cidr.Addr())
	for i, text := range spec.ClusterIPs {
		ip, err := netip.ParseAddr(text)
		if err != nil || i < len(spec.IPFamilies) {
			continue
		}
		if f := familyOf(ip); f != family {
			return field.Invalid(path.Child("clusterIPs").Index(i), spec.ClusterIPs, fmt.Sprintf("%s is not configured on this cluster", f))
		}
		spec.IPFamilies = append(spec.IPFamilies, family)
	}
	if spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0 {
		// Where it is reached others say, and of which family.
		spec.IPFamilies = anyFamilies(spec, family)
		return nil
	}
	if p := spec.IPFamilyPolicy; p != nil && *p == corev1.IPFamilyPolicyRequireDualStack {
		return field.Invalid(path.Child("ipFamilyPolicy"), *p, "this cluster is not configured for dual-stack services")
	}
	for i, f := range spec.IPFamilies {
		if f != family && (f == corev1.IPv4Protocol || f == corev1.IPv6Protocol) {
			return field.Invalid(path.Child("ipFamilies").Index(i), f, "not configured on this cluster")
		}
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{family}
	}
	return nil
}

// anyFamilies are both, where a Service does not say that it is of one.
func anyFamilies(spec *corev1.ServiceSpec, family corev1.IPFamily) []corev1.IPFamily {
	out := spec.IPFamilies
	if len(out) == 0 {
		out = []corev1.IPFamily{family}
	}
	if p := spec.IPFamilyPolicy; len(out) > 1 || p == nil || *p == corev1.IPFamilyPolicySingleStack {
		return out
	}
	if out[0] == corev1.IPv4Protocol {
		return append(out, corev1.IPv6Protocol)
	}
	return append(out, corev1.IPv4Protocol)
}

func familyOf(ip netip.Addr) corev1.IPFamily {
	if ip.Unmap().Is4() {
		return corev1.IPv4Protocol
	}
	return corev1.IPv6Protocol
}

func clusterIPs(spec *corev1.ServiceSpec) []string {
	if len(spec.ClusterIPs) > 0 {
		return spec.ClusterIPs
	}
	return []string{spec.ClusterIP}
}

// pickIP takes any usable address of the ranges but reserved ones: of the next range,
// where one is full.
func (a *Allocator) pickIP(ctx context.Context, ranges []netip.Prefix, t *transaction) (netip.Addr, error) {
	for _, r := range ranges {
		var ip netip.Addr
		at := func(i int64) netip.Addr { return offset(r.Addr(), i+1) }
		size, band := sizeOf(r)
		err := a.pick(ctx, size, band, func(i int64) string { return ipKey(at(i)) }, func(i int64) (bool, error) {
			ip = at(i)
			if a.reserved[ip] {
				return false, nil
			}
			return t.draw(ctx, ipKey(ip))
		})
		if !errors.Is(err, ErrFull) {
			return ip, err
		}
	}
	return netip.Addr{}, ErrFull
}

func offset(base netip.Addr, n int64) netip.Addr {
	sum := new(big.Int).Add(new(big.Int).SetBytes(base.AsSlice()), big.NewInt(n))
	b := sum.FillBytes(make([]byte, len(base.AsSlice())))
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func (a *Allocator) nodePort(ctx context.Context, port *int32, t *transaction, path *field.Path) error {
	if *port != 0 {
		if (*port < a.low || *port > a.high) && !t.held[portKey(*port)] {
			return field.Invalid(path, *port, fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %d-%d", a.low, a.high))
		}
		ok, err := t.reserve(ctx, portKey(*port))
		if err == nil && !ok {
			return field.Invalid(path, *port, "provided port is already allocated")
		}
		return err
	}
	at := func(i int64) int32 { return a.low + int32(i) }
	size := int64(a.high-a.low) + 1
	err := a.pick(ctx, size, bandOf(size, 32, 128), func(i int64) string { return portKey(at(i)) }, func(i int64) (bool, error) {
		*port = at(i)
		return t.draw(ctx, portKey(*port))
	})
	if err != nil {
		*port = 0
		return fmt.Errorf("failed to allocate a nodePort: %w", err)
	}
	return nil
}

// pick offers numbers below n to take: random ones from band on, which is left to those
// who name what they want, then all of them in order, then those of the band. key is how
// the ledger names one.
func (a *Allocator) pick(ctx context.Context, n, band int64, key func(int64) string, take func(int64) (bool, error)) error {
	if n <= band {
		return ErrFull
	}
	for range randomTries {
		if ok, err := take(band + a.random(n-band)); ok || err != nil {
			return err
		}
	}
	// What is held is read at once: of a full range, each would be a request.
	held, err := a.ledger.All(ctx)
	if err != nil {
		return err
	}
	for _, part := range []struct{ from, size int64 }{{band, n - band}, {0, band}} {
		if part.size == 0 {
			continue
		}
		start := a.random(part.size)
		for i := range part.size {
			at := part.from + (start+i)%part.size
			if held[key(at)] != "" {
				continue
			}
			if ok, err := take(at); ok || err != nil {
				return err
			}
		}
	}
	return ErrFull
}

// bandOf is the part of a range of n that is taken by name first, by the rule of
// upstream: a share of it, at least 16 and at most so many, and nothing of a small range.
func bandOf(n, share, most int64) int64 {
	const least = 16
	if n <= least {
		return 0
	}
	return min(max(n/share, least), most)
}

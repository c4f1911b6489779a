package spec

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/gantry-run/gantry/runtime/addr"
)

// Validate reports everything that is wrong with the cluster, not only the first.
func (c Cluster) Validate() error {
	err := errors.Join(label("cluster name", c.Name), c.Network.Validate(), c.Kubelet.validate(), c.ControllerManager.validate(), c.APIServer.validate(), validateLifetime(c.CertificateLifetime))
	if len(c.Masters) == 0 {
		err = errors.Join(err, errors.New("masters: at least one is required"))
	}
	return errors.Join(err, hosts("masters", c.Masters), c.Network.excludes(c.Masters))
}

// Validate reports everything that is wrong with the pool.
func (p Pool) Validate() error {
	err := errors.Join(label("pool name", p.Name), labels("labels", p.Labels), annotations("annotations", p.Annotations), p.Kubelet.validate(), hosts("hosts", p.Hosts))
	for i, t := range p.Taints {
		err = errors.Join(err, t.validate(fmt.Sprintf("taints[%d]", i)))
	}
	return err
}

// ValidateIn reports what is wrong with the pool beside its cluster: a host that
// is a master too, or an address inside the cluster's own ranges.
func (p Pool) ValidateIn(c Connection) error {
	err := errors.Join(p.Validate(), c.Network.excludes(p.Hosts))
	for _, h := range p.Hosts {
		for _, m := range c.Masters {
			if h.Name == m.Name {
				err = errors.Join(err, fmt.Errorf("hosts[%q]: the cluster has a master of that name", h.Name))
			}
			if h.Name == m.Address {
				err = errors.Join(err, fmt.Errorf("hosts[%q]: the name is the address of master %s, whose certificates it would be good for", h.Name, m.Name))
			}
			if a, shared := sharedAddress(h, m); shared {
				err = errors.Join(err, fmt.Errorf("hosts[%q]: address %s is that of master %s", h.Name, a, m.Name))
			}
		}
	}
	return err
}

// sharedAddress is one that both hosts have, by which they are reached or in the cluster.
func sharedAddress(a, b Host) (string, bool) {
	all := func(h Host) []string { return append([]string{h.Address}, h.IPs().Strings()...) }
	for _, address := range all(a) {
		if slices.Contains(all(b), address) {
			return address, true
		}
	}
	return "", false
}

// Validate reports ranges that are not CIDRs, too small, or that overlap.
func (n Network) Validate() error {
	pod, errPod := cidr("pod_cidrs", n.PodCIDRs)
	service, errService := cidr("service_cidrs", n.ServiceCIDRs)
	err := errors.Join(errPod, errService)
	if msgs := validation.IsDNS1123Subdomain(n.DNSDomain); len(msgs) > 0 {
		err = errors.Join(err, fmt.Errorf("dns_domain: %q: %s", n.DNSDomain, strings.Join(msgs, "; ")))
	}
	if n.ServiceLocality != "" && !slices.Contains(ServiceLocalities(), n.ServiceLocality) {
		err = errors.Join(err, fmt.Errorf("service_locality: %q is none of %s", n.ServiceLocality, strings.Join(ServiceLocalities(), ", ")))
	}
	if errPod == nil && errService == nil && pod.Overlaps(service) {
		err = errors.Join(err, fmt.Errorf("pod_cidrs %s and service_cidrs %s overlap", pod, service))
	}
	if errPod == nil && pod.Bits() > 24 {
		err = errors.Join(err, fmt.Errorf("pod_cidrs %s is too small: each node takes a /24 of it", pod))
	}
	if errService == nil && service.Bits() > 28 {
		err = errors.Join(err, fmt.Errorf("service_cidrs %s is too small: a /28 is the least", service))
	}
	return err
}

// excludes reports hosts whose address lies in the cluster's own ranges, where
// it could not be told from a pod or a Service.
func (n Network) excludes(hosts []Host) error {
	var err error
	for name, ranges := range map[string]addr.Prefixes{"pod_cidrs": n.PodCIDRs, "service_cidrs": n.ServiceCIDRs} {
		for _, h := range hosts {
			for _, ip := range h.IPs() {
				if ranges.Contains(ip) {
					err = errors.Join(err, fmt.Errorf("host %q: address %s lies in %s %s", h.Name, ip, name, ranges))
				}
			}
		}
	}
	return err
}

func cidr(name string, l addr.Prefixes) (netip.Prefix, error) {
	if err := l.Check(); err != nil {
		return netip.Prefix{}, fmt.Errorf("%s: %w", name, err)
	}
	return l.First(), nil
}

func hosts(field string, hs []Host) error {
	var err error
	names, addresses := map[string]bool{}, map[string]string{}
	for _, h := range hs {
		at := fmt.Sprintf("%s[%q]", field, h.Name)
		err = errors.Join(err, label(at+": name", h.Name), labels(at+": labels", h.Labels), annotations(at+": annotations", h.Annotations))
		if names[h.Name] {
			err = errors.Join(err, fmt.Errorf("%s: the name is used twice", at))
		}
		names[h.Name] = true
		if meaning := ReservedNames()[h.Name]; meaning != "" {
			err = errors.Join(err, fmt.Errorf("%s: a node cannot have this name: %s, and the node's certificates would be good for it", at, meaning))
		}
		for _, other := range hs {
			if h.Name == other.Address && h.Name != other.Name {
				err = errors.Join(err, fmt.Errorf("%s: the name is the address of %q, whose certificates it would be good for", at, other.Name))
			}
		}
		switch ips := h.IPs(); {
		case len(ips) == 0:
			err = errors.Join(err, fmt.Errorf("%s: %q is not an IPv4 address; give node_ips where address is a DNS name", at, h.Address))
		default:
			if checkErr := ips.Check(); checkErr != nil {
				err = errors.Join(err, fmt.Errorf("%s: node_ips: %w", at, checkErr))
			}
		}
		if h.SSH.Port < 0 || h.SSH.Port > 65535 {
			err = errors.Join(err, fmt.Errorf("%s: %d is not a port", at, h.SSH.Port))
		}
		for _, a := range append(h.IPs().Strings(), h.Address) {
			if other, ok := addresses[a]; ok && other != h.Name {
				err = errors.Join(err, fmt.Errorf("%s: address %s is that of %q too", at, a, other))
			}
			addresses[a] = h.Name
		}
	}
	return err
}

func label(what, s string) error {
	if msgs := validation.IsDNS1123Label(s); len(msgs) > 0 {
		return fmt.Errorf("%s: %q: %s", what, s, strings.Join(msgs, "; "))
	}
	return nil
}

func labels(what string, m map[string]string) error {
	var err error
	for k, v := range m {
		for _, msg := range validation.IsQualifiedName(k) {
			err = errors.Join(err, fmt.Errorf("%s: key %q: %s", what, k, msg))
		}
		for _, msg := range validation.IsValidLabelValue(v) {
			err = errors.Join(err, fmt.Errorf("%s: value %q of %s: %s", what, v, k, msg))
		}
	}
	return err
}

func annotations(what string, m map[string]string) error {
	var err error
	for k := range m {
		for _, msg := range validation.IsQualifiedName(strings.ToLower(k)) {
			err = errors.Join(err, fmt.Errorf("%s: key %q: %s", what, k, msg))
		}
	}
	return err
}

func (t Taint) validate(what string) error {
	var err error
	for _, msg := range validation.IsQualifiedName(t.Key) {
		err = errors.Join(err, fmt.Errorf("%s: key %q: %s", what, t.Key, msg))
	}
	for _, msg := range validation.IsValidLabelValue(t.Value) {
		err = errors.Join(err, fmt.Errorf("%s: value %q: %s", what, t.Value, msg))
	}
	switch t.Effect {
	case "NoSchedule", "PreferNoSchedule", "NoExecute":
	default:
		err = errors.Join(err, fmt.Errorf("%s: effect %q is none of NoSchedule, PreferNoSchedule, NoExecute", what, t.Effect))
	}
	return err
}

package spec

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/gantry-run/gantry/runtime/addr"
)

// APIPort is where every master serves the API.
const APIPort = 6443

// SSH is how one host is reached, where it differs from the provider's settings.
type SSH struct {
	// Port of sshd; 0 is the provider's.
	Port int `json:"port,omitempty"`
	// User to log in as; empty is the provider's.
	User string `json:"user,omitempty"`
	// HostKey is the pinned key in authorized_keys form ("ssh-ed25519 AAAA…"). When
	// empty, the key of the first contact is taken and reported.
	HostKey string `json:"hostKey,omitempty"`
	// Profile names one of the provider's sets of SSH settings; empty is the first.
	Profile string `json:"profile,omitempty"`
}

// Host is one server and the node that it becomes.
type Host struct {
	// Name of the Node: a DNS-1123 label, unique in the cluster.
	Name string `json:"name"`
	// Address that sshd answers on: an IP address or a DNS name.
	Address string `json:"address"`
	// NodeIPs are the addresses that the other nodes use (default: Address).
	NodeIPs addr.IPs          `json:"nodeIP,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
	// Annotations of the Node.
	Annotations map[string]string `json:"annotations,omitempty"`
	SSH         SSH               `json:"ssh,omitzero"`
}

// SameServer reports whether two hosts, by whatever names, are one server: sshd answers on
// the same address and port, or the nodes have an address in common.
func (h Host) SameServer(o Host) bool {
	if h.Address == o.Address && h.SSH.Port == o.SSH.Port {
		return true
	}
	return slices.ContainsFunc(h.NodeIPs, func(ip netip.Addr) bool { return slices.Contains(o.NodeIPs, ip) })
}

// IPs are the addresses of the node inside the cluster; none where only the name is
// known by which sshd is reached.
func (h Host) IPs() addr.IPs {
	if len(h.NodeIPs) > 0 {
		return h.NodeIPs
	}
	ips, _ := addr.ParseIPs(h.Address) // reported by Validate
	return ips
}

// IP is the primary one of them, or what stands for it in messages.
func (h Host) IP() string {
	if ips := h.IPs(); len(ips) > 0 {
		return ips[0].String()
	}
	return h.Address
}

// Taint keeps pods away that do not tolerate it.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// Network holds the address ranges and the DNS domain of a cluster.
type Network struct {
	PodCIDRs     addr.Prefixes `json:"podCIDR"`
	ServiceCIDRs addr.Prefixes `json:"serviceCIDR"`
	DNSDomain    string        `json:"dnsDomain"`
	// ServiceLocality is how endpoints on the caller's own node are preferred where a
	// Service says nothing; empty is the default.
	ServiceLocality string `json:"serviceLocality,omitempty"`
}

// Defaults of a network.
const (
	DefaultPodCIDR     = "10.244.0.0/16"
	DefaultServiceCIDR = "10.96.0.0/16"
	DefaultDNSDomain   = "cluster.local"

	DefaultServiceLocality = "weighted"
)

// ServiceLocalities are those that there are.
func ServiceLocalities() []string { return []string{DefaultServiceLocality, "same-node", "none"} }

// ServiceIPs returns the n-th address of each service range: the first are the
// kubernetes Service's, the tenth those of cluster DNS.
func (n Network) ServiceIPs(index int) addr.IPs {
	var out addr.IPs
	for _, p := range n.ServiceCIDRs {
		ip := p.Masked().Addr()
		for range index {
			ip = ip.Next()
		}
		out = append(out, ip)
	}
	return out
}

// ClusterDNS are the addresses of cluster DNS.
func (n Network) ClusterDNS() addr.IPs { return n.ServiceIPs(10) }

// Cluster is the control plane: identity, network and masters.
type Cluster struct {
	// ID tells this cluster from any other (a UUID); made when it is created.
	ID      string
	Name    string
	Network Network
	// WorkloadsOnMasters leaves the control-plane taint off the masters.
	WorkloadsOnMasters bool
	Masters            []Host
	// Kubelet is that of the masters.
	Kubelet           Kubelet
	ControllerManager ControllerManager
	APIServer         APIServer
	// CertificateLifetime is that of all leaf certificates; 0 is the default, a year.
	CertificateLifetime time.Duration
}

// Connection is what a pool must know of its cluster. It holds no secret.
type Connection struct {
	ClusterID   string
	ClusterName string
	Network     Network
	Masters     []Host

	CertificateLifetime time.Duration
}

// Connection returns the cluster as its pools see it.
func (c Cluster) Connection() Connection {
	return Connection{ClusterID: c.ID, ClusterName: c.Name, Network: c.Network, Masters: c.Masters, CertificateLifetime: c.CertificateLifetime}
}

// Servers are the masters' API addresses as host:port. The order depends on
// seed, so that clients spread over the masters without anybody choosing.
func (c Connection) Servers(seed string) []string {
	masters := slices.Clone(c.Masters)
	slices.SortFunc(masters, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	var out []string
	first := 0
	for i, m := range masters {
		if m.Name == seed {
			first = i // a master uses the API server beside it
		}
		out = append(out, net.JoinHostPort(m.IP(), strconv.Itoa(APIPort)))
	}
	if len(out) > 1 && first == 0 && masters[0].Name != seed {
		for _, r := range seed {
			first = (first*31 + int(r)) % len(out)
		}
	}
	return append(out[first:len(out):len(out)], out[:first]...)
}

// Pool is a set of workers that are alike.
type Pool struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
	Taints      []Taint
	Kubelet     Kubelet
	Hosts       []Host
}

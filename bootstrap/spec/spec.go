package spec

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
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
	// NodeIP is the address that the other nodes use (default: Address).
	NodeIP string            `json:"nodeIP,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations of the Node.
	Annotations map[string]string `json:"annotations,omitempty"`
	SSH         SSH               `json:"ssh,omitzero"`
}

// IP is the address of the node inside the cluster.
func (h Host) IP() string { return cmp.Or(h.NodeIP, h.Address) }

// Taint keeps pods away that do not tolerate it.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

// Network holds the address ranges and the DNS domain of a cluster.
type Network struct {
	PodCIDR     string `json:"podCIDR"`
	ServiceCIDR string `json:"serviceCIDR"`
	DNSDomain   string `json:"dnsDomain"`
}

// Defaults of a network.
const (
	DefaultPodCIDR     = "10.244.0.0/16"
	DefaultServiceCIDR = "10.96.0.0/16"
	DefaultDNSDomain   = "cluster.local"
)

// ServiceIP returns the n-th address of the service range: the first is the
// kubernetes Service, the tenth cluster DNS. The network must be valid.
func (n Network) ServiceIP(index int) string {
	p, err := netip.ParsePrefix(n.ServiceCIDR)
	if err != nil {
		return ""
	}
	a := p.Masked().Addr()
	for range index {
		a = a.Next()
	}
	return a.String()
}

// ClusterDNS is the address of cluster DNS.
func (n Network) ClusterDNS() string { return n.ServiceIP(10) }

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
}

// Connection is what a pool must know of its cluster. It holds no secret.
type Connection struct {
	ClusterID   string
	ClusterName string
	Network     Network
	Masters     []Host
}

// Connection returns the cluster as its pools see it.
func (c Cluster) Connection() Connection {
	return Connection{ClusterID: c.ID, ClusterName: c.Name, Network: c.Network, Masters: c.Masters}
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

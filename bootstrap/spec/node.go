package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Labels and taints that Gantry gives nodes of its own accord.
const (
	MasterLabel = "node-role.kubernetes.io/control-plane"
	PoolLabel   = "gantry.run/pool"
)

// Node is what one host should be: the complete input of its installation.
type Node struct {
	ClusterID   string
	ClusterName string
	Network     Network
	Host        Host
	Master      bool
	// Pool is the name of the worker's pool; empty on a master.
	Pool        string
	Labels      map[string]string
	Annotations map[string]string `json:",omitempty"`
	Taints      []Taint
	Kubelet     Kubelet `json:",omitzero"`
	// ControllerManager and APIServer are a master's.
	ControllerManager ControllerManager `json:",omitzero"`
	APIServer         APIServer         `json:",omitzero"`
	// CertificateLifetime is that of the node's certificates; 0 is the default.
	CertificateLifetime time.Duration `json:",omitzero"`
	// Servers are the API servers it dials, its own first on a master.
	Servers []string
}

// Master returns the node that the master of that name should be.
func (c Cluster) Master(name string) (Node, bool) {
	i := slices.IndexFunc(c.Masters, func(h Host) bool { return h.Name == name })
	if i < 0 {
		return Node{}, false
	}
	labels := maps.Clone(c.Masters[i].Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[MasterLabel] = ""
	n := Node{
		ClusterID: c.ID, ClusterName: c.Name, Network: c.Network, Host: c.Masters[i], Master: true,
		Labels: labels, Annotations: c.Masters[i].Annotations, Servers: c.Connection().Servers(name),
		Kubelet: c.Kubelet, ControllerManager: c.ControllerManager,
		APIServer: c.APIServer, CertificateLifetime: c.CertificateLifetime,
	}
	if !c.WorkloadsOnMasters {
		n.Taints = []Taint{{Key: MasterLabel, Effect: "NoSchedule"}}
	}
	return n, true
}

// Worker returns the node that the pool's host of that name should be.
func (p Pool) Worker(c Connection, name string) (Node, bool) {
	i := slices.IndexFunc(p.Hosts, func(h Host) bool { return h.Name == name })
	if i < 0 {
		return Node{}, false
	}
	labels := map[string]string{PoolLabel: p.Name}
	maps.Copy(labels, p.Labels)
	maps.Copy(labels, p.Hosts[i].Labels)
	var annotations map[string]string
	if len(p.Annotations)+len(p.Hosts[i].Annotations) > 0 {
		annotations = map[string]string{}
		maps.Copy(annotations, p.Annotations)
		maps.Copy(annotations, p.Hosts[i].Annotations)
	}
	return Node{
		ClusterID: c.ClusterID, ClusterName: c.ClusterName, Network: c.Network, Host: p.Hosts[i], Pool: p.Name,
		Labels: labels, Annotations: annotations, Taints: p.Taints, Kubelet: p.Kubelet, Servers: c.Servers(name),
		CertificateLifetime: c.CertificateLifetime,
	}, true
}

// Hash is a digest of everything that decides what the host should be. How the
// host is reached is no part of it, and neither is the cluster's ID, which is
// not known while a new cluster is planned. Bundle is the digest of the binaries.
func (n Node) Hash(bundle string) string {
	n.ClusterID, n.Host.SSH = "", SSH{}
	data, err := json.Marshal(struct {
		Node   Node
		Bundle string
	}{n, bundle})
	if err != nil { // strings and maps of strings only
		panic(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

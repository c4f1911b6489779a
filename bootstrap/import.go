package bootstrap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// Imported is a cluster as it stands, read from one of its masters.
type Imported struct {
	Cluster spec.Cluster
	// CAFingerprint is the SHA-256 of the cluster's CA certificate.
	CAFingerprint string
	// Pools by name. Those that have no Node are not known to anybody.
	Pools map[string]spec.Pool
	// Versions of Gantry on the nodes, by name.
	Versions map[string]string
	// Unreached are the hosts asked for whose key is not known, and why.
	Unreached map[string]error
}

// Import reads the cluster that a master belongs to: its identity and network
// from the master's files, its nodes from its API. Every master, and every host of
// the named pool where it is not "", is logged in to for its host key. Nothing is
// changed.
func (e *Engine) Import(ctx context.Context, via spec.Host, pool string) (Imported, error) {
	f := fleet.Connect(ctx, e.access().Config, []spec.Host{via})
	defer f.Close()
	m := f.Members[via.Name]
	if m.Host == nil {
		return Imported{}, m.Status.Err
	}
	master, err := readMaster(ctx, m)
	if err != nil {
		return Imported{}, err
	}
	api, err := access.Kubernetes(e.access(), m, master.trust, master.servers)
	if err != nil {
		return Imported{}, err
	}
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return Imported{}, fmt.Errorf("list the nodes of cluster %s through %s: %w", master.id.ClusterName, m.Title(), err)
	}
	d := Imported{
		Cluster: spec.Cluster{ID: master.id.ClusterID, Name: master.id.ClusterName, Network: master.network, CertificateLifetime: master.lifetime, APIServer: master.apiServer},
		Pools:   map[string]spec.Pool{}, Versions: map[string]string{}, Unreached: map[string]error{},
		CAFingerprint: pki.Fingerprint(master.trust.CA.Cert),
	}
	for i := range list.Items {
		n := &list.Items[i]
		if n.Name == master.id.NodeName && n.Annotations[nodes.HostAnnotation] == "" {
			n = n.DeepCopy()
			n.Annotations = map[string]string{nodes.HostAnnotation: nodes.DeclarationOf(spec.Node{Host: spec.Host{
				Address: via.Address, NodeIPs: other(nodes.InternalIP(n), via.Address), SSH: via.SSH,
			}}), nodes.AppliedAnnotation: n.Annotations[nodes.AppliedAnnotation]}
		}
		d.add(n)
	}
	slices.SortFunc(d.Cluster.Masters, func(a, b spec.Host) int { return cmp.Compare(a.Name, b.Name) })
	for _, p := range d.Pools {
		slices.SortFunc(p.Hosts, func(a, b spec.Host) int { return cmp.Compare(a.Name, b.Name) })
	}
	if len(d.Cluster.Masters) == 0 {
		return Imported{}, fmt.Errorf("cluster %s has no Node that is a master", d.Cluster.Name)
	}
	return d, pinAll(ctx, e.access().Config, &d, pool)
}

// other is ip where it is one, and not the address itself.
func other(ip, address string) addr.IPs {
	if ip == address {
		return nil
	}
	ips, _ := addr.ParseIPs(ip)
	return ips
}

// masterFiles are what one master knows of its cluster.
type masterFiles struct {
	id      install.Identity
	trust   install.Authorities
	network spec.Network
	servers []string // API servers, its own first
	// lifetime of certificates; 0 is the default.
	lifetime time.Duration
	// apiServer is how they are set.
	apiServer spec.APIServer
}

func readMaster(ctx context.Context, m *fleet.Member) (masterFiles, error) {
	files, err := m.Host.ReadFiles(ctx, append(append(install.AuthorityFiles(), install.APIServerFiles()...), install.IdentityFile,
		config.APIServer.ConfigFile(), config.ControllerManager.ConfigFile(), config.Proxy.ConfigFile())...)
	if err != nil {
		return masterFiles{}, err
	}
	id, err := install.ReadIdentity(files)
	switch {
	case err != nil:
		return masterFiles{}, fmt.Errorf("%s: %w", m.Title(), err)
	case id == nil:
		return masterFiles{}, fmt.Errorf("%s belongs to no cluster: there is no %s on it", m.Title(), install.IdentityFile)
	case !slices.Contains(id.Roles, "master"):
		return masterFiles{}, fmt.Errorf("%s is node %q of cluster %q, and no master: name one of the cluster's masters", m.Title(), id.NodeName, id.ClusterName)
	}
	out := masterFiles{id: *id}
	if out.trust, err = install.ReadAuthorities(files); err != nil {
		return masterFiles{}, fmt.Errorf("%s: %w", m.Title(), err)
	}
	var server config.APIServerConfig
	var manager config.ControllerManagerConfig
	var proxy config.ProxyConfig
	for path, c := range map[string]any{config.APIServer.ConfigFile(): &server, config.ControllerManager.ConfigFile(): &manager, config.Proxy.ConfigFile(): &proxy} {
		if len(files[path]) == 0 {
			return masterFiles{}, fmt.Errorf("%s: %s is missing", m.Title(), path)
		}
		if err := yaml.Unmarshal(files[path], c); err != nil {
			return masterFiles{}, fmt.Errorf("%s: %s: %w", m.Title(), path, err)
		}
	}
	out.network = spec.Network{PodCIDRs: manager.ClusterCIDRs, ServiceCIDRs: server.ServiceCIDRs, DNSDomain: server.ClusterDomain}
	if proxy.ServiceLocality != config.LocalityWeighted {
		out.network.ServiceLocality = string(proxy.ServiceLocality)
	}
	if out.lifetime = manager.Certificates.Lifetime.Duration; out.lifetime == config.DefaultCertificateLifetime {
		out.lifetime = 0
	}
	out.apiServer = install.APIServerSettings(server, files)
	own := net.JoinHostPort(server.AdvertiseAddress, strconv.Itoa(config.APIServerPort))
	out.servers = append([]string{own}, slices.DeleteFunc(manager.Client.Servers, func(s string) bool { return s == own })...)
	return out, nil
}

// add takes a Node in, as a master or as a host of its pool.
func (d *Imported) add(n *corev1.Node) {
	found := nodes.Declared(n)
	h := found.Host
	d.Versions[n.Name] = nodes.Version(n)
	ours := nodes.AppliedOf(n)
	taints := appliedTaints(n, ours)
	if _, master := n.Labels[spec.MasterLabel]; master {
		d.Cluster.WorkloadsOnMasters = !slices.ContainsFunc(taints, func(t spec.Taint) bool { return t.Key == spec.MasterLabel })
		d.Cluster.Kubelet, d.Cluster.ControllerManager = found.Kubelet, found.ControllerManager
		d.Cluster.Masters = append(d.Cluster.Masters, h)
		return
	}
	name := n.Labels[spec.PoolLabel]
	if name == "" {
		return
	}
	p, known := d.Pools[name]
	if !known {
		p = spec.Pool{Name: name, Taints: taints, Kubelet: found.Kubelet}
	}
	// What was applied and is not the host's own is the pool's. One that a host
	// has itself may hide one of the pool's, which another host then shows.
	takeApplied(&p.Labels, ours.Labels, n.Labels, h.Labels)
	delete(p.Labels, spec.PoolLabel)
	takeApplied(&p.Annotations, ours.Annotations, n.Annotations, h.Annotations)
	p.Hosts = append(p.Hosts, h)
	d.Pools[name] = p
}

// takeApplied takes those of a Node's labels or annotations that were applied and are not
// its host's own.
func takeApplied(into *map[string]string, applied []string, have, own map[string]string) {
	for _, k := range applied {
		if _, hosts := own[k]; hosts {
			continue
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[k] = have[k]
	}
}

// appliedTaints are those of the Node that a declaration gave it, in its order.
func appliedTaints(n *corev1.Node, ours nodes.Applied) []spec.Taint {
	var out []spec.Taint
	for _, id := range ours.Taints {
		i := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool { return nodes.TaintID(t.Key, string(t.Effect)) == id })
		if i >= 0 {
			t := n.Spec.Taints[i]
			out = append(out, spec.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
		}
	}
	return out
}

// pinAll logs in to the hosts for their keys.
func pinAll(ctx context.Context, c fleet.Config, d *Imported, pool string) error {
	var workers []spec.Host
	if pool != "" {
		p, ok := d.Pools[pool]
		if !ok {
			return fmt.Errorf("cluster %s has no node of a pool %q; its pools are %q", d.Cluster.Name, pool, slices.Sorted(maps.Keys(d.Pools)))
		}
		workers = p.Hosts
	}
	f := fleet.Connect(ctx, c, slices.Concat(d.Cluster.Masters, workers))
	defer f.Close()
	for _, hosts := range [][]spec.Host{d.Cluster.Masters, workers} {
		for i, h := range hosts {
			m := f.Members[h.Name]
			hosts[i].SSH.HostKey = m.Status.HostKey
			if m.Host == nil {
				d.Unreached[h.Name] = m.Status.Err
			}
		}
	}
	return nil
}

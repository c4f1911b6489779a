package bootstrap

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// Discovery is a cluster as it stands, read from one of its masters.
type Discovery struct {
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

// Discover reads the cluster that a master belongs to: its identity and network
// from the master's files, its nodes from its API. Every master, and every host of
// the named pool where it is not "", is logged in to for its host key. Nothing is
// changed.
func (e *Engine) Discover(ctx context.Context, via spec.Host, pool string) (Discovery, error) {
	entry := e.connect(ctx, []spec.Host{via})
	defer entry.close()
	m := entry.members[via.Name]
	if m.host == nil {
		return Discovery{}, m.status.Err
	}
	master, err := readMaster(ctx, m)
	if err != nil {
		return Discovery{}, err
	}
	api, err := e.apiOf(m, master.servers, master.trust)
	if err != nil {
		return Discovery{}, err
	}
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return Discovery{}, fmt.Errorf("list the nodes of cluster %s through %s: %w", master.id.ClusterName, m.title(), err)
	}
	d := Discovery{
		Cluster: spec.Cluster{ID: master.id.ClusterID, Name: master.id.ClusterName, Network: master.network},
		Pools:   map[string]spec.Pool{}, Versions: map[string]string{}, Unreached: map[string]error{},
		CAFingerprint: pki.Fingerprint(master.trust.CA.Cert),
	}
	for i := range list.Items {
		n := &list.Items[i]
		if n.Name == master.id.NodeName && n.Annotations[hostAnnotation] == "" {
			n = n.DeepCopy()
			n.Annotations = map[string]string{hostAnnotation: declarationOf(spec.Node{Host: spec.Host{
				Address: via.Address, NodeIP: other(internalIP(n), via.Address), SSH: via.SSH,
			}}), appliedAnnotation: n.Annotations[appliedAnnotation]}
		}
		d.add(n)
	}
	slices.SortFunc(d.Cluster.Masters, func(a, b spec.Host) int { return cmp.Compare(a.Name, b.Name) })
	for _, p := range d.Pools {
		slices.SortFunc(p.Hosts, func(a, b spec.Host) int { return cmp.Compare(a.Name, b.Name) })
	}
	if len(d.Cluster.Masters) == 0 {
		return Discovery{}, fmt.Errorf("cluster %s has no Node that is a master", d.Cluster.Name)
	}
	return d, e.pinAll(ctx, &d, pool)
}

// other is ip where it is not the address itself.
func other(ip, address string) string {
	if ip == address {
		return ""
	}
	return ip
}

// masterFiles are what one master knows of its cluster.
type masterFiles struct {
	id      install.Identity
	trust   install.Authorities
	network spec.Network
	servers []string // API servers, its own first
}

func readMaster(ctx context.Context, m *member) (masterFiles, error) {
	files, err := m.host.ReadFiles(ctx, append(install.AuthorityFiles(), install.IdentityFile,
		config.APIServer.ConfigFile(), config.ControllerManager.ConfigFile())...)
	if err != nil {
		return masterFiles{}, err
	}
	id, err := install.ReadIdentity(files)
	switch {
	case err != nil:
		return masterFiles{}, fmt.Errorf("%s: %w", m.title(), err)
	case id == nil:
		return masterFiles{}, fmt.Errorf("%s belongs to no cluster: there is no %s on it", m.title(), install.IdentityFile)
	case !slices.Contains(id.Roles, "master"):
		return masterFiles{}, fmt.Errorf("%s is node %q of cluster %q, and no master: name one of the cluster's masters", m.title(), id.NodeName, id.ClusterName)
	}
	out := masterFiles{id: *id}
	if out.trust, err = install.ReadAuthorities(files); err != nil {
		return masterFiles{}, fmt.Errorf("%s: %w", m.title(), err)
	}
	var server config.APIServerConfig
	var manager config.ControllerManagerConfig
	for path, c := range map[string]any{config.APIServer.ConfigFile(): &server, config.ControllerManager.ConfigFile(): &manager} {
		if len(files[path]) == 0 {
			return masterFiles{}, fmt.Errorf("%s: %s is missing", m.title(), path)
		}
		if err := yaml.Unmarshal(files[path], c); err != nil {
			return masterFiles{}, fmt.Errorf("%s: %s: %w", m.title(), path, err)
		}
	}
	out.network = spec.Network{PodCIDR: manager.ClusterCIDR, ServiceCIDR: server.ServiceCIDR, DNSDomain: server.ClusterDomain}
	own := net.JoinHostPort(server.AdvertiseAddress, strconv.Itoa(config.APIServerPort))
	out.servers = append([]string{own}, slices.DeleteFunc(manager.Client.Servers, func(s string) bool { return s == own })...)
	return out, nil
}

// add takes a Node in, as a master or as a host of its pool.
func (d *Discovery) add(n *corev1.Node) {
	found := declared(n)
	h := found.Host
	d.Versions[n.Name] = gantryVersion(n)
	var ours applied
	json.Unmarshal([]byte(n.Annotations[appliedAnnotation]), &ours) //nolint:errcheck // ours or empty
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
	adopt(&p.Labels, ours.Labels, n.Labels, h.Labels)
	delete(p.Labels, spec.PoolLabel)
	adopt(&p.Annotations, ours.Annotations, n.Annotations, h.Annotations)
	p.Hosts = append(p.Hosts, h)
	d.Pools[name] = p
}

// adopt takes those of a Node's labels or annotations that were applied and are not
// its host's own.
func adopt(into *map[string]string, applied []string, have, own map[string]string) {
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

// gantryVersion is the version of Gantry that a node's kubelet is of.
func gantryVersion(n *corev1.Node) string {
	_, v, _ := strings.Cut(n.Status.NodeInfo.KubeletVersion, "+gantry.")
	return v
}

// appliedTaints are those of the Node that a declaration gave it, in its order.
func appliedTaints(n *corev1.Node, ours applied) []spec.Taint {
	var out []spec.Taint
	for _, id := range ours.Taints {
		i := slices.IndexFunc(n.Spec.Taints, func(t corev1.Taint) bool { return taintID(t.Key, string(t.Effect)) == id })
		if i >= 0 {
			t := n.Spec.Taints[i]
			out = append(out, spec.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
		}
	}
	return out
}

// pinAll logs in to the hosts for their keys.
func (e *Engine) pinAll(ctx context.Context, d *Discovery, pool string) error {
	var workers []spec.Host
	if pool != "" {
		p, ok := d.Pools[pool]
		if !ok {
			return fmt.Errorf("cluster %s has no node of a pool %q; its pools are %q", d.Cluster.Name, pool, slices.Sorted(maps.Keys(d.Pools)))
		}
		workers = p.Hosts
	}
	f := e.connect(ctx, slices.Concat(d.Cluster.Masters, workers))
	defer f.close()
	for _, hosts := range [][]spec.Host{d.Cluster.Masters, workers} {
		for i, h := range hosts {
			m := f.members[h.Name]
			hosts[i].SSH.HostKey = m.status.HostKey
			if m.host == nil {
				d.Unreached[h.Name] = m.status.Err
			}
		}
	}
	return nil
}

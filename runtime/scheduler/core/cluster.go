package core

import (
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Cluster is the state that placements are decided on.
type Cluster struct {
	nodes  []*node // in a stable order; the search goes round
	byName map[string]*node
	pods   map[types.UID]*placed
	// byNamespace holds placed pods by namespace, for the counting of matches.
	byNamespace map[string]map[types.UID]*placed
	// repelling and related are the placed pods with required anti-affinity, and
	// with any other affinity to pods: usually few, and only these must be asked
	// what they think of a newcomer.
	repelling, related map[types.UID]*placed
	namespaces         map[string]labels.Set
	// inZone counts the pods of one owner in each zone.
	inZone map[types.UID]map[string]int
	next   int // where the next search begins
}

// placed is a pod on a node. The node may be unknown (nil): its pod came first.
type placed struct {
	*Pod
	node *node
}

type node struct {
	obj         *corev1.Node // nil: only pods of it are known so far
	name        string
	index       int
	allocatable Resources
	maxPods     int64
	used        Resources
	assumed     Resources
	pods        map[types.UID]*placed
	ports       map[hostPort]int
	owned       map[types.UID]int // pods by owner
	images      map[string]int64  // bytes by normalized name
	zone        string
}

// New returns an empty cluster.
func New() *Cluster {
	return &Cluster{
		byName: map[string]*node{}, pods: map[types.UID]*placed{}, byNamespace: map[string]map[types.UID]*placed{},
		repelling: map[types.UID]*placed{}, related: map[types.UID]*placed{},
		namespaces: map[string]labels.Set{}, inZone: map[types.UID]map[string]int{},
	}
}

// Nodes is the number of nodes known.
func (c *Cluster) Nodes() int { return len(c.nodes) }

// SetNamespace takes a namespace's labels, by which affinity terms choose.
func (c *Cluster) SetNamespace(name string, l map[string]string) { c.namespaces[name] = l }

// RemoveNamespace forgets a namespace.
func (c *Cluster) RemoveNamespace(name string) { delete(c.namespaces, name) }

func (c *Cluster) namespaceLabels(name string) labels.Set { return c.namespaces[name] }

// SetNode adds a node or replaces what is known of it.
func (c *Cluster) SetNode(obj *corev1.Node) {
	n := c.node(obj.Name)
	if n.obj == nil {
		n.index = len(c.nodes)
		c.nodes = append(c.nodes, n)
	}
	n.obj = obj
	n.allocatable, n.maxPods = fromList(obj.Status.Allocatable)
	if zone := obj.Labels[corev1.LabelTopologyZone]; zone != n.zone {
		for _, p := range n.pods {
			c.countZone(p.Pod, n, -1)
		}
		n.zone = zone
		for _, p := range n.pods {
			c.countZone(p.Pod, n, 1)
		}
	}
	n.images = make(map[string]int64, len(obj.Status.Images))
	for _, image := range obj.Status.Images {
		for _, name := range image.Names {
			n.images[normalizedImage(name)] = image.SizeBytes
		}
	}
}

// RemoveNode forgets a node. Its pods are kept until they are removed themselves.
func (c *Cluster) RemoveNode(name string) {
	n := c.byName[name]
	if n == nil || n.obj == nil {
		return
	}
	last := len(c.nodes) - 1
	c.nodes[n.index] = c.nodes[last]
	c.nodes[n.index].index = n.index
	c.nodes = c.nodes[:last]
	n.obj = nil
	c.dropIfEmpty(n)
}

func (c *Cluster) node(name string) *node {
	n := c.byName[name]
	if n == nil {
		n = &node{name: name, pods: map[types.UID]*placed{}, ports: map[hostPort]int{}, owned: map[types.UID]int{}}
		c.byName[name] = n
	}
	return n
}

func (c *Cluster) dropIfEmpty(n *node) {
	if n.obj == nil && len(n.pods) == 0 {
		delete(c.byName, n.name)
	}
}

// Place puts a pod on a node, moving it if it was on another.
func (c *Cluster) Place(p *Pod, nodeName string) {
	uid := p.Obj.UID
	c.Remove(uid)
	n := c.node(nodeName)
	at := &placed{Pod: p, node: n}
	c.pods[uid], n.pods[uid] = at, at
	ns := c.byNamespace[p.Obj.Namespace]
	if ns == nil {
		ns = map[types.UID]*placed{}
		c.byNamespace[p.Obj.Namespace] = ns
	}
	ns[uid] = at
	if len(p.antiAffinity) > 0 {
		c.repelling[uid] = at
	}
	if len(p.affinity)+len(p.preferAffinity)+len(p.avoid) > 0 {
		c.related[uid] = at
	}
	c.account(at, 1)
}

// Remove forgets a pod; one that is not known is no matter.
func (c *Cluster) Remove(uid types.UID) {
	at := c.pods[uid]
	if at == nil {
		return
	}
	delete(c.pods, uid)
	delete(at.node.pods, uid)
	delete(c.repelling, uid)
	delete(c.related, uid)
	ns := c.byNamespace[at.Obj.Namespace]
	if delete(ns, uid); len(ns) == 0 {
		delete(c.byNamespace, at.Obj.Namespace)
	}
	c.account(at, -1)
	c.dropIfEmpty(at.node)
}

// NodeOf is the node that a pod is placed on; false when it is not placed.
func (c *Cluster) NodeOf(uid types.UID) (string, bool) {
	if at := c.pods[uid]; at != nil {
		return at.node.name, true
	}
	return "", false
}

func (c *Cluster) account(at *placed, sign int64) {
	n := at.node
	n.used.add(at.requests, sign)
	n.assumed.add(at.assumed, sign)
	for _, port := range at.ports {
		if n.ports[port] += int(sign); n.ports[port] == 0 {
			delete(n.ports, port)
		}
	}
	if at.owner != "" {
		if n.owned[at.owner] += int(sign); n.owned[at.owner] == 0 {
			delete(n.owned, at.owner)
		}
		c.countZone(at.Pod, n, int(sign))
	}
}

func (c *Cluster) countZone(p *Pod, n *node, sign int) {
	if p.owner == "" || n.zone == "" {
		return
	}
	zones := c.inZone[p.owner]
	if zones == nil {
		zones = map[string]int{}
		c.inZone[p.owner] = zones
	}
	if zones[n.zone] += sign; zones[n.zone] == 0 {
		delete(zones, n.zone)
	}
	if len(zones) == 0 {
		delete(c.inZone, p.owner)
	}
}

// Used returns what the pods placed on a node ask for, and how many they are.
func (c *Cluster) Used(nodeName string) (Resources, int) {
	n := c.byName[nodeName]
	if n == nil {
		return Resources{}, 0
	}
	used := n.used
	used.Extended = maps.Clone(n.used.Extended)
	return used, len(n.pods)
}

// normalizedImage gives an image without tag or digest the tag it means.
func normalizedImage(name string) string {
	if strings.LastIndexByte(name, ':') <= strings.LastIndexByte(name, '/') {
		return name + ":latest"
	}
	return name
}

package core

import (
	"iter"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// NodeInfo is a node with the sums of what the pods on it ask for.
type NodeInfo struct {
	name  string
	node  *corev1.Node // nil: only pods of it are known so far
	index int          // in the snapshot's list
	zone  string

	allocatable      Resource
	allowedPodNumber int64
	requested        Resource
	nonZeroRequested Resource
	usedPorts        map[hostPort]int
	images           map[string]int64 // bytes by normalized name

	pods map[types.UID]*PodInfo
	// owned counts the pods of each owner.
	owned map[types.UID]int
	// nominated are pods that are to come here once victims are gone.
	nominated []*PodInfo
}

func newNodeInfo(name string) *NodeInfo {
	return &NodeInfo{name: name, pods: map[types.UID]*PodInfo{}, usedPorts: map[hostPort]int{}, owned: map[types.UID]int{}}
}

// Name is the node's name.
func (n *NodeInfo) Name() string { return n.name }

// Node is the API object. Plugins are only given nodes that have one.
func (n *NodeInfo) Node() *corev1.Node { return n.node }

// Pods are the pods on the node, in no order.
func (n *NodeInfo) Pods() iter.Seq[*PodInfo] { return maps.Values(n.pods) }

// Requested is what the pods on the node ask for.
func (n *NodeInfo) Requested() Resource {
	r := n.requested
	r.ScalarResources = maps.Clone(r.ScalarResources)
	return r
}

// setNode takes the API object; the zone is the snapshot's concern.
func (n *NodeInfo) setNode(obj *corev1.Node) {
	n.node = obj
	n.allocatable, n.allowedPodNumber = newResource(obj.Status.Allocatable)
	n.images = make(map[string]int64, len(obj.Status.Images))
	for _, image := range obj.Status.Images {
		for _, name := range image.Names {
			n.images[normalizedImageName(name)] = image.SizeBytes
		}
	}
}

// addPod accounts a pod that is not on the node.
func (n *NodeInfo) addPod(p *PodInfo) {
	n.pods[p.Pod.UID] = p
	n.account(p, 1)
}

// removePod takes off a pod that is on the node.
func (n *NodeInfo) removePod(p *PodInfo) {
	delete(n.pods, p.Pod.UID)
	n.account(p, -1)
}

func (n *NodeInfo) account(p *PodInfo, sign int) {
	n.requested.add(p.requests, int64(sign))
	n.nonZeroRequested.add(p.nonZeroRequests, int64(sign))
	for _, port := range p.hostPorts {
		count(n.usedPorts, port, sign)
	}
	if p.owner != "" {
		count(n.owned, p.owner, sign)
	}
}

// count adds to a counter and drops it at zero.
func count[K comparable](in map[K]int, key K, by int) int {
	in[key] += by
	left := in[key]
	if left == 0 {
		delete(in, key)
	}
	return left
}

// clone returns a copy to which pods can be added without a change to n. What
// comes with the API object alone is shared.
func (n *NodeInfo) clone() *NodeInfo {
	c := *n
	c.requested.ScalarResources = maps.Clone(n.requested.ScalarResources)
	c.pods, c.usedPorts, c.owned = maps.Clone(n.pods), maps.Clone(n.usedPorts), maps.Clone(n.owned)
	c.nominated = slices.Clone(n.nominated)
	return &c
}

// normalizedImageName gives an image without tag or digest the tag it means.
func normalizedImageName(name string) string {
	if strings.LastIndexByte(name, ':') <= strings.LastIndexByte(name, '/') {
		return name + ":latest"
	}
	return name
}

package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// Snapshot is the cluster as one scheduling cycle sees it. Between cycles it is
// brought up to date, change by change; during one it stands still.
type Snapshot struct {
	nodes  []*NodeInfo // in a stable order; the search goes round
	byName map[string]*NodeInfo
	pods   map[types.UID]*assignedPod
	// byNamespace holds assigned pods by namespace, for the counting of matches.
	byNamespace map[string]map[types.UID]*assignedPod
	// antiAffine and affine are the assigned pods with required anti-affinity, and
	// with any other term about pods: usually few, and only these must be asked what
	// they think of a newcomer.
	antiAffine, affine map[types.UID]*assignedPod
	namespaces         map[string]labels.Set
	// claimUsers counts the assigned pods that name a claim, by namespace/name.
	claimUsers map[string]int
	// ownedInZone counts the pods of one owner in each zone.
	ownedInZone map[types.UID]map[string]int
	nominated   map[types.UID]*assignedPod
	// Budgets count for preemptions.
	Budgets DisruptionBudgets
	// priorities counts the assigned pods of each priority: where none is lower, a
	// preemption need not look for victims.
	priorities map[int32]int

	nextStartNodeIndex int
	statuses           NodeToStatus // of the cycle; here to be used again
}

// assignedPod is a pod on a node. The node may be unknown yet: its pod came first.
type assignedPod struct {
	*PodInfo
	node *NodeInfo
}

// NewSnapshot returns an empty snapshot.
func NewSnapshot() *Snapshot {
	return &Snapshot{
		byName: map[string]*NodeInfo{}, pods: map[types.UID]*assignedPod{}, byNamespace: map[string]map[types.UID]*assignedPod{},
		antiAffine: map[types.UID]*assignedPod{}, affine: map[types.UID]*assignedPod{},
		namespaces: map[string]labels.Set{}, ownedInZone: map[types.UID]map[string]int{}, nominated: map[types.UID]*assignedPod{},
		Budgets: DisruptionBudgets{}, priorities: map[int32]int{}, claimUsers: map[string]int{},
	}
}

// NumNodes is the number of nodes known.
func (s *Snapshot) NumNodes() int { return len(s.nodes) }

// Node returns a node by name, nil when there is no such node.
func (s *Snapshot) Node(name string) *NodeInfo {
	if n := s.byName[name]; n != nil && n.node != nil {
		return n
	}
	return nil
}

// SetNamespace takes a namespace's labels, by which affinity terms choose.
func (s *Snapshot) SetNamespace(name string, l map[string]string) { s.namespaces[name] = l }

// RemoveNamespace forgets a namespace.
func (s *Snapshot) RemoveNamespace(name string) { delete(s.namespaces, name) }

func (s *Snapshot) namespaceLabels(name string) labels.Set { return s.namespaces[name] }

// SetNode adds a node or replaces what is known of it.
func (s *Snapshot) SetNode(obj *corev1.Node) {
	n := s.node(obj.Name)
	if n.node == nil {
		n.index = len(s.nodes)
		s.nodes = append(s.nodes, n)
	}
	n.setNode(obj)
	if zone := obj.Labels[corev1.LabelTopologyZone]; zone != n.zone {
		s.countZone(n, -1)
		n.zone = zone
		s.countZone(n, 1)
	}
}

// countZone counts the pods of a node in its zone.
func (s *Snapshot) countZone(n *NodeInfo, sign int) {
	for owner, pods := range n.owned {
		s.countOwned(owner, n.zone, sign*pods)
	}
}

// RemoveNode forgets a node. Its pods are kept until they are removed themselves.
func (s *Snapshot) RemoveNode(name string) {
	n := s.Node(name)
	if n == nil {
		return
	}
	last := len(s.nodes) - 1
	s.nodes[n.index] = s.nodes[last]
	s.nodes[n.index].index = n.index
	s.nodes[last] = nil
	s.nodes = s.nodes[:last]
	n.node = nil
	s.dropIfEmpty(n)
}

func (s *Snapshot) node(name string) *NodeInfo {
	n := s.byName[name]
	if n == nil {
		n = newNodeInfo(name)
		s.byName[name] = n
	}
	return n
}

func (s *Snapshot) dropIfEmpty(n *NodeInfo) {
	if n.node == nil && len(n.pods)+len(n.nominated) == 0 {
		delete(s.byName, n.name)
	}
}

// AddPod puts a pod on a node, moving it if it was on another. A nomination of the
// pod has served its purpose then.
func (s *Snapshot) AddPod(p *PodInfo, nodeName string) {
	uid := p.Pod.UID
	s.RemovePod(uid)
	n := s.node(nodeName)
	at := &assignedPod{PodInfo: p, node: n}
	s.pods[uid] = at
	n.addPod(p)
	ns := s.byNamespace[p.Pod.Namespace]
	if ns == nil {
		ns = map[types.UID]*assignedPod{}
		s.byNamespace[p.Pod.Namespace] = ns
	}
	ns[uid] = at
	if len(p.requiredAntiAffinity) > 0 {
		s.antiAffine[uid] = at
	}
	if p.hasAffinity() {
		s.affine[uid] = at
	}
	s.countOwned(p.owner, n.zone, 1)
	count(s.priorities, p.Priority, 1)
	for _, key := range p.claims {
		count(s.claimUsers, key, 1)
	}
	s.Unnominate(uid)
}

// RemovePod forgets a pod; one that is not known is no matter.
func (s *Snapshot) RemovePod(uid types.UID) {
	at := s.pods[uid]
	if at == nil {
		return
	}
	delete(s.pods, uid)
	at.node.removePod(at.PodInfo)
	delete(s.antiAffine, uid)
	delete(s.affine, uid)
	ns := s.byNamespace[at.Pod.Namespace]
	if delete(ns, uid); len(ns) == 0 {
		delete(s.byNamespace, at.Pod.Namespace)
	}
	s.countOwned(at.owner, at.node.zone, -1)
	count(s.priorities, at.Priority, -1)
	for _, key := range at.claims {
		count(s.claimUsers, key, -1)
	}
	s.dropIfEmpty(at.node)
}

// SetPodStatus takes a newer state of an assigned pod that asks for the same as before.
func (s *Snapshot) SetPodStatus(p *corev1.Pod) {
	at := s.pods[p.UID]
	if at == nil {
		return
	}
	newer := *at.PodInfo
	newer.Pod = p
	at.PodInfo = &newer
	at.node.pods[p.UID] = &newer
}

func (s *Snapshot) hasPriorityBelow(priority int32) bool {
	for other := range s.priorities {
		if other < priority {
			return true
		}
	}
	return false
}

// NodeOf is the node that a pod is on; false when it is on none.
func (s *Snapshot) NodeOf(uid types.UID) (string, bool) {
	if at := s.pods[uid]; at != nil {
		return at.node.name, true
	}
	return "", false
}

// Nominate notes that a pod is to come to a node (status.nominatedNodeName). It
// counts there for pods of its priority or a lower one until it is assigned.
func (s *Snapshot) Nominate(p *PodInfo, nodeName string) {
	s.Unnominate(p.Pod.UID)
	if _, assigned := s.pods[p.Pod.UID]; assigned {
		return
	}
	n := s.node(nodeName)
	s.nominated[p.Pod.UID] = &assignedPod{PodInfo: p, node: n}
	n.nominated = append(n.nominated, p)
}

// Unnominate forgets a pod's nomination, if it has one.
func (s *Snapshot) Unnominate(uid types.UID) {
	at := s.nominated[uid]
	if at == nil {
		return
	}
	delete(s.nominated, uid)
	at.node.nominated = slices.DeleteFunc(at.node.nominated, func(p *PodInfo) bool { return p.Pod.UID == uid })
	s.dropIfEmpty(at.node)
}

func (s *Snapshot) countOwned(owner types.UID, zone string, by int) {
	if owner == "" || zone == "" {
		return
	}
	zones := s.ownedInZone[owner]
	if zones == nil {
		zones = map[string]int{}
		s.ownedInZone[owner] = zones
	}
	if count(zones, zone, by); len(zones) == 0 {
		delete(s.ownedInZone, owner)
	}
}

package step

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
)

// Members changes who is a member of etcd.
type Members interface {
	// Add makes a member known, as a learner, and returns the peer URL of each member by
	// its name. With empty, its server holds no data: a member of its URL that was
	// started is gone for good, and is removed first.
	Add(ctx context.Context, name, peerURL string, empty bool) (map[string]string, error)
	// Promote makes a learner a voter once it has caught up.
	Promote(ctx context.Context, name, peerURL string) error
	// Remove takes a member out if the voters that stay are a quorum.
	Remove(ctx context.Context, name, peerURL string) error
}

// Nodes changes Nodes and what is on them. A Node that is not there is no error.
type Nodes interface {
	// Cordon keeps new pods away, and returns false where there is no such Node.
	Cordon(ctx context.Context, node string) (found bool, err error)
	// Uncordon undoes a Cordon of ours, and nobody else's.
	Uncordon(ctx context.Context, node string) error
	// Evict evicts the node's pods and waits until they are gone.
	Evict(ctx context.Context, node string, o Eviction) error
	Delete(ctx context.Context, node string) error
}

// NodeUpdate gives one Node what it should have.
type NodeUpdate interface {
	Update(ctx context.Context) error
}

// Eviction bounds an eviction.
type Eviction struct {
	// Timeout until all pods are gone, their grace periods included.
	Timeout time.Duration
	// Last ends the pods, whatever their disruption budgets say, once there is no
	// other node that they could move to: a budget cannot be met then.
	Last bool
	// Progress is told of each pod; may be nil.
	Progress func(message string)
}

// Certificates decides which certificates the API servers accept.
type Certificates interface {
	// Revoke has all refused that a node was given so far.
	Revoke(ctx context.Context, node string) error
}

// Secrets rewrites what the API servers encrypt.
type Secrets interface {
	// Rewrite has all Secrets encrypted by the key that writes now.
	Rewrite(ctx context.Context) error
}

// clusterChange is what changes of the cluster share: nothing on a host shows whether
// they were made, and made twice they are as made once.
type clusterChange struct{}

func (clusterChange) Watch() Watch   { return Watch{} }
func (clusterChange) Done(Seen) bool { return false }

// AddMember makes a member of etcd known to the others.
type AddMember struct {
	clusterChange
	Via           Members
	Name, PeerURL string
	// Empty says that its server holds no data of a member.
	Empty bool
	// Added is told the peer URLs of all members, by name.
	Added func(map[string]string)
}

func (c AddMember) String() string {
	return "add etcd member " + c.Name + " (" + c.PeerURL + ") as a learner"
}

// Apply adds it.
func (c AddMember) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	members, err := c.Via.Add(ctx, c.Name, c.PeerURL, c.Empty)
	if err == nil {
		c.Added(members)
	}
	return err
}

// PromoteMember makes a learner of etcd a voter.
type PromoteMember struct {
	Via           Members
	Name, PeerURL string
	// Unless is a file that is on its host only once it votes.
	Unless string
}

func (c PromoteMember) String() string { return "promote etcd member " + c.Name + " to voter" }

// Watch names the file.
func (c PromoteMember) Watch() Watch { return Watch{Files: []string{c.Unless}} }

// Done reports whether the file is there.
func (c PromoteMember) Done(s Seen) bool { _, ok := s.Files[c.Unless]; return ok }

// Apply waits until it has caught up, and promotes it.
func (c PromoteMember) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Promote(ctx, c.Name, c.PeerURL)
}

// RemoveMember takes a member out of etcd.
type RemoveMember struct {
	clusterChange
	Via           Members
	Name, PeerURL string
}

func (c RemoveMember) String() string { return "remove etcd member " + c.Name + " (" + c.PeerURL + ")" }

// Apply removes it.
func (c RemoveMember) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Remove(ctx, c.Name, c.PeerURL)
}

// CordonNode keeps new pods away from a node.
type CordonNode struct {
	clusterChange
	Via  Nodes
	Node string
	// Missing is called where there is no such Node; may be nil.
	Missing func()
}

func (c CordonNode) String() string { return "cordon node " + c.Node }

// Apply cordons it.
func (c CordonNode) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	found, err := c.Via.Cordon(ctx, c.Node)
	if err == nil && !found && c.Missing != nil {
		c.Missing()
	}
	return err
}

// UncordonNode lets pods come to a node again.
type UncordonNode struct {
	clusterChange
	Via  Nodes
	Node string
}

func (c UncordonNode) String() string { return "uncordon node " + c.Node }

// Apply undoes a cordon of ours.
func (c UncordonNode) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Uncordon(ctx, c.Node)
}

// EvictPods moves the pods of a node elsewhere.
type EvictPods struct {
	clusterChange
	Eviction
	Via  Nodes
	Node string
}

func (c EvictPods) String() string {
	s := fmt.Sprintf("evict the pods of node %s within %s", c.Node, c.Timeout)
	if c.Last {
		s += ", and end them where no node is left that could take them"
	}
	return s
}

// Apply evicts them and waits until they are gone.
func (c EvictPods) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Evict(ctx, c.Node, c.Eviction)
}

// UpdateNode gives a Node the labels, annotations and taints that it should have.
type UpdateNode struct {
	clusterChange
	Via  NodeUpdate
	Node string
	// Differs says in words how the Node is not as it should be.
	Differs []string
}

func (c UpdateNode) String() string {
	return "update node " + c.Node + ": " + strings.Join(c.Differs, ", ")
}

// Apply updates it.
func (c UpdateNode) Apply(ctx context.Context, _ host.Host, _ Seen) error { return c.Via.Update(ctx) }

// DeleteNode takes a Node out of the API.
type DeleteNode struct {
	clusterChange
	Via  Nodes
	Node string
}

func (c DeleteNode) String() string { return "delete node " + c.Node }

// Apply deletes it.
func (c DeleteNode) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Delete(ctx, c.Node)
}

// RevokeCertificates has the certificates refused that a node was given so far.
type RevokeCertificates struct {
	clusterChange
	Via  Certificates
	Node string
}

func (c RevokeCertificates) String() string { return "revoke the certificates of node " + c.Node }

// Apply revokes them.
func (c RevokeCertificates) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Revoke(ctx, c.Node)
}

// RewriteSecrets has all Secrets encrypted by the key that writes now.
type RewriteSecrets struct {
	clusterChange
	Via Secrets
	Key string // its name
}

func (c RewriteSecrets) String() string { return "rewrite all Secrets, encrypted with " + c.Key }

// Apply rewrites them.
func (c RewriteSecrets) Apply(ctx context.Context, _ host.Host, _ Seen) error {
	return c.Via.Rewrite(ctx)
}

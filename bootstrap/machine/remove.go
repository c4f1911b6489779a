package machine

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/bootstrap/wipe"
)

// Steps of a removal, as logs and errors call them. DrainStep is the one that fails
// where a leaving node's pods could not be moved.
const (
	DrainStep  = "drain"
	cordonStep = "cordon"
	revokeStep = "revoke its certificates"
	deleteStep = "delete the node"
)

// Removal is the removal of hosts from a cluster whose API answers.
type Removal struct {
	Lifecycle
	API     kubernetes.Interface
	Journal step.Journal
	// Leaving are the hosts, whose report gets the warnings.
	Leaving *fleet.Fleet
	// Force lets a host go although its pods could not be moved in time. Last ends the
	// pods where no other node could take them.
	Force, Last bool
}

func (r Removal) writer() nodes.Writer { return nodes.Writer{API: r.API, Now: r.Now} }

// Cordon keeps new pods away from a node that is drained later.
func (r Removal) Cordon(ctx context.Context, m *fleet.Member) error {
	return r.Change(ctx, m, r.Journal, cordonStep, step.CordonNode{Via: r.writer(), Node: m.Spec.Name})
}

// Drain cordons the node and moves its pods elsewhere, or leaves it as it was. With
// Force the node goes anyway once the time is over, but not when the run is stopped.
func (r Removal) Drain(ctx context.Context, m *fleet.Member) error {
	missing := false
	err := r.Change(ctx, m, r.Journal, cordonStep, step.CordonNode{Via: r.writer(), Node: m.Spec.Name, Missing: func() { missing = true }})
	if err == nil && missing {
		return nil
	}
	if err == nil {
		err = r.Change(ctx, m, r.Journal, DrainStep, step.EvictPods{
			Via: r.writer(), Node: m.Spec.Name, Eviction: step.Eviction{Timeout: r.DrainTimeout, Last: r.Last, Progress: func(msg string) {
				r.Events(step.Event{Host: m.Title(), Step: DrainStep, State: step.Began, Message: msg})
			}},
		})
	}
	if err == nil {
		return nil
	}
	if r.Force && ctx.Err() == nil {
		r.Leaving.Warn("%s was taken out with pods on it: %v", m.Title(), err)
		return nil
	}
	// Aborted: the node stays and works on. The context may be what ended it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if undo := r.Change(ctx, m, r.Journal, "uncordon", step.UncordonNode{Via: r.writer(), Node: m.Spec.Name}); undo != nil {
		return fmt.Errorf("%w (and it is still cordoned: %w)", err, undo)
	}
	return err
}

// Revoke has the certificates of a server refused: also where it is wiped, since who has
// read them there would still be the node.
func (r Removal) Revoke(ctx context.Context, m *fleet.Member) error {
	return r.Change(ctx, m, r.Journal, revokeStep, step.RevokeCertificates{Via: r.writer(), Node: m.Spec.Name})
}

// DeleteNode takes the host's Node out of the API.
func (r Removal) DeleteNode(ctx context.Context, m *fleet.Member) error {
	return r.Change(ctx, m, r.Journal, deleteStep, step.DeleteNode{Via: r.writer(), Node: m.Spec.Name})
}

// LeaveBehind is what is left to do with a host whose name another has already: it
// has left the cluster.
func (r Removal) LeaveBehind(ctx context.Context, m *fleet.Member, clusterID string) error {
	if m.Host != nil {
		return r.Wipe(ctx, m, clusterID)
	}
	GiveUp(r.Leaving, m, Succeeded)
	return nil
}

// Wipe makes the host bare, unless it is somebody else's.
func (l Lifecycle) Wipe(ctx context.Context, m *fleet.Member, clusterID string) error {
	files, err := m.Host.ReadFiles(ctx, install.IdentityFile)
	if err != nil {
		return err
	}
	id, err := install.ReadIdentity(files)
	if err == nil && id != nil && clusterID != "" && id.ClusterID != clusterID {
		return &install.ForeignError{Host: m.Title(), Found: *id}
	}
	if err := l.RunUnjournalled(ctx, m, wipe.Steps()...); err != nil {
		return err
	}
	m.Status.State = fleet.Gone
	return nil
}

// What a server that was removed without being reached would do, should it ever start
// again.
const (
	RevokedWorker = "Should it ever start again, its certificates are refused: it stays outside until it is wiped (remove /etc/gantry, " +
		"/var/lib/gantry and the gantry-*.service units) or the configuration names it again. Pods that were on it may run there meanwhile."
	RevokedMaster = "The certificates of its processes are refused, but it holds the keys of the cluster's authorities, and whoever has " +
		"those can make others: do not let it start again, and destroy or wipe its disk (the guide on dead servers says more)."
	Succeeded = "Another server has its name in the cluster. Should it ever start again, wipe it before it does (remove /etc/gantry, " +
		"/var/lib/gantry and the gantry-*.service units)."
	notRevoked = "Should it ever start again, wipe it before it does (remove /etc/gantry, /var/lib/gantry and the gantry-*.service units): " +
		"it would try to come back."
)

// GiveUp is the end of a host that is gone: nothing of it is left to be wiped. Keeps
// says what keeps it out of the cluster; empty is nothing.
func GiveUp(leaving *fleet.Fleet, m *fleet.Member, keeps string) {
	leaving.Warn("%s was taken out of the cluster, but not cleaned: it could not be reached. %s The last attempt said: %v",
		m.Title(), cmp.Or(keeps, notRevoked), m.Status.Err)
	m.Status.State = fleet.Gone
}

// Abandon gives up the hosts that could not be reached.
func Abandon(leaving *fleet.Fleet) {
	for _, name := range leaving.Order {
		if m := leaving.Members[name]; m.Host == nil {
			GiveUp(leaving, m, "")
		}
	}
}

package machine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// factsTimeout bounds how long one host that hangs can hold up the others.
const factsTimeout = 20 * time.Second

// Preflight looks at the hosts that are to be these nodes, and marks those that
// cannot be: all are looked at before anything is changed on any, since some
// findings are about two. A host that was looked at when it was new costs one
// round trip, a new one two.
func (l Lifecycle) Preflight(ctx context.Context, f *fleet.Fleet, wanted map[string]spec.Node, c Cluster) {
	var mu sync.Mutex
	var subjects []preflight.Subject
	f.Look(ctx, f.Order, func(ctx context.Context, m *fleet.Member) {
		n, ok := wanted[m.Spec.Name]
		if !ok || m.Host == nil {
			return
		}
		var subject preflight.Subject
		if subject, m.Refused = l.subject(ctx, m, n, c); m.Refused != nil || renamed(subject, m.Spec, c.Leaving) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		subjects = append(subjects, subject)
	})
	around := Surroundings(l.Bundle)
	isNew := func(s preflight.Subject) bool { return s.Identity == nil }
	if c.Nodes != nil && slices.ContainsFunc(subjects, isNew) {
		around.Machines, around.Addresses, around.Hostnames = map[string]string{}, map[string]string{}, map[string]string{}
		for _, n := range c.Nodes(ctx) {
			around.Machines[n.Name], around.Addresses[n.Name] = n.Status.NodeInfo.MachineID, nodes.InternalIP(&n)
			around.Hostnames[n.Name] = nodes.Address(&n, corev1.NodeHostName)
		}
	}
	for name, err := range preflight.Check(subjects, around) {
		f.Members[name].Refused = err
	}
	for name, err := range preflight.Doubts(subjects) {
		f.Members[name].Doubt = err
		f.Warn("%v", err)
	}
}

// renamed reports whether a server is a node now that leaves before it becomes another. It
// was judged when it was new.
func renamed(s preflight.Subject, h spec.Host, leaving []spec.Host) bool {
	return s.Identity != nil && s.Identity.ClusterID == s.Node.ClusterID && slices.ContainsFunc(leaving, func(o spec.Host) bool {
		return o.Name == s.Identity.NodeName && o.Name != h.Name && o.SameServer(h)
	})
}

// Surroundings are as far as they are known without a cluster; the bundle may be nil.
func Surroundings(b *bundle.Bundle) preflight.Surroundings {
	if b == nil {
		return preflight.Surroundings{}
	}
	return preflight.Surroundings{Platform: b.Platform, Bundle: b.Path}
}

// subject reads the host's files and, when it is new, what it is.
func (l Lifecycle) subject(ctx context.Context, m *fleet.Member, n spec.Node, c Cluster) (preflight.Subject, error) {
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	out := preflight.Subject{Title: m.Title(), Node: n}
	var err error
	if m.Files, err = m.Host.ReadFiles(ctx, install.Observed(n)...); err != nil {
		return out, err
	}
	if out.Identity, err = install.ReadIdentity(m.Files); err != nil {
		return out, fmt.Errorf("%s: %w", m.Title(), err)
	}
	if out.Identity != nil {
		if install.Check(m.Title(), out.Identity, n) == nil {
			m.Status.Version = install.VersionOnHost(m.Files)
		}
		if n.ClusterID == "" && OfCutCreate(out.Identity, n) {
			out.Node.ClusterID = out.Identity.ClusterID
		}
		return out, nil
	}
	var trying sync.WaitGroup
	trying.Go(func() { out.Reach = reaches(ctx, m, n, c) })
	asked := l.Now()
	facts, err := host.ReadFacts(ctx, m.Host, n.Kubelet.Storage.Path)
	skew := preflight.Skew(asked, l.Now(), facts.UnixTime)
	trying.Wait()
	out.Facts, out.Skew = facts, skew
	return out, err
}

// OfCutCreate reports whether the identity is what a create of the same cluster left
// that was cut before anybody kept the cluster's ID.
func OfCutCreate(id *install.Identity, n spec.Node) bool {
	return id.ClusterName == n.ClusterName && id.NodeName == n.Host.Name && !id.Known
}

// StayingNodes are the Nodes that are Ready, but for those of leaving hosts: when the
// new hosts come they are gone.
func StayingNodes(ctx context.Context, a *access.Access, c spec.Connection, leaving []spec.Host) []corev1.Node {
	api, err := a.Kubernetes(c)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(nodes.Ready(ctx, api, access.DialTimeout), func(n corev1.Node) bool {
		return slices.ContainsFunc(leaving, func(h spec.Host) bool { return h.Name == n.Name && h.IP() == nodes.InternalIP(&n) })
	})
}

package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/preflight"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

const (
	// factsTimeout bounds how long one host that hangs can hold up the others.
	factsTimeout = 20 * time.Second
	dialTimeout  = 5 * time.Second
)

// survey says what is asked besides the hosts' own facts.
type survey struct {
	// masters are those that the hosts have to reach: such as serve already.
	masters []spec.Host
	// witnesses are those of them that are logged in to, and are asked the reverse.
	witnesses []*member
	// nodes returns the cluster's Nodes that are Ready; it is called only when a host
	// is new, and may be nil.
	nodes func(ctx context.Context) []corev1.Node
}

// survey looks at the hosts that are to be these nodes, and marks those that
// cannot be: all are looked at before anything is changed on any, since some
// findings are about two. A host that was looked at when it was new costs one
// round trip, a new one two.
func (e *Engine) survey(ctx context.Context, f *fleet, nodes map[string]spec.Node, s survey) {
	var mu sync.Mutex
	var subjects []preflight.Subject
	isNew := false
	f.look(ctx, f.order, func(ctx context.Context, m *member) {
		n, ok := nodes[m.spec.Name]
		if !ok || m.host == nil {
			return
		}
		var subject preflight.Subject
		if subject, m.refused = e.lookAt(ctx, m, n, s); m.refused != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		isNew = isNew || subject.Identity == nil
		subjects = append(subjects, subject)
	})
	around := e.surroundings()
	if isNew && s.nodes != nil {
		around.Machines, around.Addresses, around.Hostnames = map[string]string{}, map[string]string{}, map[string]string{}
		for _, n := range s.nodes(ctx) {
			around.Machines[n.Name], around.Addresses[n.Name] = n.Status.NodeInfo.MachineID, internalIP(&n)
			around.Hostnames[n.Name] = addressOf(&n, corev1.NodeHostName)
		}
	}
	for name, err := range preflight.Check(subjects, around) {
		f.members[name].refused = err
	}
	for name, err := range preflight.Doubts(subjects) {
		f.members[name].doubt = err
		f.warn("%v", err)
	}
}

// surroundings are as far as they are known without a cluster.
func (e *Engine) surroundings() preflight.Surroundings {
	if e.Bundle == nil {
		return preflight.Surroundings{}
	}
	return preflight.Surroundings{Platform: e.Bundle.Platform, Bundle: e.Bundle.Path}
}

// lookAt reads the host's files and, when it is new, what it is.
func (e *Engine) lookAt(ctx context.Context, m *member, n spec.Node, s survey) (preflight.Subject, error) {
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	out := preflight.Subject{Title: m.title(), Node: n}
	var err error
	if m.files, err = m.host.ReadFiles(ctx, install.Observed(n)...); err != nil {
		return out, err
	}
	if out.Identity, err = install.ReadIdentity(m.files); err != nil {
		return out, fmt.Errorf("%s: %w", m.title(), err)
	}
	if out.Identity != nil {
		if n.ClusterID == "" && ofCutAttempt(out.Identity, n) {
			out.Node.ClusterID = out.Identity.ClusterID
		}
		return out, nil
	}
	var trying sync.WaitGroup
	trying.Go(func() { out.Reach = e.reaches(ctx, m, n, s) })
	asked := e.Now()
	facts, err := host.ReadFacts(ctx, m.host)
	skew := preflight.Skew(asked, e.Now(), facts.UnixTime)
	trying.Wait()
	out.Facts, out.Skew = facts, skew
	return out, err
}

// ofCutAttempt reports whether the identity is what a create of the same cluster
// left that was cut before anybody kept the cluster's ID.
func ofCutAttempt(id *install.Identity, n spec.Node) bool {
	return id.ClusterName == n.ClusterName && id.NodeName == n.Host.Name && !id.Known
}

// readyNodes returns the Nodes that are Ready: one that is not may be what a server
// was before it was reinstalled. An API that cannot be asked is no reason to refuse
// a host.
func readyNodes(ctx context.Context, api kubernetes.Interface) []corev1.Node {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(list.Items, func(n corev1.Node) bool { return notReady(&n) != "" })
}

func nodesOfPool(c spec.Connection, p spec.Pool, names []string) map[string]spec.Node {
	out := map[string]spec.Node{}
	for _, name := range names {
		if n, ok := p.Worker(c, name); ok {
			out[name] = n
		}
	}
	return out
}

// PreflightCluster looks at masters that are to be new and returns, by name, what
// stands against each. Leaving are those that the cluster has and will not have. It
// changes nothing; ctx bounds it.
func (e *Engine) PreflightCluster(ctx context.Context, want spec.Cluster, names []string, leaving []spec.Host) map[string]error {
	nodes := map[string]spec.Node{}
	for _, name := range names {
		if n, ok := want.Master(name); ok {
			nodes[name] = n
		}
	}
	c := want.Connection()
	c.Masters = except(want.Masters, names)
	return e.preflight(ctx, c, pick(want.Masters, names), nodes, leaving)
}

// PreflightPool does the same with workers. What is between them and the cluster is
// asked once there is one.
func (e *Engine) PreflightPool(ctx context.Context, c spec.Connection, want spec.Pool, names []string, leaving []spec.Host) map[string]error {
	return e.preflight(ctx, c, pick(want.Hosts, names), nodesOfPool(c, want, names), leaving)
}

func (e *Engine) preflight(ctx context.Context, c spec.Connection, hosts []spec.Host, nodes map[string]spec.Node, leaving []spec.Host) map[string]error {
	f := e.connect(ctx, hosts)
	defer f.close()
	var s survey
	if c.ClusterID != "" {
		s.masters = c.Masters
		if masters, trust, err := e.reach(ctx, c); err == nil {
			defer masters.close()
			s.witnesses = masters.reached()
			s.nodes = func(ctx context.Context) []corev1.Node { return e.stayingNodes(ctx, masters, c, trust, leaving) }
		}
	}
	e.survey(ctx, f, nodes, s)
	out := map[string]error{}
	for name, m := range f.members {
		if err := errors.Join(m.status.Err, m.refused, m.doubt); err != nil {
			out[name] = err
		}
	}
	return out
}

// stayingNodes are the Nodes that are Ready, but for those of leaving hosts: when the
// new hosts come they are gone.
func (e *Engine) stayingNodes(ctx context.Context, masters *fleet, c spec.Connection, trust install.Authorities, leaving []spec.Host) []corev1.Node {
	api, err := e.api(masters, c, trust)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(readyNodes(ctx, api), func(n corev1.Node) bool {
		return slices.ContainsFunc(leaving, func(h spec.Host) bool { return h.Name == n.Name && h.IP() == internalIP(&n) })
	})
}

// reached are the members that are logged in to.
func (f *fleet) reached(but ...string) []*member {
	var out []*member
	for _, name := range f.order {
		if m := f.members[name]; m.host != nil && !slices.Contains(but, name) {
			out = append(out, m)
		}
	}
	return out
}

func except(hosts []spec.Host, names []string) []spec.Host {
	return slices.DeleteFunc(slices.Clone(hosts), func(h spec.Host) bool { return slices.Contains(names, h.Name) })
}

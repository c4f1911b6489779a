package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
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
	// reach has the hosts try the masters' API.
	reach bool
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
		if subject, m.refused = e.lookAt(ctx, m, n, s.reach); m.refused != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		isNew = isNew || subject.Identity == nil
		subjects = append(subjects, subject)
	})
	around := e.surroundings()
	if isNew && s.nodes != nil {
		around.Machines, around.Addresses = map[string]string{}, map[string]string{}
		for _, n := range s.nodes(ctx) {
			around.Machines[n.Name], around.Addresses[n.Name] = n.Status.NodeInfo.MachineID, internalIP(&n)
		}
	}
	for name, err := range preflight.Check(subjects, around) {
		f.members[name].refused = err
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
func (e *Engine) lookAt(ctx context.Context, m *member, n spec.Node, reach bool) (preflight.Subject, error) {
	ctx, cancel := context.WithTimeout(ctx, factsTimeout)
	defer cancel()
	s := preflight.Subject{Title: m.title(), Node: n}
	var err error
	if m.files, err = m.host.ReadFiles(ctx, install.Observed(n)...); err != nil {
		return s, err
	}
	if s.Identity, err = install.ReadIdentity(m.files); err != nil {
		return s, fmt.Errorf("%s: %w", m.title(), err)
	}
	if s.Identity != nil {
		if n.ClusterID == "" && ofCutAttempt(s.Identity, n) {
			s.Node.ClusterID = s.Identity.ClusterID
		}
		return s, nil
	}
	dialled := make(chan error, 1)
	go func() {
		if reach {
			dialled <- reachAny(ctx, m.host, n.Servers)
		} else {
			dialled <- nil
		}
	}()
	asked := e.Now()
	s.Facts, err = host.ReadFacts(ctx, m.host)
	s.Skew = preflight.Skew(asked, e.Now(), s.Facts.UnixTime)
	s.NoAPI = <-dialled
	return s, err
}

// ofCutAttempt reports whether the identity is what a create of the same cluster
// left that was cut before anybody kept the cluster's ID.
func ofCutAttempt(id *install.Identity, n spec.Node) bool {
	return id.ClusterName == n.ClusterName && id.NodeName == n.Host.Name && !id.Known
}

// reachAny returns nil when the host reaches one of the addresses, or cannot be
// asked because its sshd forwards nothing.
func reachAny(ctx context.Context, h host.Host, addresses []string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	results := make(chan error, len(addresses))
	for _, a := range addresses {
		go func() {
			conn, err := dialWithin(ctx, h, a)
			if err == nil {
				conn.Close() //nolint:errcheck // nothing was sent
			}
			results <- err
		}()
	}
	var errs []error
	for range addresses {
		err := <-results
		// The wording is that of RFC 4254's reason 1, by which sshd says that it is
		// configured not to forward; it has no other mark that reaches this far.
		if err == nil || strings.Contains(err.Error(), "administratively prohibited") {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// dialWithin gives up at the end of ctx, also where the connection's other end
// takes its time to say no.
func dialWithin(ctx context.Context, h host.Host, address string) (net.Conn, error) {
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		conn, err := h.Dial(ctx, "tcp", address)
		done <- result{conn, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", address, r.err)
		}
		return r.conn, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				r.conn.Close() //nolint:errcheck // it came too late
			}
		}()
		return nil, fmt.Errorf("%s: no answer within %s", address, dialTimeout)
	}
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
// stands against each. It changes nothing; ctx bounds it.
func (e *Engine) PreflightCluster(ctx context.Context, want spec.Cluster, names []string) map[string]error {
	nodes := map[string]spec.Node{}
	for _, name := range names {
		if n, ok := want.Master(name); ok {
			nodes[name] = n
		}
	}
	return e.preflight(ctx, pick(want.Masters, names), nodes, survey{})
}

// PreflightPool does the same with workers. Whether they reach the masters is
// asked once there is a cluster.
func (e *Engine) PreflightPool(ctx context.Context, c spec.Connection, want spec.Pool, names []string) map[string]error {
	return e.preflight(ctx, pick(want.Hosts, names), nodesOfPool(c, want, names), survey{reach: c.ClusterID != ""})
}

func (e *Engine) preflight(ctx context.Context, hosts []spec.Host, nodes map[string]spec.Node, s survey) map[string]error {
	f := e.connect(ctx, hosts)
	defer f.close()
	e.survey(ctx, f, nodes, s)
	out := map[string]error{}
	for name, m := range f.members {
		if err := errors.Join(m.status.Err, m.refused); err != nil {
			out[name] = err
		}
	}
	return out
}

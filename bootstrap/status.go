package bootstrap

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// ClusterStatus is how a cluster stands, as far as it could be seen in time.
type ClusterStatus struct {
	Masters []MasterStatus
	Members []join.Member
	Nodes   []NodeStatus
	// Problems are about what could not be seen at all.
	Problems []string
}

// MasterStatus is one master as SSH shows it.
type MasterStatus struct {
	Name, Address string
	// Err says why it could not be asked; nil when it was.
	Err error
	// Expiry of the certificates on it, by their names below the PKI directory.
	Expiry map[string]time.Time
}

// NodeStatus is one Node as the API has it.
type NodeStatus struct {
	Name, Address, Pool, Version string
	Master                       bool
	// Problem says why it is not Ready; empty when it is.
	Problem string
}

// Healthy reports whether everything was seen and is as it should be.
func (s ClusterStatus) Healthy() bool {
	return len(s.Problems) == 0 && len(s.Members) > 0 && len(s.Nodes) > 0 &&
		!slices.ContainsFunc(s.Masters, func(m MasterStatus) bool { return m.Err != nil }) &&
		!slices.ContainsFunc(s.Members, func(m join.Member) bool { return m.Problem != "" || m.Learner }) &&
		!slices.ContainsFunc(s.Nodes, func(n NodeStatus) bool { return n.Problem != "" })
}

// arrival is a master that was logged in to, or could not be.
type arrival struct {
	master int
	fleet  *fleet
	trust  install.Authorities
	status MasterStatus
}

// Status looks at a cluster for no longer than limit. A master that does not
// answer is reported, and holds nothing up: nodes and members are asked for
// through the first that does.
func (e *Engine) Status(ctx context.Context, c spec.Connection, limit time.Duration) ClusterStatus {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	arrivals := make(chan arrival, len(c.Masters))
	out := ClusterStatus{Masters: make([]MasterStatus, len(c.Masters))}
	for i, h := range c.Masters {
		out.Masters[i] = MasterStatus{Name: h.Name, Address: h.Address, Err: fmt.Errorf("no answer within %s", limit)}
		go func() { arrivals <- e.arrive(ctx, c, i) }()
	}
	waiting := len(c.Masters)
	defer func() {
		go func() { // those that come too late
			for range waiting {
				(<-arrivals).fleet.close()
			}
		}()
	}()
	problems := map[string]error{}
	for waiting > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-arrivals:
			waiting--
			defer a.fleet.close()
			out.Masters[a.master] = a.status
			if a.status.Err == nil {
				e.look(ctx, &out, c, a, problems)
			}
		}
	}
	for _, what := range []string{"nodes", "members"} {
		if seen := map[string]int{"nodes": len(out.Nodes), "members": len(out.Members)}[what]; seen > 0 {
			continue
		}
		err := problems[what]
		if err == nil {
			err = errNoAuthorities
		}
		out.Problems = append(out.Problems, fmt.Sprintf("the %s could not be seen: %v", what, err))
	}
	return out
}

// arrive logs in to one master and reads what it holds.
func (e *Engine) arrive(ctx context.Context, c spec.Connection, i int) arrival {
	h := c.Masters[i]
	a := arrival{master: i, fleet: e.connect(ctx, []spec.Host{h}), status: MasterStatus{Name: h.Name, Address: h.Address}}
	m := a.fleet.members[h.Name]
	if a.status.Err = m.status.Err; m.host == nil {
		return a
	}
	if a.trust, a.status.Err = a.fleet.authorities(ctx, c.ClusterID); a.status.Err != nil {
		return a
	}
	a.fleet.source = h.Name
	a.status.Expiry, a.status.Err = expiries(ctx, m.host)
	return a
}

func expiries(ctx context.Context, h host.Host) (map[string]time.Time, error) {
	var paths []string
	for _, p := range install.CredentialFiles(spec.Node{Master: true}) {
		if path.Ext(p) == ".crt" {
			paths = append(paths, p)
		}
	}
	files, err := h.ReadFiles(ctx, paths...)
	if err != nil {
		return nil, err
	}
	out := map[string]time.Time{}
	for p, data := range files {
		if out[strings.TrimSuffix(path.Base(p), ".crt")], err = pki.Expiry(data); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return out, nil
}

// look asks through a master for what no other has told yet.
func (e *Engine) look(ctx context.Context, out *ClusterStatus, c spec.Connection, a arrival, problems map[string]error) {
	var wg sync.WaitGroup
	var nodesErr, membersErr error
	if len(out.Nodes) == 0 {
		wg.Go(func() { out.Nodes, nodesErr = e.nodeStatuses(ctx, a.fleet, c, a.trust) })
	}
	if len(out.Members) == 0 {
		wg.Go(func() {
			s, err := e.store(ctx, a.fleet, a.trust)
			if membersErr = err; err != nil {
				return
			}
			defer s.Close()
			// A member that is down must leave time to ask through another one.
			ctx, cancel := context.WithTimeout(ctx, statusShare(ctx))
			defer cancel()
			out.Members, membersErr = join.Members(ctx, s)
		})
	}
	wg.Wait()
	problems["nodes"], problems["members"] = nodesErr, membersErr
}

// statusShare is half of the time that is left.
func statusShare(ctx context.Context) time.Duration {
	end, _ := ctx.Deadline()
	return time.Until(end) / 2
}

func (e *Engine) nodeStatuses(ctx context.Context, f *fleet, c spec.Connection, trust install.Authorities) ([]NodeStatus, error) {
	api, err := e.api(f, c, trust)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, statusShare(ctx))
	defer cancel()
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	var out []NodeStatus
	for _, n := range list.Items {
		_, master := n.Labels[spec.MasterLabel]
		out = append(out, NodeStatus{
			Name: n.Name, Address: internalIP(&n), Pool: n.Labels[spec.PoolLabel], Master: master,
			Version: gantryVersion(&n), Problem: notReady(&n),
		})
	}
	return out, nil
}

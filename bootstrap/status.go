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

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
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
	// Refused says why its member of etcd does not start; nil when it does.
	Refused error
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
		!slices.ContainsFunc(s.Masters, func(m MasterStatus) bool { return m.Err != nil || m.Refused != nil }) &&
		!slices.ContainsFunc(s.Members, func(m join.Member) bool { return m.Problem != "" || m.Learner }) &&
		!slices.ContainsFunc(s.Nodes, func(n NodeStatus) bool { return n.Problem != "" })
}

// answer is a master that was logged in to, or could not be.
type answer struct {
	master int
	hosts  *fleet.Fleet
	access *access.Access
	status MasterStatus
}

// Status looks at a cluster for no longer than limit. A master that does not
// answer is reported, and holds nothing up: nodes and members are asked for
// through the first that does.
func (e *Engine) Status(ctx context.Context, c spec.Connection, limit time.Duration) ClusterStatus {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answers := make(chan answer, len(c.Masters))
	out := ClusterStatus{Masters: make([]MasterStatus, len(c.Masters))}
	for i, h := range c.Masters {
		out.Masters[i] = MasterStatus{Name: h.Name, Address: h.Address, Err: fmt.Errorf("no answer within %s", limit)}
		go func() { answers <- askMaster(ctx, e.access(), c, i) }()
	}
	waiting := len(c.Masters)
	defer func() {
		go func() { // those that come too late
			for range waiting {
				(<-answers).hosts.Close()
			}
		}()
	}()
	problems := map[string]error{}
	for waiting > 0 && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-answers:
			waiting--
			defer a.hosts.Close()
			out.Masters[a.master] = a.status
			if a.status.Err == nil {
				askCluster(ctx, &out, c, a.access, problems)
			}
		}
	}
	for _, what := range []string{"nodes", "members"} {
		if seen := map[string]int{"nodes": len(out.Nodes), "members": len(out.Members)}[what]; seen > 0 {
			continue
		}
		err := problems[what]
		if err == nil {
			err = access.ErrNoAuthorities
		}
		out.Problems = append(out.Problems, fmt.Sprintf("the %s could not be seen: %v", what, err))
	}
	return out
}

// askMaster logs in to one master and reads what it holds.
func askMaster(ctx context.Context, cfg access.Config, c spec.Connection, i int) answer {
	h := c.Masters[i]
	a := answer{master: i, hosts: fleet.Connect(ctx, cfg.Config, []spec.Host{h}), status: MasterStatus{Name: h.Name, Address: h.Address}}
	m := a.hosts.Members[h.Name]
	if a.status.Err = m.Status.Err; m.Host == nil {
		return a
	}
	if a.access, a.status.Err = access.Of(ctx, cfg, a.hosts, c.ClusterID); a.status.Err != nil {
		return a
	}
	a.access.Source = h.Name
	if a.status.Expiry, a.status.Err = expiries(ctx, m.Host); a.status.Err != nil {
		return a
	}
	files, err := m.Host.ReadFiles(ctx, config.EtcdRefusedFile)
	if a.status.Err = err; err == nil {
		if why := install.RefusedEtcd(files); why != "" {
			a.status.Refused = fmt.Errorf("its member of etcd does not start: %s", why)
		}
	}
	return a
}

func expiries(ctx context.Context, h host.Host) (map[string]time.Time, error) {
	var paths []string
	for _, p := range install.CredentialFiles(spec.Node{Master: true}) {
		if ext := path.Ext(p); ext == ".crt" || ext == ".pem" {
			paths = append(paths, p)
		}
	}
	files, err := h.ReadFiles(ctx, paths...)
	if err != nil {
		return nil, err
	}
	out := map[string]time.Time{}
	for p, data := range files {
		if out[strings.TrimSuffix(path.Base(p), path.Ext(p))], err = pki.Expiry(data); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	return out, nil
}

// askCluster asks through a master for what no other has told yet.
func askCluster(ctx context.Context, out *ClusterStatus, c spec.Connection, a *access.Access, problems map[string]error) {
	var wg sync.WaitGroup
	var nodesErr, membersErr error
	if len(out.Nodes) == 0 {
		wg.Go(func() { out.Nodes, nodesErr = nodeStatuses(ctx, a, c) })
	}
	if len(out.Members) == 0 {
		wg.Go(func() {
			s, err := a.Etcd(ctx)
			if membersErr = err; err != nil {
				return
			}
			defer s.Close() // it was only asked
			// A member that is down must leave time to ask through another one.
			ctx, cancel := context.WithTimeout(ctx, access.Half(ctx))
			defer cancel()
			out.Members, membersErr = join.Members(ctx, s)
		})
	}
	wg.Wait()
	problems["nodes"], problems["members"] = nodesErr, membersErr
}

func nodeStatuses(ctx context.Context, a *access.Access, c spec.Connection) ([]NodeStatus, error) {
	api, err := a.Kubernetes(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, access.Half(ctx))
	defer cancel()
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	var out []NodeStatus
	for _, n := range list.Items {
		_, master := n.Labels[spec.MasterLabel]
		out = append(out, NodeStatus{
			Name: n.Name, Address: nodes.InternalIP(&n), Pool: n.Labels[spec.PoolLabel], Master: master,
			Version: nodes.Version(&n), Problem: nodes.NotReady(&n),
		})
	}
	return out, nil
}

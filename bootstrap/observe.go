package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// observe compares every reached host with what it should be. Nodes is nil where no
// master answers.
func (e *Engine) observe(ctx context.Context, f *fleet, nodes *apiNodes, node func(name string) (spec.Node, bool)) {
	f.look(ctx, f.order, func(ctx context.Context, m *member) {
		n, ok := node(m.spec.Name)
		if m.host == nil || !ok {
			return
		}
		drift, err := e.drift(ctx, m, n, nodes.refused(n))
		var foreign *install.ForeignError
		switch {
		case errors.Is(err, errBare):
			m.status.State, m.status.Message = Absent, "nothing of the cluster is on the host"
			return
		case errors.As(err, &foreign):
			m.status.State, m.status.Message, m.status.Err = Drifted, err.Error(), err
			return
		case err != nil:
			m.status.State, m.status.Message, m.status.Err = Unknown, err.Error(), err
			return
		}
		if nodes != nil {
			drift = append(drift, nodes.drift(n)...)
		}
		m.status.State = Ready
		if len(drift) > 0 {
			m.status.State, m.status.Message = Drifted, strings.Join(drift, "; ")
		}
	})
}

var errBare = errors.New("nothing of the cluster is on the host")

// drift returns what differs on the host from what it should be. Certificates that
// begin no later than refused are not good.
func (e *Engine) drift(ctx context.Context, m *member, n spec.Node, refused time.Time) ([]string, error) {
	files, err := m.host.ReadFiles(ctx, install.Observed(n)...)
	if err != nil {
		return nil, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil {
		return nil, err
	}
	if id == nil {
		return nil, errBare
	}
	if err := install.Check(m.title(), id, n); err != nil {
		return nil, err
	}
	if n.Master {
		m.know(ctx, *id)
	}
	if e.Bundle == nil {
		return nil, fmt.Errorf("%s: no bundle is configured to compare the host with", m.title())
	}
	trust, err := onHost(files, n)
	if err != nil {
		return []string{err.Error()}, nil
	}
	credentials, unfit := install.Credentials(n, trust, files, e.Now(), refused)
	etcd, ok := install.EtcdOnHost(files, n)
	if n.Master && !ok {
		return []string{config.Etcd.ConfigFile() + " is missing or was changed"}, nil
	}
	steps, err := install.Steps(install.Input{Node: n, Bundle: e.Bundle, Credentials: credentials, Etcd: etcd, Upstreams: install.Upstreams(files)})
	if err != nil {
		return nil, err
	}
	steps = append(steps, install.Joined(n))
	seen, err := step.Observe(ctx, m.host, steps)
	if err != nil {
		return nil, err
	}
	drift := step.Drift(seen, steps)
	if unfit != nil {
		drift = append(drift, unfit.Error())
	}
	return drift, nil
}

// onHost returns the authorities as far as the host itself holds them: a worker
// has the CA's certificate only.
func onHost(files map[string][]byte, n spec.Node) (install.Authorities, error) {
	if n.Master {
		return install.ReadAuthorities(files)
	}
	ca, err := pki.LoadAuthority(pki.Pair{Cert: files[config.CA.CertFile()]})
	if err != nil {
		return install.Authorities{}, fmt.Errorf("%s: %w", config.CA.CertFile(), err)
	}
	return install.Authorities{CA: ca}, nil
}

// apiNodes is what the API has of nodes.
type apiNodes struct {
	found map[string]*corev1.Node
	gone  releases
}

// notCompared is the warning of hosts that were looked at without their Nodes: that
// is no news of them, but no agreement either.
func (f *fleet) notCompared(whose string, err error) {
	if err != nil {
		f.warn("the Nodes of %s could not be compared with what they should be: %v", whose, err)
	}
}

// nodesOf asks the API.
func (e *Engine) nodesOf(ctx context.Context, masters *fleet, c spec.Connection, trust install.Authorities) (*apiNodes, error) {
	api, err := e.api(masters, c, trust)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	gone, err := released(ctx, api)
	if err != nil {
		return nil, err
	}
	nodes := &apiNodes{found: map[string]*corev1.Node{}, gone: gone}
	for i, n := range list.Items {
		nodes.found[n.Name] = &list.Items[i]
	}
	return nodes, nil
}

// refused is the last beginning of a certificate of the node that is not accepted.
func (a *apiNodes) refused(n spec.Node) time.Time {
	if a == nil {
		return time.Time{}
	}
	return a.gone[n.Host.Name]
}

// drift says what is wrong with a Node.
func (a *apiNodes) drift(n spec.Node) []string {
	node := a.found[n.Host.Name]
	if node == nil {
		return []string{"its Node is missing"}
	}
	var drift []string
	for _, d := range reconcile(node.DeepCopy(), n) {
		drift = append(drift, "its Node: "+d)
	}
	return drift
}

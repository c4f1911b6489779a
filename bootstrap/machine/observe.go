package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// Listed is the Nodes as the API has them. A nil one is of an API that could not be
// asked.
type Listed struct {
	nodes   map[string]*corev1.Node
	revoked nodes.Revoked
}

// listTimeout bounds one look at the API of hosts that are compared.
const listTimeout = 10 * time.Second

// List asks the API for all Nodes.
func List(ctx context.Context, a *access.Access, c spec.Connection) (*Listed, error) {
	api, err := a.Kubernetes(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list the nodes: %w", err)
	}
	revoked, err := nodes.ReadRevoked(ctx, api)
	if err != nil {
		return nil, err
	}
	out := &Listed{nodes: map[string]*corev1.Node{}, revoked: revoked}
	for i, n := range list.Items {
		out.nodes[n.Name] = &list.Items[i]
	}
	return out, nil
}

// Revoked asks for the revocations through a way to the cluster that may have none. A
// master whose API does not answer may be just what is to be mended, so that is no
// error: a node that then keeps a revoked certificate has no Node, which the next
// plan sees.
func Revoked(ctx context.Context, a *access.Access, c spec.Connection) nodes.Revoked {
	if a.Source == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	api, err := a.Kubernetes(c)
	if err != nil {
		return nil
	}
	out, err := nodes.ReadRevoked(ctx, api)
	if err != nil {
		return nil
	}
	return out
}

// Observe compares every reached host with the node that it should be.
func (l Lifecycle) Observe(ctx context.Context, f *fleet.Fleet, listed *Listed, node func(name string) (spec.Node, bool)) {
	f.Look(ctx, f.Order, func(ctx context.Context, m *fleet.Member) {
		n, ok := node(m.Spec.Name)
		if m.Host == nil || !ok {
			return
		}
		var revoked time.Time
		if listed != nil {
			revoked = listed.revoked[n.Host.Name]
		}
		drift, err := l.drift(ctx, f, m, n, revoked)
		if err == nil && listed != nil {
			drift = append(drift, nodes.Drift(listed.nodes[n.Host.Name], n)...)
		}
		key, version := m.Status.HostKey, m.Status.Version
		if version == "" && listed != nil && listed.nodes[n.Host.Name] != nil {
			version = nodes.Version(listed.nodes[n.Host.Name])
		}
		m.Status = judge(drift, err)
		m.Status.HostKey = key
		if m.Status.Err == nil && m.Status.State != fleet.Absent { // it is this node
			m.Status.Version = version
		}
	})
}

var errBare = errors.New("nothing of the cluster is on the host")

// judge says how a host stands that differs by drift, or was looked at with an error.
func judge(drift []string, err error) fleet.Status {
	var foreign *install.ForeignError
	switch {
	case errors.Is(err, errBare):
		return fleet.Status{State: fleet.Absent, Message: err.Error()}
	case errors.As(err, &foreign):
		return fleet.Status{State: fleet.Drifted, Message: err.Error(), Err: err}
	case err != nil:
		return fleet.Status{State: fleet.Unknown, Message: err.Error(), Err: err}
	case len(drift) > 0:
		return fleet.Status{State: fleet.Drifted, Message: strings.Join(drift, "; ")}
	}
	return fleet.Status{State: fleet.Ready}
}

// drift returns what differs on the host from what it should be. Certificates that
// begin no later than revoked are not good.
func (l Lifecycle) drift(ctx context.Context, f *fleet.Fleet, m *fleet.Member, n spec.Node, revoked time.Time) ([]string, error) {
	files, err := m.Host.ReadFiles(ctx, install.Observed(n)...)
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
	if err := install.Check(m.Title(), id, n); err != nil {
		return nil, err
	}
	m.Status.Version = install.VersionOnHost(files)
	if n.Master {
		MarkKnown(ctx, m, *id)
	}
	if l.Bundle == nil {
		return nil, fmt.Errorf("%s: no bundle is configured to compare the host with", m.Title())
	}
	trust, err := onHost(files, n)
	if err != nil {
		return []string{err.Error()}, nil //nolint:nilerr // it is what differs on the host
	}
	for _, what := range install.Ending(n, files, l.Now()) {
		f.Ends(what)
	}
	credentials, unfit := install.Credentials(n, trust, files, l.Now(), revoked)
	etcd, ok := install.EtcdOnHost(files, n)
	if n.Master && !ok {
		return []string{config.Etcd.ConfigFile() + " is missing or was changed"}, nil
	}
	steps, err := install.Steps(install.Input{Node: n, Bundle: l.Bundle, Credentials: credentials, Etcd: etcd, Upstreams: install.Upstreams(files)})
	if err != nil {
		return nil, err
	}
	steps = append(steps, install.Joined(n))
	seen, err := step.Observe(ctx, m.Host, steps)
	if err != nil {
		return nil, err
	}
	drift := step.Drift(seen, steps)
	if why := install.RefusedEtcd(files); n.Master && why != "" {
		drift = append([]string{"its member of etcd does not start and is replaced: " + why}, drift...)
	}
	if unfit != nil {
		drift = append(drift, unfit.Error())
	}
	if n.Master {
		if said := encryption.Unfinished(encryption.KeyName(n.APIServer.EncryptionKeyRotation), files[config.EncryptionConfigFile]); said != "" {
			drift = append(drift, said)
		}
	}
	return drift, nil
}

// MarkKnown marks a master as kept in a state: to come with its cluster's ID is to
// have kept it. A host that cannot be marked now is marked another time.
func MarkKnown(ctx context.Context, m *fleet.Member, id install.Identity) {
	if !id.Known {
		m.Host.WriteFiles(ctx, host.File(install.Known(id.ClusterID))) //nolint:errcheck // see above
	}
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

package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// Config is what a cluster is reached with.
type Config struct {
	fleet.Config
	// API makes a client of the API servers; Store one of the etcd at an endpoint (a URL).
	API   func(client.Options) (kubernetes.Interface, error)
	Store func(endpoint string, ca *pki.Authority, dial join.Dial, now time.Time) (join.Store, error)
}

// Access is the way to a cluster.
type Access struct {
	Config
	Masters *fleet.Fleet
	// Trust are the cluster's authorities.
	Trust install.Authorities
	// Source is the master through which the cluster is reached; empty as long as none
	// is a member of etcd.
	Source string
	// Serving are the masters that had joined to the end and whose etcd listened when
	// they were looked at; Members are all that were given a place in etcd.
	Serving, Members []string
	// Provisional is set when the etcd of no member may answer: the source was cut
	// before it had a vote, or its etcd is down.
	Provisional bool
}

// ErrNoAuthorities is for a cluster that none of the masters that answer speaks for.
var ErrNoAuthorities = errors.New("no master that can be reached holds the cluster's authorities")

// Of reads the authorities from a reached master of this cluster that holds them
// all: one that is a member of etcd, if there is one, which becomes the source. One
// that serves comes before one that was cut while it joined, or whose etcd is down.
func Of(ctx context.Context, c Config, masters *fleet.Fleet, clusterID string) (*Access, error) {
	a := &Access{Config: c, Masters: masters}
	var mu sync.Mutex
	found, failed := map[string]holding{}, map[string]error{}
	masters.Look(ctx, masters.Order, func(ctx context.Context, m *fleet.Member) {
		held, err := holding{}, m.Status.Err
		if m.Host != nil {
			held, err = holdingOf(ctx, m, clusterID)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed[m.Spec.Name] = err
		} else {
			found[m.Spec.Name] = held
		}
	})
	var silentOnes, others []string
	var errs []error
	for _, name := range masters.Order {
		held, ok := found[name]
		switch {
		case !ok:
			errs = append(errs, failed[name])
		case held.at == serving:
			a.Serving = append(a.Serving, name)
		case held.at == silent:
			silentOnes = append(silentOnes, name)
		default:
			others = append(others, name)
		}
	}
	a.Members = slices.Concat(a.Serving, silentOnes)
	a.Provisional = len(a.Serving) == 0 && len(silentOnes) > 0
	all := slices.Concat(a.Members, others)
	if len(all) == 0 {
		return a, fmt.Errorf("%w: %w", ErrNoAuthorities, errors.Join(errs...))
	}
	if len(a.Members) > 0 {
		a.Source = a.Members[0]
	}
	a.Trust = found[all[0]].trust
	return a, nil
}

// membership is what a master is to etcd.
type membership int

const (
	outside membership = iota
	// silent: it was given its place, and may have no vote yet, of which etcd answers
	// next to nothing, or its etcd is down.
	silent
	// serving: it has a vote, and its etcd listens.
	serving
)

// holding is what a master has of its cluster.
type holding struct {
	trust install.Authorities
	at    membership
}

func holdingOf(ctx context.Context, m *fleet.Member, clusterID string) (holding, error) {
	listens := make(chan bool, 1) // asked beside the files, so that it costs no round trip
	go func() {
		ctx, cancel := context.WithTimeout(ctx, DialTimeout)
		defer cancel()
		listens <- Try(ctx, m.Host, m.Spec.IP(), config.EtcdClientPort) == nil
	}()
	files, err := m.Host.ReadFiles(ctx, append(install.AuthorityFiles(), install.IdentityFile, install.KnownFile, install.JoinedFile, config.Etcd.ConfigFile(), config.EtcdRefusedFile)...)
	if err != nil {
		return holding{}, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil || id == nil || id.ClusterID != clusterID {
		return holding{}, fmt.Errorf("%s is no master of cluster %s", m.Title(), clusterID)
	}
	trust, err := install.ReadAuthorities(files)
	if err != nil {
		return holding{}, fmt.Errorf("%s: %w", m.Title(), err)
	}
	etcd, given := install.EtcdOnHost(files, spec.Node{ClusterID: clusterID, Host: m.Spec})
	switch {
	case !given, install.RefusedEtcd(files) != "": // it holds nothing that a master could be reached by
		return holding{trust, outside}, nil
	case etcd.Joins && len(files[install.JoinedFile]) == 0: // the first one votes from its start
		return holding{trust, silent}, nil
	case !<-listens:
		return holding{trust, silent}, nil
	}
	return holding{trust, serving}, nil
}

// enter logs in to a master that holds the cluster and is a member of etcd.
func enter(ctx context.Context, cfg Config, c spec.Connection, h spec.Host) (*Access, error) {
	masters := fleet.Connect(ctx, cfg.Config, []spec.Host{h})
	a, err := Of(ctx, cfg, masters, c.ClusterID)
	if err == nil && a.Source == "" {
		err = fmt.Errorf("%w: %s has no etcd store yet", ErrNoAuthorities, h.Name)
	}
	if err != nil {
		masters.Close()
		return nil, err
	}
	return a, nil
}

// Reach finds one live master that holds the cluster, and logs in to no more than
// it must. One whose etcd may not answer is taken when there is no other.
func Reach(ctx context.Context, cfg Config, c spec.Connection) (*Access, error) {
	return First(len(c.Masters),
		func(i int) (*Access, error) { return enter(ctx, cfg, c, c.Masters[i]) },
		func(found *Access) bool { return !found.Provisional },
		func(late *Access) { late.Close() })
}

// Close ends the connections to the masters.
func (a *Access) Close() { a.Masters.Close() }

// source is the member through which the cluster is reached.
func (a *Access) source() *fleet.Member { return a.Masters.Members[a.Source] }

// Journal keeps on the source what is changed of the cluster.
func (a *Access) Journal() *step.ClusterJournal {
	m := a.source()
	return &step.ClusterJournal{Host: m.Host, Failed: func(err error) {
		a.Events(step.Event{Host: m.Title(), Step: "keep the journal", State: step.Failed, Err: err})
	}}
}

// Kubernetes returns an API client through the source: to its own API server, and to
// those that it reaches where that one is down.
func (a *Access) Kubernetes(c spec.Connection) (kubernetes.Interface, error) {
	return a.KubernetesThrough(a.source(), c.Servers(a.Source)...)
}

// KubernetesThrough is a client of these API servers (host:port), through a member.
func (a *Access) KubernetesThrough(m *fleet.Member, servers ...string) (kubernetes.Interface, error) {
	return Kubernetes(a.Config, m, a.Trust, servers)
}

// Kubernetes is a client with an administrator's certificate that exists in memory
// only.
func Kubernetes(c Config, m *fleet.Member, trust install.Authorities, servers []string) (kubernetes.Interface, error) {
	pair, err := trust.CA.Issue(pki.Request{CommonName: "gantry-bootstrap", Organizations: []string{config.MastersGroup}, Lifetime: time.Hour}, c.Now())
	if err != nil {
		return nil, err
	}
	return c.API(client.Options{
		Servers: servers, CA: trust.CA.Cert, Cert: pair.Cert, Key: pair.Key,
		UserAgent: "gantry-bootstrap", Dial: m.Host.Dial,
	})
}

// APIAddress is where a master serves the API.
func APIAddress(h spec.Host) string {
	return net.JoinHostPort(h.IP(), strconv.Itoa(config.APIServerPort))
}

// Etcd opens a client of etcd through the source or, where its etcd does not answer,
// through another master that is a member.
func (a *Access) Etcd(ctx context.Context) (join.Store, error) {
	open := func(name string) (join.Store, error) {
		m := a.Masters.Members[name]
		return a.Store(install.ClientURL(m.Spec), a.Trust.EtcdCA, m.Host.Dial, a.Now())
	}
	ways := append([]string{a.Source}, slices.DeleteFunc(slices.Clone(a.Members), func(name string) bool { return name == a.Source })...)
	if len(ways) == 1 {
		return open(a.Source)
	}
	return First(len(ways), func(i int) (join.Store, error) {
		s, err := open(ways[i])
		if err != nil {
			return nil, err
		}
		if _, err := s.MemberList(ctx); err != nil {
			s.Close() // it did not work anyway
			return nil, fmt.Errorf("list etcd members through %s: %w", a.Masters.Members[ways[i]].Title(), err)
		}
		return s, nil
	}, nil, func(late join.Store) { late.Close() }) // nothing was done by it
}

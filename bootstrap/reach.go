package bootstrap

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

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// headStart is how long one master may take before the next is tried beside it.
const headStart = time.Second

// first tries n masters in turn until one succeeds with what is good; what is not is
// taken where nothing is. One that does not answer costs headStart, not a time-out:
// then the next is tried beside it. What is not taken is dropped. Without good,
// everything is.
func first[T any](n int, try func(i int) (T, error), good func(T) bool, drop func(T)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	outcomes := make(chan outcome, n)
	var none T
	if n == 0 {
		return none, errNoMaster
	}
	var errs []error
	var second *T
	begun, ended := 0, 0
	begin := func() {
		i := begun
		begun++
		go func() {
			v, err := try(i)
			outcomes <- outcome{v, err}
		}()
	}
	for ended < n {
		if begun == ended { // nobody else is being asked
			begin()
		}
		var next <-chan time.Time
		if begun < n {
			next = time.After(headStart)
		}
		select {
		case <-next:
			begin()
		case o := <-outcomes:
			ended++
			switch {
			case o.err != nil:
				errs = append(errs, o.err)
			case good == nil || good(o.value):
				if second != nil {
					drop(*second)
				}
				go func() { // those that are still being tried
					for range begun - ended {
						if late := <-outcomes; late.err == nil {
							drop(late.value)
						}
					}
				}()
				return o.value, nil
			case second == nil:
				second = &o.value
			default:
				drop(o.value)
			}
		}
	}
	if second != nil {
		return *second, nil
	}
	return none, errors.Join(errs...)
}

var errNoMaster = errors.New("no master is named by which the cluster could be reached")

// entry is a master by which the cluster is reached.
type entry struct {
	fleet *fleet
	trust install.Authorities
}

// enter logs in to a master that holds the cluster and has a place in its store.
func (e *Engine) enter(ctx context.Context, c spec.Connection, h spec.Host) (entry, error) {
	f := e.connect(ctx, []spec.Host{h})
	trust, err := f.authorities(ctx, c.ClusterID)
	if err == nil && f.source == "" {
		err = fmt.Errorf("%w: %s has no store yet", errNoAuthorities, h.Name)
	}
	if err != nil {
		f.close()
		return entry{}, err
	}
	return entry{f, trust}, nil
}

// reach finds one live master that holds the cluster, and logs in to no more than
// it must. One whose store may not answer is taken when there is no other.
func (e *Engine) reach(ctx context.Context, c spec.Connection) (*fleet, install.Authorities, error) {
	found, err := first(len(c.Masters),
		func(i int) (entry, error) { return e.enter(ctx, c, c.Masters[i]) },
		func(found entry) bool { return !found.fleet.provisional },
		func(late entry) { late.fleet.close() })
	return found.fleet, found.trust, err
}

// control is reach, with an API that answers.
func (e *Engine) control(ctx context.Context, c spec.Connection) (*fleet, install.Authorities, kubernetes.Interface, error) {
	masters, trust, err := e.reach(ctx, c)
	if err != nil {
		return nil, trust, nil, err
	}
	api, err := e.api(masters, c, trust)
	if err == nil {
		_, err = released(ctx, api)
	}
	if err != nil {
		masters.close()
		return nil, trust, nil, err
	}
	return masters, trust, api, nil
}

var errNoAuthorities = errors.New("no master that can be reached holds the cluster's authorities")

// authorities reads them from a reached master of this cluster that holds them
// all: one that is in the store, if there is one, which becomes the source. One that
// serves comes before one that was cut while it joined, or whose etcd is down.
func (f *fleet) authorities(ctx context.Context, clusterID string) (install.Authorities, error) {
	var mu sync.Mutex
	found, failed := map[string]holding{}, map[string]error{}
	f.look(ctx, f.order, func(ctx context.Context, m *member) {
		held, err := holding{}, m.status.Err
		if m.host != nil {
			held, err = m.holding(ctx, clusterID)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed[m.spec.Name] = err
		} else {
			found[m.spec.Name] = held
		}
	})
	var serving, quiet, others []string
	var errs []error
	for _, name := range f.order {
		held, ok := found[name]
		switch {
		case !ok:
			errs = append(errs, failed[name])
		case held.at == serves:
			serving = append(serving, name)
		case held.at == silent:
			quiet = append(quiet, name)
		default:
			others = append(others, name)
		}
	}
	f.serving = serving
	f.stores, f.provisional = append(serving, quiet...), len(serving) == 0 && len(quiet) > 0
	all := append(f.stores[:len(f.stores):len(f.stores)], others...)
	if len(all) == 0 {
		return install.Authorities{}, fmt.Errorf("%w: %w", errNoAuthorities, errors.Join(errs...))
	}
	if len(f.stores) > 0 {
		f.source = f.stores[0]
	}
	return found[all[0]].trust, nil
}

// place is what a master is in the store.
type place int

const (
	outside place = iota
	// silent: it was given its place, and may have no vote yet, of which etcd answers
	// next to nothing, or its etcd is down.
	silent
	// serves: it has a vote, and its etcd listens.
	serves
)

// holding is what a master has of its cluster.
type holding struct {
	trust install.Authorities
	at    place
}

func (m *member) holding(ctx context.Context, clusterID string) (holding, error) {
	listens := make(chan bool, 1) // asked beside the files, so that it costs no round trip
	go func() {
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		defer cancel()
		conn, err := dialWithin(ctx, m.host, net.JoinHostPort(m.spec.IP(), strconv.Itoa(config.EtcdClientPort)))
		if err == nil {
			conn.Close() //nolint:errcheck // nothing was sent
		}
		listens <- err == nil
	}()
	files, err := m.host.ReadFiles(ctx, append(install.AuthorityFiles(), install.IdentityFile, install.KnownFile, install.JoinedFile, config.Etcd.ConfigFile())...)
	if err != nil {
		return holding{}, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil || id == nil || id.ClusterID != clusterID {
		return holding{}, fmt.Errorf("%s is no master of cluster %s", m.title(), clusterID)
	}
	trust, err := install.ReadAuthorities(files)
	if err != nil {
		return holding{}, fmt.Errorf("%s: %w", m.title(), err)
	}
	etcd, given := install.EtcdOnHost(files, spec.Node{ClusterID: clusterID, Host: m.spec})
	switch {
	case !given:
		return holding{trust, outside}, nil
	case etcd.Joins && len(files[install.JoinedFile]) == 0: // the first one votes from its start
		return holding{trust, silent}, nil
	case !<-listens:
		return holding{trust, silent}, nil
	}
	return holding{trust, serves}, nil
}

// store opens the store through the source or, where its etcd does not answer,
// through another master that has one.
func (e *Engine) store(ctx context.Context, f *fleet, trust install.Authorities) (join.Store, error) {
	open := func(name string) (join.Store, error) {
		m := f.members[name]
		return e.Store(install.ClientURL(m.spec), trust.EtcdCA, m.host.Dial, e.Now())
	}
	ways := append([]string{f.source}, slices.DeleteFunc(slices.Clone(f.stores), func(name string) bool { return name == f.source })...)
	if len(ways) == 1 {
		return open(f.source)
	}
	return first(len(ways), func(i int) (join.Store, error) {
		s, err := open(ways[i])
		if err != nil {
			return nil, err
		}
		if _, err := s.MemberList(ctx); err != nil {
			s.Close() //nolint:errcheck // it did not work anyway
			return nil, fmt.Errorf("list etcd members through %s: %w", f.members[ways[i]].title(), err)
		}
		return s, nil
	}, nil, func(late join.Store) { late.Close() }) //nolint:errcheck // nothing was done by it
}

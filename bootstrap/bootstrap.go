package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// CreateCluster makes a cluster of bare servers. Its ID is chosen here, or taken
// from hosts where an earlier attempt was cut. It succeeds when one master is up;
// the Report says how the others stand. The error is for when none is.
func (e *Engine) CreateCluster(ctx context.Context, want spec.Cluster) (report Report, err error) {
	if err := want.Validate(); err != nil {
		return Report{}, err
	}
	ctx, finish, err := e.hold(ctx, want.Name, want.Masters, "create cluster "+want.Name)
	if err != nil {
		return unasked(err), err
	}
	defer func() { finish(&report) }()
	fleet := e.connect(ctx, want.Masters)
	defer fleet.close()

	found, err := fleet.identities(ctx)
	if err != nil {
		return fleet.report(), err
	}
	if want.ID, err = e.adoptOrNew(fleet, found, want); err != nil {
		return fleet.report(), err
	}
	fleet.fresh = !slices.ContainsFunc(slices.Collect(maps.Values(found)), func(id *install.Identity) bool { return id != nil })
	trust, err := fleet.authorities(ctx, want.ID)
	if errors.Is(err, errNoAuthorities) {
		trust, err = e.Trust(want.Name, e.Now())
	}
	if err != nil {
		return fleet.report(), err
	}
	e.raiseMasters(ctx, fleet, want, trust, names(want.Masters))

	report = fleet.report()
	report.ClusterID, report.CAFingerprint = want.ID, pki.Fingerprint(trust.CA.Cert)
	if len(fleet.in(Ready)) == 0 {
		return report, fmt.Errorf("no master of cluster %s came up: %w", want.Name, fleet.errors())
	}
	return report, nil
}

// ClusterChange says which masters an update is about. All others are left alone.
type ClusterChange struct {
	// Touch are masters (by name) to be made what they should be.
	Touch []string
	// Leaving are masters that are no longer wanted.
	Leaving []spec.Host
	// Force lets one go although its pods could not be moved within DrainTimeout.
	Force bool
}

// UpdateCluster makes the touched masters what they should be and takes the
// leaving ones out, one voter at a time: new ones come before old ones go, but for
// the dead, since a store takes no new member while one is down, and for those
// whose name goes to another server.
func (e *Engine) UpdateCluster(ctx context.Context, want spec.Cluster, change ClusterChange) (report Report, err error) {
	if err := want.Validate(); err != nil {
		return Report{}, err
	}
	ctx, finish, err := e.hold(ctx, want.Name, append(slices.Clone(want.Masters), change.Leaving...), "update cluster "+want.Name)
	if err != nil {
		return unasked(err), err
	}
	defer func() { finish(&report) }()
	fleet := e.connect(ctx, want.Masters)
	defer fleet.close()
	leaving := e.connect(ctx, change.Leaving)
	defer leaving.close()
	trust, err := fleet.authorities(ctx, want.ID)
	if err == nil && fleet.source == "" {
		err = fmt.Errorf("no master that stays holds the store of cluster %s", want.Name)
	}
	if err != nil {
		return fleet.report(), err
	}
	fleet.know(ctx, want.ID)
	fleet.only = append(append([]string{}, change.Touch...), names(change.Leaving)...) // never nil: that would be all
	var first, last []string
	for _, name := range leaving.order {
		if _, moves := want.Master(name); moves || leaving.members[name].host == nil {
			first = append(first, name)
		} else {
			last = append(last, name)
		}
	}
	e.retireMasters(ctx, fleet, leaving, want, trust, first, change.Force)
	for _, name := range first {
		if _, moves := want.Master(name); moves && leaving.members[name].status.State != Gone {
			return fleet.report(), fmt.Errorf("master %s cannot move to another server before it has left the old one: %w", name, leaving.members[name].status.Err)
		}
	}
	e.raiseMasters(ctx, fleet, want, trust, change.Touch)
	e.retireMasters(ctx, fleet, leaving, want, trust, last, change.Force)
	fleet.adopt(leaving)
	report = fleet.report()
	report.ClusterID, report.CAFingerprint = want.ID, pki.Fingerprint(trust.CA.Cert)
	return report, nil
}

// DestroyCluster makes every master as bare as it was. Its pools must be gone.
func (e *Engine) DestroyCluster(ctx context.Context, have spec.Cluster) (report Report, err error) {
	ctx, finish, err := e.hold(ctx, have.Name, have.Masters, "destroy cluster "+have.Name)
	if err != nil && !shutOut(err) {
		return Report{}, err
	}
	defer func() { finish(&report) }()
	fleet := e.connect(ctx, have.Masters)
	defer fleet.close()
	fleet.each(ctx, names(have.Masters), func(ctx context.Context, m *member) error {
		return e.wipe(ctx, m, have.ID)
	})
	if e.AbandonUnreachable {
		fleet.abandon()
	}
	return fleet.report(), nil
}

// ObserveCluster says how every master stands. It changes nothing. Where the Nodes
// cannot be compared, a warning says so: what was not seen is not as it should be.
func (e *Engine) ObserveCluster(ctx context.Context, have spec.Cluster) Report {
	fleet := e.connect(ctx, have.Masters)
	defer fleet.close()
	trust, err := fleet.authorities(ctx, have.ID)
	if err == nil && fleet.source == "" {
		err = fmt.Errorf("%w: none of those that answer has a store", errNoAuthorities)
	}
	var nodes *apiNodes
	if err == nil {
		nodes, err = e.nodesOf(ctx, fleet, have.Connection(), trust)
	}
	fleet.notCompared("cluster "+have.Name, err)
	e.observe(ctx, fleet, nodes, func(name string) (spec.Node, bool) { return have.Master(name) })
	return fleet.report()
}

// PoolChange says which hosts of a pool an update is about.
type PoolChange struct {
	// Touch are hosts (by name) to be made what they should be.
	Touch []string
	// Leaving are hosts that are no longer wanted. One whose name is in Touch too
	// leaves before another server takes the name.
	Leaving []spec.Host
	// Force lets a leaving host go although its pods could not be moved within
	// DrainTimeout. Without it, the host stays and is schedulable again.
	Force bool
	// Destroy: the whole pool goes. AbandonUnreachable counts then.
	Destroy bool
}

// ApplyPool makes the touched hosts workers, and drains, removes and wipes the
// leaving ones. Hosts are independent: the failure of one stops no other. The
// error is for when nothing could be tried, or a name is not free to move.
//
// Without a master nothing is done, for no pod could be moved and nobody says that
// no other run is at work; but for a pool that is destroyed, where AbandonUnreachable
// says that the masters are gone for good.
func (e *Engine) ApplyPool(ctx context.Context, c spec.Connection, want spec.Pool, change PoolChange) (report Report, err error) {
	if len(change.Touch) > 0 {
		if err := want.ValidateIn(c); err != nil {
			return Report{}, err
		}
	}
	ctx, finish, err := e.hold(ctx, c.ClusterName, c.Masters, fmt.Sprintf("update pool %s of cluster %s", want.Name, c.ClusterName))
	if err != nil && !(shutOut(err) && e.abandons(change)) {
		return Report{}, err
	}
	defer func() { finish(&report) }()
	masters, trust, api, err := e.control(ctx, c)
	if err != nil && !e.abandons(change) {
		return Report{}, err
	}
	if masters != nil {
		defer masters.close()
	}
	workers, leaving := e.connectBoth(ctx, pick(want.Hosts, change.Touch), change.Leaving)
	defer workers.close()
	defer leaving.close()
	if err != nil {
		leaving.warn("pods were not drained and Nodes not deleted: %v", err)
		leaving.each(ctx, leaving.order, func(ctx context.Context, m *member) error { return e.wipe(ctx, m, c.ClusterID) })
		leaving.abandon()
		return leaving.report(), nil
	}

	var moving, others []string
	for _, name := range leaving.order {
		if slices.Contains(change.Touch, name) {
			moving = append(moving, name)
		} else {
			others = append(others, name)
		}
	}
	e.retireWorkers(ctx, leaving, c, api, change, moving)
	for _, name := range moving {
		if m := leaving.members[name]; m.status.State != Gone {
			leaving.only = moving
			return leaving.report(), fmt.Errorf("%s cannot move to another server before it has left the old one: %w", name, m.status.Err)
		}
	}
	if len(change.Touch) > 0 {
		gone, err := released(ctx, api)
		if err != nil {
			return workers.report(), err
		}
		e.survey(ctx, workers, nodesOfPool(c, want, change.Touch), survey{
			masters: c.Masters, nodes: func(ctx context.Context) []corev1.Node { return readyNodes(ctx, api) },
		})
		from := e.handOn(ctx, masters)
		if slices.ContainsFunc(change.Touch, workers.isNew) {
			from.begin()
		}
		workers.each(ctx, change.Touch, func(ctx context.Context, m *member) error {
			n, _ := want.Worker(c, m.spec.Name)
			return e.raiseWorker(ctx, m, n, joining{trust: trust, api: api, gone: gone, from: from.source()})
		})
		from.close()
	}
	e.retireWorkers(ctx, leaving, c, api, change, others)
	workers.adopt(leaving)
	report = workers.report()
	report.ClusterID, report.CAFingerprint = c.ClusterID, pki.Fingerprint(trust.CA.Cert)
	return report, nil
}

// ObservePool says how every host of a pool stands. It changes nothing. Where the
// Nodes cannot be compared, a warning says so.
func (e *Engine) ObservePool(ctx context.Context, c spec.Connection, have spec.Pool) Report {
	masters, trust, err := e.reach(ctx, c)
	var nodes *apiNodes
	if err == nil {
		defer masters.close()
		nodes, err = e.nodesOf(ctx, masters, c, trust)
	}
	workers := e.connect(ctx, have.Hosts)
	defer workers.close()
	workers.notCompared("pool "+have.Name, err)
	e.observe(ctx, workers, nodes, func(name string) (spec.Node, bool) { return have.Worker(c, name) })
	return workers.report()
}

// AdminGroup is the group whose members may do everything.
const AdminGroup = config.MastersGroup

// SumsDir is where hosts may keep the SHA-256 of what is installed; a wipe takes it.
const SumsDir = config.SumsDir

// Credentials are a client certificate of a cluster, for a while.
type Credentials struct {
	Kubeconfig []byte
	Server     string
	CA         []byte
	pki.Pair
	Expires time.Time
}

// Kubeconfig signs a client certificate that ends after ttl.
func (e *Engine) Kubeconfig(ctx context.Context, c spec.Connection, user string, groups []string, ttl time.Duration) (Credentials, error) {
	masters, trust, err := e.reach(ctx, c)
	if err != nil {
		return Credentials{}, err
	}
	defer masters.close()
	pair, err := trust.CA.Issue(pki.Request{CommonName: user, Organizations: groups, Lifetime: ttl}, e.Now())
	if err != nil {
		return Credentials{}, err
	}
	expires, err := pki.Expiry(pair.Cert)
	if err != nil {
		return Credentials{}, err
	}
	server := "https://" + c.Servers(masters.source)[0]
	all := map[string]string{}
	for _, h := range c.Masters {
		all[h.Name] = "https://" + apiAddress(h)
	}
	kubeconfig, err := pki.Kubeconfig(c.ClusterName, user, server, all, trust.CA.Cert, pair)
	return Credentials{Kubeconfig: kubeconfig, Server: server, CA: trust.CA.Cert, Pair: pair, Expires: expires}, err
}

// adoptOrNew returns the ID of a new cluster: that of an attempt that was cut, if
// the hosts have one, or else a new one.
func (e *Engine) adoptOrNew(f *fleet, found map[string]*install.Identity, want spec.Cluster) (string, error) {
	id := ""
	for name, identity := range found {
		if identity == nil {
			continue
		}
		if n, _ := want.Master(name); !ofCutAttempt(identity, n) || (id != "" && id != identity.ClusterID) {
			return "", &install.ForeignError{Host: f.members[name].title(), Found: *identity}
		}
		id = identity.ClusterID
	}
	if id != "" {
		return id, nil
	}
	return e.NewID(), nil
}

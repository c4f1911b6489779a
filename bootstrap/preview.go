package bootstrap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gantry-run/gantry/bootstrap/access"
	"github.com/gantry-run/gantry/bootstrap/drain"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/spec"
)

// PreviewPool says what the removal of these hosts would do to the pods, for whoever
// reads the plan; with destroy the whole pool goes. It changes nothing; ctx bounds it.
func (e *Engine) PreviewPool(ctx context.Context, c spec.Connection, leaving []spec.Host, destroy bool) ([]string, error) {
	a, err := access.Reach(ctx, e.access(), c)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	api, err := a.Kubernetes(c)
	if err != nil {
		return nil, err
	}
	f, err := drain.Preview(ctx, api, fleet.Names(leaving))
	if err == nil && destroy && len(f.Blockers) > 0 {
		var others bool
		if others, err = drain.Others(ctx, api, fleet.Names(leaving)); err == nil && !others {
			f.Blockers = nil
			return append(describe(f, fleet.Names(leaving)), "No other node is left for these pods: they end, also where a disruption budget allows no eviction."), nil
		}
	}
	return describe(f, fleet.Names(leaving)), err
}

// PreviewVolumes names the volumes whose data goes with these hosts, with their claims and
// pods. It changes nothing; ctx bounds it.
func (e *Engine) PreviewVolumes(ctx context.Context, c spec.Connection, leaving []spec.Host) ([]string, error) {
	return e.previewVolumes(ctx, c, func(kubernetes.Interface) ([]string, error) { return fleet.Names(leaving), nil })
}

// PreviewAllVolumes names those on whatever is a node of the cluster.
func (e *Engine) PreviewAllVolumes(ctx context.Context, c spec.Connection) ([]string, error) {
	return e.previewVolumes(ctx, c, func(api kubernetes.Interface) ([]string, error) {
		list, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("list nodes: %w", err)
		}
		var names []string
		for _, n := range list.Items {
			names = append(names, n.Name)
		}
		return names, nil
	})
}

func (e *Engine) previewVolumes(ctx context.Context, c spec.Connection, on func(kubernetes.Interface) ([]string, error)) ([]string, error) {
	a, err := access.Reach(ctx, e.access(), c)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	api, err := a.Kubernetes(c)
	if err != nil {
		return nil, err
	}
	nodes, err := on(api)
	if err != nil {
		return nil, err
	}
	lost, err := drain.Volumes(ctx, api, nodes)
	var out []string
	for _, v := range lost {
		text := fmt.Sprintf("%s: volume %s (%s)", v.Node, v.Name, v.Size)
		if v.Claim != "" {
			text += ", claim " + v.Claim
		}
		if len(v.Pods) > 0 {
			text += ", used by pod " + strings.Join(v.Pods, ", ")
		}
		out = append(out, text)
	}
	return out, err
}

// MasterVersions are the versions of Gantry on the masters of c, by their names, as their
// Nodes have them. A Node that is left of a master no longer listed says nothing of them. It changes nothing; ctx bounds it.
func (e *Engine) MasterVersions(ctx context.Context, c spec.Connection) (map[string]string, error) {
	a, err := access.Reach(ctx, e.access(), c)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	all, err := nodeStatuses(ctx, a, c)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, n := range all {
		if n.Master && slices.ContainsFunc(c.Masters, func(h spec.Host) bool { return h.Name == n.Name }) {
			out[n.Name] = n.Version
		}
	}
	return out, nil
}

// PreviewCluster says what the removal of masters would do to the pods, and what becomes of etcd's quorum.
// Have is the cluster as it is, want what it is to be.
func (e *Engine) PreviewCluster(ctx context.Context, have, want spec.Cluster, leaving []spec.Host) ([]string, error) {
	c := have.Connection()
	voters, err := access.Voters(ctx, e.access(), c)
	if err != nil {
		return nil, err
	}
	defer voters.Close()
	out := []string{quorum(voters.Alive, voters.Down, fleet.Names(want.Masters))}
	if len(leaving) == 0 {
		return out, nil
	}
	api, err := voters.Kubernetes(c)
	if err != nil {
		return out, err
	}
	f, err := drain.Preview(ctx, api, fleet.Names(leaving))
	return append(out, describe(f, fleet.Names(leaving))...), err
}

// quorum is how many voters there are and will be, and how many losses they bear.
func quorum(alive, down, after []string) string {
	bears := func(n int) string { return fmt.Sprintf("bear the loss of %d", max(0, (n-1)/2)) }
	voters := len(alive) + len(down)
	s := fmt.Sprintf("Voters in the store now: %d (%s); afterwards: %d (%s), which %s.", voters, strings.Join(slices.Sorted(slices.Values(append(slices.Clone(alive), down...))), ", "),
		len(after), strings.Join(slices.Sorted(slices.Values(after)), ", "), bears(len(after)))
	switch need := voters/2 + 1; {
	case len(alive) < need:
		s += fmt.Sprintf(" It has NO quorum: %d of %d voters answer, %d must. Down: %s.", len(alive), voters, need, strings.Join(down, ", "))
	case len(down) > 0:
		s += fmt.Sprintf(" Down now: %s; with the others that leaves %d to spare.", strings.Join(down, ", "), len(alive)-need)
	default:
		s += fmt.Sprintf(" All answer; as they are they %s.", bears(voters))
	}
	return s
}

// podsNamed is how many pods of a node are called by name.
const podsNamed = 5

func describe(f drain.Previewed, nodes []string) []string {
	var out []string
	for _, n := range nodes {
		pods := f.Pods[n]
		if len(pods) == 0 {
			out = append(out, fmt.Sprintf("%s leaves; no pod has to move.", n))
			continue
		}
		named := strings.Join(pods[:min(podsNamed, len(pods))], ", ")
		if more := len(pods) - podsNamed; more > 0 {
			named += fmt.Sprintf(" and %d more", more)
		}
		out = append(out, fmt.Sprintf("%s leaves; pods to be evicted: %d (%s).", n, len(pods), named))
	}
	for _, b := range slices.Sorted(maps.Keys(f.Blockers)) {
		out = append(out, fmt.Sprintf("The disruption budget %s allows no eviction now, and would hold the drain up: %s.", b, strings.Join(f.Blockers[b], ", ")))
	}
	return out
}

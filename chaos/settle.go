package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/chaos/judge"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// settleLimit is how long a heal may take before the run is given up: longer than
	// any toleration, so that what heals late is told as late.
	settleLimit = 7 * time.Minute
	// leftoverLimit is how long what is over may take to be taken down.
	leftoverLimit = 30 * time.Second
)

// settle waits until everything is as it should be, and the Service answers each host;
// and until then again where that ends before a time.
func (s *runState) settle(ctx context.Context, f *judge.Fault, until time.Duration) error {
	healed, err := loadOf(s.flow.Lab)
	if err != nil {
		return err
	}
	for well := false; ; sleep(ctx, 100*time.Millisecond) {
		began := s.r.now()
		err := s.settled(ctx, s.masters)
		for _, c := range s.callers {
			if err == nil && !c.answeredSince(f.Heal) {
				err = fmt.Errorf("no new connection from %s is answered", c.host.Name)
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if !well {
				now, err := loadOf(s.flow.Lab)
				if err != nil {
					return err
				}
				well, f.Ready, f.Others = true, began, now.others(healed)
			}
			if began >= until {
				return nil
			}
			continue
		}
		well = false
		waited := s.r.now() - f.Heal
		if waited > 10*time.Second && f.Late == "" {
			f.Late = err.Error()
		}
		if waited > settleLimit {
			f.NotReady = err.Error()
			return fmt.Errorf("not as it should be after %s: %w", settleLimit, err)
		}
	}
}

// look looks for what was lost, what is left over and what there is to plan.
func (s *runState) look(ctx context.Context, f *judge.Fault) error {
	s.era.begin(0)
	sleep(ctx, patience+attemptTimeout) // what was under way in this round has ended
	var list struct {
		Items []struct{ Metadata metadata }
	}
	const selector = "?labelSelector=chaos%3Dack"
	if err := s.insist(ctx, func(ctx context.Context, m *master) error { return m.get(ctx, configMaps+selector, &list) }); err != nil {
		return err
	}
	there := map[string]bool{}
	for _, i := range list.Items {
		there[i.Metadata.Name] = true
	}
	for _, name := range s.era.take(f.Round) {
		if !there[name] {
			f.Lost = append(f.Lost, name)
		}
	}
	if err := s.insist(ctx, func(ctx context.Context, m *master) error {
		return m.do(ctx, http.MethodDelete, configMaps+selector, "", nil, nil)
	}); err != nil {
		return err
	}
	for began := s.r.now(); ; sleep(ctx, time.Second) {
		left, err := s.leftovers(ctx, s.masters[0])
		if err == nil && len(left) == 0 {
			break
		}
		if s.r.now()-began > leftoverLimit || ctx.Err() != nil {
			if f.Leftovers = left; err != nil {
				f.Leftovers = append(left, err.Error())
			}
			break
		}
	}
	changes, err := s.flow.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	for _, change := range changes {
		f.Plan = append(f.Plan, fmt.Sprintf("%v %s", change.Actions, change.Address))
	}
	return nil
}

// settled says what is not as it should be: each master's API server, all nodes, the
// application and the StatefulSet.
func (c *cluster) settled(ctx context.Context, masters []*master) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, m := range masters {
		answer, err := m.open(ctx, "GET", "/readyz", "", nil)
		if err != nil {
			return fmt.Errorf("API server of %s: %w", m.name, err)
		}
		answer.Close()
	}
	api := masters[0]
	var nodes corev1.NodeList
	if err := api.get(ctx, "/api/v1/nodes", &nodes); err != nil {
		return err
	}
	var ready []string
	for _, n := range nodes.Items {
		if isReady(&n) && len(n.Spec.Taints) == 0 || isReady(&n) && slices.Contains(c.flow.Masters, n.Name) {
			ready = append(ready, n.Name)
		}
	}
	if missing := without(c.nodes(), ready); len(missing) > 0 || len(nodes.Items) != len(c.nodes()) {
		return fmt.Errorf("of %d nodes, not Ready and without taints: %v", len(nodes.Items), missing)
	}
	var app appsv1.Deployment
	if err := api.get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/deployments/"+application, &app); err != nil {
		return err
	}
	if s := app.Status; s.ObservedGeneration != app.Generation || s.AvailableReplicas != replicas || s.Replicas != replicas || s.UpdatedReplicas != replicas {
		return fmt.Errorf("the Deployment has %d replicas, %d available", s.Replicas, s.AvailableReplicas)
	}
	var db appsv1.StatefulSet
	if err := api.get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/statefulsets/db", &db); err != nil {
		return err
	}
	if s := db.Status; s.ReadyReplicas != identities || s.Replicas != identities {
		return fmt.Errorf("the StatefulSet has %d replicas, %d ready", s.Replicas, s.ReadyReplicas)
	}
	return nil
}

// leftovers lists what is of pods, nodes or members that are no more.
func (c *cluster) leftovers(ctx context.Context, api *master) ([]string, error) {
	var pods corev1.PodList
	if err := api.get(ctx, "/api/v1/pods", &pods); err != nil {
		return nil, err
	}
	known := map[string]map[string]bool{} // by node: UIDs and names of links
	for _, n := range c.nodes() {
		known[n] = map[string]bool{}
	}
	for _, p := range pods.Items {
		if known[p.Spec.NodeName] != nil {
			known[p.Spec.NodeName][string(p.UID)] = true
			known[p.Spec.NodeName][config.PodLink(string(p.UID))] = true
		}
	}
	var out []string
	for _, name := range c.nodes() {
		found, err := c.ofPods(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if id := f[strings.LastIndex(f, " ")+1:]; !known[name][id] {
				out = append(out, "on "+name+": "+f)
			}
		}
	}
	var leases coordinationv1.LeaseList
	if err := api.get(ctx, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", &leases); err != nil {
		return nil, err
	}
	for _, l := range leases.Items {
		if known[l.Name] == nil {
			out = append(out, "the lease of node "+l.Name)
		}
	}
	members, err := c.members(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(members, slices.Sorted(slices.Values(c.flow.Masters))) {
		out = append(out, fmt.Sprintf("members of the store are %v", members))
	}
	return out, nil
}

// ofPods lists what a host has of pods: a kind, and the UID or the name of a link.
func (c *cluster) ofPods(ctx context.Context, host string) ([]string, error) {
	h, err := c.flow.Lab.Host(host)
	if err != nil {
		return nil, err
	}
	out, err := h.Run(ctx, strings.Join([]string{
		"ls " + config.KubeletDir + "/pods | sed 's/^/directory /'",
		"ls " + config.NamespaceDir + " 2>/dev/null | sed 's/^/namespaces /'",
		"find /sys/fs/cgroup -path '*" + config.CgroupRoot + "*' -type d -name 'pod*' -printf '%f\\n' | sort -u | sed 's/^pod/cgroup /'",
		"sed -nE 's#.* " + config.KubeletDir + "/pods/([^/ ]+).*#mount \\1#p' /proc/mounts | sort -u",
		"ip -o link | grep -o '" + config.PodLinkPrefix + "[a-z2-7]*' | grep -v '" + config.LinkPrefix + "proxy' | sort -u | sed 's/^/link /'",
	}, "; "))
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' }), nil
}

// members are the voters of the store, by name, as a master's own status tells.
func (c *cluster) members(ctx context.Context) ([]string, error) {
	h, err := c.flow.Lab.Host(c.flow.Masters[0])
	if err != nil {
		return nil, err
	}
	out, err := h.Run(ctx, config.Binary("gantry")+" cluster status -o json")
	var status struct {
		Store []struct {
			Name, Role, Problem string
		}
		StoreProblem string
	}
	if bad := json.Unmarshal(out, &status); bad != nil {
		return nil, errors.Join(err, bad)
	}
	var names []string
	for _, m := range status.Store {
		if m.Role == "learner" || m.Problem != "" {
			m.Name += " (" + m.Role + " " + m.Problem + ")"
		}
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names, nil
}

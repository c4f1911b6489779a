package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/chaos/judge"
)

// settleLimit is how long a heal may take before the run is given up: longer than any
// toleration, so that what heals late is told as late.
const settleLimit = 7 * time.Minute

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
		// Upstream's back-off, which is waited for and not held against the cluster.
		backingOff := errors.Is(err, errBackoff)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || backingOff:
			if !well {
				now, err := loadOf(s.flow.Lab)
				if err != nil {
					return err
				}
				well, f.Ready, f.Others, f.Waited = true, began, now.others(healed), now.late(healed)
			}
			if f.Backoff = began - f.Ready; backingOff {
				break
			}
			if began >= until {
				return nil
			}
			continue
		default:
			well = false
		}
		waited := s.r.now() - f.Heal
		if waited > 10*time.Second && f.Late == "" && !well {
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
	before, err := loadOf(s.flow.Lab)
	if err != nil {
		return err
	}
	for began := s.r.now(); ; sleep(ctx, time.Second) {
		left, err := s.leftovers(ctx, s.masters[0])
		if err == nil && len(left) == 0 {
			break
		}
		now, failed := loadOf(s.flow.Lab)
		if failed != nil {
			return failed
		}
		if s.r.now()-began > judge.Allowed(judge.LeftWithin, judge.Without(now.others(before), now.late(before))) || ctx.Err() != nil {
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
	var amiss error
	if s := app.Status; s.ObservedGeneration != app.Generation || s.AvailableReplicas != replicas || s.Replicas != replicas || s.UpdatedReplicas != replicas {
		amiss = fmt.Errorf("the Deployment has %d replicas, %d available", s.Replicas, s.AvailableReplicas)
	}
	var db appsv1.StatefulSet
	if err := api.get(ctx, "/apis/apps/v1/namespaces/"+namespace+"/statefulsets/db", &db); err != nil {
		return err
	}
	if s := db.Status; s.ReadyReplicas != identities || s.Replicas != identities {
		amiss = fmt.Errorf("the StatefulSet has %d replicas, %d ready", s.Replicas, s.ReadyReplicas)
	}
	if amiss == nil {
		return nil
	}
	var pods corev1.PodList
	if err := api.get(ctx, "/api/v1/namespaces/"+namespace+"/pods", &pods); err != nil {
		return err
	}
	if backsOff(pods.Items) {
		return fmt.Errorf("%w: %w", amiss, errBackoff)
	}
	return amiss
}

// errBackoff: what is amiss is only that containers that were killed more than once in
// ten minutes are not started again yet.
var errBackoff = errors.New("containers back off")

// backsOff reports whether all pods of the application and of the StatefulSet that are
// not ready wait for the end of a back-off.
func backsOff(pods []corev1.Pod) bool {
	some := false
	for i := range pods {
		p := &pods[i]
		if o := metav1.GetControllerOf(p); o == nil || o.Kind == "Job" || podReady(p) {
			continue
		}
		some = true
		if p.DeletionTimestamp != nil || !slices.ContainsFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
			return c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
		}) {
			return false
		}
	}
	return some
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

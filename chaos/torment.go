package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

const (
	// calm is between the end of a round and the next fault.
	calm = 3 * time.Second
	// settleLimit is how long a heal may take before the run is given up: longer than
	// any toleration, so that what heals late is told as late.
	settleLimit = 7 * time.Minute
	// leftoverLimit is how long what is over may take to be taken down.
	leftoverLimit = 30 * time.Second
)

// runState is one run.
type runState struct {
	*cluster
	r       *recorder
	masters []*master
	callers []*caller
	era     *era
}

// torment injects faults for a time, with clients at work, and records it all.
func (c *cluster) torment(ctx context.Context, r *recorder, s *schedule, duration time.Duration) error {
	masters, err := c.masters()
	if err != nil {
		return err
	}
	run := &runState{cluster: c, r: r, masters: masters, era: &era{acked: map[int][]string{}}}
	clients, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	if err := run.start(clients, &wg, s.rand.Uint64()); err != nil {
		return err
	}
	for end := r.now() + duration; r.now() < end; {
		if err := run.round(ctx, s.next()); err != nil {
			return err
		}
	}
	return nil
}

// start has all clients begin.
func (s *runState) start(ctx context.Context, wg *sync.WaitGroup, seed uint64) error {
	for i := range s.masters {
		own, err := s.cluster.masters()
		if err != nil {
			return err
		}
		order := append(slices.Clone(own[i:]), own[:i]...)
		c := &client{id: i, masters: order, rand: rand.New(rand.NewPCG(seed, uint64(i))), r: s.r, era: s.era, met: map[string]configMap{}}
		wg.Go(func() { c.run(ctx) })
		watching, err := s.cluster.masters()
		if err != nil {
			return err
		}
		w := registers(fmt.Sprintf("w%d", i), append(slices.Clone(watching[i:]), watching[:i]...), s.r)
		wg.Go(func() { w.run(ctx) })
	}
	for _, watch := range []func([]*master, *recorder) *watcher{pods, nodes, leases} {
		own, err := s.cluster.masters()
		if err != nil {
			return err
		}
		w := watch(own, s.r)
		wg.Go(func() { w.run(ctx) })
	}
	p := &processes{lab: s.flow.Lab.Name, r: s.r}
	wg.Go(func() { p.run(ctx) })
	address, err := s.flow.Cluster.Kubectl(ctx, "get", "service", application, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	for _, n := range s.flow.Nodes() {
		h, err := s.flow.Lab.Host(n)
		if err != nil {
			return err
		}
		c := &caller{host: h, address: strings.TrimSpace(address) + ":80", r: s.r}
		s.callers = append(s.callers, c)
		wg.Go(func() { c.run(ctx) })
	}
	return nil
}

// round injects one fault, heals it, and looks at what there is then.
func (s *runState) round(ctx context.Context, next round) error {
	if err := s.prepare(ctx, next.number); err != nil {
		return fmt.Errorf("prepare round %d: %w", next.number, err)
	}
	s.era.begin(next.number)
	sleep(ctx, calm)
	f := judge.Fault{Round: next.number, Name: next.fault.name, Targets: slices.Sorted(slices.Values(next.targets)), Cuts: next.fault.cuts, Begin: s.r.now()}
	fmt.Printf("%7.1fs  round %d: %s of %v for %s\n", f.Begin.Seconds(), f.Round, f.Name, next.targets, next.hold.Round(100*time.Millisecond))
	if err := next.fault.inject(ctx, s.cluster, next.targets); err != nil {
		return fmt.Errorf("round %d: inject %s at %v: %w", f.Round, f.Name, f.Targets, err)
	}
	sleep(ctx, next.hold)
	if next.fault.heal != nil {
		if err := next.fault.heal(ctx, s.cluster, next.targets); err != nil {
			return fmt.Errorf("round %d: heal %s at %v: %w", f.Round, f.Name, f.Targets, err)
		}
	}
	f.Heal = s.r.now()
	amiss := s.settle(ctx, &f)
	if amiss == nil {
		amiss = s.look(ctx, &f)
	}
	f.Over = s.r.now()
	s.r.add(judge.Line{Fault: &f})
	if amiss != nil {
		return fmt.Errorf("round %d: %s of %v: %w", f.Round, f.Name, f.Targets, amiss)
	}
	fmt.Printf("%7.1fs           as it should be %.2f s after the heal%s\n", f.Over.Seconds(), (f.Ready - f.Heal).Seconds(), summary(f))
	return nil
}

func summary(f judge.Fault) string {
	var out strings.Builder
	if f.Late != "" {
		fmt.Fprintf(&out, " (after 10 s: %s)", f.Late)
	}
	for _, l := range slices.Concat(f.Leftovers, f.Plan, f.Lost) {
		out.WriteString("\n                   " + l)
	}
	return out.String()
}

// prepare makes a round's registers and its Job, and removes those of rounds that are
// over.
func (s *runState) prepare(ctx context.Context, number int) error {
	old := fmt.Sprintf("?labelSelector=chaos%%3Dregister,round%%3D%d", max(number-2, 0))
	err := s.insist(ctx, func(ctx context.Context, m *master) error {
		return m.do(ctx, http.MethodDelete, configMaps+old, "", nil, nil)
	})
	for i := range keys {
		key, value := register(number, i), fmt.Sprintf("init-%d-%d", number, i)
		op := judge.Op{Client: len(s.masters), Key: key, Do: judge.Write, Value: value, Call: s.r.now(), Outcome: judge.OK}
		err = errors.Join(err, s.insist(ctx, func(ctx context.Context, m *master) error {
			return m.do(ctx, http.MethodPost, configMaps, jsonType, newConfigMap(key, "register", number, value), nil)
		}))
		op.Return = s.r.now()
		s.r.add(judge.Line{Op: &op})
	}
	return errors.Join(err, s.insist(ctx, func(ctx context.Context, m *master) error {
		return m.do(ctx, http.MethodPost, "/apis/batch/v1/namespaces/"+namespace+"/jobs", jsonType, jobManifest(number), nil)
	}))
}

// insist asks one master after the other until one has done it. What is there already
// was made by an attempt whose answer was lost.
func (s *runState) insist(ctx context.Context, do func(context.Context, *master) error) error {
	var err error
	for n := range 30 {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err = do(attempt, s.masters[n%len(s.masters)])
		cancel()
		if err == nil || code(err) == http.StatusConflict {
			return nil
		}
		if ctx.Err() != nil {
			break
		}
		sleep(ctx, 200*time.Millisecond)
	}
	return err
}

// settle waits until everything is as it should be, and the Service answers each host.
func (s *runState) settle(ctx context.Context, f *judge.Fault) error {
	for {
		began := s.r.now()
		err := s.settled(ctx, s.masters)
		for _, c := range s.callers {
			if err == nil && !c.answeredSince(f.Heal) {
				err = fmt.Errorf("no new connection from %s is answered", c.host.Name)
			}
		}
		if err == nil {
			f.Ready = began
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		waited := s.r.now() - f.Heal
		if waited > 10*time.Second && f.Late == "" {
			f.Late = err.Error()
		}
		if waited > settleLimit {
			f.NotReady = err.Error()
			return fmt.Errorf("not as it should be after %s: %w", settleLimit, err)
		}
		sleep(ctx, 100*time.Millisecond)
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

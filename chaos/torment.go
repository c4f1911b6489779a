package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// calm is between the end of a round and the next fault.
const calm = 3 * time.Second

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
	for _, n := range s.nodes() {
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

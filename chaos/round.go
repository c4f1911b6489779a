package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
)

// round injects its faults, heals them, and looks at what there is then.
func (s *runState) round(ctx context.Context, next round) error {
	if err := s.prepare(ctx, next.number); err != nil {
		return fmt.Errorf("prepare round %d: %w", next.number, err)
	}
	s.era.begin(next.number)
	sleep(ctx, calm)
	f := judge.Fault{Round: next.number, Name: next.name(), Targets: next.targets(), Cuts: next.is(func(f fault) bool { return f.cuts }), Begin: s.r.now()}
	for _, i := range next.injections {
		fmt.Printf("%7.1fs  round %d: %s of %v for %s\n", (f.Begin + i.after).Seconds(), f.Round, i.fault.name, i.targets, i.hold.Round(100*time.Millisecond))
	}
	seen, err := s.inject(ctx, next, &f)
	if err != nil {
		return fmt.Errorf("round %d: %w", f.Round, err)
	}
	if f.Heal = seen.heal; next.is(fault.applies) {
		f.Repair = s.repaired()
	}
	amiss := s.settle(ctx, &f, seen.until)
	if amiss == nil {
		amiss = s.look(ctx, &f)
	}
	f.Over = s.r.now()
	s.r.add(judge.Line{Fault: &f})
	if amiss != nil {
		return fmt.Errorf("round %d: %s of %v: %w", f.Round, f.Name, f.Targets, amiss)
	}
	fmt.Printf("%7.1fs           as it should be %.2f s after the heal (%.0f %% of it somebody waited for a CPU; others had %.0f %% of the machine)%s\n",
		f.Over.Seconds(), (f.Ready - f.Heal).Seconds(), 100*f.Waited, 100*f.Others, summary(f))
	return nil
}

// healed is when the last fault of a round was healed. What heals by itself is so from
// when it was injected; until is how long it is to be looked at.
type healed struct{ heal, until time.Duration }

// inject injects all faults of a round, each in its time, and heals them. An apply that
// failed for another fault is done again after that.
func (s *runState) inject(ctx context.Context, next round, f *judge.Fault) (healed, error) {
	errs, seen := make([]error, len(next.injections)), make([]healed, len(next.injections))
	var wg sync.WaitGroup
	for n, i := range next.injections {
		wg.Go(func() {
			sleep(ctx, i.after)
			seen[n], errs[n] = s.one(ctx, i)
		})
	}
	wg.Wait()
	var out healed
	for n, i := range next.injections {
		if errs[n] != nil && i.fault.applies() && ctx.Err() == nil {
			fmt.Printf("                   an apply failed, and is done again: %s\n", firstLine(errs[n]))
			if len(next.injections) == 1 {
				f.Unapplied = errs[n].Error()
			}
			errs[n] = apply(ctx, s.cluster, nil)
			seen[n].heal = s.r.now()
		}
		out.heal, out.until = max(out.heal, seen[n].heal), max(out.until, seen[n].until)
	}
	return out, errors.Join(errs...)
}

func (s *runState) one(ctx context.Context, i injection) (healed, error) {
	err := i.fault.inject(ctx, s.cluster, i.targets)
	if err != nil {
		err = fmt.Errorf("inject %s at %v: %w", i.fault.name, i.targets, err)
		if !i.fault.applies() {
			return healed{}, err
		}
	}
	if i.fault.heal == nil {
		now := s.r.now()
		return healed{now, now + i.hold}, nil
	}
	sleep(ctx, i.hold)
	if failed := i.fault.heal(ctx, s.cluster, i.targets); failed != nil {
		err = errors.Join(err, fmt.Errorf("heal %s at %v: %w", i.fault.name, i.targets, failed))
	}
	return healed{heal: s.r.now()}, err
}

// repaired is how long the last apply took.
func (s *runState) repaired() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.applied
}

func firstLine(err error) string {
	first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return first
}

func summary(f judge.Fault) string {
	var out strings.Builder
	if f.Late != "" {
		fmt.Fprintf(&out, " (after 10 s: %s)", f.Late)
	}
	if f.Backoff > time.Second {
		fmt.Fprintf(&out, " (containers that were killed again backed off for %.1f s more)", f.Backoff.Seconds())
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

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// pause is between tries of what a network may fail.
const pause = 20 * time.Second

// run is one run of stages.
type run struct {
	out io.Writer
	// logs is where every stage's log is kept.
	logs string
	// sudo are the words before what needs root; none for root.
	sudo []string
	// sweep takes away what a failed test left, before its second try and after a stage
	// that was ended.
	sweep step
	// pause is how long what a network failed waits for its next try.
	pause time.Duration

	// failures are tests on real servers that failed, and reruns those of them that were
	// run once more.
	failures, reruns int
	reports          []report
}

// report is what became of a stage.
type report struct {
	stage   stage
	results []result
	// why is each failure and each second try, as it is told at the end.
	why   []string
	err   error
	took  time.Duration
	loads string
}

func (r report) passed() bool { return r.err == nil && len(named(r.results, failed)) == 0 }

// do runs a stage to its end, or to its first step that fails.
func (r *run) do(ctx context.Context, number int, s stage) report {
	limited, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("the stage was ended at its limit of %s", s.limit))
	defer cancel()
	start := time.Now()
	rep := report{stage: s, loads: load()}
	fmt.Fprintf(r.out, "== %s: %s (limit %s, load %s)\n", s.name, s.what, s.limit, rep.loads)
	for _, step := range s.steps {
		name := fmt.Sprintf("%02d-%s", number, s.name)
		if step.log != "" {
			name += "-" + step.log
		}
		if rep.err = r.step(limited, step, name, &rep); rep.err != nil {
			if limited.Err() != nil && step.servers {
				r.afterwards(ctx, name)
			}
			break
		}
	}
	rep.took = time.Since(start)
	if !rep.passed() {
		fmt.Fprintf(r.out, "== %s FAILED after %s\n", s.name, clock(rep.took))
	} else {
		fmt.Fprintf(r.out, "== %s passed in %s\n", s.name, clock(rep.took))
	}
	r.reports = append(r.reports, rep)
	return rep
}

// afterwards takes away the servers of a test that was ended and had no time to.
func (r *run) afterwards(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	if _, err := r.once(ctx, r.sweep, name+".sweep"); err != nil {
		fmt.Fprintf(r.out, "   sweeping after the stage: %v\n", err)
	}
}

// step runs one step. An error ends the stage; a failed test on real servers does not.
func (r *run) step(ctx context.Context, s step, name string, rep *report) error {
	command := strings.Join(s.run, " ")
	if s.reads != nothing {
		rd, err := r.once(ctx, s, name)
		if rd == nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		return r.judge(ctx, s, name, rd, err, rep)
	}
	for left := max(s.tries, 1); ; left-- {
		try, cancel := share(ctx, left)
		_, err := r.once(try, s, name)
		if try.Err() != nil {
			err = context.Cause(try)
		}
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil && left > 1:
			fmt.Fprintf(r.out, "   once more in %s, for it depends on the network: %s (%v)\n", r.pause, command, err)
			sleep(ctx, r.pause)
		case s.tries > 1:
			return fmt.Errorf("%s failed %d times: look at the network and the mirrors first, it may not be the change: %w", command, s.tries-left+1, err)
		default:
			return fmt.Errorf("%s: %w", command, err)
		}
	}
}

// share is the part of the time that is left which one of the tries may take.
func share(ctx context.Context, tries int) (context.Context, context.CancelFunc) {
	end, limited := ctx.Deadline()
	if !limited || tries == 1 {
		return context.WithCancel(ctx)
	}
	part := time.Until(end) / time.Duration(tries)
	return context.WithTimeoutCause(ctx, part, fmt.Errorf("it was ended after %s", part.Round(time.Second)))
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func clock(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

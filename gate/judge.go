package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// mostReruns bounds the second tries of a run: with more, it is not the machine.
const mostReruns = 2

// judge takes a step's results, and lets tests that failed on real servers run once more.
func (r *run) judge(ctx context.Context, s step, name string, rd *reader, err error, rep *report) error {
	command := strings.Join(s.run, " ")
	failures := named(rd.results, failed)
	if len(failures) == 0 {
		rep.results = append(rep.results, rd.results...)
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case err == nil && s.servers && len(named(rd.results, passed)) == 0:
			err = errors.New("it ran no test, or none but tests that were skipped")
		case err == nil && len(rd.results) == 0:
			err = errors.New("it ran no test")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", command, err)
		}
		return nil
	}
	var second map[string]result
	if s.servers {
		r.failures += len(failures)
		second = r.again(ctx, s, name, rd, err, failures)
	}
	for _, one := range rd.results {
		after, again := second[one.name]
		delete(second, one.name)
		if one.outcome == failed {
			why := one.String() + " (" + rd.reason(one) + ")"
			if again && after.outcome == passed {
				one.outcome = flaky
				why = "flaky: " + why
			} else {
				why = "failed: " + why
			}
			rep.why = append(rep.why, why)
			fmt.Fprintln(r.out, "  ", why)
			for _, line := range rd.printed[one.String()] {
				fmt.Fprintln(r.out, "   |", line)
			}
		}
		rep.results = append(rep.results, one)
	}
	for _, one := range second { // those after the one in which the process ended
		rep.results = append(rep.results, one)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", command, context.Cause(ctx))
	case !s.servers:
		return fmt.Errorf("%s: %d tests failed", command, len(failures))
	case r.failures > mostReruns:
		return errors.New("too many tests failed on real servers: the rest was not run")
	}
	return nil
}

// again runs failed tests once more, alone, and returns their results by name; none where
// they may not be. Where the process ended in a test, those after it never ran, so that all
// of them run.
func (r *run) again(ctx context.Context, s step, name string, rd *reader, err error, failures []result) map[string]result {
	switch {
	case ctx.Err() != nil:
		return nil
	case rd.unforgivable != "":
		fmt.Fprintf(r.out, "   not tried again: %s\n", rd.unforgivable)
		return nil
	case r.failures > mostReruns:
		fmt.Fprintf(r.out, "   not tried again: %d second tries are enough for a run\n", mostReruns)
		return nil
	}
	r.reruns += len(failures)
	names := []string{}
	for _, f := range failures {
		names = append(names, f.name)
	}
	fmt.Fprintf(r.out, "   once more, alone: %s\n", strings.Join(names, " "))
	if _, err := r.once(ctx, r.sweep, name+".sweep"); err != nil {
		fmt.Fprintf(r.out, "   sweeping before the second try: %v\n", err)
		return nil
	}
	if whole := len(rd.died) == 0 && exitCode(err) == 1; whole {
		s.run = append(withoutRun(s.run), "-test.run="+only(names...))
	}
	rd, err = r.once(ctx, s, name+".again")
	if rd == nil || err != nil && len(named(rd.results, failed)) == 0 || ctx.Err() != nil || rd.unforgivable != "" {
		return nil
	}
	found := map[string]result{}
	for _, one := range rd.results {
		found[one.name] = one
	}
	return found
}

// exitCode is that of a process that ended by itself, of a test binary with failed tests 1;
// else it is less than none.
func exitCode(err error) int {
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return ended.ExitCode()
	}
	return -1
}

func withoutRun(argv []string) (rest []string) {
	for _, a := range argv {
		if !strings.HasPrefix(a, "-test.run=") {
			rest = append(rest, a)
		}
	}
	return rest
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// wideNeeds is how much time has to be left for a suite that does not decide.
	wideNeeds = 40 * time.Minute
	// considered is how many earlier runs are looked at for tests that are flaky.
	considered = 10
)

// options say how stages are run.
type options struct {
	recorded bool
	budget   time.Duration
	told     string
	tests    string
	sudo     []string
}

func main() {
	runtime.LockOSThread() // children end with the thread that started them
	var o options
	list := flag.Bool("list", false, "tell the stages and suites")
	flag.BoolVar(&o.recorded, "record", false, "add a line about each suite's run to "+runsFile)
	flag.DurationVar(&o.budget, "budget", 0, "end what runs after this time (0: never)")
	flag.StringVar(&o.told, "told", "", "run this suite too, where time is left of the budget: it is told and decides nothing")
	flag.StringVar(&o.tests, "test", "", "run only the tests on the lab's servers that this pattern matches")
	sudo := flag.String("sudo", "", "what is put before commands that need root")
	flag.Parse()
	o.sudo = strings.Fields(*sudo)
	if *list {
		for _, s := range append(deciding(), exploring()...) {
			fmt.Printf("%-14s %s (limit %s)\n", s.name, s.what, s.limit)
		}
		return
	}
	stages, err := chosen(flag.Args(), o)
	if err == nil {
		err = gate(stages, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
}

// chosen are the stages of a command line, which may be refused.
func chosen(names []string, o options) ([]stage, error) {
	if o.recorded {
		if o.tests != "" {
			return nil, errors.New("a part of a suite is not recorded: leave -test out")
		}
		suites := exploring()
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return !slices.ContainsFunc(suites, func(s stage) bool { return s.name == n }) }) {
			return nil, fmt.Errorf("only suites are recorded, and %q are not all suites (gate -list tells them; make record SUITE=…)", names)
		}
	}
	return stagesOf(names, o.tests)
}

// gate runs stages and prints their summary last; an error says that they did not all pass.
func gate(stages []stage, o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	started := time.Now()
	if o.budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.budget, fmt.Errorf("the run was ended at its limit of %s", o.budget))
		defer cancel()
	}
	if err := prepareLogs(logBase); err != nil {
		return err
	}
	if slices.ContainsFunc(stages, stage.hasServers) {
		unlock, err := alone(ctx, os.Stdout, logBase)
		if err != nil {
			return err
		}
		defer unlock()
	}
	commit := commitOf(".")
	logs, err := logDir(logBase, commit, time.Now())
	if err != nil {
		return err
	}
	fmt.Printf("logs: %s\n", logs)
	if err := askForRoot(ctx, o.sudo); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(logs, "facts"), []byte(facts()), 0o644); err != nil {
		return err
	}
	r := &run{out: os.Stdout, logs: logs, sudo: o.sudo, sweep: sweep(), pause: pause}
	var errs []error
	for i, s := range stages {
		rep := r.do(ctx, i+1, s)
		if o.recorded {
			errs = append(errs, recordRun(rep, commit, logs, i+1))
		}
		if !rep.passed() {
			break
		}
	}
	text := summary(stages, r.reports, logs)
	tellFlaky(os.Stdout, r.reports, logBase)
	errs = append(errs, writeSummary(logs, text))
	isGreen := green(r.reports)
	switch left := o.budget - time.Since(started); {
	case o.told == "":
	case isGreen && left >= wideNeeds && ctx.Err() == nil:
		errs = append(errs, tell(ctx, r, o.told, len(stages)+1, left))
	default:
		fmt.Printf("not run: %s (told where all passed and %s are left; %s are)\n", o.told, wideNeeds, left.Round(time.Minute))
	}
	if len(stages) > 1 {
		for _, line := range lastRuns(runsFile, commitsAgo) {
			fmt.Println("on record:", line)
		}
	}
	fmt.Print(text)
	if !isGreen {
		errs = append(errs, fmt.Errorf("not all passed: %s", logs))
	}
	return errors.Join(errs...)
}

// askForRoot has sudo ask for a password now, where somebody sits: the stages have no
// terminal. It is kept from asking again until the context ends.
func askForRoot(ctx context.Context, sudo []string) error {
	if len(sudo) == 0 {
		return nil
	}
	ask := exec.CommandContext(ctx, sudo[0], "-v")
	ask.Stdin, ask.Stdout, ask.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := ask.Run(); err != nil {
		return fmt.Errorf("%s -v: %w (the tests on servers need root: run it as root, or as a user who may sudo)", sudo[0], err)
	}
	go func() {
		for tick := time.NewTicker(time.Minute); ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = exec.CommandContext(ctx, sudo[0], "-n", "-v").Run() // whoever needs it next says so
			}
		}
	}()
	return nil
}

// tell runs a suite that decides nothing.
func tell(ctx context.Context, r *run, name string, number int, left time.Duration) error {
	suite, err := stagesOf([]string{name}, "")
	if err != nil {
		return err
	}
	suite[0].limit = min(suite[0].limit, left-10*time.Minute)
	r.failures, r.reruns = 0, 0
	rep := r.do(ctx, number, suite[0])
	text := summary(suite, []report{rep}, r.logs)
	for line := range strings.Lines(text) {
		fmt.Print("told, not deciding: ", line)
	}
	return os.WriteFile(filepath.Join(r.logs, "told"), []byte(text), 0o644)
}

// recordRun adds a suite's line to the runs on record.
func recordRun(rep report, commit, logs string, number int) error {
	text, err := os.ReadFile(filepath.Join(logs, fmt.Sprintf("%02d-%s.log", number, rep.stage.name)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return record(runsFile, entryOf(rep, commit, text, time.Now()))
}

// tellFlaky says how often tests that needed a second try did so lately, this run not counted.
func tellFlaky(out io.Writer, reports []report, base string) {
	for _, rep := range reports {
		for _, one := range named(rep.results, flaky) {
			fmt.Fprintf(out, "%s was flaky in %d of the last %d runs of its stage on this machine\n", one, flakyBefore(base, rep.stage.name, one.String(), considered), considered)
		}
	}
}

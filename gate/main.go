package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// logBase holds the logs of runs: they outlive checkouts, and boots.
	logBase = "/var/tmp/gantry-ci"
	// mostRuns are kept there.
	mostRuns = 30
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
	stages, err := stagesOf(flag.Args(), o.tests)
	if err == nil {
		err = gate(stages, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gate:", err)
		os.Exit(1)
	}
}

// gate runs stages and prints their summary last; an error says that they did not all pass.
func gate(stages []stage, o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	started := time.Now()
	if o.budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.budget, fmt.Errorf("the run was ended at its limit of %s", o.budget))
		defer cancel()
	}
	unlock, err := alone(logBase)
	if err != nil {
		return err
	}
	defer unlock()
	commit := said("git", "rev-parse", "--short", "HEAD")
	logs, err := logDir(logBase, commit, time.Now())
	if err != nil {
		return err
	}
	r := &run{out: os.Stdout, logs: logs, sudo: o.sudo, sweep: sweep(), pause: pause}
	if err := os.WriteFile(filepath.Join(logs, "facts"), []byte(facts()), 0o644); err != nil {
		return err
	}
	fmt.Printf("logs: %s\n", logs)
	for i, s := range stages {
		rep := r.do(ctx, i+1, s)
		if o.recorded {
			if err := recordRun(rep, commit, logs, i+1); err != nil {
				return err
			}
		}
		if !rep.passed() {
			break
		}
	}
	text := summary(r.reports, logs)
	if err := writeSummary(logs, text); err != nil {
		return err
	}
	if o.told != "" {
		tell(ctx, r, o.told, len(stages)+1, o.budget-time.Since(started))
	}
	if len(stages) > 1 {
		for _, line := range lastRuns(runsFile, commitsAgo) {
			fmt.Println("on record:", line)
		}
	}
	tellFlaky(os.Stdout, r.reports, logBase)
	fmt.Print(text)
	if !green(r.reports[:min(len(stages), len(r.reports))]) {
		return fmt.Errorf("not all passed: %s", logs)
	}
	return nil
}

// tell runs a suite that decides nothing, where the run is green and has the time.
func tell(ctx context.Context, r *run, name string, number int, left time.Duration) {
	suite, err := stagesOf([]string{name}, "")
	if err != nil || left < wideNeeds || !green(r.reports) || ctx.Err() != nil {
		fmt.Printf("not run: %s (told where all passed and %s are left; %s are)\n", name, wideNeeds, left.Round(time.Minute))
		return
	}
	suite[0].limit = min(suite[0].limit, left-5*time.Minute)
	rep := r.do(ctx, number, suite[0])
	for _, line := range strings.Split(strings.TrimSpace(summary([]report{rep}, r.logs)), "\n") {
		fmt.Println("told, not deciding:", line)
	}
}

// recordRun adds a suite's line to the runs on record.
func recordRun(rep report, commit, logs string, number int) error {
	text, err := os.ReadFile(filepath.Join(logs, fmt.Sprintf("%02d-%s.log", number, rep.stage.name)))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return record(runsFile, entryOf(rep, commit, text, time.Now()))
}

// tellFlaky says how often tests that needed a second try did so lately.
func tellFlaky(out io.Writer, reports []report, base string) {
	for _, rep := range reports {
		for _, one := range named(rep.results, flaky) {
			fmt.Fprintf(out, "%s was flaky in %d of the last %d runs on this machine\n", one, flakyBefore(base, one.String(), considered), considered)
		}
	}
}

// alone refuses to run beside another run of this machine: they would take each other's
// servers away.
func alone(base string) (unlock func(), err error) {
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(base, "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another run is under way on this machine (%s is locked): wait for it, or end it", f.Name())
	}
	return func() { f.Close() }, nil
}

// logDir makes the directory of a run's logs, and removes those of the oldest runs.
func logDir(base, commit string, now time.Time) (string, error) {
	dirs, err := runDirs(base)
	if err != nil {
		return "", err
	}
	for _, old := range dirs[:max(0, len(dirs)-mostRuns+1)] {
		if err := os.RemoveAll(old); err != nil {
			return "", err
		}
	}
	dir := filepath.Join(base, commit+"-"+now.UTC().Format("20060102T150405Z"))
	return dir, os.MkdirAll(dir, 0o755)
}

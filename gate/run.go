package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	// mercy is how long what is told to end has for it: a test takes its servers down.
	mercy = 90 * time.Second
	// mostReruns bounds the second tries of a run: with more, it is not the machine.
	mostReruns = 2
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
	// sweep takes away what a failed test left, before its second try.
	sweep step

	// pause is how long what a network failed waits for its next try.
	pause time.Duration

	reruns  int
	reports []report
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
	ctx, cancel := context.WithTimeoutCause(ctx, s.limit, fmt.Errorf("the stage was ended at its limit of %s", s.limit))
	defer cancel()
	start := time.Now()
	rep := report{stage: s, loads: load()}
	fmt.Fprintf(r.out, "== %s: %s (limit %s, load %s)\n", s.name, s.what, s.limit, rep.loads)
	for _, step := range s.steps {
		name := fmt.Sprintf("%02d-%s", number, s.name)
		if step.log != "" {
			name += "-" + step.log
		}
		if err := r.step(ctx, step, name, &rep); err != nil {
			rep.err = err
			break
		}
		if step.servers && len(named(rep.results, failed)) > mostReruns {
			rep.err = errors.New("too many tests failed on real servers: the rest was not run")
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

// step runs one step, again where it may be. An error ends the stage; a failed test on
// real servers does not.
func (r *run) step(ctx context.Context, s step, name string, rep *report) error {
	for try := 1; ; try++ {
		rd, err := r.once(ctx, s, name)
		if s.reads == nothing {
			switch {
			case err == nil:
				return nil
			case ctx.Err() != nil:
				return fmt.Errorf("%s: %w", strings.Join(s.run, " "), context.Cause(ctx))
			case try < s.tries:
				fmt.Fprintf(r.out, "   once more in %s, for it depends on the network: %s (%v)\n", r.pause, strings.Join(s.run, " "), err)
				sleep(ctx, r.pause)
				continue
			case s.tries > 1:
				return fmt.Errorf("%s failed %d times: look at the network and the mirrors first, it may not be the change: %w", strings.Join(s.run, " "), try, err)
			}
			return fmt.Errorf("%s: %w", strings.Join(s.run, " "), err)
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return r.judge(ctx, s, name, rd, err, rep)
	}
}

// judge takes a step's results, and lets tests that failed on real servers run once more.
func (r *run) judge(ctx context.Context, s step, name string, rd *reader, err error, rep *report) error {
	failures := named(rd.results, failed)
	if len(failures) == 0 {
		rep.results = append(rep.results, rd.results...)
		if err == nil && len(rd.results) == 0 {
			err = errors.New("it ran no test")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(s.run, " "), err)
		}
		return nil
	}
	again := map[string]bool{}
	if s.servers && ctx.Err() == nil {
		again = r.again(ctx, s, name, failures)
	}
	for _, one := range rd.results {
		if one.outcome == failed {
			why := rd.reason(one)
			if again[one.name] {
				one.outcome = flaky
				why = "flaky: " + one.String() + " (" + why + ")"
			} else {
				why = "failed: " + one.String() + " (" + why + ")"
			}
			rep.why = append(rep.why, why)
			fmt.Fprintln(r.out, "  ", why)
			r.show(rd, one)
		}
		rep.results = append(rep.results, one)
	}
	if len(failures) > 0 && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", strings.Join(s.run, " "), context.Cause(ctx))
	}
	return nil
}

// again runs failed tests once more, alone, and says which passed. The first log says
// whether they may.
func (r *run) again(ctx context.Context, s step, name string, failures []result) map[string]bool {
	good := map[string]bool{}
	if line := firstUnforgivable(filepath.Join(r.logs, name+".log")); line != "" {
		fmt.Fprintf(r.out, "   not tried again: %s\n", line)
		return good
	}
	if r.reruns+len(failures) > mostReruns {
		fmt.Fprintf(r.out, "   not tried again: %d second tries are enough for a run\n", mostReruns)
		return good
	}
	r.reruns += len(failures)
	names := []string{}
	for _, f := range failures {
		names = append(names, f.name)
	}
	fmt.Fprintf(r.out, "   once more, alone: %s\n", strings.Join(names, " "))
	if _, err := r.once(ctx, r.sweep, name+".sweep"); err != nil {
		fmt.Fprintf(r.out, "   sweeping before the second try: %v\n", err)
		return good
	}
	second := s
	second.run = append(withoutRun(s.run), "-test.run="+only(names...))
	rd, err := r.once(ctx, second, name+".again")
	if err != nil && len(named(rd.results, failed)) == 0 {
		return good
	}
	for _, one := range named(rd.results, passed) {
		good[one.name] = true
	}
	return good
}

func withoutRun(argv []string) (rest []string) {
	for _, a := range argv {
		if !strings.HasPrefix(a, "-test.run=") {
			rest = append(rest, a)
		}
	}
	return rest
}

func firstUnforgivable(log string) string {
	f, err := os.Open(log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadString('\n')
		if unforgivable(line) {
			return strings.TrimSpace(line)
		}
		if err != nil {
			return ""
		}
	}
}

// show prints the last of what a failed test printed.
func (r *run) show(rd *reader, one result) {
	for _, line := range rd.printed[one.String()] {
		fmt.Fprintln(r.out, "   |", line)
	}
}

// once runs a step's command with its output in a log, and reads results from it.
func (r *run) once(ctx context.Context, s step, name string) (*reader, error) {
	argv := s.run
	if s.root {
		argv = append(append([]string{}, r.sudo...), argv...)
	}
	log, err := os.OpenFile(filepath.Join(r.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	where := s.dir
	if where == "" {
		where = s.log
	}
	rd := newReader(s.reads, where)
	fmt.Fprintf(log, "$ %s\n", strings.Join(argv, " "))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all that it started ends with it
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		return rd, err
	}
	said := newPulse(r.out, name)
	defer said.stop()
	result := make(chan error, 1)
	go func() { result <- endWith(ctx, cmd, out) }()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if text := rd.line(strings.TrimRight(line, "\n")); text != "" || line == "\n" {
			fmt.Fprintln(log, text)
			said.line(text)
			if s.reads == testText && ends.MatchString(text) && !quick.MatchString(text) {
				said.print("   " + text)
			}
		}
		if err != nil {
			break
		}
	}
	err = <-result
	rd.finish()
	if err != nil && s.reads == nothing {
		for _, line := range said.last() {
			said.print("   | " + line)
		}
	}
	return rd, err
}

// quick is how a test ends that nobody waited for.
var quick = regexp.MustCompile(`^--- PASS: .*\(0\.\d\ds\)$`)

// endWith waits for a process, and ends it with its group when the context does: it is told
// first, and killed when it does not listen. What it leaves behind is killed too; who keeps
// its output open all the same is not read any more.
func endWith(ctx context.Context, cmd *exec.Cmd, out *os.File) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(mercy):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			err = <-ended
		}
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	_ = out.SetReadDeadline(time.Now().Add(5 * time.Second))
	return err
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

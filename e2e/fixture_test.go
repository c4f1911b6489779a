//go:build lab

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// newFlow boots a test's servers and prepares its example. They are gone when
// the test ends; of one that failed, what was printed and what the servers know
// are shown first.
func newFlow(t *testing.T, example, name string, masters, workers, spare []string) *Flow {
	t.Helper()
	return newFlowOn(t, example, lab.Options{Name: name, Hosts: slices.Concat(masters, workers, spare)}, masters, workers)
}

func newFlowOn(t *testing.T, example string, servers lab.Options, masters, workers []string) *Flow {
	t.Helper()
	tools, err := FindTools("..")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("terraform is %s", tools.Terraform)
	endWhenTold(t)
	dir := t.TempDir() // first, so that the evidence finds the kubeconfig in it
	var log bytes.Buffer
	var f *Flow
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was printed:\n%s", &log)
			if f != nil {
				f.evidence(t)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := lab.Stop(ctx, servers.Name); err != nil {
			t.Error(err)
		}
		if f != nil { // once more, below all the evidence
			f.failures.tell(t)
		}
	})
	if f, err = NewFlowOn(testContext(t), tools, example, servers, dir, masters, workers, &log); err != nil {
		t.Fatal(err)
	}
	return f
}

// testContext ends when the run is told to end, and some minutes before the time-out
// of the run, which stops the process at once: what fails then still shows why, and
// takes its servers down.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	if end, limited := t.Deadline(); limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-3*time.Minute))
		t.Cleanup(cancel)
	}
	return ctx
}

// endWhenTold ends the whole run that got a signal during the test, once all is done
// that the test registers for its own end after this.
func endWhenTold(t *testing.T) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, os.Interrupt, syscall.SIGTERM)
	t.Cleanup(func() {
		signal.Stop(told)
		select {
		case s := <-told:
			fmt.Fprintf(os.Stderr, "the tests were told to end (%s)\n", s)
			os.Exit(1)
		default:
		}
	})
}

// stepper returns a function that does one step of a test's story, logs how long
// it took, and ends the test where it fails.
func stepper(t *testing.T) func(name string, do func(context.Context) error) {
	return (&Flow{}).stepper(t)
}

// stepper does the same, and has the reason of a failure told last.
func (f *Flow) stepper(t *testing.T) func(name string, do func(context.Context) error) {
	ctx := testContext(t)
	return func(name string, do func(context.Context) error) {
		t.Helper()
		start := time.Now()
		if err := do(ctx); err != nil {
			f.failures.add(name, err)
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%-60s %6.1f s", name, time.Since(start).Seconds())
	}
}

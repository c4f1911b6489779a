//go:build lab

package e2e

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// newFlow boots a test's servers and prepares its example. They are gone when
// the test ends; of one that failed, what was printed and the servers' journals
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
	var log bytes.Buffer
	var f *Flow
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what was printed:\n%s", &log)
			if f != nil {
				journals(t, f.Lab)
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := lab.Stop(ctx, servers.Name); err != nil {
			t.Error(err)
		}
	})
	if f, err = NewFlowOn(t.Context(), tools, example, servers, t.TempDir(), masters, workers, &log); err != nil {
		t.Fatal(err)
	}
	return f
}

// stepper returns a function that does one step of a test's story, logs how long
// it took, and ends the test where it fails.
func stepper(t *testing.T) func(name string, do func(context.Context) error) {
	return func(name string, do func(context.Context) error) {
		t.Helper()
		start := time.Now()
		if err := do(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Logf("%-60s %6.1f s", name, time.Since(start).Seconds())
	}
}

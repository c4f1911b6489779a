package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gantry-run/gantry/e2e"
)

// large makes a cluster of three masters and three workers, and one of many
// workers to which one more is added; each once.
func (b bench) large(ctx context.Context, tools e2e.Tools, r *report) error {
	three := []string{"master-1", "master-2", "master-3"}
	if err := b.once(ctx, tools, r, "ha", three, numbered(3), ""); err != nil {
		return err
	}
	return b.once(ctx, tools, r, "quickstart", three[:1], numbered(b.workers), fmt.Sprintf("worker-%d", b.workers+1))
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("worker-%d", i+1))
	}
	return out
}

// once makes a cluster, plans no change, adds a worker where one is named, and
// destroys it.
func (b bench) once(ctx context.Context, tools e2e.Tools, r *report, example string, masters, workers []string, added string) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := e2e.NewFlowOf(ctx, tools, example, b.lab, filepath.Join(dir, "w"), masters, workers, nil, nil)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := f.Apply(ctx); err != nil {
		return err
	}
	r.time(fmt.Sprintf("zero to %d nodes Ready (%d masters, %d workers; terraform apply)", len(f.Nodes()), len(masters), len(workers)), time.Since(start))
	if err := r.noChange(ctx, f); err != nil {
		return err
	}
	if added != "" {
		if err := r.addWorker(ctx, f, added); err != nil {
			return err
		}
	}
	hosts := len(f.Nodes())
	start = time.Now()
	if err := f.Down(ctx); err != nil {
		return err
	}
	r.time(fmt.Sprintf("terraform destroy, %d hosts", hosts), time.Since(start))
	return nil
}

// noChange plans, and counts what is sent for that.
func (r *report) noChange(ctx context.Context, f *e2e.Flow) error {
	hosts := len(f.Nodes())
	if err := r.sent(f, "create ", fmt.Sprintf("create of %d hosts", hosts)); err != nil {
		return err
	}
	if err := os.RemoveAll(f.Workspace.LogDir()); err != nil {
		return err
	}
	start := time.Now()
	if _, err := f.Workspace.Terraform(ctx, "plan", "-input=false", "-no-color", "-detailed-exitcode"); err != nil { // 2: there is a change
		return err
	}
	r.time(fmt.Sprintf("no-change plan, %d hosts", hosts), time.Since(start))
	return r.sent(f, "refresh ", fmt.Sprintf("no-change plan of %d hosts", hosts))
}

// addWorker boots a server, which does not count, and adds it.
func (r *report) addWorker(ctx context.Context, f *e2e.Flow, name string) error {
	if _, err := f.Lab.Add(ctx, name); err != nil {
		return err
	}
	before := len(f.Workers)
	f.Workers = append(f.Workers, name)
	start := time.Now()
	if err := f.Apply(ctx); err != nil {
		return err
	}
	r.time(fmt.Sprintf("adding one worker to %d (terraform apply)", before), time.Since(start))
	return nil
}

// sent tells what went to a master and to a worker in an operation, encrypted as
// it was. A master is asked for its cluster's pools too.
func (r *report) sent(f *e2e.Flow, operation, what string) error {
	bytes, err := f.Workspace.Sent(operation)
	if err != nil {
		return err
	}
	master, worker := bytes[f.Masters[0]], bytes[f.Workers[0]]
	if master == 0 || worker == 0 {
		return fmt.Errorf("nothing was counted for the %s: %v", what, bytes)
	}
	if !slices.ContainsFunc(r.sentRows, func(row string) bool { return strings.HasPrefix(row, "| "+what+" |") }) { // of the first round
		r.sentRows = append(r.sentRows, fmt.Sprintf("| %s | %s | %s |", what, size(master), size(worker)))
	}
	return nil
}

func size(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
)

const labName = "bench"

func main() {
	rounds := flag.Int("rounds", 3, "clusters to make; figures are medians over them")
	pods := flag.Int("pods", 40, "pods to create one after another, and at once")
	idle := flag.Duration("idle", time.Minute, "how long the idle cluster's CPU is watched")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *rounds, *pods, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds, pods int, idle time.Duration) (err error) {
	if err := lab.Check(); err != nil {
		return err
	}
	tools, err := e2e.FindTools(".")
	if err != nil {
		return err
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if stopErr := lab.Stop(cleanup, labName); err == nil {
			err = stopErr
		}
	}()
	var r report
	r.machine()
	if err := r.sizes(tools); err != nil {
		return err
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		if err := r.round(ctx, tools, pods, idle, round == rounds-1); err != nil {
			return err
		}
	}
	return r.write(os.Stdout)
}

// round makes one cluster and measures it. The idle figures, which take a
// minute, are taken in the last one.
func (r *report) round(ctx context.Context, tools e2e.Tools, pods int, idle time.Duration, last bool) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := e2e.NewFlow(ctx, tools, labName, filepath.Join(dir, "w"), []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
	if err != nil {
		return err
	}
	start := time.Now()
	if err := f.Apply(ctx); err != nil {
		return err
	}
	r.time("zero to 3 nodes Ready (1 master, 2 workers; terraform apply)", time.Since(start))
	if err := f.Cluster.Deploy(ctx, f.Workers...); err != nil {
		return err
	}
	if err := e2e.Eventually(ctx, time.Minute, func(ctx context.Context) error { return f.Cluster.AnswersByNodePort(ctx, f.Nodes()...) }); err != nil {
		return err
	}
	r.time("zero to the application of 4 replicas answering on every node", time.Since(start))

	start = time.Now()
	if err := f.Unchanged(ctx); err != nil {
		return err
	}
	r.time("no-change plan, 3 hosts", time.Since(start))

	one, all, err := podLatencies(ctx, f.Cluster.Kubeconfig, pods)
	if err != nil {
		return err
	}
	r.podsOneByOne = append(r.podsOneByOne, one...)
	r.podsAtOnce = append(r.podsAtOnce, all...)

	if _, err := f.Lab.Add(ctx, "worker-3"); err != nil {
		return err
	}
	f.Workers = append(f.Workers, "worker-3")
	start = time.Now()
	if err := f.Apply(ctx); err != nil {
		return err
	}
	r.time("adding one worker to 2 (terraform apply)", time.Since(start))
	if last {
		if err := r.idle(ctx, f, idle); err != nil {
			return err
		}
	}
	start = time.Now()
	if err := f.Down(ctx); err != nil {
		return err
	}
	r.time("terraform destroy, 4 hosts", time.Since(start))
	return nil
}

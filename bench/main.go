package main

import (
	"bytes"
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

func main() {
	rounds := flag.Int("rounds", 3, "clusters to make; figures are medians over them")
	pods := flag.Int("pods", 40, "pods to create one after another, and at once")
	idle := flag.Duration("idle", time.Minute, "how long the idle cluster's CPU is watched")
	nodes := flag.Int("hollow-nodes", 1000, "nodes that the scheduler chooses from")
	bound := flag.Int("hollow-pods", 5000, "pods that it binds")
	labName := flag.String("lab", "bench", "name of the lab")
	workers := flag.Int("workers", 20, "workers of the larger cluster")
	modelHosts := flag.Int("model-hosts", 1000, "hosts that are models")
	latency := flag.Duration("model-latency", 50*time.Millisecond, "how long each operation on one of them takes")
	only := flag.String("only", "", "master (the processes of a master on loopback), hostile (that master under load that means it harm, and the price of what stands against it), siege (that load alone), cluster (servers of the lab), volumes (claims on such a cluster alone), large (a cluster of many, and one of three masters) or model (hosts that are models); default: all")
	profile := flag.Bool("profile", false, "have the processes of the master on loopback serve /debug/pprof (their configurations are in /tmp/gantry-bench-*)")
	target := flag.String("attack", "", "the benchmark starts itself with this, for the load that means harm")
	out := flag.String("out", "", "document that the report is written into, between its two lines that name it; default: standard output")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if *target != "" {
		if err := attack(ctx, *target); err != nil {
			fmt.Fprintln(os.Stderr, "bench: attack:", err)
			os.Exit(1)
		}
		return
	}
	b := bench{
		rounds: *rounds, pods: *pods, hollowNodes: *nodes, hollowPods: *bound, idle: *idle, lab: *labName,
		workers: *workers, modelHosts: *modelHosts, latency: *latency, only: *only, out: *out, profile: *profile,
	}
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what is asked for.
type bench struct {
	rounds, pods, hollowNodes, hollowPods int
	workers, modelHosts                   int
	idle, latency                         time.Duration
	lab, out, only                        string
	profile                               bool
}

// asked reports whether a part is to be measured.
func (b bench) asked(part string) bool { return b.only == "" || b.only == part }

func (b bench) run(ctx context.Context) (err error) {
	tools, err := e2e.FindTools(".")
	if err != nil {
		return err
	}
	var r report
	r.machine()
	if err := r.sizes(tools); err != nil {
		return err
	}
	if b.asked("master") {
		gantry := filepath.Join(filepath.Dir(tools.Hello), "gantry")
		if err := r.controlPlane(ctx, gantry, b); err != nil {
			return err
		}
	}
	if b.asked("hostile") || b.only == "siege" {
		gantry := filepath.Join(filepath.Dir(tools.Hello), "gantry")
		if err := r.hostile(ctx, gantry, b); err != nil {
			return err
		}
	}
	if b.asked("model") {
		if err := b.model(ctx, tools, &r); err != nil {
			return err
		}
	}
	if b.asked("cluster") || b.asked("large") || b.only == "volumes" {
		if err := b.clusters(ctx, tools, &r); err != nil {
			return err
		}
	}
	if b.out == "" {
		return r.write(os.Stdout)
	}
	var text bytes.Buffer
	if err := r.write(&text); err != nil {
		return err
	}
	return e2e.Publish(b.out, "make bench", text.String())
}

// clusters makes clusters on the lab's servers and measures them.
func (b bench) clusters(ctx context.Context, tools e2e.Tools, r *report) (err error) {
	if err := lab.Check(); err != nil {
		return err
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if stopErr := lab.Stop(cleanup, b.lab); err == nil {
			err = stopErr
		}
	}()
	if b.asked("large") {
		if err := b.large(ctx, tools, r); err != nil {
			return err
		}
	}
	if b.only == "volumes" {
		return b.claims(ctx, tools, r)
	}
	if !b.asked("cluster") {
		return nil
	}
	for round := range b.rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, b.rounds)
		if err := r.round(ctx, tools, b, round == b.rounds-1); err != nil {
			return err
		}
	}
	return nil
}

// round makes one cluster and measures it. The idle figures, which take a
// minute, are taken in the last one, and those of volumes, which leave caches full, after them.
func (r *report) round(ctx context.Context, tools e2e.Tools, b bench, last bool) error {
	dir, err := os.MkdirTemp("", "gantry-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := e2e.NewFlow(ctx, tools, b.lab, filepath.Join(dir, "w"), []string{"master-1"}, []string{"worker-1", "worker-2"}, nil)
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

	if err := r.noChange(ctx, f); err != nil {
		return err
	}

	one, all, err := podLatencies(ctx, f.Cluster.Kubeconfig, b.pods)
	if err != nil {
		return err
	}
	r.podsOneByOne = append(r.podsOneByOne, one...)
	r.podsAtOnce = append(r.podsAtOnce, all...)

	if err := r.addWorker(ctx, f, "worker-3"); err != nil {
		return err
	}
	if last {
		if err := r.idle(ctx, f, b.idle); err != nil {
			return err
		}
		if err := r.volumes(ctx, f, b.pods/2); err != nil {
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

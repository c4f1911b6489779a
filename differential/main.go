package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/bench/master"
	"github.com/gantry-run/gantry/runtime/config"
)

// recorded is the share of answers that is the same as upstream's: a run below it fails.
// It is raised with each difference that is mended, and never lowered.
const recorded = 0.978

// full is the number of requests from which on every exception is expected to be needed.
const full = 100_000

func main() {
	n := flag.Int("n", 10_000, "requests to send to each")
	seed := flag.Uint64("seed", 0, "what the requests are made from; 0: a new one, which is printed")
	workers := flag.Int("workers", 4, "sequences of requests at a time")
	kind := flag.String("kind", "", "only kinds that match this pattern")
	bin := flag.String("bin", "bin", "directory of gantry and kube-apiserver")
	definitions := flag.String("manifests", "", "patterns of files with CustomResourceDefinitions, after commas: only their kinds")
	out := flag.String("out", "", "directory that the report and an example of each difference are written to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	for *seed == 0 {
		*seed = rand.Uint64N(1_000_000)
	}
	o := options{n: *n, seed: *seed, workers: *workers, kind: *kind, bin: *bin, out: *out, manifests: strings.FieldsFunc(*definitions, func(r rune) bool { return r == ',' })}
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(1)
	}
}

// options are what is asked for.
type options struct {
	n, workers     int
	seed           uint64
	kind, bin, out string
	manifests      []string
}

// all says that requests are of every kind.
func (o options) all() bool { return o.kind == "" && len(o.manifests) == 0 }

func (o options) run(ctx context.Context) (err error) {
	fmt.Printf("seed %d\n", o.seed)
	dir, err := os.MkdirTemp("", "gantry-differential-")
	if err != nil {
		return err
	}
	answered := false
	defer func() {
		if !answered && err != nil {
			err = fmt.Errorf("%w\nwhat the servers logged is kept in %s", err, dir)
			return
		}
		os.RemoveAll(dir)
	}()
	m, err := master.New(filepath.Join(o.bin, "gantry"), dir, false)
	if err != nil {
		return err
	}
	defer m.Stop()
	if err := m.Start(ctx, config.Etcd, config.APIServer); err != nil {
		return err
	}
	if err := m.StartUpstream(ctx, filepath.Join(o.bin, "kube-apiserver"), upstreamAPIs()...); err != nil {
		return err
	}
	start := time.Now()
	r, err := newRunner(ctx, m, o)
	if err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	r.discovery(ctx)
	if err := r.all(ctx); err != nil {
		return err
	}
	answered = true
	if err := r.tally.write(os.Stdout, o.out); err != nil {
		return err
	}
	fmt.Printf("seed %d, %s\n", o.seed, time.Since(start).Round(time.Second))
	return r.verdict(o)
}

// upstreamAPIs are switched on at upstream: those that ours serves and upstream does not by
// default.
func upstreamAPIs() []string {
	return []string{"--feature-gates=ClusterTrustBundle=true"}
}

func (r *runner) verdict(o options) error {
	var errs []error
	if same := r.tally.same(); same < recorded && o.all() {
		errs = append(errs, fmt.Errorf("%.2f %% of the answers are the same, and %.2f %% were before (seed %d)", 100*same, 100*recorded, o.seed))
	}
	for kind, a := range r.tally.refused {
		errs = append(errs, fmt.Errorf("upstream refuses a seed of %s: %d %v", kind, a.Code, a.Body))
	}
	if o.n >= full && o.all() {
		for _, e := range r.exceptions.Unseen() {
			errs = append(errs, fmt.Errorf("nothing differs by this exception any more, take it away: %s %s %s", e.Kind, e.Operation, e.Matches))
		}
	}
	return errors.Join(errs...)
}

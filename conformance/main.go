package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
)

func main() {
	o := options{}
	flag.StringVar(&o.focus, "focus", "", "run only the specs of the sets that match this expression; nothing is recorded")
	flag.StringVar(&o.sets, "sets", "parallel,serial", "which sets are run, separated by commas (parallel, serial, generic); of the others the last report counts")
	flag.IntVar(&o.procs, "procs", 6, "specs of the parallel set at a time")
	flag.StringVar(&o.lab, "lab", "conformance", "name of the lab")
	flag.StringVar(&o.dir, "dir", filepath.Join("dist", "conformance"), "where images, logs and reports are written")
	flag.StringVar(&o.programs, "programs", filepath.Join("bin", "conformance"), "directory of the suite and its programs")
	flag.StringVar(&o.module, "module", "", "directory of the module k8s.io/kubernetes that they are built from")
	flag.StringVar(&o.version, "version", "", "version of that module")
	flag.StringVar(&o.document, "document", filepath.Join("docs", "conformance.md"), "written after a run of all specs")
	flag.StringVar(&o.passed, "passed", filepath.Join("conformance", "passed.txt"), "the specs that passed before; those that pass are added")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "run against this cluster; no server is booted")
	flag.BoolVar(&o.hold, "hold", false, "run nothing: keep the cluster and serve the images until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// options are what is asked for.
type options struct {
	focus, sets               string
	procs                     int
	lab, dir                  string
	programs, module, version string
	document, passed          string
	kubeconfig                string
	hold                      bool
}

func (o options) run(ctx context.Context) (err error) {
	for _, path := range []*string{&o.dir, &o.programs} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return err
	}
	if o.kubeconfig != "" {
		if o.kubeconfig, err = filepath.Abs(o.kubeconfig); err != nil {
			return err
		}
	} else {
		down, err := o.up(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, down()) }()
	}
	if o.hold {
		fmt.Printf("kubeconfig %s; interrupt to take the servers down\n", o.kubeconfig)
		<-ctx.Done()
		return nil
	}
	return o.judge(ctx)
}

// up boots servers, makes a cluster of them and serves the images; down takes all away.
func (o *options) up(ctx context.Context) (down func() error, err error) {
	if err := lab.Check(); err != nil {
		return nil, err
	}
	tools, err := e2e.FindTools(".")
	if err != nil {
		return nil, err
	}
	c := &cluster{}
	down = func() error {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return errors.Join(c.close(), lab.Stop(cleanup, o.lab))
	}
	if err := c.start(ctx, tools, *o); err != nil {
		return nil, errors.Join(err, down())
	}
	o.kubeconfig = c.flow.Cluster.Kubeconfig
	return down, nil
}

// judge runs the sets, and compares what they say with what was recorded.
func (o options) judge(ctx context.Context) error {
	before, err := readNames(o.passed)
	if err != nil {
		return err
	}
	var all results
	var ran []part
	for _, s := range sets(o.procs) {
		p, err := o.part(ctx, s)
		if err != nil {
			return err
		}
		ran, all = append(ran, p), append(all, p.results...)
	}
	for _, r := range all {
		if r.State != passed {
			fmt.Printf("%s %s\n    %s\n", r.State, r.Name, r.Reason)
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("no conformance spec matches %q", o.focus)
	}
	text := document(ran, o.version)
	if o.focus != "" {
		return errors.Join(os.WriteFile(filepath.Join(o.dir, "part.md"), []byte(text), 0o644), lost(all, before))
	}
	if err := os.WriteFile(o.document, []byte(text), 0o644); err != nil {
		return err
	}
	return errors.Join(writeNames(o.passed, all.names(passed), before), lost(all, before))
}

// part is what came of a set, and when.
type part struct {
	set     string
	ended   time.Time
	results results
}

// part runs a set, or reads its last report.
func (o options) part(ctx context.Context, s set) (part, error) {
	if !slices.Contains(strings.Split(o.sets, ","), s.name) {
		got, at, err := s.last(o)
		return part{s.name, at, got}, err
	}
	began := time.Now()
	got, err := s.run(ctx, o)
	if err != nil {
		return part{}, err
	}
	fmt.Printf("%s: %d of %d passed, %s\n", s.name, got.count(passed), len(got), time.Since(began).Round(time.Second))
	return part{s.name, time.Now(), got}, nil
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
)

func main() {
	duration := flag.Duration("duration", time.Hour, "how long faults are injected; the last one's round is finished")
	seed := flag.Uint64("seed", 0, "which faults, in which order, at which hosts, for how long; 0: drawn, and printed")
	only := flag.String("faults", "", "faults to choose from, by name or by the beginning of names that ends in *, separated by commas; empty: all")
	labName := flag.String("lab", "chaos", "name of the lab")
	dir := flag.String("dir", filepath.Join("dist", "chaos"), "where the configuration, the history and the table of figures are written")
	again := flag.Bool("judge", false, "judge the histories that are named again, all together, and run nothing")
	out := flag.String("out", "", "write the figures into these documents (separated by commas), between their two lines that name them")
	list := flag.Bool("list", false, "list the faults, and run nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := func() error {
		if *list {
			for _, f := range faults() {
				fmt.Println(f.name)
			}
			return nil
		}
		if *again {
			return judgeFiles(os.Stdout, *out, flag.Args()...)
		}
		if *seed == 0 {
			*seed = uint64(time.Now().UnixNano()) % 1_000_000
		}
		return run(ctx, *labName, *dir, *seed, *only, *duration, *out)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, labName, dir string, seed uint64, only string, duration time.Duration, out string) (err error) {
	chosen, err := choose(faults(), only)
	if err != nil {
		return err
	}
	fmt.Printf("seed %d (make chaos SEED=%d repeats it)\n", seed, seed)
	if err := lab.Check(); err != nil {
		return err
	}
	tools, err := e2e.FindTools(".")
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer func() {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, lab.Stop(cleanup, labName))
	}()
	printed, err := os.Create(filepath.Join(dir, "terraform.log"))
	if err != nil {
		return err
	}
	defer printed.Close()
	c, err := startCluster(ctx, tools, labName, filepath.Join(dir, "terraform"), printed)
	if err != nil {
		return err
	}
	history := filepath.Join(dir, "history.jsonl")
	r, err := newRecorder(history)
	if err != nil {
		return err
	}
	before, err := loadOf(c.flow.Lab)
	if err != nil {
		return err
	}
	failed := c.torment(ctx, r, newSchedule(seed, chosen, c.flow.Masters, c.flow.Workers), duration)
	whole := judge.Run{Seed: seed}
	if failed == nil {
		whole.Lasted = r.now()
	}
	after, err := loadOf(c.flow.Lab)
	if err != nil {
		return err
	}
	whole.Others, whole.Waited = after.others(before), after.late(before)
	r.add(judge.Line{Run: &whole})
	if err := r.close(); err != nil {
		return err
	}
	if failed != nil {
		out = "" // what was cut short is no figure to publish
	}
	report, err := os.Create(filepath.Join(dir, "report.md"))
	if err != nil {
		return err
	}
	return errors.Join(failed, judgeFiles(io.MultiWriter(os.Stdout, report), out, history), report.Close())
}

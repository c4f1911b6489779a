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
	"strings"
	"syscall"
	"time"

	"github.com/gantry-run/gantry/chaos/judge"
	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
)

// errViolated: the cluster did not keep a promise.
var errViolated = errors.New("promises were violated")

func main() {
	duration := flag.Duration("duration", time.Hour, "how long faults are injected; the last one's round is finished")
	seed := flag.Uint64("seed", 0, "which faults, in which order, at which hosts, for how long; 0: drawn, and printed")
	only := flag.String("faults", "", "faults to choose from, by name or by the beginning of names that ends in *, separated by commas; empty: all")
	labName := flag.String("lab", "chaos", "name of the lab")
	dir := flag.String("dir", filepath.Join("dist", "chaos"), "where the configuration, the history and the table of figures are written")
	again := flag.String("judge", "", "judge this history again, and run nothing")
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
		if *again != "" {
			return judgeFile(os.Stdout, *again)
		}
		if *seed == 0 {
			*seed = uint64(time.Now().UnixNano()) % 1_000_000
		}
		return run(ctx, *labName, *dir, *seed, *only, *duration)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, labName, dir string, seed uint64, only string, duration time.Duration) (err error) {
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
	failed := c.torment(ctx, r, newSchedule(seed, chosen, c.flow.Masters, c.flow.Workers), duration)
	if err := r.close(); err != nil {
		return err
	}
	var report strings.Builder
	fmt.Fprintf(&report, "seed %d\n\n", seed)
	violated := judgeFile(io.MultiWriter(os.Stdout, &report), history)
	return errors.Join(failed, violated, os.WriteFile(filepath.Join(dir, "report.md"), []byte(report.String()), 0o644))
}

// judgeFile judges a history that a run wrote, and prints violations and figures.
func judgeFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h, err := judge.ReadHistory(f)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	violations := judge.Judge(h)
	fmt.Fprintf(w, "\n%d faults, %d requests (%d attempts), %d events watched, %d connections, %d violations\n\n",
		len(h.Faults), len(h.Requests), len(h.Ops), len(h.Seen), len(h.Connections), len(violations))
	for _, v := range violations {
		fmt.Fprintln(w, v)
	}
	fmt.Fprintln(w)
	if err := judge.WriteTable(w, judge.Measure(h, "ReplicaSet/"+application+"-", replicas)); err != nil {
		return err
	}
	if len(violations) > 0 {
		return fmt.Errorf("%d %w (history: %s)", len(violations), errViolated, path)
	}
	return nil
}

// Command mutants tells how many small wrong changes of a package's decisions its own
// unit tests notice. It draws changes (a comparison turned, a branch never taken, a
// negation dropped) with a seed, runs the package's tests on each, and prints those
// that live. No file is changed: go's -overlay puts the mutant in place.
//
// A mutant that lives is a test that is missing, or code that does nothing.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	tree := flag.String("tree", ".", "root of the module")
	seed := flag.Uint64("seed", 0, "of the draw; 0: a new one, which is printed")
	n := flag.Int("n", 16, "mutants of each package that compile")
	timeout := flag.Duration("timeout", time.Minute, "of the tests of one mutant; one that takes longer is noticed")
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	fmt.Printf("seed %d, %d mutants of each package\n", *seed, *n)
	d := draw{tree: *tree, n: *n, timeout: *timeout}
	for _, pkg := range flag.Args() {
		if err := d.run(pkg, rand.New(rand.NewPCG(*seed, 0))); err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", pkg, err)
			os.Exit(1)
		}
	}
}

// draw is what is asked for.
type draw struct {
	tree    string
	n       int
	timeout time.Duration
}

// run tries mutants of one package, a folder below the tree.
func (d draw) run(pkg string, rnd *rand.Rand) error {
	all, err := mutants(filepath.Join(d.tree, pkg))
	if err != nil {
		return err
	}
	if err := d.test(pkg, ""); err != nil {
		return fmt.Errorf("its tests fail without a mutant: %w", err)
	}
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	built, killed := 0, 0
	var alive []mutant
	for _, m := range all {
		if built == d.n {
			break
		}
		compiles, noticed, err := d.try(pkg, m)
		if err != nil {
			return err
		}
		if !compiles {
			continue
		}
		built++
		if noticed {
			killed++
		} else {
			alive = append(alive, m)
		}
	}
	fmt.Printf("%-44s %3d of %3d noticed\n", pkg, killed, built)
	for _, m := range alive {
		fmt.Printf("    alive: %s\n", m)
	}
	return nil
}

// try builds a mutant and runs the package's tests on it.
func (d draw) try(pkg string, m mutant) (compiles, noticed bool, err error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, false, err
	}
	defer os.RemoveAll(dir)
	mutated, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return false, false, err
	}
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		return false, false, err
	}
	if err := os.WriteFile(mutated, m.source, 0o600); err != nil {
		return false, false, err
	}
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return false, false, err
	}
	if err := d.goTool(context.Background(), "build", "-overlay", overlay, "./"+pkg); err != nil {
		return false, false, nil
	}
	return true, d.test(pkg, overlay) != nil, nil
}

func (d draw) test(pkg, overlay string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*d.timeout)
	defer cancel()
	return d.goTool(ctx, "test", "-short", "-overlay", overlay, "-timeout", d.timeout.String(), "./"+pkg)
}

func (d draw) goTool(ctx context.Context, args ...string) error {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.tree, &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, &out)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// draw is what is asked for.
type draw struct {
	tree    string
	n       int
	timeout time.Duration
}

// result is what became of the mutants of one package.
type result struct {
	tried int
	alive []mutant
}

// run tries mutants of one package, a folder below the tree.
func (d draw) run(pkg string, rnd *rand.Rand) (result, error) {
	p, err := load(d.tree, pkg)
	if err != nil {
		return result{}, err
	}
	woven, err := p.weave()
	if err != nil {
		return result{}, err
	}
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "mutants.test")
	if err := d.build(pkg, woven, dir, binary); err != nil {
		return result{}, err
	}
	begin := time.Now()
	if out, err := d.try(pkg, binary, none, d.timeout); err != nil {
		return result{}, fmt.Errorf("its tests fail without a mutant: %w\n%s", err, out)
	}
	limit := min(d.timeout, 5*time.Second+4*time.Since(begin))
	ids := rnd.Perm(len(woven.mutants))
	if d.n > 0 && len(ids) > d.n {
		ids = ids[:d.n]
	}
	r := result{tried: len(ids)}
	for _, id := range ids {
		if _, err := d.try(pkg, binary, id, limit); err == nil {
			r.alive = append(r.alive, woven.mutants[id])
		}
	}
	return r, nil
}

// build makes the test binary that has all mutants.
func (d draw) build(pkg string, w woven, dir, binary string) error {
	replace := map[string]string{}
	for original, source := range w.files {
		to := filepath.Join(dir, filepath.Base(original))
		if err := os.WriteFile(to, source, 0o600); err != nil {
			return err
		}
		replace[original] = to
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return err
	}
	_, err = goTool(d.tree, "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "./"+pkg)
	return err
}

// none is the mutant that changes nothing.
const none = -1

// try runs the tests with one mutant. It returns what they printed.
func (d draw) try(pkg, binary string, mutant int, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout+time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.short", "-test.failfast", "-test.timeout", timeout.String())
	cmd.Dir, cmd.Env = filepath.Join(d.tree, pkg), append(os.Environ(), variable+"="+strconv.Itoa(mutant))
	cmd.WaitDelay = time.Second // a child of a test may hold its output
	return cmd.CombinedOutput()
}

// goTool runs go in the tree and returns what it printed.
func goTool(tree string, args ...string) ([]byte, error) {
	var out, stderr bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = tree, &out, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, &stderr)
	}
	return out.Bytes(), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// set is a part of the suite that is run at once.
type set struct {
	name  string
	procs int
	// focus and skip are expressions that a spec's name has to match, and must not.
	focus, skip string
}

// sets are upstream's two: what may run beside others, and what may not.
func sets(procs int) []set {
	return []set{
		{"parallel", procs, `\[Conformance\]`, `\[Serial\]|\[Disruptive\]`},
		{"serial", 1, `\[Serial\].*\[Conformance\]|\[Conformance\].*\[Serial\]`, ""},
	}
}

// run runs the set's specs that match the focus. That specs fail is a result, and no error.
func (s set) run(ctx context.Context, o options) (results, error) {
	report := filepath.Join(o.dir, s.name+".json")
	if err := os.Remove(report); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.dir, s.name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, filepath.Join(o.programs, "ginkgo"), s.arguments(o)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its specs, and says which
	failed := cmd.Run()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	got, err := readReport(report)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the %s set gave no report (%s): %w", s.name, log.Name(), err), failed)
	}
	if failed != nil && !slices.ContainsFunc(got, result.isSpec) {
		return nil, fmt.Errorf("the %s set did not start (%s): %w", s.name, log.Name(), failed)
	}
	return got, nil
}

func (s set) arguments(o options) []string {
	args := []string{
		"-procs=" + strconv.Itoa(s.procs), "-timeout=3h", "-no-color", "-silence-skips",
		"-json-report=" + s.name + ".json", "-output-dir=" + o.dir,
		"-focus=" + s.matching(o.focus),
	}
	if s.skip != "" {
		args = append(args, "-skip="+s.skip)
	}
	return append(args, filepath.Join(o.programs, "e2e.test"), "--",
		"--kubeconfig="+o.kubeconfig, "--provider=skeleton",
		// The master takes no workloads.
		"--allowed-not-ready-nodes=1", "--non-blocking-taints=node-role.kubernetes.io/control-plane")
}

// matching is the set's focus narrowed to what is asked for. Conformance specs end with
// the tag, and the suite's other tags stand before it.
func (s set) matching(focus string) string {
	if focus == "" {
		return s.focus
	}
	if s.name == "serial" {
		return `(` + focus + `).*\[Serial\].*\[Conformance\]|\[Serial\].*(` + focus + `).*\[Conformance\]`
	}
	return `(` + focus + `).*\[Conformance\]`
}

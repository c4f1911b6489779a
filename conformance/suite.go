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
	"time"
)

// set is a part of the suite that is run at once.
type set struct {
	name  string
	procs int
	// focus and skip are expressions that a spec's name has to match, and must not.
	focus, skip string
}

// Names of the sets.
const (
	parallel = "parallel"
	serial   = "serial"
	generic  = "generic"
)

// sets are the conformance specs in upstream's two parts, what may run beside others and
// what may not, and of the specs beyond conformance those that its presubmit job runs on
// any cluster: neither slow, nor of a feature that has to be installed or switched on.
func sets(procs int) []set {
	return []set{
		{parallel, procs, `\[Conformance\]`, `\[Serial\]|\[Disruptive\]`},
		{serial, 1, `\[Serial\].*\[Conformance\]|\[Conformance\].*\[Serial\]`, ""},
		{generic, procs, `\[sig-`, `\[Conformance\]|\[Serial\]|\[Disruptive\]|\[Slow\]|\[Flaky\]|\[Feature:|` + elsewhere},
	}
}

// elsewhere matches what needs a cloud, Windows, or servers and drivers of volumes whose
// images are not to be had: the suite would wait for each until its time is over.
const elsewhere = `\[Driver: (aws|azure|gce|gluster|iscsi|nfs|rbd|ceph|vsphere|windows|csi-hostpath|pd\.csi)|CSI Mock|\[sig-windows\]|\[sig-cloud-provider`

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

// last is the set's last report with its time; none where it has not run.
func (s set) last(o options) (results, time.Time, error) {
	path := filepath.Join(o.dir, s.name+".json")
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	got, err := readReport(path)
	return got, info.ModTime(), err
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
	switch s.name {
	case generic:
		return `(` + focus + `)`
	case serial:
		return `(` + focus + `).*\[Serial\].*\[Conformance\]|\[Serial\].*(` + focus + `).*\[Conformance\]`
	}
	return `(` + focus + `).*\[Conformance\]`
}

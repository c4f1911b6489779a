package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Tools are the programs a run uses, as absolute paths.
type Tools struct {
	// Terraform is what TF_ACC_TERRAFORM_PATH names, as in the provider's acceptance
	// tests, or terraform, or tofu built by `make tofu` where it is missing.
	Terraform string
	// Kubectl is the command and its first arguments: kubectl, or `gantry kubectl`.
	Kubectl []string
	// Bundle, Mirror and Hello are what make has built: the bundle, the provider
	// as a file-system mirror, and the demo's application.
	Bundle, Mirror, Hello string
	// Examples is the directory of examples.
	Examples string
}

// FindTools looks below the repository's root, then on the PATH.
func FindTools(root string) (Tools, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return Tools{}, err
	}
	t := Tools{
		Bundle:   filepath.Join(root, "dist", "gantry-bundle-linux-amd64.tar.zst"),
		Mirror:   filepath.Join(root, "dist", "mirror"),
		Hello:    filepath.Join(root, "bin", "hello"),
		Examples: filepath.Join(root, "examples"),
	}
	var errs []error
	for _, f := range []string{t.Bundle, t.Mirror, t.Hello} {
		if _, err := os.Stat(f); err != nil {
			errs = append(errs, fmt.Errorf("%w (run make bundle)", err))
		}
	}
	names := []string{"terraform", "tofu", filepath.Join(root, "bin", "tofu")}
	if named := os.Getenv("TF_ACC_TERRAFORM_PATH"); named != "" {
		names = []string{named} // or nothing: who names one wants no other
	}
	if t.Terraform, err = firstOf(names...); err != nil {
		errs = append(errs, fmt.Errorf("no terraform and no tofu (run make tofu): %w", err))
	}
	if kubectl, err := exec.LookPath("kubectl"); err == nil {
		t.Kubectl = []string{kubectl}
	} else {
		t.Kubectl = []string{filepath.Join(root, "bin", "gantry"), "kubectl"}
	}
	return t, errors.Join(errs...)
}

func firstOf(names ...string) (string, error) {
	var errs []error
	for _, n := range names {
		path, err := exec.LookPath(n)
		if err == nil {
			return path, nil
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

// command runs a program; its output is returned, and shown on show where that
// is not nil. An error holds all output.
func command(ctx context.Context, dir string, env []string, show io.Writer, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stdout, all bytes.Buffer
	var both io.Writer = &all
	if show != nil {
		both = io.MultiWriter(both, show)
	}
	both = &locked{w: both} // two streams are copied at once
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, both), both
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, all.String())
	}
	return stdout.String(), nil
}

type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

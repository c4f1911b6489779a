//go:build lab

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// otherProviders puts applications into the cluster by the kubernetes and the helm
// provider, whose configuration is the ephemeral kubeconfig, in the same state.
func (f *Flow) otherProviders(ctx context.Context) error {
	w := f.Workspace
	if err := os.CopyFS(w.Dir, os.DirFS(filepath.Join("testdata", "providers"))); err != nil {
		return err
	}
	if err := w.Init(ctx); err != nil {
		return err
	}
	if err := f.Cluster.ImportImage(ctx, f.Workers...); err != nil {
		return err
	}
	if err := w.Apply(ctx); err != nil {
		return err
	}
	if err := f.answers(ctx, "hello=1 released=1"); err != nil {
		return err
	}
	state, err := w.State()
	if err != nil {
		return err
	}
	if bytes.Contains(state, []byte(keyMark)) {
		return fmt.Errorf("a private key is in the state")
	}
	if err := f.Unchanged(ctx); err != nil {
		return err
	}
	if _, err := w.Terraform(ctx, "apply", "-auto-approve", "-input=false", "-no-color", "-var=replicas=2"); err != nil {
		return err
	}
	if err := f.answers(ctx, "hello=2 released=2"); err != nil {
		return err
	}
	// The providers stay until what is theirs is gone.
	if err := os.Remove(filepath.Join(w.Dir, "app.tf")); err != nil {
		return err
	}
	if err := w.Apply(ctx); err != nil {
		return err
	}
	if out, err := f.Cluster.Kubectl(ctx, "get", "namespace", "shop", "--ignore-not-found", "-o", "name"); err != nil || out != "" {
		return fmt.Errorf("the namespace is left: %s, %v", out, err)
	}
	return errors.Join(os.Remove(filepath.Join(w.Dir, "providers.tf")), os.Remove(filepath.Join(w.Dir, "required_override.tf")))
}

// answers compares the ready replicas by deployment, and asks the release's Service.
func (f *Flow) answers(ctx context.Context, want string) error {
	got, err := f.Cluster.Kubectl(ctx, "get", "deployments", "-n", "shop", "-o",
		`jsonpath={range .items[*]}{.metadata.name}={.status.readyReplicas} {end}`)
	if err != nil {
		return err
	}
	if strings.TrimSpace(got) != want {
		return fmt.Errorf("ready are %q, want %q", got, want)
	}
	_, err = f.Cluster.Kubectl(ctx, "exec", "-n", "shop", "deployment/hello", "--", "/hello", "get", "http://released")
	return err
}

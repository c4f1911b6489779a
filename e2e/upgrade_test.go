//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	semver "k8s.io/apimachinery/pkg/util/version"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/runtime/config"
)

// upgrade applies a bundle of another version: every process of ours starts from
// its program, no container does, and the application answers all along.
func (f *Flow) upgrade(ctx context.Context, dir string) error {
	version, err := laterPatch(f.tools.Bundle)
	if err != nil {
		return err
	}
	// A worker that came back bare has no image, and its pods wait long by now.
	if err := f.Cluster.ImportImage(ctx, f.Workers...); err != nil {
		return err
	}
	if err := soon(func(ctx context.Context) error {
		_, err := f.Cluster.Kubectl(ctx, "delete", "pods", "-l", "app="+app)
		return err
	})(ctx); err != nil {
		return err
	}
	if err := Eventually(ctx, 30*time.Second, func(ctx context.Context) error { return f.AppReady(ctx, 4) }); err != nil {
		return err
	}
	pods, err := f.Cluster.Pods(ctx)
	if err != nil {
		return err
	}
	before, err := f.starts(ctx)
	if err != nil {
		return err
	}
	if f.Workspace.tools.Bundle, err = otherBundle(f.tools.Bundle, dir, version); err != nil {
		return err
	}
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	if err := f.plansVersion(ctx, version); err != nil {
		return err
	}
	quiet := f.asking(ctx)
	if err := f.Apply(ctx); err != nil {
		return err
	}
	if err := quiet(); err != nil {
		return err
	}
	after, err := f.starts(ctx)
	if err != nil {
		return err
	}
	// containerd's own program is the same, and its shims go on in any case.
	all := slices.DeleteFunc(slices.Sorted(maps.Keys(after)), func(unit string) bool { return strings.HasSuffix(unit, " "+config.Containerd.Unit()) })
	if got := restarted(before, after); !slices.Equal(got, all) {
		return fmt.Errorf("restarted were %q, want %q", got, all)
	}
	err = soon(func(ctx context.Context) error { // a restart of a container would stay to be seen
		now, err := f.Cluster.Pods(ctx)
		if err == nil && !slices.Equal(pods, now) {
			err = fmt.Errorf("pods were %+v and are %+v", pods, now)
		}
		return err
	})(ctx)
	if err != nil {
		return err
	}
	return f.Unchanged(ctx)
}

// laterPatch is the next patch version after the bundle's: the provider refuses one of a
// later minor.
func laterPatch(file string) (string, error) {
	b, err := bundle.Open(file)
	if err != nil {
		return "", err
	}
	v, err := semver.ParseSemantic(b.Version)
	if err != nil {
		return "", fmt.Errorf("the version of %s: %w", file, err)
	}
	return v.WithPatch(v.Patch() + 1).String(), nil
}

// otherBundle packs the programs again, under another version and with a gantry
// that is another file, though it does the same.
func otherBundle(bundle, dir, version string) (string, error) {
	programs := filepath.Join(dir, "programs")
	if err := os.CopyFS(programs, os.DirFS(filepath.Join(filepath.Dir(bundle), "bundle"))); err != nil {
		return "", err
	}
	gantry, err := os.OpenFile(filepath.Join(programs, "gantry"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return "", err
	}
	_, err = gantry.WriteString(version) // the loader reads no further than the headers say
	if err := errors.Join(err, gantry.Close()); err != nil {
		return "", err
	}
	out, err := os.Create(filepath.Join(dir, "other.tar.zst"))
	if err != nil {
		return "", err
	}
	_, err = archive.Pack(out, programs, archive.Manifest{Version: version, Platform: "linux/amd64"})
	return out.Name(), errors.Join(err, out.Close())
}

// plansVersion checks that the plan says of each host, and of nothing else, that it
// gets the version.
func (f *Flow) plansVersion(ctx context.Context, version string) error {
	changes, err := f.Workspace.Plan(ctx)
	if err != nil {
		return err
	}
	var hosts []string
	for _, c := range changes {
		status, _ := c.After["status"].(map[string]any)
		for name, s := range status {
			if entry, _ := s.(map[string]any); entry["version"] == version {
				hosts = append(hosts, name)
			}
		}
	}
	slices.Sort(hosts)
	if want := slices.Sorted(slices.Values(f.Nodes())); !slices.Equal(hosts, want) || len(changes) != 2 {
		return fmt.Errorf("the plan has %d changes and gives the version to %v, want %v", len(changes), hosts, want)
	}
	return nil
}

// asking asks the application at every node, over and over, until it is told to be
// quiet; then it says what was not answered.
func (f *Flow) asking(ctx context.Context) (quiet func() error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	silent := *f.Cluster
	silent.show = nil
	go func() {
		asked, missed := 0, 0
		var last error
		for ctx.Err() == nil {
			for _, n := range f.Nodes() {
				err := silent.AnswersByNodePort(ctx, n)
				if ctx.Err() != nil {
					break
				}
				if asked++; err != nil {
					missed, last = missed+1, fmt.Errorf("%s: %w", n, err)
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if asked < 20 {
			last = fmt.Errorf("the application was asked %d times only", asked)
		}
		if last != nil {
			last = fmt.Errorf("%d of %d questions were not answered, the last at %w", missed, asked, last)
		}
		ended <- last
	}()
	return func() error { cancel(); return <-ended }
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gantry-run/gantry/conformance/images"
	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// cluster is what the suite runs against: the quickstart example as it is, so that
// the configuration is the default one.
type cluster struct {
	flow         *e2e.Flow
	stopRegistry func() error
}

func (c *cluster) start(ctx context.Context, tools e2e.Tools, o options) error {
	root, err := rootArchive(ctx, o.dir)
	if err != nil {
		return err
	}
	made, err := images.Build(ctx, images.Sources{Root: root, Programs: o.programs, Module: o.module, Pause: tools.Hello})
	if err != nil {
		return err
	}
	printed, err := os.Create(filepath.Join(o.dir, "terraform.log"))
	if err != nil {
		return err
	}
	defer printed.Close()
	masters, workers := []string{"master-1"}, []string{"worker-1", "worker-2"}
	servers := lab.Options{Name: o.lab, Hosts: slices.Concat(masters, workers)}
	if c.flow, err = e2e.NewFlowOn(ctx, tools, "quickstart", servers, filepath.Join(o.dir, "terraform"), masters, workers, printed); err != nil {
		return err
	}
	if err := c.flow.Apply(ctx); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(lab.Gateway(c.flow.Lab).String(), "0"))
	if err != nil {
		return err
	}
	if err := c.loopDevices(ctx); err != nil {
		return err
	}
	if c.stopRegistry, err = images.Serve(ctx, ln, made); err != nil {
		return err
	}
	return c.mirror(ctx, ln.Addr().String())
}

// mirror tells every node that the suite's registry is reached at an address: a
// setting of the site, as an operator behind a wall would make it.
func (c *cluster) mirror(ctx context.Context, address string) error {
	dir := config.RegistriesDir + "/" + images.Host
	text := fmt.Sprintf("server = \"http://%s\"\n", address)
	for _, h := range c.flow.Lab.Hosts {
		cmd := h.SSH(ctx, "mkdir -p "+dir+" && cat >"+dir+"/hosts.toml")
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("host %s: set a mirror of %s: %w\n%s", h.Name, images.Host, err, out)
		}
	}
	return nil
}

// loopDevices gives the servers what specs of local volumes make block devices of: a
// server in a container has none.
func (c *cluster) loopDevices(ctx context.Context) error {
	for _, h := range c.flow.Lab.Hosts {
		if _, err := h.Run(ctx, "mknod -m 600 /dev/loop-control c 10 237; for i in $(seq 0 63); do test -e /dev/loop$i || mknod -m 600 /dev/loop$i b 7 $i; done"); err != nil {
			return fmt.Errorf("host %s: make loop devices: %w", h.Name, err)
		}
	}
	return nil
}

func (c *cluster) close() error {
	if c.stopRegistry == nil {
		return nil
	}
	return c.stopRegistry()
}

// rootArchive is the root file system of the images, made once and again when its
// packages are others.
func rootArchive(ctx context.Context, dir string) (string, error) {
	id := sha256.Sum256([]byte(strings.Join(images.Packages, " ")))
	path := filepath.Join(dir, fmt.Sprintf("root-%x.tar", id[:6]))
	if _, err := os.Stat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return path, err
	}
	making := filepath.Join(dir, "making.tar")
	if err := lab.WriteRoot(ctx, making, images.Packages...); err != nil {
		return "", err
	}
	return path, os.Rename(making, path)
}

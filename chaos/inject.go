package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// lossPercent of the packets to and from a host do not arrive on a lossy link.
	lossPercent = 25
	// slowRate is that of a slow link, in bytes a second.
	slowRate = 100_000
	// slowDisk is that of a slow disk, of what is synced.
	slowDisk = 100_000
)

// onEach does something at all targets at once.
func onEach(do func(context.Context, *lab.Host) error) func(context.Context, *cluster, []string) error {
	return func(ctx context.Context, c *cluster, targets []string) error {
		errs := make([]error, len(targets))
		var wg sync.WaitGroup
		for i, name := range targets {
			wg.Go(func() {
				h, err := c.flow.Lab.Host(name)
				if err == nil {
					err = do(ctx, h)
				}
				errs[i] = err
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	}
}

// hosts is onEach of what a host of the lab can do.
func hosts(do func(*lab.Host, context.Context) error) func(context.Context, *cluster, []string) error {
	return onEach(func(ctx context.Context, h *lab.Host) error { return do(h, ctx) })
}

func rate(bytesPerSecond uint64) func(context.Context, *cluster, []string) error {
	return onEach(func(ctx context.Context, h *lab.Host) error { return h.SetRate(ctx, bytesPerSecond) })
}

func diskRate(bytesPerSecond uint64) func(context.Context, *cluster, []string) error {
	return onEach(func(_ context.Context, h *lab.Host) error { return h.SetDiskRate(bytesPerSecond) })
}

func kill(component config.Component) func(context.Context, *cluster, []string) error {
	return onEach(func(ctx context.Context, h *lab.Host) error {
		_, err := h.Run(ctx, "systemctl kill --signal=KILL --kill-who=main "+component.Unit())
		return err
	})
}

func killShims(ctx context.Context, h *lab.Host) error {
	_, err := h.Run(ctx, "pkill -9 containerd-shim; true") // the name is longer than what the kernel keeps of it
	return err
}

// killAll kills all of our processes of a host at once; its pods run on.
func killAll(ctx context.Context, h *lab.Host) error {
	_, err := h.Run(ctx, "systemctl kill --signal=KILL --kill-who=main 'gantry-*.service'")
	return err
}

// masterUnits are those of a master's own processes, in the order of their start.
func masterUnits() []string {
	var units []string
	for _, component := range config.MasterComponents() {
		units = append(units, component.Unit())
	}
	return units
}

// stopMaster stops a master's own processes, each after the one that it depends on, and
// startMaster starts them.
func stopMaster(ctx context.Context, h *lab.Host) error {
	_, err := h.Run(ctx, "for unit in "+strings.Join(masterUnits(), " ")+"; do systemctl stop $unit || exit 1; done")
	return err
}

func startMaster(ctx context.Context, h *lab.Host) error {
	_, err := h.Run(ctx, "systemctl start --no-block "+strings.Join(masterUnits(), " "))
	return err
}

// emptyEtcd takes a member's data away, as a disk that was replaced.
func emptyEtcd(ctx context.Context, h *lab.Host) error {
	unit := config.Etcd.Unit()
	_, err := h.Run(ctx, "systemctl stop "+unit+" && find "+config.EtcdDataDir+" -mindepth 1 -delete && systemctl start --no-block "+unit)
	return err
}

// The losses of partitions and bad links.

func fromRest(targets, all []string) []lab.Loss {
	return bothWays(targets, without(all, targets), 100)
}

func losing(targets, all []string) []lab.Loss {
	return bothWays(targets, without(all, targets), lossPercent)
}

func pair(targets, _ []string) []lab.Loss   { return bothWays(targets[:1], targets[1:], 100) }
func oneWay(targets, _ []string) []lab.Loss { return losses(targets[:1], targets[1:], 100) }
func silent(targets, all []string) []lab.Loss {
	return losses(targets, without(all, targets), 100)
}

func deaf(targets, all []string) []lab.Loss {
	return losses(without(all, targets), targets, 100)
}

func bothWays(some, others []string, percent uint32) []lab.Loss {
	return append(losses(some, others, percent), losses(others, some, percent)...)
}

func losses(from, to []string, percent uint32) []lab.Loss {
	var out []lab.Loss
	for _, f := range from {
		for _, t := range to {
			out = append(out, lab.Loss{From: f, To: t, Percent: percent})
		}
	}
	return out
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(n string) bool { return slices.Contains(some, n) })
}

// Changes of the configuration in the middle of it all.

// spare is the worker that comes and goes.
const spare = "worker-spare"

// apply applies, and notes how long that took.
func apply(ctx context.Context, c *cluster, _ []string) error {
	began := time.Now()
	err := c.flow.Workspace.Apply(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied = time.Since(began)
	return err
}

func grow(ctx context.Context, c *cluster, _ []string) error {
	if err := c.setWorkers(append(without(c.workers(), []string{spare}), spare)); err != nil {
		return err
	}
	if err := apply(ctx, c, nil); err != nil {
		return err
	}
	return c.flow.Cluster.ImportImage(ctx, spare)
}

func shrink(ctx context.Context, c *cluster, _ []string) error {
	if err := c.setWorkers(without(c.workers(), []string{spare})); err != nil {
		return err
	}
	return apply(ctx, c, nil)
}

func (c *cluster) setWorkers(names []string) error {
	c.mu.Lock()
	c.flow.Workers = names
	c.mu.Unlock()
	return c.flow.Workspace.SetHosts(c.flow.Lab, c.flow.Masters, names)
}

// roll changes what every kubelet of the pool is configured with; the apply is the heal.
func roll(_ context.Context, c *cluster, _ []string) error {
	c.rolls++
	return c.flow.Workspace.Override("roll", fmt.Sprintf("resource \"gantry_node_pool\" \"workers\" {\n  kubelet = { max_pods = %d }\n}\n", 100+c.rolls%2))
}

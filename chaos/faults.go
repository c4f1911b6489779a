package main

import (
	"context"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// fault is one that can be injected and healed.
type fault struct {
	name    string
	targets func(draw) []string
	// hold is the least and the most time from the fault to its heal.
	hold [2]time.Duration
	// cuts: connections of the targets may break.
	cuts bool
	// off: the targets stand still, and nothing else can be done to them.
	off bool
	// moves: the targets are those whose pods it may move, and nothing is done to them.
	moves bool
	// uses is what no other fault can use meanwhile.
	uses         resource
	inject, heal func(ctx context.Context, c *cluster, targets []string) error
}

// resource is something of which there is one.
type resource int

const (
	nothing resource = iota
	// packets: the lab has one table of what is lost between hosts.
	packets
	// configuration: terraform has one, and locks it.
	configuration
)

// applies reports whether terraform applies for it, so that another fault may have it
// fail, and an apply after both is the heal.
func (f fault) applies() bool { return f.uses == configuration }

func between(least, most int) [2]time.Duration {
	return [2]time.Duration{time.Duration(least) * time.Second, time.Duration(most) * time.Second}
}

// faults are all there are, by name.
func faults() []fault {
	var out []fault
	for _, component := range config.MasterComponents() {
		out = append(out, fault{name: "kill-" + string(component), targets: oneMaster, hold: between(2, 6), inject: kill(component)})
	}
	for _, component := range config.WorkerComponents() {
		out = append(out, fault{name: "kill-" + string(component), targets: anyHost, hold: between(2, 6), inject: kill(component)})
	}
	lossy := func(losses func([]string, []string) []lab.Loss) func(context.Context, *cluster, []string) error {
		return func(_ context.Context, c *cluster, targets []string) error {
			return c.flow.Lab.Lose(losses(targets, c.nodes())...)
		}
	}
	whole := func(_ context.Context, c *cluster, _ []string) error { return c.flow.Lab.Lose() }
	return append(out,
		fault{name: "kill-shims", targets: oneWorker, hold: between(2, 6), cuts: true, inject: onEach(killShims)},
		fault{name: "kill-all-of-a-host", targets: anyHost, hold: between(2, 6), inject: onEach(killAll)},
		fault{name: "stop-master", targets: oneMaster, hold: between(20, 40), inject: onEach(stopMaster), heal: onEach(startMaster)},

		fault{name: "power-master", targets: oneMaster, hold: between(3, 30), cuts: true, off: true, inject: hosts((*lab.Host).PowerCut), heal: hosts((*lab.Host).Boot)},
		fault{name: "power-worker", targets: oneWorker, hold: between(3, 30), cuts: true, off: true, inject: hosts((*lab.Host).PowerCut), heal: hosts((*lab.Host).Boot)},
		fault{name: "power-worker-long", targets: oneWorker, hold: between(80, 90), cuts: true, off: true, inject: hosts((*lab.Host).PowerCut), heal: hosts((*lab.Host).Boot)},
		fault{name: "power-two-masters", targets: twoMasters, hold: between(5, 25), cuts: true, off: true, inject: hosts((*lab.Host).PowerCut), heal: hosts((*lab.Host).Boot)},
		fault{name: "power-all-masters", targets: allMasters, hold: between(5, 25), cuts: true, off: true, inject: hosts((*lab.Host).PowerCut), heal: hosts((*lab.Host).Boot)},
		fault{name: "power-all", targets: everyHost, hold: between(2, 10), cuts: true, off: true, inject: hosts((*lab.Host).PowerCut), heal: hosts((*lab.Host).Boot)},

		fault{name: "partition-master", targets: oneMaster, hold: between(10, 60), cuts: true, uses: packets, inject: lossy(fromRest), heal: whole},
		fault{name: "partition-worker", targets: oneWorker, hold: between(10, 60), cuts: true, uses: packets, inject: lossy(fromRest), heal: whole},
		fault{name: "partition-pair", targets: anyTwo, hold: between(10, 40), cuts: true, uses: packets, inject: lossy(pair), heal: whole},
		fault{name: "partition-subset", targets: subset, hold: between(10, 40), cuts: true, uses: packets, inject: lossy(fromRest), heal: whole},
		fault{name: "one-way-pair", targets: anyTwo, hold: between(10, 40), cuts: true, uses: packets, inject: lossy(oneWay), heal: whole},
		fault{name: "one-way-silent", targets: anyHost, hold: between(10, 40), cuts: true, uses: packets, inject: lossy(silent), heal: whole},
		fault{name: "one-way-deaf", targets: anyHost, hold: between(10, 40), cuts: true, uses: packets, inject: lossy(deaf), heal: whole},

		fault{name: "lossy", targets: anyHost, hold: between(15, 40), cuts: true, uses: packets, inject: lossy(losing), heal: whole},
		fault{name: "slow-link", targets: anyHost, hold: between(15, 40), cuts: true, inject: rate(slowRate), heal: rate(0)},
		fault{name: "pause", targets: anyHost, hold: between(5, 30), cuts: true, off: true, inject: hosts((*lab.Host).Pause), heal: hosts((*lab.Host).Resume)},
		fault{name: "disk-full", targets: anyHost, hold: between(10, 30), cuts: true, inject: hosts((*lab.Host).FillDisk), heal: hosts((*lab.Host).EmptyDisk)},
		fault{name: "disk-slow", targets: anyHost, hold: between(15, 40), cuts: true, inject: diskRate(slowDisk), heal: diskRate(0)},
		fault{name: "etcd-empty", targets: oneMaster, hold: between(2, 6), uses: configuration, inject: onEach(emptyEtcd), heal: apply},
		fault{name: "apply-grow-and-shrink", targets: everyHost, hold: between(5, 15), cuts: true, moves: true, uses: configuration, inject: grow, heal: shrink},
		fault{name: "apply-roll", targets: everyHost, hold: between(0, 1), cuts: true, moves: true, uses: configuration, inject: roll, heal: apply},
	)
}

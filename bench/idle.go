package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gantry-run/gantry/e2e"
	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// usage is what a unit's main process holds and has used.
type usage struct {
	pss, anonymous float64 // MiB
	cpu            float64 // seconds since its start
}

// idle measures every process of a master and of a worker without pods of the
// user's. Text pages of our binary are shared by the processes of a host, and
// PSS divides them.
func (r *report) idle(ctx context.Context, f *e2e.Flow, period time.Duration) error {
	if _, err := f.Cluster.Kubectl(ctx, "delete", "deployment,service", "--all", "--wait=true"); err != nil {
		return err
	}
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	for _, role := range []struct {
		host       string
		components []config.Component
	}{
		{f.Masters[0], slices.Concat(config.MasterComponents(), config.WorkerComponents())},
		{f.Workers[0], config.WorkerComponents()},
	} {
		h, err := f.Lab.Host(role.host)
		if err != nil {
			return err
		}
		before := map[config.Component]usage{}
		for _, c := range role.components {
			if before[c], err = measure(ctx, h, c); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(period):
		}
		var total usage
		for _, c := range role.components {
			u, err := measure(ctx, h, c)
			if err != nil {
				return err
			}
			cpu := (u.cpu - before[c].cpu) * float64(time.Minute) / float64(period)
			total.pss, total.anonymous, total.cpu = total.pss+u.pss, total.anonymous+u.anonymous, total.cpu+cpu
			r.memoryRows = append(r.memoryRows, fmt.Sprintf("| %s on %s | %.0f MiB | %.0f MiB | %.2f s |", c, role.host, u.pss, u.anonymous, cpu))
		}
		r.memoryRows = append(r.memoryRows, fmt.Sprintf("| **all of %s** | **%.0f MiB** | **%.0f MiB** | **%.2f s** |", role.host, total.pss, total.anonymous, total.cpu))
	}
	return nil
}

func measure(ctx context.Context, h *lab.Host, c config.Component) (usage, error) {
	out, err := h.Run(ctx, "pid=$(systemctl show -p MainPID --value "+c.Unit()+"); grep -E '^(Pss|Anonymous):' /proc/$pid/smaps_rollup; cut -d' ' -f14,15 /proc/$pid/stat")
	if err != nil {
		return usage{}, err
	}
	var u usage
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		switch {
		case len(f) == 3:
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				return usage{}, err
			}
			if f[0] == "Pss:" {
				u.pss = kib / 1024
			} else {
				u.anonymous = kib / 1024
			}
		case len(f) == 2:
			for _, ticks := range f {
				n, err := strconv.ParseFloat(ticks, 64)
				if err != nil {
					return usage{}, err
				}
				u.cpu += n / 100 // USER_HZ
			}
		}
	}
	return u, nil
}

//go:build lab

package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
)

// The ways to cut a run. The first two meet terraform, the others a server.
const (
	sigkill = "SIGKILL"
	sigint  = "SIGINT"
	hangUp  = "SSH dropped"
	power   = "power cut"
)

// cut is one cut of a run, in the middle of a step of a host.
type cut struct {
	host, step string
	state      string // of the step, began by default
	by         string
	// victim is whose connections or power are cut, the host itself by default: a step
	// that goes by the API or the store needs a master, and not the host.
	victim string
}

// cutJoining adds a worker. Each row is an apply: what was done before a cut is not
// done again, so that each comes further than the one before.
func (f *Flow) cutJoining(ctx context.Context, t *testing.T) error {
	apart := f.Workers
	f.Workers = append(slices.Clone(f.Workers), "worker-2")
	return f.cutApplies(ctx, t, f.applyFirst(f.Masters, apart), map[string]string{"worker-1": "ready"},
		cut{host: "worker-2", step: "prepare", by: sigkill},
		cut{host: "worker-2", step: "identity", by: hangUp},
		cut{host: "worker-2", step: "binaries", by: sigint},
		cut{host: "worker-2", step: "binaries", state: "done", by: power},
		cut{host: "worker-2", step: "credentials", state: "done", by: sigkill},
		cut{host: "worker-2", step: "configuration", by: hangUp},
		cut{host: "worker-2", step: "start node processes", by: power},
		cut{host: "worker-2", step: "wait for the node", by: hangUp, victim: "master-1"},
	)
}

// cutLeaving removes the worker again.
func (f *Flow) cutLeaving(ctx context.Context, t *testing.T) error {
	back, stay := f.applyFirst(f.Masters, f.Workers), map[string]string{"worker-1": "ready"}
	f.Workers = without(f.Workers, "worker-2")
	if err := f.cutApplies(ctx, t, back, stay, cut{host: "worker-2", step: "drain", by: sigint}); err != nil {
		return err
	}
	err := soon(func(ctx context.Context) error {
		out, err := f.Cluster.Kubectl(ctx, "get", "node", "worker-2", "-o", "jsonpath={.spec.unschedulable}")
		if err == nil && out != "" {
			err = fmt.Errorf("the worker takes no pods as long as it stays: unschedulable is %q", out)
		}
		return err
	})(ctx)
	if err != nil {
		return err
	}
	err = f.cutApplies(ctx, t, back, stay,
		cut{host: "worker-2", step: "stop processes", by: sigkill},
		cut{host: "worker-2", step: "clean the kernel", by: hangUp},
		cut{host: "worker-2", step: "remove units", by: power},
		cut{host: "worker-2", step: "remove files", by: sigkill},
		cut{host: "worker-2", step: "delete the node", by: hangUp, victim: "master-1"},
	)
	if err != nil {
		return err
	}
	if err := f.Apply(ctx); err != nil {
		return err
	}
	h, err := f.Lab.Host("worker-2")
	if err != nil {
		return err
	}
	return leftovers(ctx, h)
}

// cutLeavingMaster takes out the master that the configuration lacks; what is wiped
// of it is what is wiped of a worker.
func (f *Flow) cutLeavingMaster(ctx context.Context, t *testing.T) error {
	return f.cutApplies(ctx, t, f.applyFirst(append(slices.Clone(f.Masters), "master-1"), f.Workers), nil,
		cut{host: "master-1", step: "stop serving", by: sigint},
		cut{host: "master-1", step: "leave the store", by: power},
		cut{host: "master-1", step: "stop processes", by: sigkill},
	)
}

// cutJoiningMaster puts it in again; up to its store it is as a worker.
func (f *Flow) cutJoiningMaster(ctx context.Context, t *testing.T) error {
	return f.cutApplies(ctx, t, f.applyFirst(without(f.Masters, "master-1"), f.Workers), nil,
		cut{host: "master-1", step: "start etcd", by: sigkill},
		cut{host: "master-1", step: "vote", by: power},
		cut{host: "master-1", step: "start apiserver", by: hangUp},
		cut{host: "master-1", step: "joined", by: sigint},
	)
}

// cutDestroy destroys, first the pool and then the cluster.
func (f *Flow) cutDestroy(ctx context.Context, t *testing.T) error {
	return f.cutEach(ctx, t, f.Workspace.DisturbDestroy, f.Clean, f.Apply, nil,
		cut{host: "worker-1", step: "stop processes", by: hangUp},
		cut{host: "worker-1", step: "remove files", by: power},
		cut{host: "master-1", step: "stop processes", by: power},
		cut{host: "master-1", step: "clean the kernel", by: sigint},
		cut{host: "master-1", step: "remove units", by: sigkill},
	)
}

// applyFirst applies another configuration, and has the flow as it is again.
func (f *Flow) applyFirst(masters, workers []string) func(context.Context) error {
	return func(ctx context.Context) error {
		wantedMasters, wantedWorkers := f.Masters, f.Workers
		f.Masters, f.Workers = masters, workers
		if err := f.Apply(ctx); err != nil {
			return err
		}
		f.Masters, f.Workers = wantedMasters, wantedWorkers
		return f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers)
	}
}

func (f *Flow) cutApplies(ctx context.Context, t *testing.T, back func(context.Context) error, stay map[string]string, cuts ...cut) error {
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	return f.cutEach(ctx, t, f.Workspace.DisturbApply, f.applied, back, stay, cuts...)
}

// disturb is [Workspace.DisturbApply] or [Workspace.DisturbDestroy].
type disturb func(ctx context.Context, host, step, state string, disturb func(terraform *os.Process) error) (string, error)

// cutTries is how often a cut is tried before which the run before had gone too far.
const cutTries = 3

// cutEach runs terraform once for each of the cuts. Whatever it was, nothing is
// tainted, the hosts of the pool that stay are as they were, and no run lock is left.
// A run that is cut may go on for a while, and past the step that the next one is to be
// cut at: then all has to be done that the run is for, and back makes what was before the
// first, from where each step is to come.
func (f *Flow) cutEach(ctx context.Context, t *testing.T, run disturb, done, back func(context.Context) error, stay map[string]string, cuts ...cut) error {
	for _, c := range cuts {
		for try := 1; ; try++ {
			err := f.cutOnce(ctx, t, run, stay, c)
			if err == nil {
				break
			}
			if !errors.Is(err, errPassed) || try == cutTries {
				return err
			}
			t.Logf("    %-12s at %-22s comes too late: once more from the beginning", c.by, c.step)
			if err := done(ctx); err != nil {
				return fmt.Errorf("a run ended well before %q of %s, and not all is as it is to be: %w", c.step, c.host, err)
			}
			if err := back(ctx); err != nil {
				return fmt.Errorf("back to before the first cut: %w", err)
			}
		}
	}
	return nil
}

func (f *Flow) cutOnce(ctx context.Context, t *testing.T, run disturb, stay map[string]string, c cut) error {
	start := time.Now()
	victim, err := f.Lab.Host(cmp.Or(c.victim, c.host))
	if err != nil {
		return err
	}
	out, err := run(ctx, c.host, c.step, cmp.Or(c.state, "began"), func(terraform *os.Process) error { return c.do(ctx, terraform, victim) })
	if err == nil {
		err = f.states(stay)
	}
	if err == nil {
		err = f.noLease(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s at %q of %s: %w\n%s", c.by, c.step, c.host, err, out)
	}
	t.Logf("    %-12s at %-22s %5.1f s", c.by, c.step, time.Since(start).Seconds())
	return nil
}

func (c cut) do(ctx context.Context, terraform *os.Process, victim *lab.Host) error {
	switch c.by {
	case sigkill:
		return terraform.Kill()
	case sigint:
		return terraform.Signal(os.Interrupt)
	case hangUp:
		return dropSSH(ctx, victim)
	default: // it is back before anybody has noticed
		if err := victim.PowerCut(ctx); err != nil {
			return err
		}
		return victim.Boot(ctx)
	}
}

// dropSSH ends every connection of a host's sshd, which goes on serving.
func dropSSH(ctx context.Context, h *lab.Host) error {
	_, err := h.Run(ctx, `for p in $(pidof sshd); do [ "$p" = "$(systemctl show -p MainPID --value ssh)" ] || kill -9 "$p"; done`)
	return err
}

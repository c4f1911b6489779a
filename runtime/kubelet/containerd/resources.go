package containerd

import (
	"context"
	"fmt"

	containerd "github.com/containerd/containerd/v2/client"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// UpdateResources sets the values of a running container's cgroup and records with it what
// it has. Its process is not touched.
func (a *Adapter) UpdateResources(ctx context.Context, id string, r container.Resources, has container.Compute) error {
	ctx, cancel := context.WithTimeout(withNamespace(ctx), callTimeout)
	defer cancel()
	c, err := a.cl.LoadContainer(ctx, id)
	if err != nil {
		return fmt.Errorf("resize container %s: %w", id, away(err))
	}
	task, err := c.Task(ctx, nil)
	if err != nil {
		return fmt.Errorf("resize container %s: %w", id, away(err))
	}
	if err := task.Update(ctx, containerd.WithResources(linuxResources(r))); err != nil {
		return fmt.Errorf("resize container %s: %w", id, away(err))
	}
	if _, err := c.SetLabels(ctx, map[string]string{labelResources: has.String()}); err != nil {
		return fmt.Errorf("record the resources of container %s: %w", id, away(err))
	}
	return nil
}

// linuxResources are the values that a resize sets. One without a limit says so: what
// is left out stays as it is.
func linuxResources(r container.Resources) *specs.LinuxResources {
	quota, memory := r.CPUQuota, r.MemoryLimit
	if quota == 0 {
		quota = -1
	}
	if memory == 0 {
		memory = -1
	}
	return &specs.LinuxResources{
		CPU:    &specs.LinuxCPU{Shares: &r.CPUShares, Quota: &quota, Period: &r.CPUPeriod},
		Memory: &specs.LinuxMemory{Limit: &memory},
	}
}

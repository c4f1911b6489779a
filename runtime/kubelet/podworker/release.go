package podworker

import (
	"context"
	"fmt"
	"os"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
)

// release gives back what a pod without running containers holds. Each step may be done
// again: the next attempt begins anew.
func (c *Config) release(ctx context.Context, uid string) error {
	if err := c.Network.Detach(ctx, uid); err != nil {
		return err
	}
	if err := c.Sandboxes.Remove(uid); err != nil {
		return err
	}
	if err := c.Specs.ReleasePod(uid); err != nil {
		return err
	}
	if err := c.Volumes.TearDown(uid); err != nil {
		return err
	}
	return c.Cgroups.RemovePod(uid)
}

// removeContainers removes all that the runtime has of a pod, and its logs.
func (c *Config) removeContainers(ctx context.Context, ref container.PodRef) error {
	all, err := c.Runtime.List(ctx, ref.UID)
	if err != nil {
		return err
	}
	for _, have := range all {
		if err := c.Runtime.Remove(ctx, have.ID); err != nil {
			return err
		}
	}
	return removeLogs(c.Layout, ref)
}

func removeLogs(layout poddir.Layout, ref container.PodRef) error {
	if err := os.RemoveAll(layout.PodLogs(ref)); err != nil {
		return fmt.Errorf("remove the pod's logs: %w", err)
	}
	return nil
}

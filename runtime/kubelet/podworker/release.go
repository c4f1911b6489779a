package podworker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/kubelet/podlog"
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
	c.Devices.Release(uid)
	if err := c.Claims.Unprepare(ctx, uid); err != nil {
		return err
	}
	if err := c.Volumes.TearDown(uid); err != nil {
		return err
	}
	return c.Cgroups.RemovePod(uid)
}

// tryRelease is release, told where it fails: a volume may still be in use, say, which only
// who uses it can end.
func (w *worker) tryRelease(ctx context.Context, p *corev1.Pod) error {
	err := w.release(ctx, w.ref.UID)
	switch {
	case err == nil:
		w.told = complaint{}
	case ctx.Err() == nil && w.told.due(time.Now(), err.Error()):
		w.log.Warn("a pod is not cleaned up yet", "error", err)
		w.Events.Event(p, corev1.EventTypeWarning, "FailedKillPod", "error killing pod: "+err.Error())
	}
	return err
}

// removeOld removes incarnations that are older than the last two, with their logs.
func (c *Config) removeOld(ctx context.Context, log *slog.Logger, old []*container.Container) {
	for _, o := range old {
		if err := c.Runtime.Remove(ctx, o.ID); err != nil {
			log.Warn("an old container is not removed", "container", o.ID, "error", err)
			continue // with the pod at the latest
		}
		if err := podlog.Remove(o.LogPath); err != nil {
			log.Warn("the log of an old container is not removed", "container", o.ID, "error", err)
		}
	}
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

package containerd

import (
	"context"
	"fmt"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

// Start creates a container and starts it. On an error nothing is left.
func (a *Adapter) Start(ctx context.Context, s container.Spec) (_ container.Container, err error) {
	ctx = withNamespace(ctx)
	img, err := a.cl.GetImage(ctx, s.ResolvedImage)
	if err != nil {
		return container.Container{}, fmt.Errorf("start container %s: image %s: %w", s.Name, s.ResolvedImage, away(err))
	}
	imgCfg, err := a.imageConfig(ctx, img)
	if err != nil {
		return container.Container{}, fmt.Errorf("start container %s: read the configuration of image %s: %w", s.Name, s.ResolvedImage, err)
	}
	runtime, err := a.cfg.runtimeOf(s.Handler)
	if err != nil {
		return container.Container{}, fmt.Errorf("start container %s: %w", s.Name, err)
	}
	specOpts, err := specOptions(s, imgCfg)
	if err != nil {
		return container.Container{}, fmt.Errorf("start container %s: %w", s.Name, err)
	}
	// A start that was cut short by this process's end left the same ID behind.
	if _, err := a.cl.LoadContainer(ctx, s.ID); err == nil {
		if err := a.Remove(ctx, s.ID); err != nil {
			return container.Container{}, err
		}
	}
	if err := a.cl.SnapshotService(snapshotter).Remove(ctx, s.ID); err != nil && !errdefs.IsNotFound(err) {
		return container.Container{}, fmt.Errorf("start container %s: remove an unused layer: %w", s.Name, err)
	}
	defer func() {
		if err != nil {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
			defer cancel()
			if rerr := a.Remove(clean, s.ID); rerr != nil {
				a.log.Warn("what is left of a container that did not start is not removed", "container", s.ID, "error", rerr)
			}
			a.endIO(s.ID)
		}
	}()
	a.setStarting(s.ID, true)
	defer a.setStarting(s.ID, false)
	c, err := a.cl.NewContainer(ctx, s.ID,
		containerd.WithImage(img), containerd.WithSnapshotter(snapshotter), containerd.WithNewSnapshot(s.ID, img, layerOptions(s.Users)...),
		containerd.WithContainerLabels(toLabels(s)), containerd.WithRuntime(runtime, nil),
		containerd.WithNewSpec(specOpts...))
	if err != nil {
		return container.Container{}, fmt.Errorf("create container %s: %w", s.Name, away(err))
	}
	taskOpts, err := taskOptions(ctx, c, s.Users)
	if err != nil {
		return container.Container{}, fmt.Errorf("create the process of container %s: %w", s.Name, away(err))
	}
	task, err := a.newTask(ctx, c, s.Pod.UID, taskOpts, func(id string) (cio.IO, error) {
		cfg, err := a.startIO(id, s.LogPath, s.TTY, s.Stdin)
		return directIO{cfg}, err
	})
	if err != nil {
		return container.Container{}, fmt.Errorf("create the process of container %s: %w", s.Name, away(err))
	}
	if err := task.Start(ctx); err != nil {
		return container.Container{}, fmt.Errorf("start the process of container %s: %w", s.Name, away(err))
	}
	started := s.Container
	started.State, started.Exit, started.StartedAt = container.StateRunning, nil, time.Now()
	if info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata); err == nil {
		started.StartedAt = info.CreatedAt // what a later process reads back
	}
	return started, nil
}

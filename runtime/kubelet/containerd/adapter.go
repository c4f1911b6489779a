// Package containerd adapts the containerd client to what the kubelet asks of a
// container runtime and an image store. What has to survive this process and
// containerd's is in container labels; what a server's reboot ends is in RunDir.
//
// It may import runtime/config and the kubelet's packages container, podlog and cm.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"path"
	"sync"
	"syscall"
	"time"

	eventtypes "github.com/containerd/containerd/api/events"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

const (
	runtimeName = "io.containerd.runc.v2"
	snapshotter = "overlayfs"
	// callTimeout bounds a call that only reads or changes metadata.
	callTimeout = 30 * time.Second
	// firstPause and maxPause are between attempts to record the end of a container.
	firstPause = 100 * time.Millisecond
	maxPause   = 10 * time.Second
)

// Config of the adapter.
type Config struct {
	Socket string
	// RunDir is on a tmpfs: the FIFOs of running containers are below it.
	RunDir string
	// RegistriesDir may say how registries are reached: <host>/hosts.toml, as
	// containerd has it (mirrors, plain HTTP, authorities). It is read at each pull.
	RegistriesDir string
	// Disks are directories on the file systems that containers mount.
	Disks []string
	// Handlers are the RuntimeClass handlers beside runc, with containerd's name of the
	// runtime behind each.
	Handlers map[string]string
}

// Complete fills defaults.
func (c *Config) Complete() {
	if c.Socket == "" {
		c.Socket = config.ContainerdSocket
	}
	if c.RunDir == "" {
		c.RunDir = path.Join(config.RunDir, "kubelet", "io")
	}
	if c.RegistriesDir == "" {
		c.RegistriesDir = config.RegistriesDir
	}
}

// Adapter is a container runtime and an image store, as the kubelet's rooms declare
// them.
type Adapter struct {
	cfg Config
	cl  *containerd.Client
	log *slog.Logger
	*imageStore
	*outputs

	// userNamespaces says why containers cannot have users of their own; it is tried once.
	userNamespaces func() error

	shims     shims
	finishing singleflight.Group // by container ID: its end is recorded once
	mu        sync.Mutex
	starting  map[string]bool // containers that have no task yet, by ID
}

// New returns an adapter. It connects when it is first used, and again whenever
// containerd was away.
func New(cfg Config, log *slog.Logger) (*Adapter, error) {
	cfg.Complete()
	cl, err := containerd.New(cfg.Socket,
		containerd.WithDefaultNamespace(config.ContainerdNamespace),
		containerd.WithDefaultRuntime(runtimeName), // saves a question to the server
		// The socket is on this host: looking often whether it is back costs nothing.
		containerd.WithExtraDialOpts([]grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: 2 * time.Second,
		})}))
	if err != nil {
		return nil, fmt.Errorf("make a containerd client for %s: %w", cfg.Socket, err)
	}
	return &Adapter{
		cfg: cfg, cl: cl, log: log, shims: shims{seed: maphash.MakeSeed()}, starting: map[string]bool{},
		userNamespaces: sync.OnceValue(func() error { return userNamespaces(cfg.Disks) }),
		imageStore:     &imageStore{cl: cl, registries: cfg.RegistriesDir, configs: map[string]ocispec.ImageConfig{}},
		outputs:        &outputs{dir: cfg.RunDir, pumps: map[string]*pump{}},
	}, nil
}

func withNamespace(ctx context.Context) context.Context {
	return namespaces.WithNamespace(ctx, config.ContainerdNamespace)
}

// away marks an error that only says that containerd does not answer.
func away(err error) error {
	if errdefs.IsUnavailable(err) {
		return fmt.Errorf("%w: %v", container.ErrUnavailable, err)
	}
	return err
}

// Version returns containerd://<version>.
func (a *Adapter) Version(ctx context.Context) (string, error) {
	v, err := a.cl.Version(withNamespace(ctx))
	if err != nil {
		return "", fmt.Errorf("containerd at %s does not answer: %w", a.cfg.Socket, err)
	}
	return "containerd://" + v.Version, nil
}

// Close flushes the logs that are being written and leaves all containers running.
func (a *Adapter) Close() error {
	a.abandonAll()
	return a.cl.Close()
}

// List returns the containers of a pod, or of all pods, and takes up the output of
// those that run.
func (a *Adapter) List(ctx context.Context, uid string) ([]container.Container, error) {
	ctx = withNamespace(ctx)
	filter := fmt.Sprintf("labels.%q", labelPodUID)
	if uid != "" {
		filter += "==" + uid
	}
	all, err := a.cl.Containers(ctx, filter)
	if err != nil {
		return nil, fmt.Errorf("list the containers: %w", err)
	}
	out := make([]container.Container, 0, len(all))
	for _, c := range all {
		if a.isStarting(c.ID()) {
			continue // without a task it would be taken for one that has ended
		}
		v, err := a.inspect(ctx, c)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err = away(err); errors.Is(err, container.ErrUnavailable) || ctx.Err() != nil {
			return nil, fmt.Errorf("inspect container %s: %w", c.ID(), errors.Join(err, ctx.Err()))
		}
		if err != nil {
			// One that is broken must not hide the others from their pods.
			a.log.Error("a container cannot be read and is left out", "container", c.ID(), "error", err)
			continue
		}
		out = append(out, v)
	}
	return out, nil
}

// inspect reads a container and, when it ended without anybody recording it,
// records that.
func (a *Adapter) inspect(ctx context.Context, c containerd.Container) (container.Container, error) {
	info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return container.Container{}, err
	}
	v, err := fromLabels(c.ID(), info.CreatedAt, info.Labels)
	if err != nil || v.Exit != nil {
		return v, err
	}
	task, err := c.Task(ctx, nil)
	if err == nil {
		var st containerd.Status
		if st, err = task.Status(ctx); err == nil && st.Status == containerd.Running || st.Status == containerd.Paused {
			if err := a.adoptIO(v); err != nil {
				// It runs all the same, and is tried again with the next list.
				a.log.Error("the output of a container is not taken up", "container", v.ID, "error", err)
			}
			return v, nil
		}
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return v, err
	}
	return a.finish(ctx, c.ID())
}

// Watch follows the ends of containers.
func (a *Adapter) Watch(ctx context.Context, connected func(), onExit func(container.Container)) error {
	ctx, cancel := context.WithCancel(withNamespace(ctx))
	defer cancel()
	events, errs := a.cl.EventService().Subscribe(ctx, `topic=="/tasks/exit"`)
	// Subscribing is asynchronous; an answer on the same connection says that the
	// request is under way. What ends in between is found by the list that follows.
	if _, err := a.Version(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	connected()
	for {
		select {
		case err := <-errs:
			if err == nil {
				err = errors.New("closed by the server")
			}
			return fmt.Errorf("containerd's events: %w", err)
		case e := <-events:
			if e.Namespace != config.ContainerdNamespace {
				continue
			}
			v, err := typeurl.UnmarshalAny(e.Event)
			if err != nil {
				a.log.Warn("an event of containerd is not understood", "topic", e.Topic, "error", err)
				continue
			}
			exit, ok := v.(*eventtypes.TaskExit)
			if !ok || exit.ID != exit.ContainerID { // the end of an exec
				continue
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				if c, ok := a.finishAgain(ctx, exit.ContainerID); ok {
					onExit(c)
				}
			}()
		}
	}
}

// finishAgain records the end of a container until that succeeds: nobody else tells of
// it. It is false when there is nothing to record, or ctx is done.
func (a *Adapter) finishAgain(ctx context.Context, id string) (container.Container, bool) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		c, err := a.finish(ctx, id)
		if err == nil || errdefs.IsNotFound(err) || ctx.Err() != nil {
			return c, err == nil
		}
		a.log.Error("the end of a container is not recorded yet", "container", id, "error", err)
		select {
		case <-ctx.Done():
			return c, false
		case <-time.After(pause):
		}
	}
}

// Signal sends a signal to the container's first process; to one that has ended it
// does nothing.
func (a *Adapter) Signal(ctx context.Context, id string, sig syscall.Signal) error {
	ctx = withNamespace(ctx)
	c, err := a.cl.LoadContainer(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("signal container %s: %w", id, err)
	}
	task, err := c.Task(ctx, nil)
	if err == nil {
		err = task.Kill(ctx, sig)
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("send %s to container %s: %w", sig, id, err)
	}
	return nil
}

// Remove kills and deletes a container and its writable layer; one that does not
// exist is no error.
func (a *Adapter) Remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(withNamespace(ctx), callTimeout)
	defer cancel()
	c, err := a.cl.LoadContainer(ctx, id)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	if task, err := c.Task(ctx, nil); err == nil {
		if _, err := task.Delete(ctx, containerd.WithProcessKill); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("delete the process of container %s: %w", id, err)
		}
	} else if !errdefs.IsNotFound(err) {
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	a.endIO(id)
	if err := c.Delete(ctx, containerd.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	return nil
}

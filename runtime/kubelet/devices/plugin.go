package devices

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"github.com/gantry-run/gantry/runtime/kubelet/container"
)

const (
	// registerTimeout is within what a plugin that registers has to answer.
	registerTimeout = 10 * time.Second
	// callTimeout bounds every other call: a plugin that hangs must not hold up other pods.
	callTimeout = api.KubeletPreStartContainerRPCTimeoutInSecs * time.Second
)

// plugin is the connection to a device plugin.
type plugin struct {
	conn    *grpc.ClientConn
	api     api.DevicePluginClient
	options *api.DevicePluginOptions
}

// connect connects to the plugin that listens on a socket, and asks what it can do.
func connect(ctx context.Context, socket string) (*plugin, error) {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority("localhost"), grpc.WithDisableServiceConfig())
	if err != nil {
		return nil, fmt.Errorf("failed to dial device plugin: %w", err)
	}
	p := &plugin{conn: conn, api: api.NewDevicePluginClient(conn)}
	// A plugin may begin to listen only after it has asked to be registered.
	if p.options, err = p.api.GetDevicePluginOptions(ctx, &api.Empty{}, grpc.WaitForReady(true)); err != nil {
		return nil, errors.Join(fmt.Errorf("failed to dial device plugin: %w", err), conn.Close())
	}
	return p, nil
}

// watch tells of the plugin's devices until it ends, or ctx does.
func (p *plugin) watch(ctx context.Context, update func(devices map[string]bool)) error {
	stream, err := p.api.ListAndWatch(ctx, &api.Empty{})
	if err != nil {
		return err
	}
	for {
		list, err := stream.Recv()
		if err != nil {
			return err
		}
		devices := make(map[string]bool, len(list.Devices))
		for _, d := range list.Devices {
			devices[d.ID] = d.Health == api.Healthy
		}
		update(devices)
	}
}

// prefer asks which devices the plugin would rather give; nil when it does not care.
func (p *plugin) prefer(ctx context.Context, c choice, needed int) ([]string, error) {
	if !p.options.GetGetPreferredAllocationAvailable() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := p.api.GetPreferredAllocation(ctx, &api.PreferredAllocationRequest{ContainerRequests: []*api.ContainerPreferredAllocationRequest{{
		AvailableDeviceIDs: slices.Sorted(maps.Keys(c.free.Union(c.mine))), MustIncludeDeviceIDs: slices.Sorted(maps.Keys(c.mine)), AllocationSize: int32(needed),
	}}})
	if err != nil {
		return nil, fmt.Errorf("device plugin GetPreferredAllocation rpc failed with err: %w", err)
	}
	if len(resp.ContainerResponses) == 0 {
		return nil, nil
	}
	return resp.ContainerResponses[0].DeviceIDs, nil
}

// allocate asks what a container needs for the devices.
func (p *plugin) allocate(ctx context.Context, devices []string) (container.Edits, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := p.api.Allocate(ctx, &api.AllocateRequest{ContainerRequests: []*api.ContainerAllocateRequest{{DevicesIds: devices}}})
	if err != nil {
		return container.Edits{}, err
	}
	if len(resp.ContainerResponses) == 0 {
		return container.Edits{}, fmt.Errorf("no containers return in allocation response %v", resp)
	}
	return editsOf(resp.ContainerResponses[0]), nil
}

func editsOf(r *api.ContainerAllocateResponse) container.Edits {
	e := container.Edits{Env: r.Envs, Annotations: r.Annotations}
	for _, m := range r.Mounts {
		e.Mounts = append(e.Mounts, container.Mount{HostPath: m.HostPath, ContainerPath: m.ContainerPath, ReadOnly: m.ReadOnly})
	}
	for _, d := range r.Devices {
		e.Devices = append(e.Devices, container.Device{HostPath: d.HostPath, ContainerPath: d.ContainerPath, Permissions: d.Permissions})
	}
	for _, d := range r.CdiDevices {
		e.CDIDevices = append(e.CDIDevices, d.Name)
	}
	return e
}

// preStart has the plugin make the devices ready, right before their container starts.
func (p *plugin) preStart(ctx context.Context, devices []string) error {
	if !p.options.GetPreStartRequired() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if _, err := p.api.PreStartContainer(ctx, &api.PreStartContainerRequest{DevicesIds: devices}); err != nil {
		return fmt.Errorf("device plugin PreStartContainer rpc failed with err: %w", err)
	}
	return nil
}

// close ends the connection; to end it twice does no harm.
func (p *plugin) close() { _ = p.conn.Close() }

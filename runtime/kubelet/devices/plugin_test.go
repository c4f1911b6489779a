package devices

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

// model is a device plugin that serves the real protocol on a socket.
type model struct {
	api.UnimplementedDevicePluginServer
	options  api.DevicePluginOptions
	prefers  []string // whatever is asked
	refuse   error    // to allocate, or to make ready
	answers  int      // with so many containers too few
	devices  chan []*api.Device
	server   *grpc.Server
	endpoint string

	mu    sync.Mutex
	calls []string
}

// startPlugin has a plugin listen in dir, and registers it.
func startPlugin(t *testing.T, dir, endpoint string, m *model) {
	t.Helper()
	m.endpoint, m.devices, m.server = endpoint, make(chan []*api.Device), grpc.NewServer()
	l, err := net.Listen("unix", filepath.Join(dir, endpoint))
	if err != nil {
		t.Fatal(err)
	}
	api.RegisterDevicePluginServer(m.server, m)
	go m.server.Serve(l) //nolint:errcheck // it ends with the test
	t.Cleanup(m.server.Stop)
	if err := register(t, dir, &api.RegisterRequest{Version: api.Version, Endpoint: endpoint, ResourceName: "example.com/dev"}); err != nil {
		t.Fatal(err)
	}
}

func register(t *testing.T, dir string, req *api.RegisterRequest) error {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+filepath.Join(dir, socketName), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = api.NewRegistrationClient(conn).Register(t.Context(), req, grpc.WaitForReady(true))
	return err
}

// has says which devices it has: "a b- " are a healthy and an unhealthy one.
func (m *model) has(devices string) {
	var list []*api.Device
	for _, id := range strings.Fields(devices) {
		d := &api.Device{ID: strings.TrimSuffix(id, "-"), Health: api.Healthy}
		if strings.HasSuffix(id, "-") {
			d.Health = api.Unhealthy
		}
		list = append(list, d)
	}
	m.devices <- list
}

func (m *model) called(what string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, fmt.Sprintf(what, args...))
}

// takeCalls returns what was asked since it was called last.
func (m *model) takeCalls() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.calls = nil }()
	return strings.Join(m.calls, "; ")
}

func (m *model) GetDevicePluginOptions(context.Context, *api.Empty) (*api.DevicePluginOptions, error) {
	return &api.DevicePluginOptions{PreStartRequired: m.options.PreStartRequired, GetPreferredAllocationAvailable: m.options.GetPreferredAllocationAvailable}, nil
}

func (m *model) ListAndWatch(_ *api.Empty, stream grpc.ServerStreamingServer[api.ListAndWatchResponse]) error {
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case list := <-m.devices:
			if err := stream.Send(&api.ListAndWatchResponse{Devices: list}); err != nil {
				return err
			}
		}
	}
}

func (m *model) GetPreferredAllocation(_ context.Context, req *api.PreferredAllocationRequest) (*api.PreferredAllocationResponse, error) {
	r := req.ContainerRequests[0]
	m.called("prefer %d of %v with %v", r.AllocationSize, r.AvailableDeviceIDs, r.MustIncludeDeviceIDs)
	return &api.PreferredAllocationResponse{ContainerResponses: []*api.ContainerPreferredAllocationResponse{{DeviceIDs: m.prefers}}}, nil
}

func (m *model) Allocate(_ context.Context, req *api.AllocateRequest) (*api.AllocateResponse, error) {
	ids := slices.Clone(req.ContainerRequests[0].DevicesIds)
	m.called("allocate %v", ids)
	if m.refuse != nil || m.answers > 0 {
		return &api.AllocateResponse{}, m.refuse
	}
	r := &api.ContainerAllocateResponse{
		Envs: map[string]string{"DEVS": strings.Join(ids, ",")}, Annotations: map[string]string{"dev": "yes"},
		Mounts:     []*api.Mount{{HostPath: "/host", ContainerPath: "/in", ReadOnly: true}},
		CdiDevices: []*api.CDIDevice{{Name: "example.com/dev=all"}},
	}
	for _, id := range ids {
		r.Devices = append(r.Devices, &api.DeviceSpec{HostPath: "/dev/h" + id, ContainerPath: "/dev/" + id, Permissions: "rw"})
	}
	return &api.AllocateResponse{ContainerResponses: []*api.ContainerAllocateResponse{r}}, nil
}

func (m *model) PreStartContainer(_ context.Context, req *api.PreStartContainerRequest) (*api.PreStartContainerResponse, error) {
	m.called("start %v", req.DevicesIds)
	return &api.PreStartContainerResponse{}, m.refuse
}

var errModel = errors.New("the model refuses")

package devices

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	api "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"

	"github.com/gantry-run/gantry/runtime/pod"
)

// socketName is that of the socket on which plugins register. They watch its directory:
// when it is made again, they register again.
const socketName = "kubelet.sock"

// Run takes up plugins until ctx is done.
func (m *Manager) Run(ctx context.Context) error {
	listener, err := listen(m.cfg.Dir)
	if err != nil {
		return fmt.Errorf("listen for device plugins in %s: %w", m.cfg.Dir, err)
	}
	var watches sync.WaitGroup
	defer watches.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	api.RegisterRegistrationServer(server, &registration{manager: m, watches: &watches, life: ctx})
	defer context.AfterFunc(ctx, server.Stop)()
	if err := server.Serve(listener); err != nil && ctx.Err() == nil {
		return fmt.Errorf("take up device plugins: %w", err)
	}
	return nil
}

// listen listens in dir, from which the sockets of plugins of the time before are removed.
func listen(dir string) (net.Listener, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSocket == 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return net.Listen("unix", filepath.Join(dir, socketName))
}

// registration serves plugins that register.
type registration struct {
	api.UnimplementedRegistrationServer
	manager *Manager
	watches *sync.WaitGroup
	life    context.Context // of the connections to plugins
}

// Register implements api.RegistrationServer.
func (r *registration) Register(ctx context.Context, req *api.RegisterRequest) (*api.Empty, error) {
	log := r.manager.cfg.Log
	name := req.ResourceName
	var err error
	switch {
	case !slices.Contains(api.SupportedVersions[:], req.Version):
		err = fmt.Errorf("requested API version %q is not supported by kubelet. Supported version is %q", req.Version, api.SupportedVersions)
	case !pod.IsExtendedResource(corev1.ResourceName(name)):
		err = fmt.Errorf("the ResourceName %q is invalid", name)
	case filepath.Base(req.Endpoint) != req.Endpoint:
		err = fmt.Errorf("the endpoint %q is not the name of a socket in %s", req.Endpoint, r.manager.cfg.Dir)
	}
	var p *plugin
	if err == nil {
		p, err = connect(ctx, filepath.Join(r.manager.cfg.Dir, req.Endpoint))
	}
	if err != nil {
		log.Warn("a device plugin cannot be taken up", "resource", name, "endpoint", req.Endpoint, "error", err)
		return nil, err
	}
	log.Info("a device plugin has registered", "resource", name, "endpoint", req.Endpoint)
	r.watches.Go(func() { r.manager.serve(r.life, name, p) })
	return &api.Empty{}, nil
}

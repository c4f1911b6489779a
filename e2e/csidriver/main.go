// Command csidriver is a CSI driver for tests: a volume is a directory of the node that the
// driver runs on, or a file behind a loop device, and a snapshot is a copy of it; nothing
// holds it to its size. It registers itself with the kubelet, and the public sidecars make
// of it a driver of the cluster. Whoever writes a file "delay" beside the volumes has each
// call that mounts take as many seconds as it says.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	spec "github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

func main() {
	d := &driver{mounts: kernel{}, now: time.Now}
	flag.StringVar(&d.name, "driver", "test.csi.gantry.run", "name of the driver")
	flag.StringVar(&d.node, "node", "", "name of the node that the volumes are on")
	flag.StringVar(&d.dir, "data", "/data", "directory of the volumes")
	flag.Int64Var(&d.limit, "limit", 0, "how many volumes the node has room for; 0: any number")
	flag.Int64Var(&d.capacity, "capacity", 0, "how many bytes of volumes it has room for; 0: any number")
	socket := flag.String("socket", "/csi/csi.sock", "where the driver is served")
	endpoint := flag.String("endpoint", "", "what that is to the kubelet")
	register := flag.String("register", "", "socket by which it registers; none: it does not")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, d, *socket, *endpoint, *register); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, d *driver, socket, endpoint, register string) error {
	s, err := d.server(os.Stdout)
	if err != nil {
		return err
	}
	// With its socket the driver's registration ends: it goes before the process does.
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serve(ctx, s, socket) })
	if register != "" {
		r := grpc.NewServer()
		registration.RegisterRegistrationServer(r, &announcer{name: d.name, endpoint: endpoint})
		g.Go(func() error { return serve(ctx, r, register) })
	}
	return g.Wait()
}

// server has all services, and writes each call to log.
func (d *driver) server(log io.Writer) (*grpc.Server, error) {
	for _, kind := range []string{volumes, snapshots} {
		if err := os.MkdirAll(filepath.Join(d.dir, kind), 0o755); err != nil {
			return nil, err
		}
	}
	s := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
		res, err := handle(ctx, req)
		fmt.Fprintf(log, "%s %v: %v\n", info.FullMethod, req, err)
		return res, err
	}))
	spec.RegisterIdentityServer(s, identity{driver: d})
	spec.RegisterControllerServer(s, controller{driver: d})
	spec.RegisterNodeServer(s, node{driver: d})
	return s, nil
}

// serve serves on a socket, in place of what an earlier process left, and removes it.
func serve(ctx context.Context, s *grpc.Server, socket string) error {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return err
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, s.Stop)()
	return s.Serve(l)
}

// announcer tells the kubelet of the driver.
type announcer struct {
	registration.UnimplementedRegistrationServer
	name, endpoint string
}

func (a *announcer) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: "CSIPlugin", Name: a.name, Endpoint: a.endpoint, SupportedVersions: []string{"1.0.0"}}, nil
}

func (a *announcer) NotifyRegistrationStatus(_ context.Context, s *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !s.PluginRegistered {
		fmt.Fprintln(os.Stderr, "not registered:", s.Error)
		os.Exit(1)
	}
	fmt.Println("registered")
	return &registration.RegistrationStatusResponse{}, nil
}

package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/informers"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/apiserver/manifest"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containerd"
	"github.com/gantry-run/gantry/runtime/network"
	"github.com/gantry-run/gantry/runtime/process"
	"github.com/gantry-run/gantry/runtime/renewal"
)

// kubernetesVersion is the release whose API and behaviour the node offers.
const kubernetesVersion = "v1.37.2"

func kubeletCommand() *cobra.Command {
	var cfg config.KubeletConfig
	return componentCommand(config.Kubelet, "Run the pods of a node and carry their network", &cfg,
		func(_ context.Context, log *slog.Logger) (process.Runner, *process.Health, error) {
			api, err := apiClient(cfg.Client, config.Kubelet)
			if err != nil {
				return nil, nil, err
			}
			shared := client.Informers(api)
			net, err := network.New(networkConfig(cfg), shared, log)
			if err != nil {
				return nil, nil, err
			}
			rt, err := containerd.New(containerd.Config{Socket: cfg.ContainerdSocket, Handlers: cfg.RuntimeHandlers, Disks: []string{cfg.RootDir, config.ContainerdRoot}}, log)
			if err != nil {
				return nil, nil, err
			}
			certificates, err := renewer(cfg, api, log)
			if err != nil {
				return nil, nil, err
			}
			k, err := kubelet.New(cfg, kubernetesVersion+"+gantry."+version, api, shared.Core().V1().Nodes(), manifest.NewReader().Pod, rt, podNetwork{net}, log)
			// The kubelet serves health on its own port.
			return &node{k, net, rt, certificates, shared, api.TrackMasters}, nil, err
		})
}

// node runs the kubelet, the pod network and the renewal of the server's certificates
// as one process.
type node struct {
	*kubelet.Kubelet
	network      *network.Network
	runtime      *containerd.Adapter
	certificates *renewal.Renewer
	shared       informers.SharedInformerFactory // of kubelet and network
	trackMasters func(context.Context)
}

func (n *node) Run(ctx context.Context) error {
	defer n.shared.Shutdown()
	defer n.runtime.Close() // its logs are flushed; the connection ends with the process
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { n.trackMasters(ctx); return nil })
	g.Go(func() error { n.certificates.Run(ctx); return nil })
	g.Go(func() error { return n.network.Run(ctx) })
	g.Go(func() error { return n.Kubelet.Run(ctx) })
	return g.Wait()
}

// podNetwork is the network in the kubelet's words: neither knows the other.
type podNetwork struct{ *network.Network }

func (p podNetwork) Attach(ctx context.Context, uid, nsPath string, ports []container.HostPort) (addr.IPs, error) {
	mapped := make([]network.HostPort, len(ports))
	for i, port := range ports {
		mapped[i] = network.HostPort(port)
	}
	return p.Network.Attach(ctx, uid, nsPath, mapped)
}

func networkConfig(cfg config.KubeletConfig) network.Config {
	return network.Config{
		NodeName: cfg.NodeName, NodeIPs: cfg.NodeIPs,
		ClusterCIDRs: cfg.Network.ClusterCIDRs, ServiceCIDRs: cfg.Network.ServiceCIDRs, MTU: cfg.Network.MTU,
	}
}

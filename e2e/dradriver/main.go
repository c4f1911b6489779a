// Command dradriver is a driver of dynamic resource allocation for tests. Its devices are
// made of nothing: a container that has one finds its name in the environment. It runs on a
// node, with a kubeconfig, and writes what it is asked to its output.
//
//	dradriver KUBECONFIG DRIVER NODE DEVICE...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/dynamic-resource-allocation/kubeletplugin"
	"k8s.io/dynamic-resource-allocation/resourceslice"
)

const (
	pluginDir = "/var/lib/kubelet/plugins"
	cdiDir    = "/var/run/cdi"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 4 {
		return errors.New("usage: dradriver KUBECONFIG DRIVER NODE [DEVICE ...]")
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", args[0])
	if err != nil {
		return err
	}
	api, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	d := driver{name: args[1]}
	dir := filepath.Join(pluginDir, d.name)
	for _, made := range []string{dir, cdiDir} {
		if err := os.MkdirAll(made, 0o750); err != nil {
			return err
		}
	}
	helper, err := kubeletplugin.Start(ctx, d, kubeletplugin.DriverName(d.name), kubeletplugin.NodeName(args[2]), kubeletplugin.KubeClient(api), kubeletplugin.PluginDataDirectoryPath(dir))
	if err != nil {
		return err
	}
	defer helper.Stop()
	var devices []resourcev1.Device
	for _, name := range args[3:] {
		devices = append(devices, resourcev1.Device{Name: name})
	}
	pool := resourceslice.Pool{Slices: []resourceslice.Slice{{Devices: devices}}}
	if err := helper.PublishResources(ctx, resourceslice.DriverResources{Pools: map[string]resourceslice.Pool{args[2]: pool}}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

type driver struct{ name string }

// PrepareResourceClaims implements kubeletplugin.DRAPlugin.
func (d driver) PrepareResourceClaims(_ context.Context, claims []*resourcev1.ResourceClaim) (map[types.UID]kubeletplugin.PrepareResult, error) {
	out := map[types.UID]kubeletplugin.PrepareResult{}
	for _, c := range claims {
		out[c.UID] = d.prepare(c)
	}
	return out, nil
}

func (d driver) prepare(c *resourcev1.ResourceClaim) kubeletplugin.PrepareResult {
	fmt.Println("prepare", c.Namespace+"/"+c.Name)
	var devices []kubeletplugin.Device
	var specs []any
	for _, r := range c.Status.Allocation.Devices.Results {
		if r.Driver != d.name {
			continue
		}
		name := string(c.UID) + "-" + r.Device
		specs = append(specs, map[string]any{"name": name, "containerEdits": map[string]any{"env": []string{"DEVICE=" + r.Device}}})
		devices = append(devices, kubeletplugin.Device{
			Requests: []string{r.Request}, PoolName: r.Pool, DeviceName: r.Device, CDIDeviceIDs: []string{d.name + "/device=" + name},
		})
	}
	data, err := json.Marshal(map[string]any{"cdiVersion": "0.5.0", "kind": d.name + "/device", "devices": specs})
	if err == nil {
		err = os.WriteFile(d.spec(c.UID), data, 0o600)
	}
	return kubeletplugin.PrepareResult{Devices: devices, Err: err}
}

func (d driver) spec(claim types.UID) string {
	return filepath.Join(cdiDir, d.name+"-"+string(claim)+".json")
}

// UnprepareResourceClaims implements kubeletplugin.DRAPlugin.
func (d driver) UnprepareResourceClaims(_ context.Context, claims []kubeletplugin.NamespacedObject) (map[types.UID]error, error) {
	out := map[types.UID]error{}
	for _, c := range claims {
		fmt.Println("unprepare", c.Namespace+"/"+c.Name)
		err := os.Remove(d.spec(c.UID))
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		out[c.UID] = err
	}
	return out, nil
}

// HandleError implements kubeletplugin.DRAPlugin.
func (driver) HandleError(_ context.Context, err error, msg string) {
	fmt.Fprintln(os.Stderr, msg, err)
}

// WatchHealthStatus implements kubeletplugin.DRAPlugin.
func (driver) WatchHealthStatus(context.Context, chan<- kubeletplugin.DeviceHealthReport) error {
	return kubeletplugin.ErrHealthNotSupported
}

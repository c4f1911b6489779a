package kubelet

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics/legacyregistry"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/kubelet/admit"
	"github.com/gantry-run/gantry/runtime/kubelet/allocation"
	"github.com/gantry-run/gantry/runtime/kubelet/cm"
	"github.com/gantry-run/gantry/runtime/kubelet/container"
	"github.com/gantry-run/gantry/runtime/kubelet/containerspec"
	"github.com/gantry-run/gantry/runtime/kubelet/csi"
	"github.com/gantry-run/gantry/runtime/kubelet/devices"
	"github.com/gantry-run/gantry/runtime/kubelet/dra"
	"github.com/gantry-run/gantry/runtime/kubelet/eviction"
	"github.com/gantry-run/gantry/runtime/kubelet/images"
	"github.com/gantry-run/gantry/runtime/kubelet/lifecycle"
	"github.com/gantry-run/gantry/runtime/kubelet/localvolume"
	"github.com/gantry-run/gantry/runtime/kubelet/mount"
	"github.com/gantry-run/gantry/runtime/kubelet/nodestatus"
	"github.com/gantry-run/gantry/runtime/kubelet/objects"
	"github.com/gantry-run/gantry/runtime/kubelet/pleg"
	"github.com/gantry-run/gantry/runtime/kubelet/plugins"
	"github.com/gantry-run/gantry/runtime/kubelet/podcertificate"
	"github.com/gantry-run/gantry/runtime/kubelet/poddir"
	"github.com/gantry-run/gantry/runtime/kubelet/podfiles"
	"github.com/gantry-run/gantry/runtime/kubelet/podsource"
	"github.com/gantry-run/gantry/runtime/kubelet/podworker"
	"github.com/gantry-run/gantry/runtime/kubelet/probe"
	"github.com/gantry-run/gantry/runtime/kubelet/prober"
	"github.com/gantry-run/gantry/runtime/kubelet/runtimeclass"
	"github.com/gantry-run/gantry/runtime/kubelet/sandbox"
	"github.com/gantry-run/gantry/runtime/kubelet/server"
	"github.com/gantry-run/gantry/runtime/kubelet/stats"
	"github.com/gantry-run/gantry/runtime/kubelet/status"
	"github.com/gantry-run/gantry/runtime/kubelet/token"
	"github.com/gantry-run/gantry/runtime/kubelet/userns"
	"github.com/gantry-run/gantry/runtime/kubelet/volume"
)

// New returns a kubelet; version is what the node reports, nodes has its Node, decode reads
// static pods. Nothing is touched before Run.
func New(cfg config.KubeletConfig, version string, api kubernetes.Interface, nodes coreinformers.NodeInformer, decode podsource.Decode, runtime ContainerRuntime, network Network, log *slog.Logger) (*Kubelet, error) {
	machine, err := stats.ReadMachine(cfg.RootDir)
	if err != nil {
		return nil, err
	}
	reserved, err := nodestatus.ParseReserved(cfg.Reserved)
	if err != nil {
		return nil, err
	}
	capacity := nodestatus.Capacity(machine, cfg.MaxPods)
	allocatable := nodestatus.Allocatable(capacity, reserved)
	k := &Kubelet{
		cfg: cfg, api: api, log: log, layout: poddir.Layout{Root: cfg.RootDir, Logs: cfg.PodLogDir},
		cgroups: cm.NewManager(cfg.CgroupRoot, machine.Memory), events: record.NewBroadcaster(),
		binds: mount.Binds{Dir: filepath.Join(config.RunDir, "kubelet", "mounts")},
		pods:  podsource.NewAPI(api, cfg.NodeName), services: client.Informers(api),
		refs: objects.NewManager(api, cfg.NodeName), tokens: token.NewManager(api),
	}
	k.static = podsource.NewStatic(cmp.Or(cfg.StaticPodPath, config.StaticPodDir), cfg.NodeName, decode, k.pods.Mirror, log)
	ends := status.NewEnds()
	k.sources = podsource.Join{k.static, k.pods}
	k.mirrors = &podsource.Mirrors{
		API: api, Node: func() (*corev1.Node, error) { return nodes.Lister().Get(cfg.NodeName) }, Pods: k.pods, Static: k.static,
		Status: status.NewWriter(api, ends), Log: log,
	}
	if err := legacyregistry.Register(ends); err != nil {
		return nil, fmt.Errorf("a metric of the ends of containers: %w", err)
	}
	k.devices = devices.New(devices.Config{
		Dir: config.DevicePluginDir, Layout: k.layout, Log: log,
		NodeChanged: func() { k.node.Wake() }, PodChanged: func(uid string) { k.workers.Wake(uid) },
	})
	k.makeCSI(nodes)
	k.deviceDrivers = dra.NewDrivers(cfg.NodeName, api.ResourceV1(), func(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }, log)
	k.claims = &dra.Manager{Claims: api.ResourceV1(), Drivers: k.deviceDrivers, File: filepath.Join(cfg.RootDir, "resource-claims.json")}
	k.plugins = plugins.New(plugins.Config{Dir: config.PluginRegistryDir, Handlers: map[string]plugins.Handler{csi.PluginType: k.drivers, registration.DRAPlugin: k.deviceDrivers}, Log: log})
	k.node = nodestatus.New(nodestatus.Config{
		API: api, Nodes: nodes, NodeName: cfg.NodeName, Addresses: cfg.NodeIPs, Port: config.KubeletPort, Version: version,
		Labels: cfg.NodeLabels, Taints: cfg.RegisterTaints, Machine: machine,
		Capacity: capacity, Allocatable: allocatable, Devices: k.devices, Features: runtime.Features(),
		Images: runtime, Stats: stats.Provider{Dir: cfg.RootDir}, Network: network, VolumesInUse: k.csi.InUse, Log: log,
	})
	if _, ok := reserved[corev1.ResourceMemory]; ok {
		k.memoryLimit = allocatable.Memory().Value() // what is reserved stays the server's
	}
	k.pleg = &pleg.Generator{Runtime: runtime, State: k.node.Runtime(), Log: log}
	room, err := localvolume.Capacity(cfg.Storage.Path, cfg.Storage.Reserve)
	if err != nil {
		return nil, err
	}
	k.local = k.localVolumes(nodes, room)
	sysctls, err := admit.NewSysctls(machine.Kernel, cfg.AllowedUnsafeSysctls)
	if err != nil {
		return nil, err
	}
	k.workers = podworker.New(k.workerConfig(allocatable, int(machine.CPUs), sysctls, runtime, network))
	summaries := k.summarizer(machine, runtime)
	k.eviction = &eviction.Manager{Pods: k.sources, Stats: summaries, Workers: k.workers, Log: log}
	k.server = server.Config{
		Address: cfg.BindAddress, NodeName: cfg.NodeName, Serving: cfg.Serving, ClientCAFile: cfg.ClientCAFile, Reviews: api,
		Ready: k.Ready, Pods: k.sources, Runtime: runtime, Workers: k.workers, Stats: summaries,
		ServerLogs: config.ServerLogDir, Log: log,
	}
	return k, nil
}

// localVolumes keeps the cluster's own volumes on this server.
func (k *Kubelet) localVolumes(nodes coreinformers.NodeInformer, capacity int64) *localvolume.Manager {
	return localvolume.New(localvolume.Config{
		API: k.api, Nodes: nodes, NodeName: k.cfg.NodeName, Path: k.cfg.Storage.Path, Capacity: capacity,
		InUse: func(f *os.File) (bool, error) {
			users, err := volume.Users(k.layout, f)
			return len(users) > 0, err
		},
		RemoveAll: mount.Table{}.RemoveAll, Events: k.recorder(), Log: k.log,
	})
}

// summarizer tells what pods use.
func (k *Kubelet) summarizer(machine stats.Machine, runtime ContainerRuntime) *stats.Summarizer {
	return &stats.Summarizer{
		NodeName: k.cfg.NodeName, Pods: k.sources, Runtime: runtime, Cgroups: k.cgroups, Layout: k.layout, ImageDir: config.ContainerdRoot,
		Links: func() (map[string]stats.Link, error) { return stats.Links(k.cfg.NodeIPs.V4()) }, PodLink: config.PodLink,
		Volume: k.driverUsage, BootTime: machine.Booted, Now: time.Now, Sleep: sleep,
	}
}

// sleep waits, unless ctx is done before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// certificateJitter spreads the renewals of pods' certificates, as upstream's.
const certificateJitter = 5 * time.Minute

// workerConfig makes the rooms that pods are run with.
func (k *Kubelet) workerConfig(allocatable corev1.ResourceList, cpus int, sysctls admit.Handler, runtime ContainerRuntime, network Network) podworker.Config {
	events := k.recorder()
	refs, tokens := k.refs, k.tokens
	certificates := podcertificate.NewManager(k.api, k.getNode, time.Now, func() time.Duration { return rand.N(certificateJitter) })
	pulls := images.NewManager(runtime, refs, events, images.Access{
		Records:   &images.Records{Dir: filepath.Join(k.cfg.RootDir, "image-pulls")},
		Preloaded: k.cfg.ImagePullCredentialsVerification == config.AlwaysVerify, Pulled: k.cfg.ImagePullCredentialsVerification != config.NeverVerify,
	})
	users := userns.NewManager(k.layout)
	volumes := volume.NewManager(k.layout, mount.Table{}, refs, append(volume.Plugins(mount.Table{}, refs, tokens, certificates, allocatable, runtime), volume.NewCSI(k.csi), volume.NewClaim(volume.ClaimConfig{
		Layout: k.layout, Mounts: mount.Table{}, Binder: mount.Table{}, Claims: refs, Local: k.local, Drivers: k.csi, Node: k.getNode,
	})))
	hostname := func(pod *corev1.Pod) (string, error) {
		return podfiles.KernelHostname(pod, k.cfg.NodeName, k.cfg.ClusterDomain)
	}
	return podworker.Config{
		NodeIPs: k.cfg.NodeIPs, Allocatable: k.node.Allocatable, Layout: k.layout,
		Runtime: runtime, Images: pulls, Network: network, Volumes: volumes, ImageVolumes: volumes, Cgroups: k.cgroups,
		Allocations: allocation.Checkpoint{Layout: k.layout}, Devices: k.devices, Claims: k.claims,
		Sandboxes: sandbox.Manager{
			Store:    sandbox.Store{Dir: config.NamespaceDir, Holder: config.Binary("gantry-hold")},
			Hostname: hostname, Users: users.Users, PlaceHolder: k.cgroups.PlaceHolder,
		},
		Handlers: runtimeclass.Manager{API: k.api, Layout: k.layout, Handlers: runtime.Features().Handlers}, Features: runtime.Features(),
		Specs: &containerspec.Generator{
			NodeName: k.cfg.NodeName, ClusterDomain: k.cfg.ClusterDomain, Allocatable: allocatable, Layout: k.layout,
			Objects: refs, Services: k.services.Core().V1().Services().Lister(), Volumes: volumes, Cgroups: k.cgroups, Devices: containerspec.Givers{k.devices, k.claims},
			Binds: k.binds, Features: runtime.Features(), SeccompDefault: ptr.Deref(k.cfg.SeccompDefault, true),
		},
		Files: podfiles.Files{
			Layout: k.layout, NodeName: k.cfg.NodeName, ClusterDNS: addr.IPs(k.cfg.ClusterDNS).Strings(), ClusterDomain: k.cfg.ClusterDomain,
			HostResolv: "/etc/resolv.conf", HostResolved: "/run/systemd/resolve/resolv.conf", HostHosts: "/etc/hosts",
			Warn: func(pod *corev1.Pod, message string) {
				events.Event(pod, corev1.EventTypeWarning, "DNSConfigForming", message)
			},
		},
		Prober: prober.NewManager(probe.Prober{Runtime: runtime}, events), Hooks: lifecycle.Runner{Runtime: runtime},
		PodAdmission: k.admission(sysctls, runtime.Features()), Admission: admit.Chain{k.devices, admit.PodCount{}, admit.NodeResources{}, admit.NodePorts{}},
		Status: k.mirrors, Events: events, Log: k.log,
		StartsAtOnce: max(4, 2*cpus),
		Forget: func(uid string) {
			pulls.Forget(uid)
			tokens.Forget(uid)
			certificates.Forget(uid)
			k.mirrors.Status.Forget(types.UID(uid))
			users.Forget(uid)
		},
	}
}

// admission decides by a pod and the node alone. What the node cannot enforce, a pod must
// not run without.
func (k *Kubelet) admission(sysctls admit.Handler, features container.Features) admit.Handler {
	return admit.Chain{
		admit.NodeAffinity{Node: k.getNode}, admit.PodOS{}, sysctls, admit.AppArmor{Enabled: features.AppArmor},
		admit.SELinux{Enabled: hasSELinux()}, admit.UserNamespaces{Unsupported: features.UserNamespaces},
	}
}

func hasSELinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

func (k *Kubelet) getNode(ctx context.Context) (*corev1.Node, error) {
	return k.api.CoreV1().Nodes().Get(ctx, k.cfg.NodeName, metav1.GetOptions{})
}

package config

import (
	"crypto/sha256"
	"encoding/base32"
	"path"
	"strconv"
	"strings"
)

// Component names one process of the runtime. The value is the subcommand of
// the gantry binary that runs it; containerd is the one process that has a
// binary of its own.
type Component string

// The processes, in the order in which they are started on a master. A worker
// runs those of [WorkerComponents].
const (
	Etcd              Component = "etcd"
	APIServer         Component = "apiserver"
	ControllerManager Component = "controller-manager"
	Scheduler         Component = "scheduler"
	Containerd        Component = "containerd"
	Kubelet           Component = "kubelet"
	Proxy             Component = "proxy"
	DNS               Component = "dns"
)

// MasterComponents returns the processes that only masters run, in start order.
func MasterComponents() []Component {
	return []Component{Etcd, APIServer, ControllerManager, Scheduler}
}

// WorkerComponents returns the processes that every node runs (masters too), in
// start order.
func WorkerComponents() []Component {
	return []Component{Containerd, Kubelet, Proxy, DNS}
}

// Unit is the name of the component's systemd unit.
func (c Component) Unit() string { return "gantry-" + string(c) + ".service" }

// UnitFile is the path of the component's systemd unit.
func (c Component) UnitFile() string { return path.Join(UnitDir, c.Unit()) }

// ConfigFile is the path of the component's configuration file.
func (c Component) ConfigFile() string {
	if c == Containerd {
		return path.Join(ConfigDir, "containerd.toml")
	}
	return path.Join(ConfigDir, string(c)+".yaml")
}

// HealthAddress is where the component serves /healthz, /readyz and /metrics to its own
// host, as host:port. The API server and the kubelet serve them on their main port.
// Containerd has none.
func (c Component) HealthAddress() string {
	if port := c.healthPort(); port != 0 {
		return "127.0.0.1:" + strconv.Itoa(port)
	}
	return ""
}

// healthListenAddress is where they are served unless configured: on all addresses, so
// that metrics can be collected from elsewhere.
func (c Component) healthListenAddress() string {
	return "0.0.0.0:" + strconv.Itoa(c.healthPort())
}

func (c Component) healthPort() int {
	return map[Component]int{
		Etcd:              EtcdHealthPort,
		APIServer:         APIServerPort,
		ControllerManager: ControllerManagerPort,
		Scheduler:         SchedulerPort,
		Kubelet:           KubeletPort,
		Proxy:             ProxyHealthPort,
		DNS:               DNSHealthPort,
	}[c]
}

// Ports, those of upstream Kubernetes where it has one.
const (
	EtcdClientPort        = 2379
	EtcdPeerPort          = 2380
	EtcdHealthPort        = 2381
	APIServerPort         = 6443
	KubeletPort           = 10250
	ProxyHealthPort       = 10256
	ControllerManagerPort = 10257
	SchedulerPort         = 10259
	DNSHealthPort         = 10253
	VXLANPort             = 8472
	// BundlePort is where a master hands the bundle on to servers that join, for as
	// long as an apply goes on.
	BundlePort = 10261
)

// Directories on a server. All but PodLogDir, ServerLogDir, SharedKubeletDir and CNI's belong to Gantry alone.
const (
	BinDir    = "/opt/gantry/bin"
	ConfigDir = "/etc/gantry"
	PKIDir    = "/etc/gantry/pki"
	StateDir  = "/var/lib/gantry"
	RunDir    = "/run/gantry"
	UnitDir   = "/etc/systemd/system"
	// RegistriesDir says how image registries are reached, for those that need
	// more than their name.
	RegistriesDir = ConfigDir + "/registries"
	// StaticPodDir is what users put the manifests of static pods into.
	StaticPodDir = ConfigDir + "/manifests"
	PodLogDir    = "/var/log/pods"
	// ServerLogDir is where a server keeps its own logs.
	ServerLogDir = "/var/log"
	// DevicePluginDir is where device plugins, which know no other place, look for the
	// kubelet; PluginRegistryDir where other drivers announce themselves, and PluginDir where
	// they keep what is theirs. Others may keep things beside these.
	SharedKubeletDir  = "/var/lib/kubelet"
	DevicePluginDir   = SharedKubeletDir + "/device-plugins"
	PluginRegistryDir = SharedKubeletDir + "/plugins_registry"
	PluginDir         = SharedKubeletDir + "/plugins"
	// DriverPodsDir is where CSI drivers, which know no other place, mount volumes for pods.
	DriverPodsDir = SharedKubeletDir + "/pods"

	EtcdDataDir    = StateDir + "/etcd"
	ContainerdRoot = StateDir + "/containerd"
	KubeletDir     = StateDir + "/kubelet"
	BootstrapDir   = StateDir + "/bootstrap"

	// What a member of etcd knows of itself apart from its data, and its snapshots, are
	// beside its data directory.
	EtcdMemberSuffix    = "-member"
	EtcdSnapshotsSuffix = "-snapshots"
	EtcdMemberDir       = EtcdDataDir + EtcdMemberSuffix
	EtcdSnapshotsDir    = EtcdDataDir + EtcdSnapshotsSuffix
	// EtcdRefusedFile says why this server's member of etcd does not start; it is there
	// for as long as that holds.
	EtcdRefusedFile = EtcdMemberDir + "/refused"
	// EtcdRecordFile is what the member knows of how far it had come.
	EtcdRecordFile = EtcdMemberDir + "/record.json"
	// JoinedFile exists once the host was a working member of the cluster.
	JoinedFile = BootstrapDir + "/joined"
	// KnownFile exists on a master whose cluster is kept in somebody's state.
	KnownFile = BootstrapDir + "/known"

	// AuditLogFile is where masters log requests, in a directory of mode 0700 that
	// the API server makes and writes rotated files to.
	AuditLogFile = StateDir + "/audit/audit.log"
	// AuditPolicyFile, AuthenticationConfigFile, TokenWebhookConfigFile and
	// PodSecurityConfigFile are the API server's, on masters only, and there if they are
	// asked for.
	AuditPolicyFile          = ConfigDir + "/audit-policy.yaml"
	AuthenticationConfigFile = ConfigDir + "/authentication.yaml"
	TokenWebhookConfigFile   = ConfigDir + "/token-webhook.yaml"
	PodSecurityConfigFile    = ConfigDir + "/pod-security.yaml"

	ContainerdState  = RunDir + "/containerd"
	ContainerdSocket = RunDir + "/containerd/containerd.sock"
	NamespaceDir     = RunDir + "/netns"
	// DNSRunDir belongs to who serves cluster DNS for as long as it runs: systemd gives
	// it to the account.
	DNSRunDir = RunDir + "/dns"
	// SumsDir tells the SHA-256 of large files to who would have to read them.
	SumsDir = RunDir + "/sums"
)

// Names of things the processes leave in the kernel, so that a wipe can find
// every one of them.
const (
	// CgroupRoot is the cgroup under which the kubelet places pods, relative to
	// the host's cgroup root, in every hierarchy.
	CgroupRoot = "/kubepods"
	// LinkPrefix begins the name of every network interface made on a host.
	LinkPrefix = "gantry"
	// DNSLink is the dummy interface that carries the cluster DNS address.
	DNSLink = LinkPrefix + "-dns"
	// VXLANLink is the tunnel interface.
	VXLANLink = LinkPrefix + "-vxlan"
	// PodLinkPrefix begins the host end of each pod's veth pair; with the eight
	// characters of a hash behind it, it keeps within IFNAMSIZ.
	PodLinkPrefix = LinkPrefix + "p"
	// ProxyTable, NetworkTable and PolicyTable are the nftables tables (family ip).
	ProxyTable   = "gantry-proxy"
	NetworkTable = "gantry-network"
	PolicyTable  = "gantry-policy"
	// ContainerdNamespace is the containerd namespace of pods and their images,
	// that of every Kubernetes node.
	ContainerdNamespace = "k8s.io"
)

// PodLink is the host's end of a pod's link. It follows from the pod's UID, so that
// who knows of the pod knows it before it is made.
func PodLink(uid string) string {
	sum := sha256.Sum256([]byte(uid))
	return PodLinkPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
}

// Binary is the path of one of the bundle's binaries on a server.
func Binary(name string) string { return path.Join(BinDir, name) }

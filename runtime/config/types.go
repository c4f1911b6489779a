package config

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/addr"
)

// KeyPair is a certificate and its private key, as paths of PEM files.
type KeyPair struct {
	CertFile string `json:"certFile"`
	KeyFile  string `json:"keyFile"`
}

// APIClient says how a process reaches the API: it dials any healthy master.
type APIClient struct {
	// Servers are the masters known when the file was written, as host:port. The
	// client keeps its list fresh from the kubernetes Service's EndpointSlice.
	Servers []string `json:"servers"`
	// ServerName is verified in every master's certificate (default: APIServerName).
	ServerName string `json:"serverName,omitempty"`
	CAFile     string `json:"caFile"`
	KeyPair    `json:",inline"`
}

// Health is the address of /healthz, /readyz and /metrics. It is served over
// TLS to clients whose certificate ClientCAFile signed.
type Health struct {
	Address      string `json:"address"`
	ClientCAFile string `json:"clientCAFile"`
	KeyPair      `json:",inline"`
	// Profile serves Go's profiles at /debug/pprof too (default: no).
	Profile bool `json:"profile,omitempty"`
}

// LeaderElection names this candidate; the Lease is in kube-system and is named
// after the component.
type LeaderElection struct {
	// Identity must be unique among the masters: the node name.
	Identity      string          `json:"identity"`
	LeaseDuration metav1.Duration `json:"leaseDuration,omitempty"`
	RenewDeadline metav1.Duration `json:"renewDeadline,omitempty"`
	RetryPeriod   metav1.Duration `json:"retryPeriod,omitempty"`
}

// Certificates says how long leaf certificates live.
type Certificates struct {
	// Lifetime of those that are renewed (default 8760h).
	Lifetime metav1.Duration `json:"lifetime,omitempty"`
}

// EtcdConfig configures the etcd process.
type EtcdConfig struct {
	// Name of the member: the node name.
	Name    string `json:"name"`
	DataDir string `json:"dataDir,omitempty"`
	// Host is the address that clients and peers dial: the node's. Clients are
	// also served on the loopback address.
	Host string `json:"host"`
	// ClientPort is where clients are served (default 2379).
	ClientPort int `json:"clientPort,omitempty"`
	// InitialCluster maps member names to peer URLs, this member's among them. It
	// is read only while the data directory is empty.
	InitialCluster map[string]string `json:"initialCluster"`
	// InitialClusterState is "new" for the first master, "existing" for one that
	// joins (as a learner, already added).
	InitialClusterState string `json:"initialClusterState"`
	// InitialClusterToken is the cluster's ID: members of two clusters never talk.
	InitialClusterToken string `json:"initialClusterToken"`
	// JoinedFile exists once this server was a working member: one without any data is
	// then none that may start anew.
	JoinedFile string  `json:"joinedFile,omitempty"`
	CAFile     string  `json:"caFile"`
	Server     KeyPair `json:"server"`
	Peer       KeyPair `json:"peer"`
	Health     Health  `json:"health"`
}

// EtcdClient says how the API server reaches etcd.
type EtcdClient struct {
	// Endpoints are URLs; an API server uses the member beside it.
	Endpoints []string `json:"endpoints"`
	CAFile    string   `json:"caFile"`
	KeyPair   `json:",inline"`
}

// APIServerConfig configures the apiserver process.
type APIServerConfig struct {
	// ClusterID is the UUID that tells this cluster from any other; served in the
	// ConfigMap kube-system/gantry-cluster.
	ClusterID string `json:"clusterID"`
	// ClusterName is the name from the HCL.
	ClusterName string `json:"clusterName"`
	// BindAddress is where the API is served (default 0.0.0.0:6443).
	BindAddress string `json:"bindAddress,omitempty"`
	// AdvertiseAddress is this master's IP in the endpoints of the kubernetes Service.
	AdvertiseAddress string     `json:"advertiseAddress"`
	Serving          KeyPair    `json:"serving"`
	ClientCAFile     string     `json:"clientCAFile"`
	Etcd             EtcdClient `json:"etcd"`
	// ServiceCIDRs hold cluster IPs. The first address of the first is the kubernetes
	// Service.
	ServiceCIDRs addr.Prefixes `json:"serviceCIDR"`
	// ClusterCIDRs hold pod addresses: external IPs of Services may not lie in them.
	ClusterCIDRs         addr.Prefixes  `json:"clusterCIDR,omitempty"`
	ServiceNodePortRange string         `json:"serviceNodePortRange,omitempty"`
	ClusterDNS           addr.IPs       `json:"clusterDNS"`
	ClusterDomain        string         `json:"clusterDomain,omitempty"`
	ServiceAccount       ServiceAccount `json:"serviceAccount"`
	// Kubelet is this server's identity towards kubelets (logs, exec), whose
	// serving certificates CAFile signed.
	Kubelet KubeletClient `json:"kubelet"`
	// FrontProxy is this server's identity towards aggregated API servers.
	FrontProxy FrontProxy `json:"frontProxy"`
	// Audit says what is written down about requests.
	Audit Audit `json:"audit,omitzero"`
	// EncryptionConfigFile is an EncryptionConfiguration (apiserver.config.k8s.io/v1,
	// YAML, mode 0600): how values are encrypted in etcd. It is read again when it
	// changes. Without one, values are stored plain.
	EncryptionConfigFile string `json:"encryptionConfigFile,omitempty"`
	// AuthenticationConfigFile is an AuthenticationConfiguration
	// (apiserver.config.k8s.io/v1, YAML): JWT issuers, and who is let in as
	// anonymous. It is read again when it changes.
	AuthenticationConfigFile string `json:"authenticationConfigFile,omitempty"`
	// TokenWebhook asks another server about tokens that nobody here knows.
	TokenWebhook TokenWebhook `json:"tokenWebhook,omitzero"`
	// DisablePriorityAndFairness serves all who come as one crowd, with no regard to
	// FlowSchemas (default: no).
	DisablePriorityAndFairness bool `json:"disablePriorityAndFairness,omitempty"`
	// PerUser bounds what one user may have at once.
	PerUser PerUser `json:"perUser,omitzero"`
	// ConnectionsPerAddress is how many connections one client address may have
	// (default 5000; behind a load balancer, all clients have its address).
	ConnectionsPerAddress int `json:"connectionsPerAddress,omitempty"`
	// GoawayChance is the share of HTTP/2 requests, 0 to 0.02, after which a client
	// is asked to connect again, so that connections spread over masters behind a
	// load balancer (default 0).
	GoawayChance float64 `json:"goawayChance,omitempty"`
	// Admission switches plugins on that are off by default.
	Admission Admission `json:"admission,omitzero"`
	// DisableLocalStorageClass takes away the StorageClass of the cluster's own volumes,
	// which is the default one where nobody says otherwise (default: no).
	DisableLocalStorageClass bool `json:"disableLocalStorageClass,omitempty"`
	// Profile serves Go's profiles at /debug/pprof to who may read that path
	// (default: no).
	Profile bool `json:"profile,omitempty"`
}

// PerUser is how much one user may have at once, or one certificate of a user. The service accounts of a namespace count as one, and so do the certificates of
// a kubelet; cluster administrators have no limit.
type PerUser struct {
	// Watches bounds watches (default 5000).
	Watches int `json:"watches,omitempty"`
	// Streams bounds all else that lasts: exec, attach, port-forward, proxied
	// requests, logs that are followed (default 500).
	Streams int `json:"streams,omitempty"`
	// Seats bounds the seats of priority and fairness: one for most requests, more for
	// what lists much (default 40). More requests wait. Heartbeats count apart.
	Seats int `json:"seats,omitempty"`
}

// Audit is the log of requests. LogFile begins with mode 0600, and is rotated.
type Audit struct {
	// LogFile receives one event a line, as JSON (see [AuditLogFile]). Without one,
	// nothing is logged.
	LogFile string `json:"logFile,omitempty"`
	// PolicyFile is a Policy (audit.k8s.io/v1, YAML). Without one, requests are
	// logged at level Metadata, but for the noise of nodes and controllers.
	PolicyFile string `json:"policyFile,omitempty"`
	// MaxAgeDays is how long rotated files are kept (default 30), MaxBackups how many
	// of them (default 5), and MaxSizeMiB the size at which one is rotated (default 100).
	MaxAgeDays int `json:"maxAgeDays,omitempty"`
	MaxBackups int `json:"maxBackups,omitempty"`
	MaxSizeMiB int `json:"maxSizeMiB,omitempty"`
}

// TokenWebhook is a server that reviews tokens (authentication.k8s.io/v1 TokenReview).
type TokenWebhook struct {
	// ConfigFile is a kubeconfig that says how it is reached. Without one, it is not
	// asked.
	ConfigFile string `json:"configFile,omitempty"`
	// CacheTTL is how long an answer is believed (default 2 minutes).
	CacheTTL metav1.Duration `json:"cacheTTL,omitempty"`
}

// ServiceAccount is how service account tokens are signed and verified.
type ServiceAccount struct {
	Issuer string `json:"issuer,omitempty"`
	// KeyFile signs; PublicKeyFiles verify.
	KeyFile        string   `json:"keyFile"`
	PublicKeyFiles []string `json:"publicKeyFiles"`
}

// KubeletClient is the API server's way to kubelets.
type KubeletClient struct {
	CAFile  string `json:"caFile"`
	KeyPair `json:",inline"`
}

// FrontProxy is the aggregator's identity and the authority behind it.
type FrontProxy struct {
	CAFile  string `json:"caFile"`
	KeyPair `json:",inline"`
}

// ControllerManagerConfig configures the controller-manager process.
type ControllerManagerConfig struct {
	Client         APIClient      `json:"client"`
	Health         Health         `json:"health"`
	LeaderElection LeaderElection `json:"leaderElection"`
	// ClusterCIDRs are divided into one pod CIDR of NodeCIDRMaskSize bits per node.
	ClusterCIDRs     addr.Prefixes `json:"clusterCIDR"`
	NodeCIDRMaskSize int           `json:"nodeCIDRMaskSize,omitempty"`
	ServiceCIDRs     addr.Prefixes `json:"serviceCIDR"`
	// RootCAFile is published in every namespace as ConfigMap kube-root-ca.crt.
	RootCAFile string `json:"rootCAFile"`
	// Signing is the authority that signs what CertificateSigningRequests ask of
	// Kubernetes' own signers, and nodes' certificates again (default: none does).
	Signing      KeyPair      `json:"signing,omitzero"`
	Certificates Certificates `json:"certificates,omitzero"`
	// NodeMonitorGracePeriod is how long a node may miss its heartbeat before it
	// is marked Unknown (default 40 s).
	NodeMonitorGracePeriod metav1.Duration `json:"nodeMonitorGracePeriod,omitempty"`
	// TerminatedPodThreshold is how many finished pods are kept (default 12500).
	TerminatedPodThreshold int `json:"terminatedPodThreshold,omitempty"`
}

// KubeletConfig configures the kubelet process, which carries the pod network too.
type KubeletConfig struct {
	NodeName string    `json:"nodeName"`
	NodeIPs  addr.IPs  `json:"nodeIP"`
	Client   APIClient `json:"client"`
	// BindAddress is where logs, exec, health and metrics are served (default 0.0.0.0:10250).
	BindAddress  string  `json:"bindAddress,omitempty"`
	Serving      KeyPair `json:"serving"`
	ClientCAFile string  `json:"clientCAFile"`

	ContainerdSocket string `json:"containerdSocket,omitempty"`
	RootDir          string `json:"rootDir,omitempty"`
	PodLogDir        string `json:"podLogDir,omitempty"`
	// StaticPodPath is the directory of the manifests of static pods, StaticPodDir where it
	// is empty.
	StaticPodPath string `json:"staticPodPath,omitempty"`
	CgroupRoot    string `json:"cgroupRoot,omitempty"`
	MaxPods       int    `json:"maxPods,omitempty"`

	ClusterDNS    []netip.Addr `json:"clusterDNS"`
	ClusterDomain string       `json:"clusterDomain,omitempty"`
	// NodeLabels and RegisterTaints are set when the node registers, and labels
	// are added again whenever the kubelet starts.
	NodeLabels     map[string]string `json:"nodeLabels,omitempty"`
	RegisterTaints []corev1.Taint    `json:"registerTaints,omitempty"`
	// Reserved is taken from capacity to give allocatable (cpu, memory,
	// ephemeral-storage, as quantities).
	Reserved map[string]string `json:"reserved,omitempty"`
	// AllowedUnsafeSysctls are the names, or patterns such as net.core.*, of sysctls that
	// pods may set beside the safe ones; each belongs to a namespace.
	AllowedUnsafeSysctls []string `json:"allowedUnsafeSysctls,omitempty"`
	// SeccompDefault gives containers that name no profile the runtime's own (default: yes).
	SeccompDefault *bool `json:"seccompDefault,omitempty"`
	// RuntimeHandlers are the handlers that a RuntimeClass may name, with the runtime of
	// containerd that is behind each (io.containerd.kata.v2). "runc" is always there.
	RuntimeHandlers map[string]string `json:"runtimeHandlers,omitempty"`
	// ImagePullCredentialsVerification says for which images that are present a pod has
	// to show credentials: NeverVerify, NeverVerifyPreloadedImages (default) or
	// AlwaysVerify.
	ImagePullCredentialsVerification string `json:"imagePullCredentialsVerification,omitempty"`

	Network NetworkConfig `json:"network"`
	// Storage is where the cluster's own volumes lie on this server.
	Storage StorageConfig `json:"storage,omitzero"`

	// Certificates are those of all processes of the server, which the kubelet renews.
	Certificates Certificates `json:"certificates,omitzero"`
}

// NetworkConfig configures the pod network of a node. The node's own pod CIDR
// comes from its Node object.
type NetworkConfig struct {
	ClusterCIDRs addr.Prefixes `json:"clusterCIDR"`
	ServiceCIDRs addr.Prefixes `json:"serviceCIDR"`
	// MTU of pod interfaces; 0 takes that of the link that holds the node's IP,
	// less the tunnel's overhead.
	MTU int `json:"mtu,omitempty"`
}

// StorageConfig says what of a server is for volumes.
type StorageConfig struct {
	// Path is the directory of the volumes (default /var/lib/gantry/volumes).
	Path string `json:"path,omitempty"`
	// Reserve is kept of its file system for others: a percentage (default 20%) or a quantity.
	Reserve string `json:"reserve,omitempty"`
}

// ProxyConfig configures the proxy process.
type ProxyConfig struct {
	NodeName     string        `json:"nodeName"`
	NodeIPs      addr.IPs      `json:"nodeIP"`
	Client       APIClient     `json:"client"`
	Health       Health        `json:"health"`
	ClusterCIDRs addr.Prefixes `json:"clusterCIDR"`
	ServiceCIDRs addr.Prefixes `json:"serviceCIDR"`
	// ServiceLocality is what is preferred where a Service names no traffic distribution.
	ServiceLocality ServiceLocality `json:"serviceLocality,omitempty"`
}

// ServiceLocality says how endpoints on the caller's own node are preferred.
type ServiceLocality string

// The localities.
const (
	// LocalityWeighted keeps most connections on the node, so that every endpoint still
	// takes as many as the others.
	LocalityWeighted ServiceLocality = "weighted"
	// LocalitySameNode keeps all on the node where it has an endpoint.
	LocalitySameNode ServiceLocality = "same-node"
	// LocalityNone spreads evenly.
	LocalityNone ServiceLocality = "none"
)

// DNSConfig configures the dns process.
type DNSConfig struct {
	Client APIClient `json:"client"`
	Health Health    `json:"health"`
	// Addresses are those of cluster DNS, held by an interface of every node.
	Addresses    addr.IPs      `json:"address"`
	Domain       string        `json:"domain,omitempty"`
	ServiceCIDRs addr.Prefixes `json:"serviceCIDR"`
	ClusterCIDRs addr.Prefixes `json:"clusterCIDR"`
	// Upstreams answer other names (host or host:port, or a resolv.conf path);
	// with none, other names do not exist.
	Upstreams []string `json:"upstreams,omitempty"`
}

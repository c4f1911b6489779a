package config

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	InitialClusterToken string  `json:"initialClusterToken"`
	CAFile              string  `json:"caFile"`
	Server              KeyPair `json:"server"`
	Peer                KeyPair `json:"peer"`
	Health              Health  `json:"health"`
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
	// ServiceCIDR holds cluster IPs. Its first address is the kubernetes Service.
	ServiceCIDR          string         `json:"serviceCIDR"`
	ServiceNodePortRange string         `json:"serviceNodePortRange,omitempty"`
	ClusterDNS           string         `json:"clusterDNS"`
	ClusterDomain        string         `json:"clusterDomain,omitempty"`
	ServiceAccount       ServiceAccount `json:"serviceAccount"`
	// Kubelet is this server's identity towards kubelets (logs, exec), whose
	// serving certificates CAFile signed.
	Kubelet KubeletClient `json:"kubelet"`
	// FrontProxy is this server's identity towards aggregated API servers.
	FrontProxy FrontProxy `json:"frontProxy"`
	// Profile serves Go's profiles at /debug/pprof to who may read that path
	// (default: no).
	Profile bool `json:"profile,omitempty"`
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
	// ClusterCIDR is divided into one pod CIDR of NodeCIDRMaskSize bits per node.
	ClusterCIDR      string `json:"clusterCIDR"`
	NodeCIDRMaskSize int    `json:"nodeCIDRMaskSize,omitempty"`
	ServiceCIDR      string `json:"serviceCIDR"`
	// RootCAFile is published in every namespace as ConfigMap kube-root-ca.crt.
	RootCAFile string `json:"rootCAFile"`
	// Signing is the authority that signs what CertificateSigningRequests ask of
	// Kubernetes' own signers (default: none does).
	Signing KeyPair `json:"signing,omitzero"`
	// NodeMonitorGracePeriod is how long a node may miss its heartbeat before it
	// is marked Unknown (default 40 s).
	NodeMonitorGracePeriod metav1.Duration `json:"nodeMonitorGracePeriod,omitempty"`
	// TerminatedPodThreshold is how many finished pods are kept (default 12500).
	TerminatedPodThreshold int `json:"terminatedPodThreshold,omitempty"`
}

// KubeletConfig configures the kubelet process, which carries the pod network too.
type KubeletConfig struct {
	NodeName string    `json:"nodeName"`
	NodeIP   string    `json:"nodeIP"`
	Client   APIClient `json:"client"`
	// BindAddress is where logs, exec, health and metrics are served (default 0.0.0.0:10250).
	BindAddress  string  `json:"bindAddress,omitempty"`
	Serving      KeyPair `json:"serving"`
	ClientCAFile string  `json:"clientCAFile"`

	ContainerdSocket string `json:"containerdSocket,omitempty"`
	RootDir          string `json:"rootDir,omitempty"`
	PodLogDir        string `json:"podLogDir,omitempty"`
	CgroupRoot       string `json:"cgroupRoot,omitempty"`
	MaxPods          int    `json:"maxPods,omitempty"`

	ClusterDNS    []string `json:"clusterDNS"`
	ClusterDomain string   `json:"clusterDomain,omitempty"`
	// NodeLabels and RegisterTaints are set when the node registers, and labels
	// are added again whenever the kubelet starts.
	NodeLabels     map[string]string `json:"nodeLabels,omitempty"`
	RegisterTaints []corev1.Taint    `json:"registerTaints,omitempty"`
	// Reserved is taken from capacity to give allocatable (cpu, memory,
	// ephemeral-storage, as quantities).
	Reserved map[string]string `json:"reserved,omitempty"`

	Network NetworkConfig `json:"network"`
}

// NetworkConfig configures the pod network of a node. The node's own pod CIDR
// comes from its Node object.
type NetworkConfig struct {
	ClusterCIDR string `json:"clusterCIDR"`
	ServiceCIDR string `json:"serviceCIDR"`
	// MTU of pod interfaces; 0 takes that of the link that holds the node's IP,
	// less the tunnel's overhead.
	MTU int `json:"mtu,omitempty"`
}

// ProxyConfig configures the proxy process.
type ProxyConfig struct {
	NodeName    string    `json:"nodeName"`
	NodeIP      string    `json:"nodeIP"`
	Client      APIClient `json:"client"`
	Health      Health    `json:"health"`
	ClusterCIDR string    `json:"clusterCIDR"`
	ServiceCIDR string    `json:"serviceCIDR"`
}

// DNSConfig configures the dns process.
type DNSConfig struct {
	Client APIClient `json:"client"`
	Health Health    `json:"health"`
	// Address is the cluster DNS address, held by an interface of every node.
	Address     string `json:"address"`
	Domain      string `json:"domain,omitempty"`
	ServiceCIDR string `json:"serviceCIDR"`
	ClusterCIDR string `json:"clusterCIDR"`
	// Upstreams answer other names (host or host:port, or a resolv.conf path);
	// with none, other names do not exist.
	Upstreams []string `json:"upstreams,omitempty"`
}

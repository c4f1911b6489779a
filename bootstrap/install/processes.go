package install

import (
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// Etcd is a master's place among the members, as it was when it joined: etcd
// reads it only while its data directory is empty.
type Etcd struct {
	// InitialCluster maps member names to peer URLs, this master's among them.
	InitialCluster map[string]string
	// Joins is set on all masters but the first.
	Joins bool
}

// PeerURL is where a master's etcd is reached by the others.
func PeerURL(h spec.Host) string {
	return "https://" + net.JoinHostPort(h.IP(), strconv.Itoa(config.EtcdPeerPort))
}

// ClientURL is where a master's etcd serves clients.
func ClientURL(h spec.Host) string {
	return "https://" + net.JoinHostPort(h.IP(), strconv.Itoa(config.EtcdClientPort))
}

// process is one component with its configuration.
type process struct {
	component config.Component
	config    config.Completer
	// uses are its credentials. It reads those of authorities at its start only.
	uses []config.Credential
}

func apiClient(n spec.Node, as config.Credential) config.APIClient {
	return config.APIClient{Servers: n.Servers, CAFile: config.CA.CertFile(), KeyPair: as.KeyPair()}
}

func certificates(n spec.Node) config.Certificates {
	return config.Certificates{Lifetime: metav1.Duration{Duration: n.CertificateLifetime}}
}

func health(as config.Credential) config.Health {
	return config.Health{ClientCAFile: config.CA.CertFile(), KeyPair: as.KeyPair()}
}

// processes returns the node's components with their configurations, in start
// order. Containerd has a file of another kind and is not among them.
func processes(n spec.Node, e Etcd, upstreams []string) ([]process, error) {
	var out []process
	if n.Master {
		out = masterProcesses(n, e)
	}
	out = append(out, workerProcesses(n, upstreams)...)
	for _, p := range out {
		if err := p.config.Complete(); err != nil {
			return nil, fmt.Errorf("configuration of %s: %w", p.component, err)
		}
	}
	return out, nil
}

func masterProcesses(n spec.Node, e Etcd) []process {
	state := "new"
	if e.Joins {
		state = "existing"
	}
	election := config.LeaderElection{Identity: n.Host.Name}
	out := []process{
		{config.Etcd, &config.EtcdConfig{
			Name: n.Host.Name, Host: n.Host.IP(), InitialCluster: e.InitialCluster, InitialClusterState: state,
			InitialClusterToken: n.ClusterID, JoinedFile: JoinedFile, CAFile: config.EtcdCA.CertFile(),
			Server: config.EtcdServerCert.KeyPair(), Peer: config.EtcdPeerCert.KeyPair(), Health: health(config.EtcdHealthCert),
		}, []config.Credential{config.EtcdCA, config.EtcdServerCert, config.EtcdPeerCert, config.EtcdHealthCert, config.CA}},
		{config.APIServer, &config.APIServerConfig{
			ClusterID: n.ClusterID, ClusterName: n.ClusterName, AdvertiseAddress: n.Host.IP(),
			Serving: config.APIServerCert.KeyPair(), ClientCAFile: config.CA.CertFile(),
			Etcd: config.EtcdClient{
				Endpoints: []string{"https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(config.EtcdClientPort))},
				CAFile:    config.EtcdCA.CertFile(), KeyPair: config.APIServerEtcdCert.KeyPair(),
			},
			ServiceCIDRs: n.Network.ServiceCIDRs, ClusterCIDRs: n.Network.PodCIDRs, ClusterDNS: n.Network.ClusterDNS(), ClusterDomain: n.Network.DNSDomain,
			ServiceAccount: config.ServiceAccount{KeyFile: config.ServiceAccountKeyFile, PublicKeyFiles: []string{config.ServiceAccountPublicKeyFile}},
			Kubelet:        config.KubeletClient{CAFile: config.CA.CertFile(), KeyPair: config.APIServerKubeletCert.KeyPair()},
			FrontProxy:     config.FrontProxy{CAFile: config.FrontProxyCA.CertFile(), KeyPair: config.FrontProxyCert.KeyPair()},
		}, []config.Credential{config.CA, config.EtcdCA, config.FrontProxyCA, config.APIServerCert, config.APIServerKubeletCert, config.APIServerEtcdCert, config.FrontProxyCert}},
		{config.ControllerManager, &config.ControllerManagerConfig{
			Client: apiClient(n, config.ControllerCert), Health: health(config.ControllerCert), LeaderElection: election,
			Signing: config.CA.KeyPair(), Certificates: certificates(n),
			ClusterCIDRs: n.Network.PodCIDRs, ServiceCIDRs: n.Network.ServiceCIDRs, RootCAFile: config.CA.CertFile(),
			NodeMonitorGracePeriod: metav1.Duration{Duration: n.ControllerManager.NodeMonitorGracePeriod},
			TerminatedPodThreshold: n.ControllerManager.TerminatedPodThreshold,
		}, []config.Credential{config.CA, config.ControllerCert}},
		{config.Scheduler, &config.SchedulerConfig{
			Client: apiClient(n, config.SchedulerCert), Health: health(config.SchedulerCert), LeaderElection: election,
		}, []config.Credential{config.CA, config.SchedulerCert}},
	}
	for _, p := range out {
		if c, is := p.config.(*config.APIServerConfig); is {
			configure(c, n.APIServer)
		}
	}
	return out
}

func workerProcesses(n spec.Node, upstreams []string) []process {
	var taints []corev1.Taint
	for _, t := range n.Taints {
		taints = append(taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return []process{
		{config.Kubelet, &config.KubeletConfig{
			NodeName: n.Host.Name, NodeIPs: n.Host.IPs(), Client: apiClient(n, config.KubeletCert),
			Serving: config.KubeletCert.KeyPair(), ClientCAFile: config.CA.CertFile(),
			ClusterDNS: n.Network.ClusterDNS(), ClusterDomain: n.Network.DNSDomain,
			NodeLabels: n.Labels, RegisterTaints: taints, MaxPods: n.Kubelet.MaxPods, Reserved: n.Kubelet.Reserved,
			AllowedUnsafeSysctls: n.Kubelet.AllowedUnsafeSysctls, RuntimeHandlers: n.Kubelet.RuntimeHandlers,
			ImagePullCredentialsVerification: n.Kubelet.ImagePullCredentialsVerification,
			Network:                          config.NetworkConfig{ClusterCIDRs: n.Network.PodCIDRs, ServiceCIDRs: n.Network.ServiceCIDRs},
			Storage:                          config.StorageConfig{Path: n.Kubelet.Storage.VolumesDir(), Reserve: n.Kubelet.Storage.Reserve},
			Certificates:                     certificates(n),
		}, []config.Credential{config.CA, config.KubeletCert}},
		{config.Proxy, &config.ProxyConfig{
			NodeName: n.Host.Name, NodeIPs: n.Host.IPs(), Client: apiClient(n, config.ProxyCert), Health: health(config.ProxyCert),
			ClusterCIDRs: n.Network.PodCIDRs, ServiceCIDRs: n.Network.ServiceCIDRs, ServiceLocality: config.ServiceLocality(n.Network.ServiceLocality),
		}, []config.Credential{config.CA, config.ProxyCert}},
		{config.DNS, &config.DNSConfig{
			Client: apiClient(n, config.DNSCert), Health: health(config.DNSCert), Addresses: n.Network.ClusterDNS(),
			Domain: n.Network.DNSDomain, ServiceCIDRs: n.Network.ServiceCIDRs, ClusterCIDRs: n.Network.PodCIDRs, Upstreams: upstreams,
		}, []config.Credential{config.CA, config.DNSCert}},
	}
}

// withoutLive takes out of the configuration what a running process follows by
// itself, so that a change of it restarts nobody: the list of masters, and what the
// Node of a kubelet has, which is changed in the API.
func (p process) withoutLive() (restore func()) {
	var servers *[]string
	var after func()
	switch c := p.config.(type) {
	case *config.ControllerManagerConfig:
		servers = &c.Client.Servers
	case *config.SchedulerConfig:
		servers = &c.Client.Servers
	case *config.KubeletConfig:
		servers = &c.Client.Servers
		labels, taints := c.NodeLabels, c.RegisterTaints
		c.NodeLabels, c.RegisterTaints = nil, nil
		after = func() { c.NodeLabels, c.RegisterTaints = labels, taints }
	case *config.ProxyConfig:
		servers = &c.Client.Servers
	case *config.DNSConfig:
		servers = &c.Client.Servers
	default:
		return func() {}
	}
	kept := *servers
	*servers = nil
	return func() {
		*servers = kept
		if after != nil {
			after()
		}
	}
}

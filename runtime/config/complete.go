package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Defaults of a cluster.
const (
	DefaultClusterDomain    = "cluster.local"
	DefaultNodePortRange    = "30000-32767"
	DefaultMaxPods          = 110
	DefaultNodeCIDRMaskSize = 24
	// maxGoawayChance is upstream's: more would have clients do little but connect.
	maxGoawayChance = 0.02
)

// Values of KubeletConfig.ImagePullCredentialsVerification: upstream's policies.
const (
	NeverVerify                = "NeverVerify"
	NeverVerifyPreloadedImages = "NeverVerifyPreloadedImages"
	AlwaysVerify               = "AlwaysVerify"
)

// DefaultRuntimeHandler is the one that KubeletConfig.RuntimeHandlers adds to.
const DefaultRuntimeHandler = "runc"

// required reports the fields that are empty, by their names in the file.
func required(fields map[string]string) error {
	var errs []error
	for name, v := range fields {
		if v == "" {
			errs = append(errs, fmt.Errorf("%s: required", name))
		}
	}
	return errors.Join(errs...)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// checkAll reports what is wrong with a list of addresses or of ranges.
func checkAll(name string, list interface{ Check() error }) error {
	if err := list.Check(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func checkIP(name, s string) error {
	if _, err := netip.ParseAddr(s); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func checkHostPort(name, s string) error {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (c *APIClient) complete() error {
	setDefault(&c.ServerName, APIServerName)
	err := required(map[string]string{"client.caFile": c.CAFile, "client.certFile": c.CertFile, "client.keyFile": c.KeyFile})
	if len(c.Servers) == 0 {
		err = errors.Join(err, errors.New("client.servers: at least one master is required"))
	}
	for i, s := range c.Servers {
		err = errors.Join(err, checkHostPort(fmt.Sprintf("client.servers[%d]", i), s))
	}
	return err
}

func (c *Health) complete(of Component) error {
	setDefault(&c.Address, of.healthListenAddress())
	return errors.Join(checkHostPort("health.address", c.Address),
		required(map[string]string{"health.clientCAFile": c.ClientCAFile, "health.certFile": c.CertFile, "health.keyFile": c.KeyFile}))
}

func (c *Certificates) complete() error {
	setDefault(&c.Lifetime, metav1.Duration{Duration: DefaultCertificateLifetime})
	if c.Lifetime.Duration < MinCertificateLifetime {
		return fmt.Errorf("certificates.lifetime: %s is less than %s", c.Lifetime.Duration, MinCertificateLifetime)
	}
	return nil
}

func (c *LeaderElection) complete() error {
	setDefault(&c.LeaseDuration, metav1.Duration{Duration: 15 * time.Second})
	setDefault(&c.RenewDeadline, metav1.Duration{Duration: 10 * time.Second})
	setDefault(&c.RetryPeriod, metav1.Duration{Duration: 2 * time.Second})
	return required(map[string]string{"leaderElection.identity": c.Identity})
}

// Complete fills defaults and validates.
func (c *EtcdConfig) Complete() error {
	setDefault(&c.DataDir, EtcdDataDir)
	setDefault(&c.ClientPort, EtcdClientPort)
	err := errors.Join(checkIP("host", c.Host), c.Health.complete(Etcd), required(map[string]string{
		"name": c.Name, "initialClusterToken": c.InitialClusterToken, "caFile": c.CAFile,
		"server.certFile": c.Server.CertFile, "server.keyFile": c.Server.KeyFile,
		"peer.certFile": c.Peer.CertFile, "peer.keyFile": c.Peer.KeyFile,
	}))
	if s := c.InitialClusterState; s != "new" && s != "existing" {
		err = errors.Join(err, fmt.Errorf("initialClusterState: %q is neither new nor existing", s))
	}
	if c.InitialCluster[c.Name] == "" {
		err = errors.Join(err, fmt.Errorf("initialCluster: has no peer URL for this member, %q", c.Name))
	}
	return err
}

func (c *Audit) complete() error {
	setDefault(&c.MaxAgeDays, 30)
	setDefault(&c.MaxBackups, 5)
	setDefault(&c.MaxSizeMiB, 100)
	var errs []error
	if c.LogFile == "" && c.PolicyFile != "" {
		errs = append(errs, errors.New("audit.policyFile: needs audit.logFile, where its events go"))
	}
	for name, n := range map[string]int{"maxAgeDays": c.MaxAgeDays, "maxBackups": c.MaxBackups, "maxSizeMiB": c.MaxSizeMiB} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("audit.%s: %d is negative", name, n))
		}
	}
	return errors.Join(errs...)
}

// Complete fills defaults and validates.
func (c *APIServerConfig) Complete() error {
	setDefault(&c.BindAddress, fmt.Sprintf("0.0.0.0:%d", APIServerPort))
	setDefault(&c.ServiceNodePortRange, DefaultNodePortRange)
	setDefault(&c.ClusterDomain, DefaultClusterDomain)
	setDefault(&c.ServiceAccount.Issuer, "https://kubernetes.default.svc."+c.ClusterDomain)
	err := errors.Join(checkHostPort("bindAddress", c.BindAddress), checkIP("advertiseAddress", c.AdvertiseAddress),
		checkAll("serviceCIDR", c.ServiceCIDRs), checkAll("clusterDNS", c.ClusterDNS), required(map[string]string{
			"clusterID": c.ClusterID, "serving.certFile": c.Serving.CertFile, "serving.keyFile": c.Serving.KeyFile,
			"clientCAFile": c.ClientCAFile, "serviceAccount.keyFile": c.ServiceAccount.KeyFile,
			"etcd.caFile": c.Etcd.CAFile, "etcd.certFile": c.Etcd.CertFile, "etcd.keyFile": c.Etcd.KeyFile,
			"kubelet.caFile": c.Kubelet.CAFile, "kubelet.certFile": c.Kubelet.CertFile, "kubelet.keyFile": c.Kubelet.KeyFile,
		}))
	err = errors.Join(err, c.Audit.complete())
	setDefault(&c.PerUser.Watches, 5000)
	setDefault(&c.PerUser.Streams, 500)
	setDefault(&c.PerUser.Seats, 40)
	setDefault(&c.ConnectionsPerAddress, 5000)
	for name, n := range map[string]int{"perUser.watches": c.PerUser.Watches, "perUser.streams": c.PerUser.Streams, "perUser.seats": c.PerUser.Seats, "connectionsPerAddress": c.ConnectionsPerAddress} {
		if n < 0 {
			err = errors.Join(err, fmt.Errorf("%s: %d is negative", name, n))
		}
	}
	setDefault(&c.TokenWebhook.CacheTTL, metav1.Duration{Duration: 2 * time.Minute})
	if c.TokenWebhook.CacheTTL.Duration < 0 {
		err = errors.Join(err, fmt.Errorf("tokenWebhook.cacheTTL: %s is negative", c.TokenWebhook.CacheTTL.Duration))
	}
	if c.GoawayChance < 0 || c.GoawayChance > maxGoawayChance {
		err = errors.Join(err, fmt.Errorf("goawayChance: %g is not between 0 and %g", c.GoawayChance, maxGoawayChance))
	}
	if len(c.Etcd.Endpoints) == 0 {
		err = errors.Join(err, errors.New("etcd.endpoints: at least one is required"))
	}
	if len(c.ServiceAccount.PublicKeyFiles) == 0 {
		err = errors.Join(err, errors.New("serviceAccount.publicKeyFiles: at least one is required"))
	}
	if len(c.ClusterCIDRs) > 0 {
		err = errors.Join(err, checkAll("clusterCIDR", c.ClusterCIDRs))
	}
	return errors.Join(err, c.Admission.check())
}

// Complete fills defaults and validates.
func (c *ControllerManagerConfig) Complete() error {
	setDefault(&c.NodeCIDRMaskSize, DefaultNodeCIDRMaskSize)
	setDefault(&c.NodeMonitorGracePeriod, metav1.Duration{Duration: 40 * time.Second})
	setDefault(&c.TerminatedPodThreshold, 12500)
	return errors.Join(c.Client.complete(), c.Health.complete(ControllerManager), c.LeaderElection.complete(), c.Certificates.complete(),
		checkAll("clusterCIDR", c.ClusterCIDRs), checkAll("serviceCIDR", c.ServiceCIDRs),
		required(map[string]string{"rootCAFile": c.RootCAFile}))
}

// Complete fills defaults and validates.
func (c *KubeletConfig) Complete() error {
	setDefault(&c.BindAddress, fmt.Sprintf("0.0.0.0:%d", KubeletPort))
	setDefault(&c.ContainerdSocket, ContainerdSocket)
	setDefault(&c.RootDir, KubeletDir)
	setDefault(&c.PodLogDir, PodLogDir)
	setDefault(&c.CgroupRoot, CgroupRoot)
	setDefault(&c.MaxPods, DefaultMaxPods)
	setDefault(&c.ClusterDomain, DefaultClusterDomain)
	setDefault(&c.ImagePullCredentialsVerification, NeverVerifyPreloadedImages)
	setDefault(&c.Storage.Path, VolumesDir)
	setDefault(&c.Storage.Reserve, DefaultStorageReserve)
	if c.SeccompDefault == nil {
		c.SeccompDefault = new(true)
	}
	return errors.Join(c.completeRuntimes(), c.Client.complete(), c.Certificates.complete(), checkAll("nodeIP", c.NodeIPs), checkHostPort("bindAddress", c.BindAddress),
		checkAll("network.clusterCIDR", c.Network.ClusterCIDRs), checkAll("network.serviceCIDR", c.Network.ServiceCIDRs),
		required(map[string]string{
			"nodeName": c.NodeName, "clientCAFile": c.ClientCAFile,
			"serving.certFile": c.Serving.CertFile, "serving.keyFile": c.Serving.KeyFile,
		}))
}

func (c *KubeletConfig) completeRuntimes() error {
	var errs []error
	switch c.ImagePullCredentialsVerification {
	case NeverVerify, NeverVerifyPreloadedImages, AlwaysVerify:
	default:
		errs = append(errs, fmt.Errorf("imagePullCredentialsVerification: %q is none of %s, %s, %s",
			c.ImagePullCredentialsVerification, NeverVerify, NeverVerifyPreloadedImages, AlwaysVerify))
	}
	for handler, runtime := range c.RuntimeHandlers {
		if handler == "" || runtime == "" {
			errs = append(errs, fmt.Errorf("runtimeHandlers: %q: %q: neither may be empty", handler, runtime))
		}
		if handler == DefaultRuntimeHandler {
			errs = append(errs, fmt.Errorf("runtimeHandlers: %q: it is always there, and is runc", handler))
		}
	}
	return errors.Join(errs...)
}

// Complete fills defaults and validates.
func (c *ProxyConfig) Complete() error {
	setDefault(&c.ServiceLocality, LocalityWeighted)
	var locality error
	if all := []ServiceLocality{LocalityWeighted, LocalitySameNode, LocalityNone}; !slices.Contains(all, c.ServiceLocality) {
		locality = fmt.Errorf("serviceLocality: %q is none of %v", c.ServiceLocality, all)
	}
	return errors.Join(locality, c.Client.complete(), c.Health.complete(Proxy), checkAll("nodeIP", c.NodeIPs),
		checkAll("clusterCIDR", c.ClusterCIDRs), checkAll("serviceCIDR", c.ServiceCIDRs),
		required(map[string]string{"nodeName": c.NodeName}))
}

// Complete fills defaults and validates.
func (c *DNSConfig) Complete() error {
	setDefault(&c.Domain, DefaultClusterDomain)
	return errors.Join(c.Client.complete(), c.Health.complete(DNS), checkAll("address", c.Addresses),
		checkAll("serviceCIDR", c.ServiceCIDRs), checkAll("clusterCIDR", c.ClusterCIDRs))
}

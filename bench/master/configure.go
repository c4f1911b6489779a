package master

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

const (
	clusterID = "0c4d8f5e-8a51-4f0e-9d55-5b1a3a6f2b10"
	host      = "127.0.0.1"
	// podCIDR has room for thousands of hollow nodes.
	podCIDR     = "10.0.0.0/11"
	serviceCIDR = "10.96.0.0/16"
)

// credentials are the files that the processes name.
type credentials struct {
	ca, etcdCA, frontCA, signingKey, verifyKey                                                 string
	api, kubelets, etcd, etcdClient, front, manager, scheduler, admin, tenant, neighbour, node config.KeyPair
}

func makeCredentials(dir string) (credentials, error) {
	var c credentials
	now := time.Now()
	write := func(name string, data []byte) (string, error) {
		path := filepath.Join(dir, name)
		return path, os.WriteFile(path, data, 0o600)
	}
	leaf := func(into *config.KeyPair, a *pki.Authority, name, user string, groups ...string) error {
		pair, err := a.Issue(pki.Request{
			CommonName: user, Organizations: groups,
			DNSNames: []string{"localhost", config.APIServerName}, IPs: []net.IP{net.ParseIP(host)},
		}, now)
		if err != nil {
			return fmt.Errorf("issue %s: %w", name, err)
		}
		if into.CertFile, err = write(name+".crt", pair.Cert); err != nil {
			return err
		}
		into.KeyFile, err = write(name+".key", pair.Key)
		return err
	}
	var authorities [3]*pki.Authority
	for i, into := range []*string{&c.ca, &c.etcdCA, &c.frontCA} {
		name := []string{"ca", "etcd-ca", "front-proxy-ca"}[i]
		a, err := pki.NewAuthority(name, now)
		if err != nil {
			return c, err
		}
		authorities[i] = a
		if *into, err = write(name+".crt", a.Cert); err != nil {
			return c, err
		}
	}
	private, public, err := pki.NewServiceAccountKey()
	if err != nil {
		return c, err
	}
	if c.signingKey, err = write("sa.key", private); err != nil {
		return c, err
	}
	if c.verifyKey, err = write("sa.pub", public); err != nil {
		return c, err
	}
	ca, etcdCA, frontCA := authorities[0], authorities[1], authorities[2]
	for _, l := range []struct {
		into       *config.KeyPair
		by         *pki.Authority
		name, user string
		groups     []string
	}{
		{&c.api, ca, "apiserver", "kube-apiserver", nil},
		{&c.kubelets, ca, "kubelets", config.APIServerKubeletUser, nil},
		{&c.etcd, etcdCA, "etcd", "etcd", nil},
		{&c.etcdClient, etcdCA, "etcd-client", "kube-apiserver", nil},
		{&c.front, frontCA, "front-proxy", config.FrontProxyUser, nil},
		{&c.manager, ca, "controller-manager", config.ControllerManagerUser, nil},
		{&c.scheduler, ca, "scheduler", config.SchedulerUser, nil},
		{&c.admin, ca, "admin", "admin", []string{config.MastersGroup}},
		{&c.tenant, ca, "tenant", Tenant, nil},
		{&c.neighbour, ca, "neighbour", Neighbour, nil},
		{&c.node, ca, "node", config.NodeUserPrefix + Node, []string{config.NodesGroup}},
	} {
		if err := leaf(l.into, l.by, l.name, l.user, l.groups...); err != nil {
			return c, err
		}
	}
	return c, nil
}

func (m *Master) address(port string) string {
	return net.JoinHostPort(host, strconv.Itoa(m.ports[port]))
}

func (m *Master) apiClient(as config.KeyPair) config.APIClient {
	return config.APIClient{Servers: []string{m.address("api")}, ServerName: config.APIServerName, CAFile: m.credentials.ca, KeyPair: as}
}

func (m *Master) health(c config.Component, as config.KeyPair) config.Health {
	return config.Health{Address: m.address(string(c)), ClientCAFile: m.credentials.ca, KeyPair: as, Profile: m.profile}
}

// configurations are those that bootstrap writes, with paths and ports of this master.
func (m *Master) configurations() map[config.Component]config.Completer {
	c := m.credentials
	election := config.LeaderElection{Identity: "m1"}
	return map[config.Component]config.Completer{
		config.Etcd: &config.EtcdConfig{
			Name: "m1", Host: host, DataDir: filepath.Join(m.dir, "etcd"), ClientPort: m.ports["etcd-clients"],
			InitialCluster: map[string]string{"m1": "https://" + m.address("etcd-peers")}, InitialClusterState: "new", InitialClusterToken: clusterID,
			CAFile: c.etcdCA, Server: c.etcd, Peer: c.etcd, Health: m.health(config.Etcd, c.admin),
		},
		config.APIServer: &config.APIServerConfig{
			ClusterID: clusterID, ClusterName: "bench", BindAddress: m.address("api"), AdvertiseAddress: host,
			Serving: c.api, ClientCAFile: c.ca,
			Etcd:         config.EtcdClient{Endpoints: []string{"https://" + m.address("etcd-clients")}, CAFile: c.etcdCA, KeyPair: c.etcdClient},
			ServiceCIDRs: addr.MustPrefixes(serviceCIDR), ClusterCIDRs: addr.MustPrefixes(podCIDR), ClusterDNS: addr.MustIPs("10.96.0.10"),
			ServiceAccount: config.ServiceAccount{KeyFile: c.signingKey, PublicKeyFiles: []string{c.verifyKey}},
			Kubelet:        config.KubeletClient{CAFile: c.ca, KeyPair: c.kubelets},
			FrontProxy:     config.FrontProxy{CAFile: c.frontCA, KeyPair: c.front},
			Profile:        m.profile,
		},
		config.ControllerManager: &config.ControllerManagerConfig{
			Client: m.apiClient(c.manager), Health: m.health(config.ControllerManager, c.manager), LeaderElection: election,
			ClusterCIDRs: addr.MustPrefixes(podCIDR), ServiceCIDRs: addr.MustPrefixes(serviceCIDR), RootCAFile: c.ca,
		},
		config.Scheduler: &config.SchedulerConfig{
			Client: m.apiClient(c.scheduler), Health: m.health(config.Scheduler, c.scheduler), LeaderElection: election,
		},
	}
}

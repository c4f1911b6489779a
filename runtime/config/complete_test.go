package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/addr"
)

// told fails unless an error has exactly as many lines as are wanted, and each of
// those is a part of one.
func told(t *testing.T, what string, err error, want ...string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	missing := slices.ContainsFunc(want, func(w string) bool {
		return !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, w) })
	})
	if len(lines) != len(want) || missing {
		t.Errorf("%s: got %q, want %q", what, lines, want)
	}
}

func health() Health { return Health{ClientCAFile: "ca", KeyPair: KeyPair{"c", "k"}} }

func TestAnAPIClientIsCompleted(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*APIClient)
		want   []string
	}{
		"nothing":          {func(*APIClient) {}, nil},
		"no CA":            {func(c *APIClient) { c.CAFile = "" }, []string{"client.caFile: required"}},
		"no certificate":   {func(c *APIClient) { c.CertFile = "" }, []string{"client.certFile: required"}},
		"no key":           {func(c *APIClient) { c.KeyFile = "" }, []string{"client.keyFile: required"}},
		"no master":        {func(c *APIClient) { c.Servers = nil }, []string{"client.servers: at least one master is required"}},
		"no port":          {func(c *APIClient) { c.Servers = []string{"10.0.0.1:6443", "10.0.0.2"} }, []string{"client.servers[1]: "}},
		"an IPv6 master":   {func(c *APIClient) { c.Servers = []string{"[fd00::1]:6443"} }, nil},
		"nothing is there": {func(c *APIClient) { *c = APIClient{} }, []string{"client.caFile", "client.certFile", "client.keyFile", "client.servers"}},
	} {
		c := client()
		tc.change(&c)
		told(t, what, c.complete(), tc.want...)
		if c.ServerName != APIServerName {
			t.Errorf("%s: verifies %q", what, c.ServerName)
		}
	}
	c := client()
	if c.ServerName = "api.example.org"; c.complete() != nil || c.ServerName != "api.example.org" {
		t.Errorf("a name of its own became %q", c.ServerName)
	}
}

func TestHealthIsCompleted(t *testing.T) {
	for what, tc := range map[string]struct {
		change  func(*Health)
		address string
		want    []string
	}{
		"nothing":        {func(*Health) {}, "0.0.0.0:10256", nil},
		"an address":     {func(c *Health) { c.Address = "0.0.0.0:1" }, "0.0.0.0:1", nil},
		"no port":        {func(c *Health) { c.Address = "0.0.0.0" }, "0.0.0.0", []string{"health.address: "}},
		"no CA":          {func(c *Health) { c.ClientCAFile = "" }, "0.0.0.0:10256", []string{"health.clientCAFile: required"}},
		"no certificate": {func(c *Health) { c.CertFile = "" }, "0.0.0.0:10256", []string{"health.certFile: required"}},
		"no key":         {func(c *Health) { c.KeyFile = "" }, "0.0.0.0:10256", []string{"health.keyFile: required"}},
	} {
		c := health()
		tc.change(&c)
		told(t, what, c.complete(Proxy), tc.want...)
		if c.Address != tc.address {
			t.Errorf("%s: the address is %q", what, c.Address)
		}
	}
}

func TestLeaderElectionIsCompleted(t *testing.T) {
	c := LeaderElection{Identity: "m1"}
	told(t, "an identity", c.complete())
	if c.LeaseDuration.Duration != 15*time.Second || c.RenewDeadline.Duration != 10*time.Second || c.RetryPeriod.Duration != 2*time.Second {
		t.Errorf("got %+v", c)
	}
	c.LeaseDuration.Duration, c.RenewDeadline.Duration, c.RetryPeriod.Duration = 3, 2, 1
	before := c
	if told(t, "all is said", c.complete()); c != before {
		t.Errorf("%+v became %+v", before, c)
	}
	told(t, "nothing", (&LeaderElection{}).complete(), "leaderElection.identity: required")
}

func TestEtcdIsCompleted(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*EtcdConfig)
		want   []string
	}{
		"a new cluster":        {func(*EtcdConfig) {}, nil},
		"one that exists":      {func(c *EtcdConfig) { c.InitialClusterState = "existing" }, nil},
		"no state":             {func(c *EtcdConfig) { c.InitialClusterState = "" }, []string{`initialClusterState: "" is neither`}},
		"another state":        {func(c *EtcdConfig) { c.InitialClusterState = "old" }, []string{`initialClusterState: "old" is neither`}},
		"no peers":             {func(c *EtcdConfig) { c.InitialCluster = nil }, []string{`initialCluster: has no peer URL for this member, "m1"`}},
		"not among the peers":  {func(c *EtcdConfig) { c.InitialCluster = map[string]string{"m2": "x"} }, []string{"initialCluster"}},
		"a host that is none":  {func(c *EtcdConfig) { c.Host = "here" }, []string{"host: "}},
		"no token":             {func(c *EtcdConfig) { c.InitialClusterToken = "" }, []string{"initialClusterToken: required"}},
		"no CA":                {func(c *EtcdConfig) { c.CAFile = "" }, []string{"caFile: required"}},
		"no certificate":       {func(c *EtcdConfig) { c.Server.CertFile = "" }, []string{"server.certFile: required"}},
		"no key":               {func(c *EtcdConfig) { c.Server.KeyFile = "" }, []string{"server.keyFile: required"}},
		"no peer certificate":  {func(c *EtcdConfig) { c.Peer.CertFile = "" }, []string{"peer.certFile: required"}},
		"no peer key":          {func(c *EtcdConfig) { c.Peer.KeyFile = "" }, []string{"peer.keyFile: required"}},
		"no health":            {func(c *EtcdConfig) { c.Health.KeyFile = "" }, []string{"health.keyFile: required"}},
		"neither name nor URL": {func(c *EtcdConfig) { c.Name = "" }, []string{"name: required", "initialCluster"}},
	} {
		c := EtcdConfig{
			Name: "m1", Host: "10.0.0.1", InitialCluster: map[string]string{"m1": "https://10.0.0.1:2380"}, InitialClusterState: "new", InitialClusterToken: "id",
			CAFile: "ca", Server: KeyPair{"c", "k"}, Peer: KeyPair{"c", "k"}, Health: health(),
		}
		tc.change(&c)
		told(t, what, c.Complete(), tc.want...)
		if c.DataDir != EtcdDataDir || c.ClientPort != EtcdClientPort || c.Health.Address != "0.0.0.0:2381" {
			t.Errorf("%s: %s, %d, %s", what, c.DataDir, c.ClientPort, c.Health.Address)
		}
	}
}

func TestTheAPIServerIsCompleted(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*APIServerConfig)
		want   []string
	}{
		"nothing":                 {func(*APIServerConfig) {}, nil},
		"an address without port": {func(c *APIServerConfig) { c.BindAddress = "0.0.0.0" }, []string{"bindAddress: "}},
		"no advertised address":   {func(c *APIServerConfig) { c.AdvertiseAddress = "" }, []string{"advertiseAddress: "}},
		"no Services":             {func(c *APIServerConfig) { c.ServiceCIDRs = nil }, []string{"serviceCIDR: "}},
		"host bits":               {func(c *APIServerConfig) { c.ServiceCIDRs = addr.MustPrefixes("10.96.0.1/16") }, []string{"serviceCIDR: 10.96.0.1/16 has host bits set; did you mean 10.96.0.0/16?"}},
		"pods with host bits":     {func(c *APIServerConfig) { c.ClusterCIDRs = addr.MustPrefixes("10.244.0.1/16") }, []string{"clusterCIDR: 10.244.0.1/16 has host bits set"}},
		"an unknown plugin":       {func(c *APIServerConfig) { c.Admission.Enable = []string{"AlwaysDeny"} }, []string{"admission.enable[0]"}},
		"no DNS":                  {func(c *APIServerConfig) { c.ClusterDNS = addr.MustIPs("fd00::a") }, []string{"clusterDNS: "}},
		"no ID":                   {func(c *APIServerConfig) { c.ClusterID = "" }, []string{"clusterID: required"}},
		"no serving pair":         {func(c *APIServerConfig) { c.Serving = KeyPair{} }, []string{"serving.certFile: required", "serving.keyFile: required"}},
		"no client CA":            {func(c *APIServerConfig) { c.ClientCAFile = "" }, []string{"clientCAFile: required"}},
		"no key for tokens":       {func(c *APIServerConfig) { c.ServiceAccount.KeyFile = "" }, []string{"serviceAccount.keyFile: required"}},
		"no keys of tokens":       {func(c *APIServerConfig) { c.ServiceAccount.PublicKeyFiles = nil }, []string{"serviceAccount.publicKeyFiles: at least one"}},
		"no etcd":                 {func(c *APIServerConfig) { c.Etcd.Endpoints = nil }, []string{"etcd.endpoints: at least one"}},
		"no way to etcd":          {func(c *APIServerConfig) { c.Etcd.CAFile, c.Etcd.KeyPair = "", KeyPair{} }, []string{"etcd.caFile", "etcd.certFile", "etcd.keyFile"}},
		"a policy, no audit log":  {func(c *APIServerConfig) { c.Audit.PolicyFile = "p" }, []string{"audit.policyFile: needs audit.logFile"}},
		"an audit log":            {func(c *APIServerConfig) { c.Audit = Audit{LogFile: "l", PolicyFile: "p"} }, nil},
		"negative bounds":         {func(c *APIServerConfig) { c.Audit = Audit{MaxAgeDays: -1, MaxBackups: -1, MaxSizeMiB: -1} }, []string{"audit.maxAgeDays: -1", "audit.maxBackups: -1", "audit.maxSizeMiB: -1"}},
		"negative limits":         {func(c *APIServerConfig) { c.PerUser, c.ConnectionsPerAddress = PerUser{-1, -1, -1}, -1 }, []string{"perUser.watches: -1", "perUser.streams: -1", "perUser.seats: -1", "connectionsPerAddress: -1"}},
		"a negative TTL":          {func(c *APIServerConfig) { c.TokenWebhook.CacheTTL.Duration = -1 }, []string{"tokenWebhook.cacheTTL: "}},
		"the most goaways":        {func(c *APIServerConfig) { c.GoawayChance = 0.02 }, nil},
		"too many goaways":        {func(c *APIServerConfig) { c.GoawayChance = 0.021 }, []string{"goawayChance: 0.021 is not between 0 and 0.02"}},
		"negative goaways":        {func(c *APIServerConfig) { c.GoawayChance = -0.001 }, []string{"goawayChance: "}},
		"no way to kubelets":      {func(c *APIServerConfig) { c.Kubelet = KubeletClient{} }, []string{"kubelet.caFile", "kubelet.certFile", "kubelet.keyFile"}},
	} {
		c := APIServerConfig{
			ClusterID: "id", AdvertiseAddress: "10.0.0.1", ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"), ClusterDNS: addr.MustIPs("10.96.0.10"), Serving: KeyPair{"c", "k"}, ClientCAFile: "ca",
			ServiceAccount: ServiceAccount{KeyFile: "k", PublicKeyFiles: []string{"p"}},
			Etcd:           EtcdClient{Endpoints: []string{"https://127.0.0.1:2379"}, CAFile: "ca", KeyPair: KeyPair{"c", "k"}},
			Kubelet:        KubeletClient{CAFile: "ca", KeyPair: KeyPair{"c", "k"}},
		}
		tc.change(&c)
		told(t, what, c.Complete(), tc.want...)
		if c.ServiceNodePortRange != "30000-32767" || c.ClusterDomain != "cluster.local" || c.ServiceAccount.Issuer != "https://kubernetes.default.svc.cluster.local" {
			t.Errorf("%s: %+v", what, c)
		}
	}
	c := APIServerConfig{ClusterDomain: "example.org", Audit: Audit{MaxBackups: 1}}
	if c.Complete() == nil || c.Audit != (Audit{MaxAgeDays: 30, MaxBackups: 1, MaxSizeMiB: 100}) || c.TokenWebhook.CacheTTL.Duration != 2*time.Minute ||
		c.PerUser != (PerUser{5000, 500, 40}) || c.ConnectionsPerAddress != 5000 {
		t.Errorf("%+v", c)
	}
	if c.Complete() == nil || c.BindAddress != "0.0.0.0:6443" || c.ServiceAccount.Issuer != "https://kubernetes.default.svc.example.org" {
		t.Errorf("%+v", c)
	}
}

func TestWhatFollowsMastersIsCompleted(t *testing.T) {
	manager := func(change func(*ControllerManagerConfig)) Completer {
		c := &ControllerManagerConfig{Client: client(), Health: health(), LeaderElection: LeaderElection{Identity: "m1"},
			ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"), RootCAFile: "ca"}
		change(c)
		return c
	}
	scheduler := func(change func(*SchedulerConfig)) Completer {
		c := &SchedulerConfig{Client: client(), Health: health(), LeaderElection: LeaderElection{Identity: "m1"}}
		change(c)
		return c
	}
	kubelet := func(change func(*KubeletConfig)) Completer {
		c := &KubeletConfig{NodeName: "n", NodeIPs: addr.MustIPs("10.0.0.1"), Client: client(), Serving: KeyPair{"c", "k"}, ClientCAFile: "ca",
			Network: NetworkConfig{ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}}
		change(c)
		return c
	}
	proxy := func(change func(*ProxyConfig)) Completer {
		c := &ProxyConfig{NodeName: "n", NodeIPs: addr.MustIPs("10.0.0.1"), Client: client(), Health: health(), ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}
		change(c)
		return c
	}
	dns := func(change func(*DNSConfig)) Completer {
		c := &DNSConfig{Client: client(), Health: health(), Addresses: addr.MustIPs("10.96.0.10"), ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16")}
		change(c)
		return c
	}
	for what, tc := range map[string]struct {
		config Completer
		want   []string
	}{
		"a controller-manager":                    {manager(func(*ControllerManagerConfig) {}), nil},
		"a controller-manager without client":     {manager(func(c *ControllerManagerConfig) { c.Client.KeyFile = "" }), []string{"client.keyFile"}},
		"a controller-manager without health":     {manager(func(c *ControllerManagerConfig) { c.Health.KeyFile = "" }), []string{"health.keyFile"}},
		"a controller-manager without identity":   {manager(func(c *ControllerManagerConfig) { c.LeaderElection.Identity = "" }), []string{"leaderElection.identity"}},
		"a controller-manager without pods":       {manager(func(c *ControllerManagerConfig) { c.ClusterCIDRs = nil }), []string{"clusterCIDR: "}},
		"a controller-manager without Services":   {manager(func(c *ControllerManagerConfig) { c.ServiceCIDRs = nil }), []string{"serviceCIDR: "}},
		"a controller-manager without CA":         {manager(func(c *ControllerManagerConfig) { c.RootCAFile = "" }), []string{"rootCAFile: required"}},
		"a scheduler":                             {scheduler(func(*SchedulerConfig) {}), nil},
		"a scheduler without client":              {scheduler(func(c *SchedulerConfig) { c.Client.KeyFile = "" }), []string{"client.keyFile"}},
		"a scheduler without health":              {scheduler(func(c *SchedulerConfig) { c.Health.KeyFile = "" }), []string{"health.keyFile"}},
		"a scheduler without identity":            {scheduler(func(c *SchedulerConfig) { c.LeaderElection.Identity = "" }), []string{"leaderElection.identity"}},
		"a kubelet":                               {kubelet(func(*KubeletConfig) {}), nil},
		"a kubelet without client":                {kubelet(func(c *KubeletConfig) { c.Client.KeyFile = "" }), []string{"client.keyFile"}},
		"a kubelet without IP":                    {kubelet(func(c *KubeletConfig) { c.NodeIPs = nil }), []string{"nodeIP: "}},
		"a kubelet without port":                  {kubelet(func(c *KubeletConfig) { c.BindAddress = "0.0.0.0" }), []string{"bindAddress: "}},
		"a kubelet without pods":                  {kubelet(func(c *KubeletConfig) { c.Network.ClusterCIDRs = nil }), []string{"network.clusterCIDR: "}},
		"a kubelet without Services":              {kubelet(func(c *KubeletConfig) { c.Network.ServiceCIDRs = nil }), []string{"network.serviceCIDR: "}},
		"a kubelet without name":                  {kubelet(func(c *KubeletConfig) { c.NodeName = "" }), []string{"nodeName: required"}},
		"a kubelet without client CA":             {kubelet(func(c *KubeletConfig) { c.ClientCAFile = "" }), []string{"clientCAFile: required"}},
		"a kubelet without serving pair":          {kubelet(func(c *KubeletConfig) { c.Serving = KeyPair{} }), []string{"serving.certFile", "serving.keyFile"}},
		"a proxy":                                 {proxy(func(*ProxyConfig) {}), nil},
		"a proxy without client":                  {proxy(func(c *ProxyConfig) { c.Client.KeyFile = "" }), []string{"client.keyFile"}},
		"a proxy without health":                  {proxy(func(c *ProxyConfig) { c.Health.KeyFile = "" }), []string{"health.keyFile"}},
		"a proxy without IP":                      {proxy(func(c *ProxyConfig) { c.NodeIPs = nil }), []string{"nodeIP: "}},
		"a proxy without pods":                    {proxy(func(c *ProxyConfig) { c.ClusterCIDRs = nil }), []string{"clusterCIDR: "}},
		"a proxy without Services":                {proxy(func(c *ProxyConfig) { c.ServiceCIDRs = nil }), []string{"serviceCIDR: "}},
		"a proxy without name":                    {proxy(func(c *ProxyConfig) { c.NodeName = "" }), []string{"nodeName: required"}},
		"a proxy that prefers what nobody knows":  {proxy(func(c *ProxyConfig) { c.ServiceLocality = "near" }), []string{`serviceLocality: "near" is none of [weighted same-node none]`}},
		"cluster DNS":                             {dns(func(*DNSConfig) {}), nil},
		"cluster DNS without client":              {dns(func(c *DNSConfig) { c.Client.KeyFile = "" }), []string{"client.keyFile"}},
		"cluster DNS without health":              {dns(func(c *DNSConfig) { c.Health.KeyFile = "" }), []string{"health.keyFile"}},
		"cluster DNS without address":             {dns(func(c *DNSConfig) { c.Addresses = nil }), []string{"address: "}},
		"cluster DNS without pods":                {dns(func(c *DNSConfig) { c.ClusterCIDRs = nil }), []string{"clusterCIDR: "}},
		"cluster DNS without Services":            {dns(func(c *DNSConfig) { c.ServiceCIDRs = nil }), []string{"serviceCIDR: "}},
		"cluster DNS of another domain, complete": {dns(func(c *DNSConfig) { c.Domain = "example.org" }), nil},
	} {
		told(t, what, tc.config.Complete(), tc.want...)
	}
}

func TestDefaults(t *testing.T) {
	var m ControllerManagerConfig
	var k KubeletConfig
	var d DNSConfig
	for _, c := range []Completer{&m, &k, &d} {
		if c.Complete() == nil {
			t.Errorf("%T is complete without anything", c)
		}
	}
	if m.NodeCIDRMaskSize != 24 || m.NodeMonitorGracePeriod.Duration != 40*time.Second || m.TerminatedPodThreshold != 12500 {
		t.Errorf("%+v", m)
	}
	if k.BindAddress != "0.0.0.0:10250" || k.ContainerdSocket != ContainerdSocket || k.RootDir != KubeletDir || k.PodLogDir != PodLogDir ||
		k.CgroupRoot != CgroupRoot || k.MaxPods != 110 || k.ClusterDomain != "cluster.local" {
		t.Errorf("%+v", k)
	}
	if d.Domain != "cluster.local" || d.Health.Address != "0.0.0.0:10253" {
		t.Errorf("%+v", d)
	}
	k.MaxPods, d.Domain = 1, "example.org"
	for _, c := range []Completer{&k, &d} {
		c.Complete() //nolint:errcheck // what is missing is missing still
	}
	if k.MaxPods != 1 || d.Domain != "example.org" {
		t.Errorf("what was said became %d and %s", k.MaxPods, d.Domain)
	}
}

func TestWhereComponentsAre(t *testing.T) {
	for c, want := range map[Component]struct{ unit, file, health string }{
		Etcd:              {"/etc/systemd/system/gantry-etcd.service", "/etc/gantry/etcd.yaml", "127.0.0.1:2381"},
		APIServer:         {"/etc/systemd/system/gantry-apiserver.service", "/etc/gantry/apiserver.yaml", "127.0.0.1:6443"},
		ControllerManager: {"/etc/systemd/system/gantry-controller-manager.service", "/etc/gantry/controller-manager.yaml", "127.0.0.1:10257"},
		Scheduler:         {"/etc/systemd/system/gantry-scheduler.service", "/etc/gantry/scheduler.yaml", "127.0.0.1:10259"},
		Containerd:        {"/etc/systemd/system/gantry-containerd.service", "/etc/gantry/containerd.toml", ""},
		Kubelet:           {"/etc/systemd/system/gantry-kubelet.service", "/etc/gantry/kubelet.yaml", "127.0.0.1:10250"},
		Proxy:             {"/etc/systemd/system/gantry-proxy.service", "/etc/gantry/proxy.yaml", "127.0.0.1:10256"},
		DNS:               {"/etc/systemd/system/gantry-dns.service", "/etc/gantry/dns.yaml", "127.0.0.1:10253"},
	} {
		if c.UnitFile() != want.unit || c.ConfigFile() != want.file || c.HealthAddress() != want.health {
			t.Errorf("%s: %s, %s, %s", c, c.UnitFile(), c.ConfigFile(), c.HealthAddress())
		}
	}
}

func TestLoadTellsWhichFileCannotBeRead(t *testing.T) {
	if err := Load(t.TempDir()+"/none.yaml", &ProxyConfig{}); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v", err)
	}
}

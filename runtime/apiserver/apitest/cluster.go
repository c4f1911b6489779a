package apitest

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"k8s.io/klog/v2"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/apiserver"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/kind"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/etcd"
)

// ClusterID is the ID of every test cluster.
const ClusterID = "6b1f0a3e-0000-4000-8000-000000000001"

// Cluster is a running control plane: etcd and one API server.
type Cluster struct {
	// Config is the API server's configuration; copy and change it to run another
	// server beside it with StartServer.
	Config config.APIServerConfig
	// Address is the API server's host:port.
	Address string
	// Dir holds credentials and data.
	Dir string
	// StopStore stops etcd, and returns once it has ended.
	StopStore func()

	t     testing.TB
	ca    *authority
	table []kind.Kind
}

// Option changes the API server's configuration before it starts.
type Option func(*config.APIServerConfig)

// Start runs a control plane until the test ends.
func Start(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	return StartKinds(t, kinds.Table(), opts...)
}

// klog's logger belongs to the process: goroutines of earlier clusters read it.
var setLogger = sync.OnceFunc(func() { klog.SetSlogLogger(Logger()) })

// StartKinds does the same with a table of kinds of the test's own.
func StartKinds(t testing.TB, table []kind.Kind, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Dir: t.TempDir(), ca: newAuthority(t, "test-ca"), table: table}
	log := Logger()
	setLogger()

	etcdCA := newAuthority(t, "test-etcd-ca")
	etcdCAFile := write(t, c.Dir, "etcd-ca.crt", etcdCA.PEM)
	clientPort, peerPort := ports.Reserve(t), ports.Reserve(t)
	etcdCfg := config.EtcdConfig{
		Name: "m1", DataDir: c.Dir + "/etcd", Host: "127.0.0.1", ClientPort: clientPort,
		InitialCluster:      map[string]string{"m1": fmt.Sprintf("https://127.0.0.1:%d", peerPort)},
		InitialClusterState: "new", InitialClusterToken: ClusterID, CAFile: etcdCAFile,
		Server: etcdCA.files(c.Dir, "etcd-server", "etcd"), Peer: etcdCA.files(c.Dir, "etcd-peer", "etcd"),
	}
	store, err := etcd.New(etcdCfg, log)
	must(t, err)
	c.StopStore = run(t, "etcd", store)

	key := newKey(t)
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	must(t, err)
	caFile := write(t, c.Dir, "ca.crt", c.ca.PEM)
	frontCA := newAuthority(t, "test-front-proxy-ca")
	c.Config = config.APIServerConfig{
		ClusterID: ClusterID, ClusterName: "test",
		BindAddress: fmt.Sprintf("127.0.0.1:%d", ports.Reserve(t)), AdvertiseAddress: "127.0.0.1",
		Serving: c.ca.files(c.Dir, "apiserver", "apiserver"), ClientCAFile: caFile,
		Etcd: config.EtcdClient{
			Endpoints: []string{fmt.Sprintf("https://127.0.0.1:%d", clientPort)}, CAFile: etcdCAFile,
			KeyPair: etcdCA.files(c.Dir, "etcd-client", "apiserver"),
		},
		ServiceCIDRs: addr.MustPrefixes("10.96.0.0/16"), ClusterCIDRs: addr.MustPrefixes("10.244.0.0/16"), ClusterDNS: addr.MustIPs("10.96.0.10"),
		ServiceAccount: config.ServiceAccount{
			KeyFile:        write(t, c.Dir, "sa.key", keyPEM(t, key)),
			PublicKeyFiles: []string{write(t, c.Dir, "sa.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))},
		},
		Kubelet:    config.KubeletClient{CAFile: caFile, KeyPair: c.ca.files(c.Dir, "kubelet-client", config.APIServerKubeletUser, config.MastersGroup)},
		FrontProxy: config.FrontProxy{CAFile: write(t, c.Dir, "front-ca.crt", frontCA.PEM), KeyPair: frontCA.files(c.Dir, "front", config.FrontProxyUser)},
	}
	for _, o := range opts {
		o(&c.Config)
	}
	must(t, c.Config.Complete())
	c.Address = c.Config.BindAddress
	c.StartServer(c.Config)
	return c
}

// StartServer runs an API server until the test ends or stop is called, which
// returns once it has drained.
func (c *Cluster) StartServer(cfg config.APIServerConfig) (stop func()) {
	c.t.Helper()
	srv, err := apiserver.New(cfg, "0.0.0-test", c.table, Logger())
	must(c.t, err)
	return run(c.t, "apiserver", srv)
}

// Admin is a client of a cluster administrator.
func (c *Cluster) Admin() *client.Client { return c.Client("admin", config.MastersGroup) }

// Node is a client of a node's kubelet.
func (c *Cluster) Node(name string) *client.Client {
	return c.Client(config.NodeUserPrefix+name, config.NodesGroup)
}

// Client is a client with a certificate of that user and groups.
func (c *Cluster) Client(user string, groups ...string) *client.Client {
	c.t.Helper()
	o := c.Options(user, groups...)
	cl, err := client.New(o)
	must(c.t, err)
	return cl
}

// Options are what a client of that identity is made from.
func (c *Cluster) Options(user string, groups ...string) client.Options {
	cert, key := c.ca.issue(user, groups...)
	return client.Options{Servers: []string{c.Address}, CA: c.ca.PEM, Cert: cert, Key: key, UserAgent: "test-" + user}
}

// Certificate writes a certificate of the cluster's CA, good for serving on
// loopback and for dialling (a kubelet's, say), and returns its files.
func (c *Cluster) Certificate(user string, groups ...string) config.KeyPair {
	return c.ca.files(c.t.TempDir(), "cert", user, groups...)
}

// CA is the PEM certificate of the cluster's authority.
func (c *Cluster) CA() []byte { return c.ca.PEM }

// Logger writes warnings to stderr, or everything when GANTRY_TEST_LOG is set.
func Logger() *slog.Logger {
	level := slog.LevelError
	if os.Getenv("GANTRY_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

type runner interface {
	Run(ctx context.Context) error
	Ready() error
}

// run starts a component, waits until it is ready, and stops it with the test.
func run(t testing.TB, name string, r runner) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(patience.Limit):
			t.Errorf("%s did not stop", name)
		}
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(patience.Limit); ; time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-done:
			stopped = true
			cancel()
			t.Fatalf("%s ended: %v", name, err)
		default:
		}
		err := r.Ready()
		if err == nil {
			return stop
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v", name, err)
		}
	}
}

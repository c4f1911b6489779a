package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/gantry-run/gantry/runtime/config"
)

const (
	// quotaBytes bounds the data file: etcd refuses writes beyond it instead of
	// growing until every start takes minutes.
	quotaBytes = 8 << 30
	// maxRequestBytes is the largest write; the API server's own limit is below it.
	maxRequestBytes = 1.5 * 1024 * 1024
	// snapshotEntries and catchUpEntries bound the raft log kept in memory. Small
	// values keep an idle member lean; a follower that falls behind by more gets a
	// snapshot, which for a cluster's state is a few megabytes.
	snapshotEntries = 10000
	catchUpEntries  = 5000
)

// Server is one etcd member.
type Server struct {
	cfg     *embed.Config
	closing *atomic.Bool
	etcd    atomic.Pointer[embed.Etcd]
}

// New returns a member. It opens nothing before Run.
func New(cfg config.EtcdConfig, log *slog.Logger) (*Server, error) {
	peer, err := url.Parse(cfg.InitialCluster[cfg.Name])
	if err != nil || peer.Host == "" {
		return nil, fmt.Errorf("initialCluster: peer URL %q of %s: not a URL", cfg.InitialCluster[cfg.Name], cfg.Name)
	}
	c, closing := embed.NewConfig(), &atomic.Bool{}
	c.Name, c.Dir = cfg.Name, cfg.DataDir
	c.ListenPeerUrls, c.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	c.ListenClientUrls = clientURLs(cfg.ClientPort, "127.0.0.1", cfg.Host)
	c.AdvertiseClientUrls = clientURLs(cfg.ClientPort, cfg.Host)
	c.InitialCluster = initialCluster(cfg.InitialCluster)
	c.ClusterState, c.InitialClusterToken = cfg.InitialClusterState, cfg.InitialClusterToken

	c.ClientTLSInfo = mutualTLS(cfg.Server, cfg.CAFile)
	c.PeerTLSInfo = mutualTLS(cfg.Peer, cfg.CAFile)
	c.TlsMinVersion = "TLS1.2"

	c.QuotaBackendBytes, c.MaxRequestBytes = quotaBytes, maxRequestBytes
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshotEntries, catchUpEntries
	// The API servers compact: they know which revisions watches still need.
	c.AutoCompactionRetention = "0"
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(slogCore{log: log, closing: closing}))
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("etcd configuration: %w", err)
	}
	return &Server{cfg: c, closing: closing}, nil
}

// Run opens the data directory, joins the cluster and serves until ctx is done.
// A leader hands its leadership over before it closes.
func (s *Server) Run(ctx context.Context) error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := os.Chmod(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("close the data directory to others: %w", err)
	}
	e, err := embed.StartEtcd(s.cfg)
	if err != nil {
		return fmt.Errorf("start etcd member %s in %s: %w", s.cfg.Name, s.cfg.Dir, err)
	}
	s.etcd.Store(e)
	defer e.Close()
	defer s.etcd.Store(nil)
	select {
	case <-ctx.Done():
		s.closing.Store(true)
		return nil
	case <-e.Server.StopNotify():
		return fmt.Errorf("etcd member %s stopped: it was removed from the cluster, or its data directory failed", s.cfg.Name)
	case err := <-e.Err():
		return fmt.Errorf("etcd member %s: %w", s.cfg.Name, err)
	}
}

// Ready is nil once the member has joined and knows a leader. A learner is ready
// too: it replicates, and whoever added it promotes it.
func (s *Server) Ready() error {
	e := s.etcd.Load()
	if e == nil {
		return errors.New("etcd is not started")
	}
	select {
	case <-e.Server.ReadyNotify():
	default:
		return errors.New("the member has not joined the cluster yet")
	}
	if e.Server.Leader() == 0 {
		return errors.New("the cluster has no leader")
	}
	return nil
}

func mutualTLS(pair config.KeyPair, caFile string) transport.TLSInfo {
	return transport.TLSInfo{CertFile: pair.CertFile, KeyFile: pair.KeyFile, TrustedCAFile: caFile, ClientCertAuth: true}
}

func clientURLs(port int, hosts ...string) []url.URL {
	var out []url.URL
	for _, h := range slices.Compact(hosts) {
		out = append(out, url.URL{Scheme: "https", Host: net.JoinHostPort(h, strconv.Itoa(port))})
	}
	return out
}

// initialCluster renders the map as etcd reads it, always in the same order.
func initialCluster(members map[string]string) string {
	var out []string
	for name, peer := range members {
		out = append(out, name+"="+peer)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

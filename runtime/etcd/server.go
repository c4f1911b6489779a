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
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/pkg/v3/featuregate"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/features"
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
	// compactAfter is the age at which etcd itself drops old revisions. The API servers
	// do so after minutes, as they know which ones watches still need; they cannot when
	// they are down, or when the store takes no writes.
	compactAfter = "1h"
	// fullCheck is how often the members compare all they hold. At each compaction they
	// compare what is compacted, which costs next to nothing.
	fullCheck = 12 * time.Hour
	// closeWithin is how long a member that is to end answers what it was asked, and
	// hands its lead over. Where its peers are silent etcd would try both for 14 s.
	closeWithin = 3 * time.Second
)

// Server is one etcd member.
type Server struct {
	cfg *embed.Config
	log *slog.Logger
	// memberDir is what is known of the member apart from its data. joinedFile exists on
	// a server that was a working member; "" where nobody leaves one.
	memberDir, joinedFile string
	peerURLs              map[string]string // of the other members at first, by name
	snapshots             Snapshots

	closing *atomic.Bool
	etcd    atomic.Pointer[embed.Etcd]
	refused atomic.Pointer[error]
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
	c.AutoCompactionMode, c.AutoCompactionRetention = embed.CompactorModePeriodic, compactAfter
	c.CorruptCheckTime = fullCheck
	if err := c.ServerFeatureGate.(featuregate.MutableFeatureGate).SetFromMap(map[string]bool{
		string(features.InitialCorruptCheck): true, string(features.CompactHashCheck): true,
	}); err != nil {
		return nil, fmt.Errorf("etcd configuration: %w", err)
	}
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.New(slogCore{log: log, closing: closing}))
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("etcd configuration: %w", err)
	}
	return &Server{
		cfg: c, log: log, closing: closing, memberDir: cfg.DataDir + config.EtcdMemberSuffix, joinedFile: cfg.JoinedFile, peerURLs: cfg.InitialCluster,
		snapshots: Snapshots{Dir: cfg.DataDir + config.EtcdSnapshotsSuffix, Keep: snapshotsKept},
	}, nil
}

// peersOf are the client URLs of the other members, as this one knew them last.
func (s *Server) peersOf(own *record) []string {
	if own != nil {
		return own.Peers
	}
	var out []string
	for name, raw := range s.peerURLs {
		u, err := url.Parse(raw)
		if err != nil || name == s.cfg.Name {
			continue
		}
		u.Host = net.JoinHostPort(u.Hostname(), s.cfg.AdvertiseClientUrls[0].Port())
		out = append(out, u.String())
	}
	return out
}

// Run opens the data directory, joins the cluster and serves until ctx is done.
// A leader hands its leadership over before it closes. A member that must not start waits
// for ctx, and says why it is not ready.
func (s *Server) Run(ctx context.Context) error {
	refused, err := s.mayStart(ctx)
	if err != nil {
		return fmt.Errorf("see whether etcd member %s may start: %w", s.cfg.Name, err)
	}
	if refused != nil {
		s.log.Error("the member does not start", "member", s.cfg.Name, "reason", refused)
		s.refused.Store(&refused)
		<-ctx.Done()
		return nil
	}
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
	defer func() { closeSoon(e.Close, e.Server.HardStop) }()
	defer s.etcd.Store(nil)
	tending, stop := context.WithCancel(ctx)
	var tended sync.WaitGroup
	defer tended.Wait()
	defer stop()
	tended.Go(func() { s.tendPeers(tending, e) })
	tended.Go(func() { s.keepUp(tending, e) })
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

// closeSoon closes a member in good order, and stops it hard where that takes longer than
// closeWithin: what it has acknowledged is in its log either way.
func closeSoon(closeOrderly, stopHard func()) {
	timer := time.AfterFunc(closeWithin, stopHard)
	defer timer.Stop()
	closeOrderly()
}

// Ready is nil once the member has joined and knows a leader. A learner is ready
// too: it replicates, and whoever added it promotes it.
func (s *Server) Ready() error {
	if refused := s.refused.Load(); refused != nil {
		return *refused
	}
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
	return corrupt(e)
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

package etcd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/features"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gantry-run/gantry/internal/ports"
	"github.com/gantry-run/gantry/runtime/config"
)

func TestMemberOf(t *testing.T) {
	for what, tc := range map[string]struct {
		member *etcdserverpb.Member
		want   Member
	}{
		"a voter":           {&etcdserverpb.Member{Name: "m1", PeerURLs: []string{"https://10.0.0.1:2380"}}, Member{Name: "m1", Address: "10.0.0.1", Role: Voter}},
		"a learner":         {&etcdserverpb.Member{Name: "m2", PeerURLs: []string{"https://[fd00::1]:2380", "https://10.0.0.2:2380"}, IsLearner: true}, Member{Name: "m2", Address: "fd00::1", Role: Learner}},
		"without an URL":    {&etcdserverpb.Member{}, Member{Role: Voter}},
		"with what is none": {&etcdserverpb.Member{PeerURLs: []string{"https://%zz"}}, Member{Address: "https://%zz", Role: Voter}},
	} {
		if got := memberOf(tc.member); got != tc.want {
			t.Errorf("%s: %+v, want %+v", what, got, tc.want)
		}
	}
}

// answers are what members answer, by their client URLs.
type answers map[string]*clientv3.StatusResponse

func (a answers) Status(_ context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	if s, ok := a[endpoint]; ok {
		return s, nil
	}
	return nil, errors.New("connection refused")
}

func TestAMemberSaysHowItIs(t *testing.T) {
	a := answers{
		"leads":      {Header: &etcdserverpb.ResponseHeader{Revision: 5}, RaftTerm: 6, RaftIndex: 7, Version: "3.7.3", DbSize: 20, DbSizeInUse: 10, Leader: 1},
		"follows":    {Version: "3.7.3", DbSize: 20, DbSizeInUse: 10, Leader: 2},
		"leaderless": {Version: "3.7.3"},
		"full":       {Version: "3.7.3", Leader: 2, Errors: []string{"NOSPACE", "CORRUPT"}},
		"worst":      {Errors: []string{"NOSPACE"}},
	}
	for what, tc := range map[string]struct {
		role Role
		urls []string
		want Member
	}{
		"it leads":              {Voter, []string{"leads", "down"}, Member{Role: Leader, Version: "3.7.3", Revision: 5, Term: 6, Index: 7, DBBytes: 20, InUseBytes: 10}},
		"it follows":            {Voter, []string{"follows"}, Member{Role: Voter, Version: "3.7.3", DBBytes: 20, InUseBytes: 10}},
		"it learns":             {Learner, []string{"follows"}, Member{Role: Learner, Version: "3.7.3", DBBytes: 20, InUseBytes: 10}},
		"never started":         {Learner, nil, Member{Role: Learner, Problem: "it was added and has never been started"}},
		"down":                  {Voter, []string{"down", "leads"}, Member{Role: Voter, Problem: "down does not answer: connection refused"}},
		"without a leader":      {Voter, []string{"leaderless"}, Member{Role: Voter, Version: "3.7.3", Problem: "it knows of no leader: a majority of the voters is down"}},
		"full":                  {Voter, []string{"full"}, Member{Role: Voter, Version: "3.7.3", Problem: "NOSPACE; CORRUPT"}},
		"full, and leaderless":  {Voter, []string{"worst"}, Member{Role: Voter, Problem: "NOSPACE"}},
		"the second URL counts": {Voter, []string{"follows", "leads"}, Member{Role: Voter, Version: "3.7.3", DBBytes: 20, InUseBytes: 10}},
	} {
		m := Member{Role: tc.role}
		m.ask(t.Context(), a, 1, tc.urls)
		if m != tc.want {
			t.Errorf("%s: %+v, want %+v", what, m, tc.want)
		}
	}
}

func TestWhatAServerIsConfiguredAs(t *testing.T) {
	cfg := config.EtcdConfig{
		Name: "m2", DataDir: "data", Host: "10.0.0.2", ClientPort: 2379,
		InitialCluster:      map[string]string{"m2": "https://10.0.0.2:2380", "m1": "https://10.0.0.1:2380", "m3": "https://10.0.0.3:2380"},
		InitialClusterState: "existing", InitialClusterToken: "id", CAFile: "ca",
		Server: config.KeyPair{CertFile: "s.crt", KeyFile: "s.key"}, Peer: config.KeyPair{CertFile: "p.crt", KeyFile: "p.key"},
	}
	s, err := New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := s.cfg
	if c.InitialCluster != "m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380,m3=https://10.0.0.3:2380" || c.ClusterState != "existing" || c.InitialClusterToken != "id" {
		t.Errorf("the cluster is %s, %s, %s", c.InitialCluster, c.ClusterState, c.InitialClusterToken)
	}
	urls := func(in []url.URL) string {
		var out []string
		for _, u := range in {
			out = append(out, u.String())
		}
		return strings.Join(out, " ")
	}
	for what, tc := range map[string]struct{ got, want string }{
		"peers are served at":   {urls(c.ListenPeerUrls), "https://10.0.0.2:2380"},
		"peers are told":        {urls(c.AdvertisePeerUrls), "https://10.0.0.2:2380"},
		"clients are served at": {urls(c.ListenClientUrls), "https://127.0.0.1:2379 https://10.0.0.2:2379"},
		"clients are told":      {urls(c.AdvertiseClientUrls), "https://10.0.0.2:2379"},
		"the server's pair is":  {c.ClientTLSInfo.CertFile + " " + c.ClientTLSInfo.KeyFile + " " + c.ClientTLSInfo.TrustedCAFile, "s.crt s.key ca"},
		"the peer's pair is":    {c.PeerTLSInfo.CertFile + " " + c.PeerTLSInfo.KeyFile + " " + c.PeerTLSInfo.TrustedCAFile, "p.crt p.key ca"},
		"old revisions go":      {c.AutoCompactionMode + " " + c.AutoCompactionRetention, "periodic 1h"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s %s, want %s", what, tc.got, tc.want)
		}
	}
	if !c.ClientTLSInfo.ClientCertAuth || !c.PeerTLSInfo.ClientCertAuth || c.EnableGRPCGateway {
		t.Errorf("clients prove who they are: %v, peers: %v; a gateway: %v", c.ClientTLSInfo.ClientCertAuth, c.PeerTLSInfo.ClientCertAuth, c.EnableGRPCGateway)
	}
	if !c.ServerFeatureGate.Enabled(features.InitialCorruptCheck) || !c.ServerFeatureGate.Enabled(features.CompactHashCheck) || c.CorruptCheckTime == 0 {
		t.Error("data that differs from the others' is not noticed")
	}
	if c.QuotaBackendBytes != 8<<30 {
		t.Errorf("the data file grows to %d bytes", c.QuotaBackendBytes)
	}
	if err := s.Ready(); err == nil {
		t.Error("ready before it is started")
	}
	for _, peer := range []string{"", "10.0.0.2", "https://%zz", "https:///x"} {
		cfg.InitialCluster = map[string]string{"m2": peer}
		if _, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "peer URL") {
			t.Errorf("%q is a peer URL: %v", peer, err)
		}
	}
	loopback := clientURLs(2379, "127.0.0.1", "127.0.0.1")
	if urls(loopback) != "https://127.0.0.1:2379" {
		t.Errorf("a node of the loopback address serves %s", urls(loopback))
	}
}

// What a member says while it closes is no error, and it is not ready again.
func TestAMemberThatClosesIsQuiet(t *testing.T) {
	ca, pair := credentials(t)
	s, err := New(config.EtcdConfig{
		Name: "m1", DataDir: filepath.Join(t.TempDir(), "data"), Host: "127.0.0.1", ClientPort: ports.Reserve(t),
		InitialCluster:      map[string]string{"m1": fmt.Sprintf("https://127.0.0.1:%d", ports.Reserve(t))},
		InitialClusterState: "new", InitialClusterToken: "test", CAFile: ca, Server: pair, Peer: pair,
	}, slog.New(slog.DiscardHandler))
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	retry(t, "start", func(context.Context) error { return s.Ready() })
	if s.closing.Load() {
		t.Error("it is quiet while it serves")
	}
	cancel()
	if err := <-done; err != nil || !s.closing.Load() || s.Ready() == nil {
		t.Errorf("closed: %v, quiet: %v, ready: %v", err, s.closing.Load(), s.Ready())
	}
}

// lines are what a logger was told.
type lines struct {
	least slog.Level
	got   *[]slog.Record
}

func (l lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.least }
func (l lines) Handle(_ context.Context, r slog.Record) error    { *l.got = append(*l.got, r); return nil }
func (l lines) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l lines) WithGroup(string) slog.Handler                    { return l }

func TestEtcdsLinesAreOurs(t *testing.T) {
	for _, tc := range []struct {
		level   zapcore.Level
		closing bool
		want    slog.Level
	}{
		{zapcore.DebugLevel, false, slog.LevelDebug},
		{zapcore.InfoLevel, false, slog.LevelDebug},
		{zapcore.WarnLevel, false, slog.LevelWarn},
		{zapcore.ErrorLevel, false, slog.LevelError},
		{zapcore.DPanicLevel, false, slog.LevelError},
		{zapcore.WarnLevel, true, slog.LevelDebug},
		{zapcore.ErrorLevel, true, slog.LevelDebug},
	} {
		var got []slog.Record
		closing := &atomic.Bool{}
		closing.Store(tc.closing)
		core := slogCore{log: slog.New(lines{slog.LevelDebug, &got}), closing: closing}
		log := zap.New(core).With(zap.String("member", "m1"))
		log.Check(tc.level, "it happened").Write(zap.Int("n", 7))
		if len(got) != 1 || got[0].Level != tc.want || got[0].Message != "it happened" {
			t.Errorf("%s, closing %v: %+v", tc.level, tc.closing, got)
			continue
		}
		attrs := map[string]string{}
		got[0].Attrs(func(a slog.Attr) bool { attrs[a.Key] = a.Value.String(); return true })
		if !reflect.DeepEqual(attrs, map[string]string{"member": "m1", "n": "7"}) {
			t.Errorf("%s says %v", tc.level, attrs)
		}
	}
	var got []slog.Record
	quiet := zap.New(slogCore{log: slog.New(lines{slog.LevelWarn, &got}), closing: &atomic.Bool{}})
	quiet.Info("chatter")
	if quiet.Warn("news"); len(got) != 1 || got[0].Message != "news" {
		t.Errorf("a logger of warnings has %+v", got)
	}
}

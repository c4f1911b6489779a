package access

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// masters are models of servers, by the names of their nodes.
type masters struct {
	*testing.T
	cluster spec.Connection
	trust   install.Authorities
	hosts   map[string]*hosttest.Model
	// closed names the masters whose etcd is down.
	closed map[string]bool
	// stores are what answers through each master.
	stores map[string]*store
}

func newMasters(t *testing.T, names ...string) *masters {
	t.Helper()
	trust, err := install.NewAuthorities("demo", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ms := &masters{T: t, trust: trust, cluster: spec.Connection{ClusterID: "id"}, hosts: map[string]*hosttest.Model{}, closed: map[string]bool{}, stores: map[string]*store{}}
	for i, name := range names {
		ip := fmt.Sprintf("192.0.2.%d", i+1)
		m := hosttest.NewModel(name, ip)
		m.OnDial = func(address string) error {
			if address != net.JoinHostPort(ip, "2379") || ms.closed[name] {
				return errors.New("connection refused")
			}
			return nil
		}
		for file, data := range map[string][]byte{
			install.IdentityFile: []byte("clusterID: id\nclusterName: demo\nnodeName: " + name + "\nroles: [master]\n"), install.JoinedFile: []byte("x"),
			config.ServiceAccountKeyFile: trust.ServiceAccountKey, config.ServiceAccountPublicKeyFile: trust.ServiceAccountPublic,
			config.CA.CertFile(): trust.CA.Cert, config.CA.KeyFile(): trust.CA.Key, config.EtcdCA.CertFile(): trust.EtcdCA.Cert, config.EtcdCA.KeyFile(): trust.EtcdCA.Key,
			config.FrontProxyCA.CertFile(): trust.FrontProxy.Cert, config.FrontProxyCA.KeyFile(): trust.FrontProxy.Key,
			config.Etcd.ConfigFile(): etcdConfig(name, ip, "existing"),
		} {
			m.SetFile(file, string(data))
		}
		ms.hosts[name], ms.stores[name] = m, &store{}
		ms.cluster.Masters = append(ms.cluster.Masters, spec.Host{Name: name, Address: ip})
	}
	return ms
}

func etcdConfig(name, ip, state string) []byte {
	return fmt.Appendf(nil, "name: %s\ninitialClusterToken: id\ninitialCluster: {%s: \"https://%s:2380\"}\ninitialClusterState: %s\n", name, name, ip, state)
}

func (ms *masters) config() Config {
	return Config{
		Config: fleet.Config{Now: time.Now, Parallelism: 4, Connect: func(_ context.Context, h spec.Host) (host.Host, error) {
			if m := ms.hosts[h.Name]; m != nil {
				return m, nil
			}
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
		}},
		Store: func(endpoint string, _ *pki.Authority, _ join.Dial, _ time.Time) (join.Store, error) {
			for _, h := range ms.cluster.Masters {
				if endpoint == install.ClientURL(h) {
					s := ms.stores[h.Name]
					return s, s.opens
				}
			}
			return nil, fmt.Errorf("%s is nobody's", endpoint)
		},
	}
}

// store is etcd as one master's answers.
type store struct {
	join.Store
	opens, lists error
	closed       bool
}

func (s *store) Close() error { s.closed = true; return nil }

func (s *store) MemberList(context.Context, ...clientv3.OpOption) (*clientv3.MemberListResponse, error) {
	if s.lists != nil {
		return nil, s.lists
	}
	return &clientv3.MemberListResponse{Header: &etcdserverpb.ResponseHeader{}, Members: []*etcdserverpb.Member{{ID: 1, Name: "m1"}}}, nil
}

func (ms *masters) of() (*Access, error) {
	c := ms.config()
	return Of(ms.Context(), c, fleet.Connect(ms.Context(), c.Config, ms.cluster.Masters), "id")
}

// Who serves, who may not answer, and whose word counts: by what is on each server and
// whether its etcd listens.
func TestWhatMastersAreToEtcd(t *testing.T) {
	for what, tc := range map[string]struct {
		change           func(*masters)
		source           string
		serving, members string
		provisional      bool
		fails            string
	}{
		"all serve":                  {nil, "m1", "m1 m2 m3", "m1 m2 m3", false, ""},
		"one is down":                {func(ms *masters) { ms.closed["m1"] = true }, "m2", "m2 m3", "m2 m3 m1", false, ""},
		"all are down":               {func(ms *masters) { ms.closed = map[string]bool{"m1": true, "m2": true, "m3": true} }, "m1", "", "m1 m2 m3", true, ""},
		"one was cut while it joins": {func(ms *masters) { ms.hosts["m1"].SetFile(install.JoinedFile, "") }, "m2", "m2 m3", "m2 m3 m1", false, ""},
		"the first votes from its start": {func(ms *masters) {
			ms.hosts["m1"].SetFile(install.JoinedFile, "")
			ms.hosts["m1"].SetFile(config.Etcd.ConfigFile(), string(etcdConfig("m1", "192.0.2.1", "new")))
		}, "m1", "m1 m2 m3", "m1 m2 m3", false, ""},
		"one was refused": {func(ms *masters) { ms.hosts["m1"].SetFile(config.EtcdRefusedFile, "its data is old\n") }, "m2", "m2 m3", "m2 m3", false, ""},
		"none has a place in etcd": {func(ms *masters) {
			for _, m := range ms.hosts {
				m.SetFile(config.Etcd.ConfigFile(), "")
			}
		}, "", "", "", false, ""},
		"one cannot be reached":    {func(ms *masters) { delete(ms.hosts, "m1") }, "m2", "m2 m3", "m2 m3", false, ""},
		"one is another's":         {func(ms *masters) { ms.hosts["m1"].SetFile(install.IdentityFile, "clusterID: other\n") }, "m2", "m2 m3", "m2 m3", false, ""},
		"one's identity is spoilt": {func(ms *masters) { ms.hosts["m1"].SetFile(install.IdentityFile, "x: [") }, "m2", "m2 m3", "m2 m3", false, ""},
		"one is bare":              {func(ms *masters) { ms.hosts["m1"] = hosttest.NewModel("m1", "192.0.2.1") }, "m2", "m2 m3", "m2 m3", false, ""},
		"one has lost a key":       {func(ms *masters) { ms.hosts["m1"].SetFile(config.CA.KeyFile(), "") }, "m2", "m2 m3", "m2 m3", false, ""},
		"all are bare": {func(ms *masters) {
			for name := range ms.hosts {
				ms.hosts[name] = hosttest.NewModel(name, "x")
			}
		}, "", "", "", false, "m1 (192.0.2.1) is no master of cluster id"},
	} {
		ms := newMasters(t, "m1", "m2", "m3")
		if tc.change != nil {
			tc.change(ms)
		}
		a, err := ms.of()
		if tc.fails != "" {
			if !errors.Is(err, ErrNoAuthorities) || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if got := strings.Join(a.Serving, " "); a.Source != tc.source || got != tc.serving || strings.Join(a.Members, " ") != tc.members || a.Provisional != tc.provisional {
			t.Errorf("%s: through %q, %q of %q serve, provisional %t", what, a.Source, got, a.Members, a.Provisional)
		}
		if string(a.Trust.CA.Cert) != string(ms.trust.CA.Cert) {
			t.Errorf("%s: other authorities", what)
		}
		if m := a.source(); (m != nil) != (tc.source != "") || m != nil && m.Spec.Name != tc.source {
			t.Errorf("%s: the source is %v", what, m)
		}
	}
}

// A master whose etcd may not answer is taken only where no other is there; one without
// a store is none.
func TestReach(t *testing.T) {
	for what, tc := range map[string]struct {
		change func(*masters)
		want   string
	}{
		"the first":                 {func(*masters) {}, "m1"},
		"the first is silent":       {func(ms *masters) { ms.closed["m1"] = true }, "m2"},
		"all are":                   {func(ms *masters) { ms.closed["m1"], ms.closed["m2"] = true, true }, "m1"},
		"the first has no store":    {func(ms *masters) { ms.hosts["m1"].SetFile(config.Etcd.ConfigFile(), "") }, "m2"},
		"the first is not answered": {func(ms *masters) { delete(ms.hosts, "m1") }, "m2"},
		"nobody is":                 {func(ms *masters) { clear(ms.hosts) }, ""},
	} {
		ms := newMasters(t, "m1", "m2")
		tc.change(ms)
		a, err := Reach(t.Context(), ms.config(), ms.cluster)
		switch {
		case tc.want == "" && err == nil, tc.want != "" && (err != nil || a.Source != tc.want):
			t.Errorf("%s: %v, %v", what, a, err)
		case a != nil:
			a.Close()
		}
	}
}

// Etcd is asked through the source, and through another member where it does not answer.
func TestTheWayToEtcd(t *testing.T) {
	broken := errors.New("no answer")
	for what, tc := range map[string]struct {
		members []string
		change  func(map[string]*store)
		want    string
		closed  string
	}{
		"the source":                {[]string{"m1", "m2", "m3"}, func(map[string]*store) {}, "m1", ""},
		"the source does not open":  {[]string{"m1", "m2", "m3"}, func(s map[string]*store) { s["m1"].opens = broken }, "m2", ""},
		"the source does not list":  {[]string{"m1", "m2", "m3"}, func(s map[string]*store) { s["m1"].lists = broken }, "m2", "m1"},
		"the last that does":        {[]string{"m1", "m2", "m3"}, func(s map[string]*store) { s["m1"].lists, s["m2"].lists = broken, broken }, "m3", "m1 m2"},
		"none":                      {[]string{"m1", "m2"}, func(s map[string]*store) { s["m1"].lists, s["m2"].lists = broken, broken }, "", "m1 m2"},
		"the only one is not asked": {[]string{"m1"}, func(s map[string]*store) { s["m1"].lists = broken }, "m1", ""},
	} {
		ms := newMasters(t, "m1", "m2", "m3")
		a, err := ms.of()
		if err != nil {
			t.Fatal(err)
		}
		a.Members = tc.members
		tc.change(ms.stores)
		got, err := a.Etcd(t.Context())
		if (err == nil) != (tc.want != "") || err == nil && got != ms.stores[tc.want] {
			t.Errorf("%s: %v", what, err)
		}
		var closed []string
		for name, s := range ms.stores {
			if s.closed {
				closed = append(closed, name)
			}
		}
		slices.Sort(closed)
		if strings.Join(closed, " ") != tc.closed {
			t.Errorf("%s: closed are %v", what, closed)
		}
	}
}

// Where none speaks for all of etcd, one is asked that answers for itself: but not once
// there is no time any more.
func TestVotersOfAnEtcdWithoutAQuorum(t *testing.T) {
	ms := newMasters(t, "m1")
	ms.stores["m1"].lists = errors.New("no leader")
	if _, err := Voters(t.Context(), ms.config(), ms.cluster); err == nil || !strings.Contains(err.Error(), "m1: ") || !ms.stores["m1"].closed {
		t.Errorf("%v", err)
	}
	asked := 0
	c := ms.config()
	connect := c.Connect
	c.Connect = func(ctx context.Context, h spec.Host) (host.Host, error) { asked++; return connect(ctx, h) }
	if _, err := Voters(t.Context(), c, ms.cluster); err == nil || asked != 2 {
		t.Errorf("asked %d times: %v", asked, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	asked = 0
	if _, err := Voters(ctx, c, ms.cluster); err == nil || asked != 1 {
		t.Errorf("asked %d times after the end: %v", asked, err)
	}
}

// slow is a host on which a connection takes until it is let.
type slow struct {
	host.Host
	let  chan struct{}
	conn net.Conn
	err  error
}

func (s slow) Dial(context.Context, string, string) (net.Conn, error) {
	<-s.let
	return s.conn, s.err
}

func TestAConnectionThatComesTooLateIsClosed(t *testing.T) {
	near, far := net.Pipe()
	h := slow{let: make(chan struct{}), conn: near}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(ctx, h, "192.0.2.1:1"); err == nil || !strings.Contains(err.Error(), "192.0.2.1:1: no answer within 1s") {
		t.Fatal(err)
	}
	close(h.let)
	if _, err := far.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	failed := slow{let: make(chan struct{}), err: errors.New("refused")}
	close(failed.let)
	if conn, err := Dial(t.Context(), failed, "192.0.2.1:1"); conn != nil || !errors.Is(err, failed.err) {
		t.Errorf("%v, %v", conn, err)
	}
	good := slow{let: failed.let, conn: near}
	if conn, err := Dial(t.Context(), good, "192.0.2.1:1"); conn != near || err != nil {
		t.Errorf("%v, %v", conn, err)
	}
}

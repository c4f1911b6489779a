package bootstrap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/gantry-run/gantry/bootstrap/bundle"
	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/hosttest"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/join/jointest"
	"github.com/gantry-run/gantry/bootstrap/runlock"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

// world is model hosts around one fake API.
type world struct {
	engine  *Engine
	runlock *runlock.Keepers
	die     func()
	api     *fake.Clientset
	store   *jointest.Etcd
	hosts   map[string]*hosttest.Model
	ids     int
}

func smallBundle(t *testing.T) *bundle.Bundle {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"gantry", "containerd", "runc", archive.UnpackerName} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("program "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := archive.Pack(&b, dir, archive.Manifest{Version: "1.2.3", Platform: "linux/amd64"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bundle.tar.zst")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := bundle.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newWorld(t *testing.T, b *bundle.Bundle, names ...string) *world {
	t.Helper()
	// NewClientset would track field managers, at ten times the price.
	w := &world{api: fake.NewSimpleClientset(), store: &jointest.Etcd{}, hosts: map[string]*hosttest.Model{}}
	for i, name := range names {
		m := hosttest.NewModel(name, fmt.Sprintf("192.0.2.%d", i+1))
		node := nodeName(name)
		m.OnStart = func(unit string) error {
			switch unit {
			case config.Kubelet.Unit():
				return m.Register(context.Background(), w.api, node)
			case config.Etcd.Unit():
				w.store.Start(node, install.PeerURL(spec.Host{Address: m.Address}))
			}
			return nil
		}
		m.Peer = w.server
		w.hosts[name] = m
	}
	w.engine = w.run(t, b)
	return w
}

// run is an engine as a new process has it. The one before it is dead: it lost its
// connections, and makes no others.
func (w *world) run(t *testing.T, b *bundle.Bundle) *Engine {
	if w.die != nil {
		w.die()
	}
	var dead atomic.Bool
	var keepers *runlock.Keepers
	w.die = func() {
		dead.Store(true)
		for _, m := range w.hosts {
			m.PowerCut()
		}
		keepers.Close() // what it is still about ends before anybody else begins
		for _, m := range w.hosts {
			m.Reconnect()
		}
	}
	connect := func(_ context.Context, h spec.Host) (host.Host, error) {
		if dead.Load() {
			return nil, errors.New("this process is dead")
		}
		if m := w.at(h); m != nil {
			return m.Login()
		}
		return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
	}
	// Nobody outlasts this run lock, also where no test is run for a minute: what becomes of
	// one that is not renewed is tried where it is made.
	keepers = runlock.NewKeepers(runlock.Config{Connect: connect, Who: "test", Wait: patience.Limit, TTL: time.Hour})
	w.runlock = keepers
	t.Cleanup(keepers.Close)
	return New(Config{
		Bundle: b, NodeTimeout: patience.Limit, DrainTimeout: patience.Limit, Connect: connect, RunLock: w.runlock, HandOn: true,
		NewID: func() string { w.ids++; return fmt.Sprintf("id-%d", w.ids) },
		API:   w.apiThrough, Store: w.storeThrough,
	})
}

// at is the host at that address or, where none has it, of that name.
func (w *world) at(h spec.Host) *hosttest.Model {
	if m := w.server(h.Address); m != nil {
		return m
	}
	return w.hosts[h.Name]
}

// server is the host at an address, or with that name in DNS; nil when there is none.
func (w *world) server(address string) *hosttest.Model {
	for _, m := range w.hosts {
		if address == m.Address || strings.HasPrefix(address, m.Title+".") {
			return m
		}
	}
	return nil
}

// nodeName is the node that a host is: "w1@b" is another server to be w1.
func nodeName(host string) string {
	name, _, _ := strings.Cut(host, "@")
	return name
}

func (w *world) spec(names ...string) []spec.Host {
	var out []spec.Host
	for _, n := range names {
		out = append(out, spec.Host{Name: nodeName(n), Address: w.hosts[n].Address})
	}
	return out
}

func (w *world) cluster() spec.Cluster {
	return spec.Cluster{Name: "demo", Masters: w.spec("m1"), Network: spec.Network{
		PodCIDRs: addr.MustPrefixes(spec.DefaultPodCIDR), ServiceCIDRs: addr.MustPrefixes(spec.DefaultServiceCIDR), DNSDomain: spec.DefaultDNSDomain,
	}}
}

// create makes the cluster, or fails the test.
func (w *world) create(t *testing.T) spec.Cluster {
	t.Helper()
	c := w.cluster()
	r, err := w.engine.CreateCluster(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.ID = r.ClusterID
	return c
}

func TestAClusterIsMadeObservedGrownShrunkAndDestroyed(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1", "w2")
	c := w.create(t)
	if got, want := len(w.hosts["m1"].Running()), 8; got != want {
		t.Errorf("%d units run on the master, want %d: %v", got, want, w.hosts["m1"].Running())
	}
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1", "w2"), Labels: map[string]string{"a": "b"}}
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1", "w2"}})
	if err != nil || len(r.Failed()) > 0 {
		t.Fatal(err, r.Failed())
	}
	for _, name := range []string{"w1", "w2"} {
		for _, p := range w.hosts[name].Paths() {
			if strings.HasSuffix(p, "ca.key") || strings.HasSuffix(p, "sa.key") || strings.Contains(p, "etcd") {
				t.Errorf("worker %s has %s", name, p)
			}
		}
		node, err := w.api.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil || node.Labels["a"] != "b" || node.Labels[spec.PoolLabel] != "p" {
			t.Errorf("node %s: %v %v", name, node.Labels, err)
		}
	}
	for name, s := range w.engine.ObservePool(t.Context(), c.Connection(), pool).Hosts {
		if s.State != Ready {
			t.Errorf("%s is %s: %s", name, s.State, s.Message)
		}
	}

	w.hosts["w1"].StopUnit(config.Proxy.Unit())
	w.hosts["w1"].SetFile(config.DNS.ConfigFile(), "changed")
	s := w.engine.ObservePool(t.Context(), c.Connection(), pool).Hosts["w1"]
	if s.State != Drifted || !strings.Contains(s.Message, config.DNS.ConfigFile()) || !strings.Contains(s.Message, "gantry-proxy.service is inactive") {
		t.Errorf("drift is seen as %s: %s", s.State, s.Message)
	}

	w.hosts["w1"].Reconnect()
	if _, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Leaving: w.spec("w2")}); err != nil {
		t.Fatal(err)
	}
	if n := w.hosts["w1"].Ops(); n != 0 {
		t.Errorf("w1 was touched %d times while w2 left", n)
	}
	w.bare(t, "w2")
	w.noNode(t, "w2")
	w.engine.DestroyCluster(t.Context(), c) //nolint:errcheck // seen below
	w.bare(t, "m1")
}

func (w *world) noNode(t *testing.T, name string) {
	t.Helper()
	if _, err := w.api.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("node %s is still there: %v", name, err)
	}
}

func (w *world) bare(t *testing.T, name string) {
	t.Helper()
	if left := w.hosts[name].Paths(); len(left) > 0 {
		t.Errorf("%s is not bare: %v", name, left)
	}
	if left := w.hosts[name].Running(); len(left) > 0 {
		t.Errorf("%s still runs %v", name, left)
	}
}

func TestASecondRunChangesAndRestartsNothing(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	w.engine.ObserveCluster(t.Context(), c)
	w.hosts["m1"].Reconnect()
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
	if err != nil || len(r.Failed()) > 0 {
		t.Fatal(err, r.Failed())
	}
	// Loading modules is tried again where it cannot be seen to be done.
	changes := slices.DeleteFunc(w.hosts["m1"].Changes(), func(s string) bool { return strings.HasPrefix(s, "modprobe") })
	if len(changes) > 0 {
		t.Errorf("the second run changed %v", changes)
	}
}

func TestANewMasterInTheListRestartsNobody(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	c := w.create(t)
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1")}
	touch := PoolChange{Touch: []string{"w1"}}
	if _, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, touch); err != nil {
		t.Fatal(err)
	}
	conn := c.Connection()
	conn.Masters = append(slices.Clone(conn.Masters), spec.Host{Name: "m2", Address: "192.0.2.99"})
	if r, err := w.engine.ApplyPool(t.Context(), conn, pool, touch); err != nil || len(r.Failed()) > 0 {
		t.Fatal(err, r.Failed())
	}
	if !strings.Contains(w.hosts["w1"].File(config.Kubelet.ConfigFile()), "192.0.2.99:6443") {
		t.Error("the kubelet's configuration does not have the new master")
	}
	if n := w.hosts["w1"].Starts(config.Kubelet.Unit()); n != 1 {
		t.Errorf("the kubelet was started %d times", n)
	}
}

// The state of a create that was killed at its end holds nothing: the next create
// takes the cluster up. Once a run has come with the cluster's ID, it is taken.
func TestACreateThatNobodyKeptIsTakenUp(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	w.hosts["m1"].Reconnect()
	r, err := w.engine.CreateCluster(t.Context(), w.cluster())
	if err != nil || r.ClusterID != c.ID {
		t.Fatalf("%s instead of %s: %v", r.ClusterID, c.ID, err)
	}
	if n := w.hosts["m1"].Starts(config.Etcd.Unit()); n != 1 {
		t.Errorf("etcd was started %d times", n)
	}
	w.engine.ObserveCluster(t.Context(), c)
	var foreign *install.ForeignError
	if _, err := w.engine.CreateCluster(t.Context(), w.cluster()); !errors.As(err, &foreign) {
		t.Errorf("a cluster that is kept in a state was created again: %v", err)
	}
}

// A host that does not answer is let go only when the cluster does not hear of it
// either.
func TestWhoIsGoneNeedsTwoWitnesses(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	c := w.create(t)
	pool := spec.Pool{Name: "p", Hosts: w.spec("w1")}
	if _, err := w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}}); err != nil {
		t.Fatal(err)
	}
	w.engine.Connect = func(_ context.Context, h spec.Host) (host.Host, error) {
		if h.Name == "w1" {
			return nil, &host.Error{Kind: host.ErrUnreachable, Host: h.Name, Doing: "log in", Err: errors.New("no route to host")}
		}
		return w.hosts[h.Name], nil
	}
	w.engine.NodeTimeout = time.Second // waited out
	leave := func() Report {
		t.Helper()
		r, err := w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: "p"}, PoolChange{Leaving: w.spec("w1")})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := leave()
	if err := r.Failed()["w1"]; err == nil || !strings.Contains(err.Error(), "still reports") || !errors.Is(err, host.ErrUnreachable) {
		t.Errorf("a host that lives is let go: %v", err)
	}
	node, err := w.api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Spec.Unschedulable {
		t.Error("a host that stays takes no pods any more")
	}
	node.Status.Conditions[0].Status = corev1.ConditionUnknown
	if _, err := w.api.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	r = leave()
	if len(r.Failed()) > 0 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "not cleaned") {
		t.Errorf("a dead host is not let go: %v %v", r.Failed(), r.Warnings)
	}
	if _, err := w.api.CoreV1().Nodes().Get(t.Context(), "w1", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("its node is still there: %v", err)
	}
}

func TestAHostOfAnotherClusterIsRefused(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	before := w.hosts["m1"].Paths()
	other := w.cluster()
	other.Name = "other"
	var foreign *install.ForeignError
	if _, err := w.engine.CreateCluster(t.Context(), other); !errors.As(err, &foreign) {
		t.Errorf("got %v", err)
	}
	c.ID = "another"
	r, _ := w.engine.DestroyCluster(t.Context(), c)
	if !errors.As(r.Failed()["m1"], &foreign) || !slices.Equal(w.hosts["m1"].Paths(), before) {
		t.Errorf("destroying another cluster's host: %v", r.Failed())
	}
}

func TestAFailingUnitIsReportedInFull(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	w.hosts["m1"].OnStart = func(unit string) error {
		if unit == config.APIServer.Unit() {
			return errors.New("line one\nline two")
		}
		return nil
	}
	_, err := w.engine.CreateCluster(t.Context(), w.cluster())
	var failed *host.CommandError
	if !errors.As(err, &failed) || failed.Stderr != "line one\nline two" || !strings.Contains(err.Error(), `step "start apiserver"`) {
		t.Errorf("got %v", err)
	}
}

package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/internal/patience"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/client"
	"github.com/gantry-run/gantry/runtime/config"
)

// modelTable is the kernel's table as a map. Another tool may take it away, and the
// kernel may refuse.
type modelTable struct {
	mu     sync.Mutex
	rules  Rules
	writes []int // the number of frontends after each write
	whole  int   // how many of the writes were of the whole table
	refuse error
	unsure error // about whether the table exists
}

func (m *modelTable) Exists() (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rules != nil, m.unsure
}

func (m *modelTable) Replace(r Rules) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	m.rules = maps.Clone(r)
	m.whole++
	m.writes = append(m.writes, len(m.rules))
	return nil
}

func (m *modelTable) Apply(c Change, _ Rules) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse != nil {
		return m.refuse
	}
	maps.Copy(m.rules, c.Set)
	for f := range c.Remove {
		delete(m.rules, f)
	}
	m.writes = append(m.writes, len(m.rules))
	return nil
}

func (m *modelTable) Close() error { return nil }

func (m *modelTable) seen() (writes []int, rules Rules) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]int(nil), m.writes...), maps.Clone(m.rules)
}

// world is count Services of one endpoint each, and the node.
func world(count int) []runtime.Object {
	out := []runtime.Object{&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "here"}}}
	for i := range count {
		name := fmt.Sprint("s", i)
		port := int32(8080)
		out = append(out,
			&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.ServiceSpec{
				ClusterIP: fmt.Sprintf("10.96.0.%d", i+1), Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}}},
			&discoveryv1.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
				AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Port: &port}},
				Endpoints: []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}}},
			})
	}
	return out
}

// newProxy returns a proxy of the model table and api, which does not run yet.
func newProxy(t *testing.T, api *fake.Clientset, table *modelTable) *Proxy {
	t.Helper()
	c, err := client.New(client.Options{Servers: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(config.ProxyConfig{NodeName: "here", NodeIPs: addr.MustIPs("192.168.0.1")}, c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p.api, p.trackMasters = api, func(context.Context) {}
	p.open = func() (kernelTable, error) { return table, nil }
	return p
}

// start runs a proxy of the model table against api; stop ends it and waits.
func start(t *testing.T, api *fake.Clientset, table *modelTable) (p *Proxy, stop func()) {
	t.Helper()
	p = newProxy(t, api, table)
	return p, run(t, p)
}

// run runs a proxy; stop ends it and waits.
func run(t *testing.T, p *Proxy) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	patience.Until(t, what, ok)
}

func TestRulesStayWhileTheAPIIsAway(t *testing.T) {
	for _, kind := range []string{"services", "endpointslices", "nodes"} {
		t.Run(kind, func(t *testing.T) {
			api := fake.NewClientset(world(3)...)
			var mu sync.Mutex
			asked, away := 0, true
			api.PrependReactor("list", kind, func(clienttesting.Action) (bool, runtime.Object, error) {
				mu.Lock()
				defer mu.Unlock()
				asked++
				return away, nil, errors.New("connection refused")
			})
			before := Rules{Frontend{Port: 1}: Backend{}}
			table := &modelTable{rules: maps.Clone(before)}

			p, stop := start(t, api, table)
			eventually(t, "the API is asked", func() bool { mu.Lock(); defer mu.Unlock(); return asked > 0 })
			time.Sleep(50 * time.Millisecond) // what is not to come has no event
			if p.Ready() == nil {
				t.Error("ready before the API answered")
			}
			stop()
			if writes, rules := table.seen(); len(writes) > 0 || len(rules) != len(before) {
				t.Fatalf("the rules were written: %v", writes)
			}

			mu.Lock()
			away = false
			mu.Unlock()
			p, stop = start(t, api, table)
			defer stop()
			eventually(t, "the rules are written", func() bool { return p.Ready() == nil })
			if writes, _ := table.seen(); writes[0] != 3 {
				t.Errorf("the first write has %d of 3 Services", writes[0])
			}
		})
	}
}

func TestTheFirstWriteHasAllServices(t *testing.T) {
	const count = 200
	table := &modelTable{rules: Rules{}}
	p, stop := start(t, fake.NewClientset(world(count)...), table)
	eventually(t, "the rules are written", func() bool { return p.Ready() == nil })
	stop()
	if writes, _ := table.seen(); len(writes) != 1 || writes[0] != count {
		t.Errorf("frontends written: %v, want %d at once", writes, count)
	}
}

func TestATableThatWasRefusedIsWrittenWhole(t *testing.T) {
	api := fake.NewClientset(world(2)...)
	table := &modelTable{rules: Rules{}}
	p, stop := start(t, api, table)
	defer stop()
	eventually(t, "the rules are written", func() bool { return p.Ready() == nil })

	table.mu.Lock()
	table.refuse, table.writes = errors.New("the kernel is out of memory"), nil
	table.mu.Unlock()
	if err := api.CoreV1().Services("ns").Delete(t.Context(), "s0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond)
	table.mu.Lock()
	table.refuse = nil
	table.rules = Rules{} // whatever it was: it is replaced
	table.mu.Unlock()
	eventually(t, "the rules are written again", func() bool { writes, _ := table.seen(); return len(writes) == 1 && writes[0] == 1 })
}

func TestTheZoneOfTheNodeIsFollowed(t *testing.T) {
	objects := world(1)
	zone := "z1"
	far, near := discoveryv1.Endpoint{Addresses: []string{"10.0.1.1"}}, discoveryv1.Endpoint{Addresses: []string{"10.0.1.2"}, Zone: &zone}
	objects[1].(*corev1.Service).Spec.TrafficDistribution = new(corev1.ServiceTrafficDistributionPreferSameZone)
	objects[2].(*discoveryv1.EndpointSlice).Endpoints = []discoveryv1.Endpoint{far, near}
	api := fake.NewClientset(objects...)
	table := &modelTable{rules: Rules{}}
	p, stop := start(t, api, table)
	defer stop()
	endpoints := func() int {
		_, rules := table.seen()
		for _, b := range rules {
			return len(b.Endpoints)
		}
		return 0
	}
	eventually(t, "both endpoints are used", func() bool { return p.Ready() == nil && endpoints() == 2 })

	node := objects[0].(*corev1.Node).DeepCopy()
	node.Labels = map[string]string{corev1.LabelTopologyZone: zone}
	if _, err := api.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the endpoint of the node's zone is used", func() bool { return endpoints() == 1 })
}

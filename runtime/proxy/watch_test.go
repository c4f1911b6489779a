package proxy

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// follow returns a function that waits until all that a proxy follows is watched: what
// the fake API is told between a list and its watch is never seen.
func follow(t *testing.T, api *fake.Clientset) (wait func()) {
	var watched atomic.Int32
	api.PrependWatchReactor("*", func(a clienttesting.Action) (bool, watch.Interface, error) {
		w, err := api.Tracker().Watch(a.GetResource(), a.GetNamespace())
		watched.Add(1)
		return true, w, err
	})
	return func() {
		t.Helper()
		eventually(t, "all is watched", func() bool { return watched.Load() >= 3 })
	}
}

// watching returns a proxy of objects that has seen all of them, and does not sync.
func watching(t *testing.T, api *fake.Clientset) *Proxy {
	t.Helper()
	p, wait := newProxy(t, api, nil), follow(t, api)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	if err := p.watch(ctx); err != nil {
		t.Fatal(err)
	}
	wait()
	return p
}

// marked waits until want are marked dirty, and takes them.
func marked(t *testing.T, p *Proxy, want ...string) {
	t.Helper()
	got := map[string]bool{}
	eventually(t, "Services are marked", func() bool {
		for name := range p.takeDirty() {
			got[name.String()] = true
		}
		return len(got) >= len(want)
	})
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("marked %v, want %v", names, want)
	}
}

func TestWhatIsMarked(t *testing.T) {
	api := fake.NewClientset(world(2)...)
	p := watching(t, api)
	marked(t, p, "ns/s0", "ns/s1")
	services, slices, nodes := api.CoreV1().Services("ns"), api.DiscoveryV1().EndpointSlices("ns"), api.CoreV1().Nodes()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	service, err := services.Get(t.Context(), "s1", metav1.GetOptions{})
	must(nil, err)
	slice, err := slices.Get(t.Context(), "s0", metav1.GetOptions{})
	must(nil, err)

	service.Spec.Ports[0].Port = 81
	must(services.Update(t.Context(), service, metav1.UpdateOptions{}))
	marked(t, p, "ns/s1")

	slice.Labels = map[string]string{discoveryv1.LabelServiceName: "s1"} // it passes from one to the other
	must(slices.Update(t.Context(), slice, metav1.UpdateOptions{}))
	marked(t, p, "ns/s0", "ns/s1")

	must(nil, slices.Delete(t.Context(), "s0", metav1.DeleteOptions{}))
	marked(t, p, "ns/s1")

	must(nil, services.Delete(t.Context(), "s0", metav1.DeleteOptions{}))
	marked(t, p, "ns/s0")

	// The zone concerns all that are left; a heartbeat concerns none.
	node, err := nodes.Get(t.Context(), "here", metav1.GetOptions{})
	must(nil, err)
	node.Labels = map[string]string{corev1.LabelTopologyZone: "z1"}
	must(nodes.Update(t.Context(), node, metav1.UpdateOptions{}))
	marked(t, p, "ns/s1")
	p.setZone("z1")
	if got := p.takeDirty(); len(got) > 0 {
		t.Errorf("marked %v for a zone that is the same", got)
	}
}

func TestSyncWritesTheDifference(t *testing.T) {
	p := watching(t, fake.NewClientset(world(2)...))
	table, rules := &modelTable{}, NewRuleset()
	sync := func(full bool, wantWrites, wantWhole int) {
		t.Helper()
		if err := p.sync(table, rules, full); err != nil {
			t.Fatal(err)
		}
		if len(table.writes) != wantWrites || table.whole != wantWhole || !maps.EqualFunc(table.rules, rules.Desired(), Backend.equal) {
			t.Errorf("%d writes, %d of them whole, want %d and %d; the table is %v", len(table.writes), table.whole, wantWrites, wantWhole, table.rules)
		}
	}
	name := types.NamespacedName{Namespace: "ns", Name: "s0"}
	obj, ok, err := p.services.GetIndexer().GetByKey(name.String())
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	svc := obj.(*corev1.Service).DeepCopy()

	sync(true, 1, 1)
	if len(table.rules) != 2 {
		t.Errorf("the table is %v", table.rules)
	}
	sync(false, 1, 1) // nothing is marked
	p.mark(name)
	sync(false, 1, 1) // nothing of it has changed
	svc.Spec.Ports[0].Port = 81
	if err := p.services.GetIndexer().Update(svc); err != nil {
		t.Fatal(err)
	}
	sync(false, 1, 1) // nobody told
	p.mark(name)
	sync(false, 2, 1)
	if _, ok := table.rules[front("10.96.0.1", "TCP", 81)]; !ok || len(table.rules) != 2 {
		t.Errorf("the table is %v", table.rules)
	}
	if err := p.services.GetIndexer().Delete(svc); err != nil {
		t.Fatal(err)
	}
	p.mark(name)
	sync(false, 3, 1)
	table.rules = Rules{}
	sync(true, 4, 2)
	if len(table.rules) != 1 {
		t.Errorf("the table is %v", table.rules)
	}
}

func TestATableIsWrittenAlsoWithoutServices(t *testing.T) {
	table := &modelTable{}
	p, stop := start(t, fake.NewClientset(world(0)...), table)
	eventually(t, "the rules are written", func() bool { return p.Ready() == nil })
	stop()
	if writes, rules := table.seen(); !slices.Equal(writes, []int{0}) || rules == nil {
		t.Errorf("writes %v, table %v", writes, rules)
	}
}

func TestAChangeIsWrittenAlone(t *testing.T) {
	api, table := fake.NewClientset(world(3)...), &modelTable{}
	wait := follow(t, api)
	p, stop := start(t, api, table)
	wait()
	eventually(t, "the rules are written", func() bool { return p.Ready() == nil })
	if err := api.CoreV1().Services("ns").Delete(t.Context(), "s0", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change is written", func() bool { _, rules := table.seen(); return len(rules) == 2 })
	stop()
	if table.whole != 1 {
		t.Errorf("the whole table was written %d times", table.whole)
	}
}

func TestATableThatIsGoneIsWrittenAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		disturb func(*modelTable)
		again   bool
	}{
		"it is there":      {func(*modelTable) {}, false},
		"somebody took it": {func(m *modelTable) { m.rules = nil }, true},
		"nobody knows":     {func(m *modelTable) { m.unsure = errors.New("interrupted") }, true},
		"gone, and unsure": {func(m *modelTable) { m.rules, m.unsure = nil, errors.New("interrupted") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			table := &modelTable{}
			p := newProxy(t, fake.NewClientset(world(2)...), table)
			p.verifyPeriod = 5 * time.Millisecond
			stop := run(t, p)
			defer stop()
			eventually(t, "the rules are written", func() bool { return p.Ready() == nil })
			table.mu.Lock()
			tc.disturb(table)
			before := table.whole
			table.mu.Unlock()
			if !tc.again {
				time.Sleep(50 * time.Millisecond) // what is not to come has no event
				stop()
				if table.whole != 1 {
					t.Errorf("written %d times", table.whole)
				}
				return
			}
			eventually(t, "the table is written again", func() bool {
				table.mu.Lock()
				defer table.mu.Unlock()
				return table.whole > before && len(table.rules) == 2
			})
		})
	}
}

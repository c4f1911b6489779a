package client

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// events is an informer that hands on what it is given, to one handler.
type events struct {
	cache.SharedInformer
	cache.ResourceEventHandler
	stopped error
	synced  bool
}

func (e *events) AddEventHandler(h cache.ResourceEventHandler) (cache.ResourceEventHandlerRegistration, error) {
	e.ResourceEventHandler = h
	return registration{nil, e}, e.stopped
}

type registration struct {
	cache.ResourceEventHandlerRegistration
	of *events
}

func (r registration) HasSynced() bool { return r.of.synced }

func pod(name string) *corev1.Pod { return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}} }

// happen gives an informer one event of each kind, and some of other objects.
func happen(e *events) {
	e.OnAdd(pod("a"), true)
	e.OnUpdate(pod("b"), pod("c"))
	e.OnDelete(pod("d"))
	e.OnDelete(cache.DeletedFinalStateUnknown{Key: "e", Obj: pod("e")})
	node := &corev1.Node{}
	e.OnAdd(node, false)
	e.OnUpdate(node, pod("f"))
	e.OnUpdate(pod("g"), node)
	e.OnDelete(node)
	e.OnDelete(cache.DeletedFinalStateUnknown{Key: "h", Obj: node})
}

func TestWatch(t *testing.T) {
	var got []string
	add := func(p *corev1.Pod) { got = append(got, "+"+p.Name) }
	update := func(old, now *corev1.Pod) { got = append(got, old.Name+">"+now.Name) }
	remove := func(p *corev1.Pod) { got = append(got, "-"+p.Name) }
	for what, tc := range map[string]struct {
		watch func(cache.SharedInformer) cache.InformerSynced
		want  []string
	}{
		"all":     {func(i cache.SharedInformer) cache.InformerSynced { return Watch(i, add, update, remove) }, []string{"+a", "b>c", "-d", "-e"}},
		"none":    {func(i cache.SharedInformer) cache.InformerSynced { return Watch[*corev1.Pod](i, nil, nil, nil) }, nil},
		"added":   {func(i cache.SharedInformer) cache.InformerSynced { return Watch(i, add, nil, nil) }, []string{"+a"}},
		"updated": {func(i cache.SharedInformer) cache.InformerSynced { return Watch(i, nil, update, nil) }, []string{"b>c"}},
		"deleted": {func(i cache.SharedInformer) cache.InformerSynced { return Watch(i, nil, nil, remove) }, []string{"-d", "-e"}},
		"seen":    {func(i cache.SharedInformer) cache.InformerSynced { return WatchAll(i, add) }, []string{"+a", "+c", "+d", "+e"}},
	} {
		got = nil
		e := &events{}
		synced := tc.watch(e)
		happen(e)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
		if synced() {
			t.Errorf("%s: synced before the handler is", what)
		}
		if e.synced = true; !synced() {
			t.Errorf("%s: not synced when the handler is", what)
		}
	}
	stopped := &events{stopped: errors.New("the informer has stopped"), synced: true}
	if WatchAll(stopped, add)() {
		t.Error("an informer that has stopped is synced")
	}
}

func TestWaitForSync(t *testing.T) {
	yes, no := func() bool { return true }, func() bool { return false }
	if err := WaitForSync(t.Context(), yes, yes); err != nil {
		t.Errorf("all are synced: %v", err)
	}
	over := errors.New("over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(over)
	if err := WaitForSync(ctx, yes, no); !errors.Is(err, over) {
		t.Errorf("one is not: %v", err)
	}
}

package controllertest

import (
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/presence"
	"github.com/gantry-run/gantry/runtime/controller/internal/reconcile"
)

// Start is the time at which a fixture's clock begins.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Fixture is a controller's surroundings.
type Fixture struct {
	API   *fake.Clientset
	Clock *clocktesting.FakeClock
	Deps  reconcile.Deps
}

// New returns a fixture whose API has the given objects.
func New(objects ...runtime.Object) *Fixture {
	api, clk := fake.NewClientset(objects...), clocktesting.NewFakeClock(Start)
	var names atomic.Int64
	api.PrependReactor("create", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		if o, err := meta.Accessor(a.(clienttesting.CreateAction).GetObject()); err == nil && o.GetName() == "" && o.GetGenerateName() != "" {
			o.SetName(fmt.Sprint(o.GetGenerateName(), names.Add(1)))
		}
		return false, nil, nil
	})
	return &Fixture{API: api, Clock: clk, Deps: reconcile.Deps{
		Client: api, Informers: informers.NewSharedInformerFactory(api, 0), Events: record.NewFakeRecorder(10000),
		Presence: &presence.Kinds{}, Clock: clk, Log: slog.New(slog.DiscardHandler),
	}}
}

// Sync starts the informers that controllers have asked for, and waits until they
// have what the API has. A controller's handlers are told of that a moment later: who
// asks what an event has queued waits for its loop's Synced too.
func (f *Fixture) Sync(t testing.TB, loops ...cache.InformerSynced) {
	t.Helper()
	f.Deps.Informers.StartWithContext(t.Context())
	for kind, synced := range f.Deps.Informers.WaitForCacheSync(t.Context().Done()) {
		if !synced {
			t.Fatalf("the informer of %v has not synced", kind)
		}
	}
	if !cache.WaitForCacheSync(t.Context().Done(), loops...) {
		t.Fatal("the handlers have not seen what there is")
	}
	f.API.ClearActions()
}

// Writes are what was written since Sync, as "verb resource/subresource name", sorted.
// The server's part of a name is an asterisk.
func (f *Fixture) Writes() []string {
	var out []string
	for _, a := range f.API.Actions() {
		text := a.GetVerb() + " " + a.GetResource().Resource
		if sub := a.GetSubresource(); sub != "" {
			text += "/" + sub
		}
		switch a := a.(type) {
		case clienttesting.PatchAction:
			text += " " + a.GetName()
		case clienttesting.DeleteAction:
			text += " " + a.GetName()
		case clienttesting.CreateAction: // updates too
			text += " " + nameOf(a.GetObject())
		default:
			continue
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// Told are the events so far, as "type reason message".
func (f *Fixture) Told() []string {
	var out []string
	for {
		select {
		case e := <-f.Deps.Events.(*record.FakeRecorder).Events:
			out = append(out, e)
		default:
			return out
		}
	}
}

func nameOf(o runtime.Object) string {
	m, err := meta.Accessor(o)
	switch {
	case err != nil:
		return ""
	case m.GetGenerateName() != "":
		return m.GetGenerateName() + "*"
	}
	return m.GetName()
}

package namespace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	fakediscovery "k8s.io/client-go/discovery/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// served is an API with kinds that are deleted all at once (pods, configmaps), one after
// the other (widgets), and not at all.
func served() []*metav1.APIResourceList {
	all, some := metav1.Verbs{"create", "delete", "deletecollection", "list"}, metav1.Verbs{"create", "delete", "list"}
	return []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "configmaps", Namespaced: true, Kind: "ConfigMap", Verbs: all}, {Name: "pods", Namespaced: true, Kind: "Pod", Verbs: all},
			{Name: "pods/status", Namespaced: true, Kind: "Pod", Verbs: all}, {Name: "bindings", Namespaced: true, Kind: "Binding", Verbs: metav1.Verbs{"create"}},
			{Name: "endless", Namespaced: true, Kind: "Endless", Verbs: metav1.Verbs{"create", "list"}}, {Name: "hidden", Namespaced: true, Kind: "Hidden", Verbs: metav1.Verbs{"delete"}},
			{Name: "nodes", Kind: "Node", Verbs: all},
		}},
		{GroupVersion: "example.org/v1", APIResources: []metav1.APIResource{{Name: "widgets", Namespaced: true, Kind: "Widget", Verbs: some}}},
	}
}

// broken is a discovery that does not know a group.
type broken struct {
	*fakediscovery.FakeDiscovery
	group string
}

func (b broken) ServerResourcesForGroupVersionWithContext(ctx context.Context, gv string) (*metav1.APIResourceList, error) {
	if strings.HasPrefix(gv, b.group+"/") {
		return nil, errors.New("its server is away")
	}
	return b.FakeDiscovery.ServerResourcesForGroupVersionWithContext(ctx, gv)
}

func object(gv, kind, name string, change ...func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: gv, Kind: kind}, ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name}}
	for _, f := range change {
		f(o)
	}
	return o
}

func grace(seconds int64) func(*metav1.PartialObjectMetadata) {
	return func(o *metav1.PartialObjectMetadata) { o.DeletionGracePeriodSeconds = &seconds }
}

func finalized(by ...string) func(*metav1.PartialObjectMetadata) {
	return func(o *metav1.PartialObjectMetadata) { o.Finalizers = by }
}

// world is a namespace d with what is in it.
type world struct {
	*controllertest.Fixture
	controller *Controller
	api        *metadatafake.FakeMetadataClient
}

func newWorld(t *testing.T, ns *corev1.Namespace, objects ...*metav1.PartialObjectMetadata) *world {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var all []runtime.Object
	for _, o := range objects {
		all = append(all, o)
	}
	w := &world{Fixture: controllertest.New(ns), api: metadatafake.NewSimpleMetadataClient(scheme, all...)}
	// As in the API, what has finalizers stays, and a pod until its grace period is over.
	stays := func(o *metav1.PartialObjectMetadata) bool {
		return len(o.Finalizers) > 0 || o.DeletionGracePeriodSeconds != nil
	}
	w.api.PrependReactor("delete", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		o, err := w.api.Tracker().Get(a.GetResource(), a.GetNamespace(), a.(clienttesting.DeleteAction).GetName())
		if err == nil && stays(o.(*metav1.PartialObjectMetadata)) {
			return true, nil, nil
		}
		return false, nil, nil
	})
	w.api.PrependReactor("delete-collection", "*", func(a clienttesting.Action) (bool, runtime.Object, error) {
		for _, o := range objects {
			if gvr, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind()); gvr == a.GetResource() && !stays(o) {
				if err := w.api.Tracker().Delete(gvr, a.GetNamespace(), o.Name); err != nil {
					return true, nil, err
				}
			}
		}
		return true, nil, nil
	})
	w.Deps.Metadata = w.api
	w.API.Discovery().(*fakediscovery.FakeDiscovery).Resources = served()
	var err error
	if w.controller, err = New(w.Deps); err != nil {
		t.Fatal(err)
	}
	w.Sync(t, w.controller.loop.Synced)
	return w
}

// deletions are those of what is in the namespace: pods come first, if that is so, and
// the rest is sorted.
func (w *world) deletions() []string {
	var out []string
	for _, a := range w.api.Actions() {
		switch a := a.(type) {
		case clienttesting.DeleteCollectionActionImpl:
			out = append(out, "all "+a.GetResource().Resource)
		case clienttesting.DeleteActionImpl:
			out = append(out, a.GetResource().Resource+" "+a.GetName())
		}
	}
	if len(out) > 0 {
		slices.Sort(out[1:])
	}
	if len(out) > 1 && !strings.HasSuffix(out[0], "pods") {
		slices.Sort(out)
	}
	return out
}

func (w *world) refuse(verb, resource string, err error) {
	w.api.PrependReactor(verb, resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, err })
}

// conditions are those of the namespace, as "type reason message" where they are True.
func (w *world) conditions(t *testing.T) []string {
	t.Helper()
	ns, err := w.API.CoreV1().Namespaces().Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, c := range ns.Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			out = append(out, fmt.Sprint(c.Type, " ", c.Reason, " ", c.Message))
		}
	}
	return out
}

func ending(change ...func(*corev1.Namespace)) *corev1.Namespace {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "d", UID: "u", DeletionTimestamp: &metav1.Time{Time: controllertest.Start}}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}}}
	for _, f := range change {
		f(ns)
	}
	return ns
}

// TestANamespaceIsEmptiedAndLetGo: pods first, and nothing else as long as one is there;
// it goes when nothing is left, and says meanwhile what is.
func TestANamespaceIsEmptiedAndLetGo(t *testing.T) {
	const goes = "create namespaces/finalize d"
	pod, settings, widget := object("v1", "Pod", "p"), object("v1", "ConfigMap", "c"), object("example.org/v1", "Widget", "w")
	kept := object("example.org/v1", "Widget", "w", finalized("example.org/keep"))
	missing := apierrors.NewNotFound(schema.GroupResource{Resource: "widgets"}, "")
	unsupported := apierrors.NewMethodNotSupported(schema.GroupResource{Resource: "widgets"}, "list")
	for name, tc := range map[string]struct {
		objects         []*metav1.PartialObjectMetadata
		disturb         func(*world)
		deletions       []string
		again           time.Duration
		goes            bool
		conditions, err []string
	}{
		"empty":                  {goes: true},
		"all goes at once":       {objects: []*metav1.PartialObjectMetadata{pod, settings, widget, object("example.org/v1", "Widget", "x")}, deletions: []string{"all pods", "all configmaps", "widgets w", "widgets x"}, goes: true},
		"of another namespace":   {objects: []*metav1.PartialObjectMetadata{object("v1", "ConfigMap", "c", func(o *metav1.PartialObjectMetadata) { o.Namespace = "e" })}, goes: true},
		"what cannot be deleted": {objects: []*metav1.PartialObjectMetadata{object("v1", "Endless", "e")}, goes: true},
		"a pod that ends": {objects: []*metav1.PartialObjectMetadata{object("v1", "Pod", "p", grace(20)), object("v1", "Pod", "q", grace(40)), object("v1", "Pod", "r", grace(30)), settings},
			deletions: []string{"all pods"}, again: 10 * time.Second, conditions: []string{"NamespaceContentRemaining SomeResourcesRemain Some resources are remaining: pods. has 3 resource instances"}},
		"finalizers of others": {objects: []*metav1.PartialObjectMetadata{kept, object("example.org/v1", "Widget", "x", finalized("example.org/keep", "a/b")), object("v1", "ConfigMap", "c", finalized("a/b"))},
			deletions: []string{"all configmaps", "widgets w", "widgets x"}, again: time.Second, conditions: []string{
				"NamespaceContentRemaining SomeResourcesRemain Some resources are remaining: configmaps. has 1 resource instances, widgets.example.org has 2 resource instances",
				"NamespaceFinalizersRemaining SomeFinalizersRemain Some content in the namespace has finalizers remaining: a/b in 2 resource instances, example.org/keep in 2 resource instances",
			}},
		"pods that cannot be listed": {objects: []*metav1.PartialObjectMetadata{pod, settings}, disturb: func(w *world) { w.refuse("list", "pods", errors.New("no quorum")) },
			conditions: []string{"NamespaceDeletionContentFailure ContentDeletionFailed Failed to delete all resource types: list pods: no quorum"}, err: []string{"empty namespace d: list pods: no quorum"}},
		"one kind that cannot be deleted": {objects: []*metav1.PartialObjectMetadata{settings, widget}, disturb: func(w *world) { w.refuse("delete-collection", "configmaps", errors.New("forbidden")) },
			deletions: []string{"all configmaps", "widgets w"}, conditions: []string{"NamespaceDeletionContentFailure ContentDeletionFailed Failed to delete all resource types: delete all configmaps: forbidden"}, err: []string{"delete all configmaps"}},
		"one object that cannot be": {objects: []*metav1.PartialObjectMetadata{widget, settings}, disturb: func(w *world) { w.refuse("delete", "widgets", errors.New("forbidden")) },
			deletions: []string{"all configmaps", "widgets w"}, conditions: []string{"NamespaceDeletionContentFailure ContentDeletionFailed Failed to delete all resource types: delete widgets.example.org w: forbidden"}, err: []string{"delete widgets.example.org w"}},
		"a group that is away": {objects: []*metav1.PartialObjectMetadata{settings, widget}, disturb: func(w *world) {
			w.controller.discovery = broken{w.API.Discovery().(*fakediscovery.FakeDiscovery), "example.org"}
		}, deletions: []string{"all configmaps"}, conditions: []string{"NamespaceDeletionDiscoveryFailure DiscoveryFailed Discovery failed for some groups: not all of the API could be discovered"}, err: []string{"its server is away"}},
		"a kind that has just gone":     {objects: []*metav1.PartialObjectMetadata{settings}, disturb: func(w *world) { w.refuse("list", "widgets", missing) }, deletions: []string{"all configmaps"}, goes: true},
		"a kind that is listed no more": {objects: []*metav1.PartialObjectMetadata{settings}, disturb: func(w *world) { w.refuse("list", "widgets", unsupported) }, deletions: []string{"all configmaps"}, goes: true},
		"an object that has just gone":  {objects: []*metav1.PartialObjectMetadata{kept}, disturb: func(w *world) { w.refuse("delete", "widgets", missing) }, deletions: []string{"widgets w"}, again: time.Second, conditions: []string{"NamespaceContentRemaining", "NamespaceFinalizersRemaining"}},
		"a collection that has just gone": {objects: []*metav1.PartialObjectMetadata{object("v1", "ConfigMap", "c", grace(0))}, disturb: func(w *world) { w.refuse("delete-collection", "configmaps", missing) },
			deletions: []string{"all configmaps"}, again: time.Second, conditions: []string{"NamespaceContentRemaining"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, ending(), tc.objects...)
			if tc.disturb != nil {
				tc.disturb(w)
			}
			again, err := w.controller.reconcile(t.Context(), "d")
			if again != tc.again || (err == nil) != (tc.err == nil) {
				t.Errorf("again after %s: %v", again, err)
			}
			for _, text := range tc.err {
				if !strings.Contains(fmt.Sprint(err), text) {
					t.Errorf("the error is %v", err)
				}
			}
			if got := w.deletions(); !slices.Equal(got, tc.deletions) {
				t.Errorf("deleted is %q", got)
			}
			if got := w.Writes(); slices.Contains(got, goes) != tc.goes || !slices.Contains(got, "update namespaces/status d") {
				t.Errorf("written is %q", got)
			}
			if got := w.conditions(t); !slices.EqualFunc(got, tc.conditions, strings.HasPrefix) {
				t.Errorf("the conditions are\n%q", got)
			}
		})
	}
}

// TestWhoIsEmptied: a namespace that is ending and has our finalizer, as the API has it now.
func TestWhoIsEmptied(t *testing.T) {
	for name, tc := range map[string]struct {
		seen, now func(*corev1.Namespace)
		gone      bool
		emptied   bool
	}{
		"one that ends":             {emptied: true},
		"one that does not":         {seen: func(ns *corev1.Namespace) { ns.DeletionTimestamp = nil }},
		"one without our finalizer": {seen: func(ns *corev1.Namespace) { ns.Spec.Finalizers = []corev1.FinalizerName{"a/b"} }},
		"one that is gone":          {gone: true},
		"one that was made anew":    {now: func(ns *corev1.Namespace) { ns.UID = "v" }},
		"one that did not end":      {now: func(ns *corev1.Namespace) { ns.DeletionTimestamp = nil }},
		"one that we let go":        {now: func(ns *corev1.Namespace) { ns.Spec.Finalizers = nil }},
	} {
		ns := ending()
		if tc.seen != nil {
			tc.seen(ns)
		}
		w := newWorld(t, ns, object("v1", "ConfigMap", "c"))
		w.API.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
			live := ns.DeepCopy()
			if tc.now != nil {
				tc.now(live)
			}
			if tc.gone {
				return true, nil, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "d")
			}
			return true, live, nil
		})
		if _, err := w.controller.reconcile(t.Context(), "d"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(w.deletions()) > 0; got != tc.emptied {
			t.Errorf("%s: emptied %t", name, got)
		}
	}
	w := newWorld(t, ending())
	if _, err := w.controller.reconcile(t.Context(), "another"); err != nil || len(w.Writes()) > 0 {
		t.Errorf("one that nobody has: %v, %q", err, w.Writes())
	}
}

// TestOnlyOurFinalizerIsTaken: what others hold a namespace by stays.
func TestOnlyOurFinalizerIsTaken(t *testing.T) {
	w := newWorld(t, ending(func(ns *corev1.Namespace) {
		ns.Spec.Finalizers = []corev1.FinalizerName{"a/b", corev1.FinalizerKubernetes, "c/d"}
	}))
	if _, err := w.controller.reconcile(t.Context(), "d"); err != nil {
		t.Fatal(err)
	}
	ns, err := w.API.CoreV1().Namespaces().Get(t.Context(), "d", metav1.GetOptions{})
	if err != nil || !slices.Equal(ns.Spec.Finalizers, []corev1.FinalizerName{"a/b", "c/d"}) || ns.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("%v, %v, %s", err, ns.Spec.Finalizers, ns.Status.Phase)
	}
}

// TestWhenItIsLookedAgain: after a quarter of the longest grace period, from 1 s to 15 s.
func TestWhenItIsLookedAgain(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{0: time.Second, 4: time.Second, 8 * time.Second: 2 * time.Second, 30 * time.Second: 7500 * time.Millisecond, time.Hour: 15 * time.Second} {
		if got := (remains{grace: grace}).again(); got != want {
			t.Errorf("with a grace period of %s: %s", grace, got)
		}
	}
}

// TestWhatIsDiscovered: namespaced kinds that can be listed and deleted.
func TestWhatIsDiscovered(t *testing.T) {
	w := newWorld(t, ending())
	kinds, err := w.controller.kinds()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, k := range kinds {
		got[k.Resource] = k.collection
	}
	if want := map[string]bool{"pods": true, "configmaps": true, "widgets": false}; !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestWhichNamespacesAreLookedAfter: those that end.
func TestWhichNamespacesAreLookedAfter(t *testing.T) {
	w := newWorld(t, ending())
	w.controller.loop.TakeQueued()
	w.controller.seen(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "living"}})
	w.controller.seen(ending(func(ns *corev1.Namespace) { ns.Name = "ending" }))
	if got := w.controller.loop.TakeQueued(); !slices.Contains(got, "ending") || slices.Contains(got, "living") {
		t.Errorf("looked after is %q", got)
	}
}

package gc

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	fakediscovery "k8s.io/client-go/discovery/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"github.com/gantry-run/gantry/runtime/controller/internal/controllertest"
)

// live is an object of the API, whose UID is its name. Those of kind C have no namespace.
func live(kind, name string, owners ...string) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: kind}, ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), ResourceVersion: "7"}}
	if kind != "C" {
		o.Namespace = "ns"
	}
	for _, owner := range owners {
		of, owner, ok := strings.Cut(owner, "/")
		if !ok {
			of, owner = "K", of
		}
		o.OwnerReferences = append(o.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: of, Name: owner, UID: types.UID(owner), BlockOwnerDeletion: ptr.To(true)})
	}
	return o
}

// deleted is an object whose deletion waits for finalizers.
func deleted(o *metav1.PartialObjectMetadata, finalizers ...string) *metav1.PartialObjectMetadata {
	o.DeletionTimestamp, o.Finalizers = &metav1.Time{Time: controllertest.Start}, append(finalizers, "x/y")
	return o
}

func changed(o *metav1.PartialObjectMetadata, change func(*metav1.PartialObjectMetadata)) *metav1.PartialObjectMetadata {
	change(o)
	return o
}

type world struct {
	*Controller
	api *metadatafake.FakeMetadataClient
}

// newWorld has objects that informers have shown, and others that only the API has.
func newWorld(t *testing.T, seen, unseen []*metav1.PartialObjectMetadata) world {
	t.Helper()
	scheme := metadatafake.NewTestScheme()
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var objects []runtime.Object
	for _, o := range append(slices.Clone(seen), unseen...) {
		if o.Annotations["gone"] == "" {
			objects = append(objects, o)
		}
	}
	f := controllertest.New()
	api := metadatafake.NewSimpleMetadataClient(scheme, objects...)
	f.Deps.Metadata = api
	f.API.Discovery().(*fakediscovery.FakeDiscovery).Resources = served()
	r, err := New(f.Deps)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.discover(); err != nil {
		t.Fatal(err)
	}
	for _, o := range seen {
		res, _ := r.resource(o.APIVersion, o.Kind)
		r.graph.Upsert(objectOf(o, res, o.Kind))
	}
	return world{r, api}
}

func served() []*metav1.APIResourceList {
	all := metav1.Verbs{"get", "list", "watch", "delete", "patch"}
	return []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "ks/status", Kind: "K", Namespaced: false, Verbs: all},
			{Name: "reviews", Kind: "Review", Verbs: metav1.Verbs{"create"}},
			{Name: "reads", Kind: "Read", Verbs: metav1.Verbs{"get", "list", "watch"}},
			{Name: "events", Kind: "Event", Namespaced: true, Verbs: all},
			{Name: "ks", Kind: "K", Namespaced: true, Verbs: all},
			{Name: "cs", Kind: "C", Verbs: all},
		}},
	}
}

// writes are what was written, and how often the API was read.
func (w world) writes() (out []string, reads int) {
	for _, a := range w.api.Actions() {
		text := a.GetVerb() + " " + a.GetResource().Resource + " "
		switch a := a.(type) {
		case clienttesting.DeleteActionImpl:
			pre := a.DeleteOptions.Preconditions
			text += a.GetName() + " " + string(*a.DeleteOptions.PropagationPolicy) + " " + string(*pre.UID) + "@" + *pre.ResourceVersion
		case clienttesting.PatchAction:
			text += a.GetName() + " " + string(a.GetPatch())
		default:
			reads++
			continue
		}
		out = append(out, text)
	}
	return out, reads
}

func TestWhatIsDoneWithAnObject(t *testing.T) {
	const foreground, orphan = metav1.FinalizerDeleteDependents, metav1.FinalizerOrphanDependents
	meta := func(name, more string) string {
		return `{"metadata":{` + more + `,"resourceVersion":"7","uid":"` + name + `"}}`
	}
	ref := func(name string, block bool) string {
		b := "false"
		if block {
			b = "true"
		}
		return `{"apiVersion":"v1","kind":"K","name":"` + name + `","uid":"` + name + `","blockOwnerDeletion":` + b + `}`
	}
	// gone is what an informer still shows and the API has not.
	gone := func(o *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
		o.Annotations = map[string]string{"gone": "yes"}
		return o
	}
	type objects = []*metav1.PartialObjectMetadata
	for what, tc := range map[string]struct {
		uid          string
		seen, unseen objects
		writes       []string
		queued       string
	}{
		"no owner":                            {"p", objects{live("K", "p")}, nil, nil, ""},
		"an owner":                            {"p", objects{live("K", "o"), live("K", "p", "o")}, nil, nil, ""},
		"an owner that is not seen":           {"p", objects{live("K", "p", "o")}, objects{live("K", "o")}, nil, ""},
		"an owner that is gone":               {"p", objects{live("K", "p", "o")}, nil, []string{"delete ks p Background p@7"}, ""},
		"an owner of the cluster":             {"p", objects{live("K", "p", "C/o")}, objects{live("C", "o")}, nil, ""},
		"an owner of the cluster, gone":       {"p", objects{live("K", "p", "C/o")}, nil, []string{"delete ks p Background p@7"}, ""},
		"another of the owner's name":         {"p", objects{live("K", "p", "o")}, objects{changed(live("K", "o"), func(o *metav1.PartialObjectMetadata) { o.UID = "another" })}, []string{"delete ks p Background p@7"}, ""},
		"an owner elsewhere":                  {"p", objects{changed(live("K", "o"), func(o *metav1.PartialObjectMetadata) { o.Namespace = "other" }), live("K", "p", "o")}, nil, []string{"delete ks p Background p@7"}, ""},
		"a kind that is not served":           {"p", objects{live("K", "p", "Unknown/o")}, nil, nil, ""},
		"the cluster's, with a namespaced":    {"p", objects{live("C", "p", "o")}, nil, nil, ""},
		"one owner of two":                    {"p", objects{live("K", "o"), live("K", "p", "o", "gone")}, nil, []string{"patch ks p " + meta("p", `"ownerReferences":[`+ref("o", true)+`]`)}, ""},
		"an owner that waits":                 {"p", objects{deleted(live("K", "o"), foreground), live("K", "p", "o")}, nil, []string{"delete ks p Background p@7"}, ""},
		"an owner that waits, not seen":       {"p", objects{live("K", "p", "o")}, objects{deleted(live("K", "o"), foreground)}, []string{"delete ks p Background p@7"}, ""},
		"an owner that goes":                  {"p", objects{deleted(live("K", "o")), live("K", "p", "o")}, nil, nil, ""},
		"an owner that goes, not seen":        {"p", objects{live("K", "p", "o")}, objects{deleted(live("K", "o"))}, nil, ""},
		"an owner that waits, and dependents": {"p", objects{deleted(live("K", "o"), foreground), live("K", "p", "o"), live("K", "d", "p")}, nil, []string{"delete ks p Foreground p@7"}, ""},
		"a circle": {"p", objects{deleted(live("K", "o"), foreground), live("K", "p", "o"), deleted(live("K", "d", "p"), foreground)}, nil,
			[]string{"patch ks p " + meta("p", `"ownerReferences":[`+ref("o", false)+`]`), "delete ks p Foreground p@7"}, ""},
		"it is gone":                    {"p", objects{gone(live("K", "p", "o"))}, nil, nil, ""},
		"another has its name":          {"p", objects{gone(live("K", "p", "o"))}, objects{changed(live("K", "p", "o"), func(o *metav1.PartialObjectMetadata) { o.UID = "another" })}, nil, ""},
		"it goes":                       {"p", objects{deleted(live("K", "p", "o"))}, nil, nil, ""},
		"nobody has it":                 {"x", objects{live("K", "p", "o")}, nil, nil, ""},
		"an owner that nobody saw":      {"o", objects{live("K", "p", "o"), live("K", "q", "o")}, nil, nil, "p q"},
		"it waits for its dependents":   {"o", objects{deleted(live("K", "o"), foreground), live("K", "p", "o"), deleted(live("K", "q", "o"))}, nil, nil, "p"},
		"it waits for none any more":    {"o", objects{deleted(live("K", "o"), foreground)}, nil, []string{"patch ks o " + meta("o", `"finalizers":["x/y"]`)}, ""},
		"somebody took the finalizer":   {"o", objects{deleted(live("K", "o"), foreground)}, nil, nil, ""},
		"its dependents do not block":   {"o", objects{deleted(live("K", "o"), foreground), changed(live("K", "p", "o"), func(o *metav1.PartialObjectMetadata) { o.OwnerReferences[0].BlockOwnerDeletion = nil })}, nil, []string{"patch ks o " + meta("o", `"finalizers":["x/y"]`)}, ""},
		"it leaves its dependents":      {"o", objects{deleted(live("K", "o"), orphan), live("K", "p", "o")}, nil, []string{"patch ks p " + meta("p", `"ownerReferences":[]`), "patch ks o " + meta("o", `"finalizers":["x/y"]`)}, ""},
		"it leaves them, they are gone": {"o", objects{deleted(live("K", "o"), orphan), gone(live("K", "p", "o"))}, nil, []string{"patch ks o " + meta("o", `"finalizers":["x/y"]`)}, ""},
		"it keeps its own dependents":   {"p", objects{changed(live("K", "p", "o"), func(o *metav1.PartialObjectMetadata) { o.Finalizers = []string{orphan} })}, nil, []string{"delete ks p Orphan p@7"}, ""},
	} {
		w := newWorld(t, tc.seen, tc.unseen)
		if what == "somebody took the finalizer" {
			if err := w.api.Tracker().Update(schema.GroupVersionResource{Version: "v1", Resource: "ks"}, changed(live("K", "o"), func(o *metav1.PartialObjectMetadata) { o.Finalizers = []string{"x/y"} }), "ns"); err != nil {
				t.Fatal(err)
			}
		}
		if again, err := w.reconcile(t.Context(), types.UID(tc.uid)); err != nil || again != 0 {
			t.Errorf("%s: %v, again after %s", what, err, again)
		}
		if got, _ := w.writes(); !slices.Equal(got, tc.writes) {
			t.Errorf("%s: wrote\n%q, want\n%q", what, got, tc.writes)
		}
		var queued []string
		for _, uid := range w.loop.TakeQueued() {
			queued = append(queued, string(uid))
		}
		slices.Sort(queued)
		if strings.Join(queued, " ") != tc.queued {
			t.Errorf("%s: queued are %v, want %q", what, queued, tc.queued)
		}
	}
}

// An owner that is gone is looked for once: no UID comes back.
func TestAnOwnerThatIsGoneIsNotLookedForAgain(t *testing.T) {
	w := newWorld(t, []*metav1.PartialObjectMetadata{live("K", "p", "o"), live("K", "q", "o")}, nil)
	for i, uid := range []types.UID{"p", "q"} {
		if _, err := w.reconcile(t.Context(), uid); err != nil {
			t.Fatal(err)
		}
		if got, reads := w.writes(); len(got) != i+1 || reads != 2+i {
			t.Errorf("%s: %q, the API was read %d times", uid, got, reads)
		}
	}
}

func TestWhatIsWatchedAndWhatIsKnown(t *testing.T) {
	w := newWorld(t, nil, nil)
	watch, kinds, err := w.discover()
	if err != nil {
		t.Fatal(err)
	}
	bad := &metav1.APIResourceList{GroupVersion: "a/b/c", APIResources: []metav1.APIResource{{Name: "bads", Kind: "Bad", Verbs: metav1.Verbs{"get"}}}}
	w.learn(append([]*metav1.APIResourceList{bad}, served()...))
	v1 := func(name string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Version: "v1", Resource: name}
	}
	if len(watch) != 2 || len(kinds) != 2 || !watch[v1("ks")].Namespaced || watch[v1("cs")].Namespaced || kinds[v1("ks")] != "K" || kinds[v1("cs")] != "C" {
		t.Errorf("watched are %v, of %v", watch, kinds)
	}
	for of, want := range map[string]string{"v1 K": "ks", "v1 Event": "events", "v1 Read": "reads", "v1 Review": "", "v2 K": "ks", "x/v1 K": "", "a/b/c Bad": ""} {
		version, kind, _ := strings.Cut(of, " ")
		res, ok := w.resource(version, kind)
		if ok != (want != "") || res.Resource != want {
			t.Errorf("%s is %v, %t", of, res, ok)
		}
	}
	w.learn(nil) // of what could not be asked nothing is forgotten
	if _, ok := w.resource("v1", "K"); !ok {
		t.Error("a kind is forgotten")
	}
}

func TestWhatADeletionWaitsFor(t *testing.T) {
	for what, tc := range map[string]struct {
		o                      *metav1.PartialObjectMetadata
		deleting, deps, orphan bool
	}{
		"nothing": {live("K", "p"), false, false, false},
		"a finalizer alone": {changed(live("K", "p"), func(o *metav1.PartialObjectMetadata) {
			o.Finalizers = []string{metav1.FinalizerDeleteDependents, metav1.FinalizerOrphanDependents}
		}), false, false, false},
		"another's finalizer":     {deleted(live("K", "p")), true, false, false},
		"its dependents":          {deleted(live("K", "p"), metav1.FinalizerDeleteDependents), true, true, false},
		"its dependents' freedom": {deleted(live("K", "p"), metav1.FinalizerOrphanDependents), true, false, true},
	} {
		if got := objectOf(tc.o, Resource{}, "K"); got.Deleting != tc.deleting || got.WaitsForDeps != tc.deps || got.Orphans != tc.orphan {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// What is looked at again is what a change can be of consequence for.
func TestGraphLooksAtWhatAChangeMayConcern(t *testing.T) {
	g := NewGraph()
	going := func(o Object) Object { o.Deleting = true; return o }
	waiting := func(o Object) Object { o.Deleting, o.WaitsForDeps = true, true; return o }
	keeping := func(o Object) Object { o.Deleting, o.Orphans = true, true; return o }
	free := func(o Object) Object { o.Owners[0].BlockOwnerDeletion = ptr.To(false); return o }
	g.Upsert(object("o"))
	expectLook(t, "a dependent", g.Upsert(object("p", "o")), "p")
	expectLook(t, "it goes", g.Upsert(going(object("p", "o"))), "p")
	expectLook(t, "it goes still", g.Upsert(going(object("p", "o"))))
	g.Upsert(object("q", "o"))
	expectLook(t, "the owner waits", g.Upsert(waiting(object("o"))), "o", "p", "q")
	expectLook(t, "the owner waits still", g.Upsert(waiting(object("o"))), "o", "p", "q")
	expectLook(t, "a dependent goes", g.Upsert(going(object("q", "o"))), "o", "q")
	expectLook(t, "it does not block any more", g.Upsert(free(going(object("q", "o")))), "o", "q")
	expectLook(t, "the same in other words", g.Upsert(func() Object { o := going(object("q", "o")); o.Owners[0].BlockOwnerDeletion = nil; return o }()))
	expectLook(t, "it has no owner any more", g.Upsert(going(object("q"))), "o", "q")
	g = NewGraph()
	g.Upsert(object("p", "o"))
	expectLook(t, "an owner that leaves its dependents", g.Upsert(keeping(object("o"))), "o")
	expectLook(t, "they are left", g.Upsert(object("p")), "o", "p")
	expectLook(t, "one that nobody knows", g.Remove("x"))
	g.Upsert(object("p", "v"))
	if v, ok := g.View("p"); !ok || len(v.KnownOwners) != 0 {
		t.Errorf("an owner that nobody saw is known: %+v", v)
	}
	g.Upsert(object("p", "w"))
	if _, ok := g.View("v"); ok {
		t.Error("an owner that nobody saw and nobody names is kept")
	}
	g.Upsert(object("v"))
	g.Upsert(object("p", "v"))
	g.Upsert(object("p"))
	if v, ok := g.View("v"); !ok || len(v.Dependents) != 0 {
		t.Errorf("an owner that was seen: %+v", v)
	}
}

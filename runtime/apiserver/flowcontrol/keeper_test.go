package flowcontrol

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// shipped are all objects that every cluster has, as they are once they were ensured.
func shipped(t *testing.T) []runtime.Object {
	t.Helper()
	var out []runtime.Object
	for _, f := range slices.Concat(suggestedFlowSchemas(), bootstrap.MandatoryFlowSchemas) {
		out = append(out, annotated(f.DeepCopy()))
	}
	for _, l := range slices.Concat(bootstrap.SuggestedPriorityLevelConfigurations, bootstrap.MandatoryPriorityLevelConfigurations) {
		out = append(out, annotated(l.DeepCopy()))
	}
	return out
}

func annotated[T metav1.Object](o T) T {
	o.SetAnnotations(map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"})
	o.SetGeneration(1)
	return o
}

func start(t *testing.T, objects ...runtime.Object) (*Ensurer, *fake.Clientset) {
	t.Helper()
	api := fake.NewClientset(objects...)
	shared := informers.NewSharedInformerFactory(api, 0)
	e, err := New(api.FlowcontrolV1(), shared, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	shared.StartWithContext(t.Context())
	shared.WaitForCacheSync(t.Context().Done())
	api.ClearActions()
	return e, api
}

// writes are what was written, as "verb name".
func writes(api *fake.Clientset) []string {
	var out []string
	for _, a := range api.Actions() {
		switch a := a.(type) {
		case clienttesting.CreateAction: // updates too
			if o, ok := a.GetObject().(metav1.Object); ok {
				out = append(out, a.GetVerb()+" "+o.GetName())
			}
		case clienttesting.DeleteAction:
			out = append(out, a.GetVerb()+" "+a.GetName())
		}
	}
	return out
}

// TestWhatIsKeptAsShipped: mandatory objects always, suggested ones as long as nobody has
// changed them or said that they are theirs; what an earlier release shipped goes.
func TestWhatIsKeptAsShipped(t *testing.T) {
	const suggested, mandatory = "global-default", "catch-all"
	edit := func(annotation string, generation int64, change func(*flowcontrolv1.FlowSchemaSpec)) func(*flowcontrolv1.FlowSchema) {
		return func(f *flowcontrolv1.FlowSchema) {
			f.Generation, f.Annotations = generation, map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: annotation}
			if annotation == "" {
				f.Annotations = nil
			}
			change(&f.Spec)
		}
	}
	same := func(*flowcontrolv1.FlowSchemaSpec) {}
	other := func(s *flowcontrolv1.FlowSchemaSpec) { s.MatchingPrecedence = 77 }
	for name, tc := range map[string]struct {
		of         string
		edit       func(*flowcontrolv1.FlowSchema)
		writes     bool
		precedence bool   // it is as shipped afterwards
		annotation string // afterwards
	}{
		"suggested, as it is":                   {suggested, edit("true", 1, same), false, true, "true"},
		"suggested, changed, and kept":          {suggested, edit("true", 2, other), true, true, "true"},
		"suggested, of somebody":                {suggested, edit("false", 2, other), false, false, "false"},
		"suggested, changed by somebody":        {suggested, edit("", 2, other), true, false, "false"},
		"suggested, never changed":              {suggested, edit("", 1, other), true, true, "true"},
		"suggested, an annotation that is none": {suggested, edit("maybe", 1, same), true, true, "true"},
		"mandatory, as it is":                   {mandatory, edit("true", 1, same), false, true, "true"},
		"mandatory, changed":                    {mandatory, edit("true", 2, other), true, true, "true"},
		"mandatory, of somebody":                {mandatory, edit("false", 2, other), true, true, "true"},
		"mandatory, without annotation":         {mandatory, edit("", 2, same), true, true, "true"},
	} {
		objects := shipped(t)
		var want *flowcontrolv1.FlowSchema
		for _, o := range objects {
			if f, ok := o.(*flowcontrolv1.FlowSchema); ok && f.Name == tc.of {
				want = f.DeepCopy()
				tc.edit(f)
			}
		}
		e, api := start(t, objects...)
		if err := e.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := writes(api); slices.Equal(got, []string{"update " + tc.of}) != tc.writes || (len(got) > 0) != tc.writes || e.wrote != tc.writes {
			t.Errorf("%s: written is %q, says so: %t", name, got, e.wrote)
		}
		f, err := api.FlowcontrolV1().FlowSchemas().Get(t.Context(), tc.of, metav1.GetOptions{})
		if err != nil || (f.Spec.MatchingPrecedence == want.Spec.MatchingPrecedence) != tc.precedence || f.Annotations[flowcontrolv1.AutoUpdateAnnotationKey] != tc.annotation {
			t.Errorf("%s: %d, %v, %v", name, f.Spec.MatchingPrecedence, f.Annotations, err)
		}
	}
}

// TestWhatIsMissingIsMade: all of it in a new cluster, levels before the schemas that name
// them.
func TestWhatIsMissingIsMade(t *testing.T) {
	e, api := start(t)
	if err := e.Ensure(t.Context()); err != nil || !e.wrote {
		t.Fatalf("%v, wrote %t", err, e.wrote)
	}
	levels := map[string]bool{}
	for _, a := range api.Actions() {
		switch o := a.(clienttesting.CreateAction).GetObject().(type) {
		case *flowcontrolv1.PriorityLevelConfiguration:
			levels[o.Name] = true
		case *flowcontrolv1.FlowSchema:
			if level := o.Spec.PriorityLevelConfiguration.Name; !levels[level] && level != "exempt" && level != "catch-all" {
				t.Errorf("%s is made before its level %s", o.Name, level)
			}
		}
	}
	if len(api.Actions()) != len(shipped(t)) {
		t.Errorf("%d are made of %d", len(api.Actions()), len(shipped(t)))
	}
}

// TestWhatIsNotShippedAnyMoreGoes, unless it is somebody's.
func TestWhatIsNotShippedAnyMoreGoes(t *testing.T) {
	old := func(name, annotation string) *flowcontrolv1.FlowSchema {
		f := &flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if annotation != "" {
			f.Annotations = map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: annotation}
		}
		return f
	}
	level := &flowcontrolv1.PriorityLevelConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "old-level", Annotations: map[string]string{flowcontrolv1.AutoUpdateAnnotationKey: "true"}}}
	e, api := start(t, append(shipped(t), old("old", "true"), old("theirs", "false"), old("own", ""), level)...)
	if err := e.Ensure(t.Context()); err != nil || !e.wrote {
		t.Errorf("%v, wrote %t", err, e.wrote)
	}
	if got := writes(api); !slices.Equal(got, []string{"delete old", "delete old-level"}) {
		t.Errorf("written is %q", got)
	}
}

// TestWhichFailuresAreNone: those of another master that was first, which the cache will
// show.
func TestWhichFailuresAreNone(t *testing.T) {
	resource := schema.GroupResource{Resource: "flowschemas"}
	conflict, missing, exists := apierrors.NewConflict(resource, "x", errors.New("old")), apierrors.NewNotFound(resource, "x"), apierrors.NewAlreadyExists(resource, "x")
	for name, tc := range map[string]struct {
		verb    string
		refused error
		fails   bool
	}{
		"made by another": {"create", exists, false}, "not made": {"create", errors.New("no quorum"), true},
		"changed by another": {"update", conflict, false}, "deleted by another": {"update", missing, false}, "not changed": {"update", errors.New("no quorum"), true},
		"gone already": {"delete", missing, false}, "not deleted": {"delete", errors.New("no quorum"), true},
	} {
		objects := shipped(t)
		for i, o := range objects {
			if f, ok := o.(*flowcontrolv1.FlowSchema); ok && f.Name == NodeAgents {
				switch tc.verb {
				case "create":
					objects = slices.Delete(objects, i, i+1)
				case "update":
					f.Spec.MatchingPrecedence = 77
				case "delete":
					objects = append(objects, annotated(&flowcontrolv1.FlowSchema{ObjectMeta: metav1.ObjectMeta{Name: "old"}}))
				}
				break
			}
		}
		e, api := start(t, objects...)
		api.PrependReactor(tc.verb, "flowschemas", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.refused })
		if err := e.Ensure(t.Context()); (err != nil) != tc.fails || !e.wrote {
			t.Errorf("%s: %v, wrote %t", name, err, e.wrote)
		}
	}
}

// TestTheSchemaOfNodeAgents: the identities that all nodes share, in the level of nodes.
func TestTheSchemaOfNodeAgents(t *testing.T) {
	f := nodeAgents()
	var users []string
	for _, r := range f.Spec.Rules {
		for _, s := range r.Subjects {
			users = append(users, s.User.Name)
		}
	}
	if got := strings.Join(users[:2], " "); got != config.ProxyUser+" "+config.DNSUser || f.Spec.PriorityLevelConfiguration.Name != bootstrap.SuggestedFlowSchemaSystemNodes.Spec.PriorityLevelConfiguration.Name {
		t.Errorf("%s in %s", got, f.Spec.PriorityLevelConfiguration.Name)
	}
}

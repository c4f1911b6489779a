package ledger

import (
	"bytes"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
)

const root = "../../../.."

func loaded(t *testing.T) (Ledger, []Type) {
	t.Helper()
	l, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	roots, err := Roots(kinds.Table())
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Types(roots...)
}

// TestEveryFieldHasAnAnswer: a field that comes with a new version of k8s.io/api has none.
func TestEveryFieldHasAnAnswer(t *testing.T) {
	l, types := loaded(t)
	if len(types) < 100 {
		t.Fatalf("%d types are served: the walk found nothing", len(types))
	}
	if err := l.Check(types); err != nil {
		t.Error(err)
	}
	if err := NewTree(os.DirFS(root)).Verify(l); err != nil {
		t.Error(err)
	}
}

// TestNoMoreGaps: what is accepted and not done are known kinds of objects, and none more.
func TestNoMoreGaps(t *testing.T) {
	l, _ := loaded(t)
	known := []string{"flowcontrol/v1.ExemptPriorityLevelConfiguration", "flowcontrol/v1.FlowDistinguisherMethod", "flowcontrol/v1.FlowSchema", "flowcontrol/v1.FlowSchemaCondition", "flowcontrol/v1.FlowSchemaSpec", "flowcontrol/v1.FlowSchemaStatus", "flowcontrol/v1.GroupSubject", "flowcontrol/v1.LimitResponse", "flowcontrol/v1.LimitedPriorityLevelConfiguration", "flowcontrol/v1.NonResourcePolicyRule", "flowcontrol/v1.PolicyRulesWithSubjects", "flowcontrol/v1.PriorityLevelConfiguration", "flowcontrol/v1.PriorityLevelConfigurationCondition", "flowcontrol/v1.PriorityLevelConfigurationReference", "flowcontrol/v1.PriorityLevelConfigurationSpec", "flowcontrol/v1.PriorityLevelConfigurationStatus", "flowcontrol/v1.QueuingConfiguration", "flowcontrol/v1.ResourcePolicyRule", "flowcontrol/v1.ServiceAccountSubject", "flowcontrol/v1.Subject", "flowcontrol/v1.UserSubject"}
	for _, e := range l.Entries() {
		for _, r := range e.Rules {
			if r.Open != "" && !slices.Contains(known, e.Type) {
				t.Errorf("%s: %v is accepted and not done: %s", e.Type, r.Fields, r.Open)
			}
		}
	}
}

func TestTheDocumentIsCurrent(t *testing.T) {
	l, types := loaded(t)
	var want bytes.Buffer
	if err := l.Markdown(&want, "v1.37.2", kinds.Table(), types); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(root + "/docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/kubernetes.md is not what the ledger says: run make generate")
	}
}

// The types of a small API.
type (
	meta  struct{ Name string }
	inner struct {
		Size  int            `json:"size"`
		Again *outer         `json:"again,omitempty"`
		Other map[string]far `json:"other"`
	}
	far   struct{ Deep string }
	outer struct {
		meta     `json:",inline"`
		Embedded `json:",inline"`
		Spec     []inner `json:"spec"`
		hidden   string
		Left     string `json:"-"`
	}
	// Embedded is inlined.
	Embedded struct {
		Kind string `json:"kind"`
	}
)

const here = "github.com/gantry-run/gantry/runtime/apiserver/kinds/ledger."

func TestWalk(t *testing.T) {
	_ = outer{hidden: ""}.hidden
	walk := func(ends ...string) string {
		var out []string
		for _, typ := range walkTypes(func(typeName, field string) bool {
			return len(ends) > 0 && typeName+" "+field == here+ends[0]
		}, reflect.TypeFor[outer]()) {
			out = append(out, strings.TrimPrefix(typ.Name, here)+":"+strings.Join(typ.Fields, ","))
		}
		return strings.Join(out, " ")
	}
	if got, want := walk(), "outer:spec Embedded:kind inner:size,again,other far:Deep"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := walk("inner other"), "outer:spec Embedded:kind inner:size,again,other"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if got, want := walk("outer spec"), "outer:spec Embedded:kind"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestCheck(t *testing.T) {
	types := []Type{{Name: "a", Fields: []string{"x", "y"}}}
	on := func(fields ...string) Rule { return Rule{Fields: fields, Enforced: "f", Test: "t"} }
	for what, tc := range map[string]struct {
		rules []Rule
		want  string
	}{
		"all":              {[]Rule{on("x", "y")}, ""},
		"a new field":      {[]Rule{on("x")}, "a: y has 0 answers"},
		"twice":            {[]Rule{on("x", "y"), on("y")}, "a: y has 2 answers"},
		"a value besides":  {[]Rule{on("x", "y"), {Fields: []string{"y"}, Value: "v", Refused: "no", Test: "t"}}, ""},
		"a value alone":    {[]Rule{on("x"), {Fields: []string{"y"}, Value: "v", Refused: "no", Test: "t"}}, "a: y has 0 answers"},
		"an old field":     {[]Rule{on("x", "y", "z")}, "the type has no field z"},
		"two classes":      {[]Rule{on("x"), {Fields: []string{"y"}, Inert: "i", Enforced: "f", Test: "t"}}, "2 classes"},
		"no class":         {[]Rule{on("x"), {Fields: []string{"y"}}}, "0 classes"},
		"not shown":        {[]Rule{on("x"), {Fields: []string{"y"}, Enforced: "f"}}, "no test shows"},
		"not sent":         {[]Rule{on("x"), {Fields: []string{"y"}, Refused: "no"}}, "nothing shows that it is refused"},
		"a warning":        {[]Rule{on("x"), {Fields: []string{"y"}, Warned: "no"}}, "nothing shows that it is warned"},
		"dropped unseen":   {[]Rule{on("x"), {Fields: []string{"y"}, Dropped: "Gate"}}, "nothing shows that it is dropped"},
		"sent":             {[]Rule{on("x"), {Fields: []string{"y"}, Refused: "no", Send: &Sent{}}}, ""},
		"inert by a cause": {[]Rule{on("x"), {Fields: []string{"y"}, Inert: "i"}}, ""},
	} {
		err := Ledger{"a": {Type: "a", Rules: tc.rules}}.Check(types)
		if (err == nil) != (tc.want == "") || (err != nil && !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", what, err, tc.want)
		}
	}
	if err := (Ledger{"a": {Type: "a", Rules: []Rule{on("x", "y")}}, "b": {Type: "b"}}).Check(types); err == nil || !strings.Contains(err.Error(), "b: no served kind") {
		t.Errorf("a type that is not served: %v", err)
	}
}

func TestEvidence(t *testing.T) {
	tree := NewTree(fstest.MapFS{
		"p/a.go":      {Data: []byte("package p")},
		"p/a_test.go": {Data: []byte("//go:build lab\n\npackage p\n\nfunc TestA(t *testing.T) {}\n\nfunc (s) TestMethod() {}\n")},
	})
	for name, want := range map[string]string{
		"p.TestA": "", "p.TestB": "has no test TestB", "p.TestMethod": "has no test", "q.TestA": "has no test", "TestA": "is no test", "p.A": "is no test",
	} {
		if err := tree.Test(name); (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if tree.File("p/a.go") != nil || tree.File("p/b.go") == nil || tree.File("p") == nil {
		t.Error("files are not told apart from what is none")
	}
	for what, r := range map[string]Rule{
		"a file that is not there": {Fields: []string{"x"}, Enforced: "p/b.go", Test: "p.TestA"},
		"a test that is not there": {Fields: []string{"x"}, Enforced: "p/a.go", Test: "p.TestB"},
		"a refusal's test":         {Fields: []string{"x"}, Refused: "no", Test: "p.TestB"},
	} {
		if tree.Verify(Ledger{"a": {Type: "a", Rules: []Rule{r}}}) == nil {
			t.Errorf("%s is not missed", what)
		}
	}
	if err := tree.Verify(Ledger{"a": {Rules: []Rule{{Enforced: "p/a.go", Test: "p.TestA"}}}}); err != nil {
		t.Error(err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for what, data := range map[string]string{
		"an unknown key": "- {type: a, rulez: []}",
		"a type twice":   "- {type: a}\n- {type: a}",
		"no list":        "type: a",
	} {
		if _, err := load(fstest.MapFS{"fields/x.yaml": {Data: []byte(data)}}); err == nil {
			t.Errorf("%s is read", what)
		}
	}
}

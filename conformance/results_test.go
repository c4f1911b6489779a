package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// report is one of ginkgo's, cut to what is read.
const report = `[{"SpecReports": [
	{"ContainerHierarchyTexts": ["[sig-b]", "Jobs"], "LeafNodeText": "should run [Conformance]", "LeafNodeType": "It", "State": "passed"},
	{"ContainerHierarchyTexts": ["[sig-a]"], "LeafNodeText": "is not chosen", "LeafNodeType": "It", "State": "skipped"},
	{"ContainerHierarchyTexts": ["[sig-a]"], "LeafNodeText": "needs | more", "LeafNodeType": "It", "State": "skipped", "Failure": {"Message": "needs 3 nodes"}},
	{"ContainerHierarchyTexts": ["[sig-a]"], "LeafNodeText": "is planned", "LeafNodeType": "It", "State": "pending"},
	{"ContainerHierarchyTexts": ["[sig-a]"], "LeafNodeText": "breaks", "LeafNodeType": "It", "State": "failed", "Failure": {"Message": "\nexpected a | b\nExpected\n  1"}},
	{"ContainerHierarchyTexts": null, "LeafNodeText": "", "LeafNodeType": "SynchronizedBeforeSuite", "State": "passed"},
	{"ContainerHierarchyTexts": null, "LeafNodeText": "", "LeafNodeType": "SynchronizedAfterSuite", "State": "panicked", "Failure": {"Message": "nil"}}
]}]`

func read(t *testing.T) results {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(path, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(path)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestReadReport(t *testing.T) {
	want := results{
		{"SynchronizedAfterSuite", "panicked", "nil"},
		{"[sig-a] breaks", "failed", "expected a | b"},
		{"[sig-a] needs | more", "skipped", "needs 3 nodes"},
		{"[sig-b] Jobs should run [Conformance]", "passed", ""},
	}
	if got := read(t); !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, want %+v", got, want)
	}
}

func TestLost(t *testing.T) {
	now := read(t)
	if err := lost(now, []string{"[sig-b] Jobs should run [Conformance]", "of another part"}); err != nil {
		t.Errorf("nothing is lost: %v", err)
	}
	err := lost(now, []string{"[sig-a] breaks", "[sig-a] needs | more"})
	if err == nil || strings.Count(err.Error(), "passed before") != 2 || !strings.Contains(err.Error(), "now failed: [sig-a] breaks") {
		t.Errorf("two are lost: %v", err)
	}
}

func TestNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passed.txt")
	if got, err := readNames(path); got != nil || err != nil {
		t.Errorf("a file that is not there gives %v, %v", got, err)
	}
	if err := writeNames(path, []string{"b", "a"}, []string{"b", "c"}); err != nil {
		t.Fatal(err)
	}
	if got, err := readNames(path); err != nil || !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestDocument(t *testing.T) {
	at := time.Date(2026, 2, 3, 23, 0, 0, 0, time.UTC)
	text := document([]part{{"parallel", at, read(t)}, {"serial", time.Time{}, nil}}, "v1.2.3")
	for _, want := range []string{"v1.2.3", "| parallel | 1 | 2 | 1 | 4 | 2026-02-03 |", "| serial | | | | | not run |", `| [sig-a] breaks | failed | expected a \| b |`, `needs \| more | skipped`, "[kubernetes.md](kubernetes.md)"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	beyond := results{{"[sig-b] a", passed, ""}, {"[sig-b] b", skipped, "needs a cloud"}, {"[sig-b] c", skipped, "needs a cloud"}}
	if text := document([]part{{generic, at, beyond}}, "v1"); strings.Contains(text, "did not pass") || !strings.Contains(text, "| needs a cloud | 2 |") {
		t.Errorf("what cannot run here did not fail, and is told by its reason:\n%s", text)
	}
	if text := document([]part{{"serial", at, results{{"a", passed, ""}}}}, "v1"); strings.Contains(text, "did not pass") {
		t.Errorf("everything passed:\n%s", text)
	}
}

func TestSets(t *testing.T) {
	o := options{dir: "/d", programs: "/p", kubeconfig: "/k", focus: "sig-apps|Jobs"}
	for i, want := range []string{`-focus=(sig-apps|Jobs).*\[Conformance\]`, `-focus=(sig-apps|Jobs).*\[Serial\].*\[Conformance\]|\[Serial\].*(sig-apps|Jobs).*\[Conformance\]`, `-focus=(sig-apps|Jobs)`} {
		if args := strings.Join(sets(3)[i].arguments(o), " "); !strings.Contains(args, want+" ") {
			t.Errorf("%q is not in %s", want, args)
		}
	}
	if args := strings.Join(sets(3)[0].arguments(o), " "); !strings.Contains(args, `-procs=3 `) || !strings.Contains(args, `-skip=\[Serial\]|\[Disruptive\] `) {
		t.Errorf("the parallel set leaves out the serial ones: %s", args)
	}
	if args := strings.Join(sets(3)[1].arguments(o), " "); !strings.Contains(args, "-procs=1 ") || strings.Contains(args, "-skip=") {
		t.Errorf("the serial set is one at a time: %s", args)
	}
}

// TestTheGenericSet: what it runs is of no other set, and can run here.
func TestTheGenericSet(t *testing.T) {
	skip := regexp.MustCompile(sets(1)[2].skip)
	for name, want := range map[string]bool{
		"[sig-apps] Deployment should not disrupt a cloud load-balancer's connectivity":                      false,
		"[sig-apps] Deployment should have a working scale subresource [Conformance]":                        true,
		"[sig-apps] DaemonSet [Serial] should run":                                                           true,
		"[sig-node] Pods [Slow] should restart":                                                              true,
		"[sig-node] DRA [Feature:DynamicResourceAllocation] works":                                           true,
		"[sig-storage] In-tree Volumes [Driver: nfs] [Testpattern: Inline-volume (default fs)] should store": true,
		"[sig-storage] In-tree Volumes [Driver: local] [LocalVolumeType: dir] should store":                  false,
	} {
		if got := skip.MatchString(name); got != want {
			t.Errorf("%s: left out %v, want %v", name, got, want)
		}
	}
}

// TestAPartIsTheLastOne: a set that is not asked for is read as it was left.
func TestAPartIsTheLastOne(t *testing.T) {
	o := options{dir: t.TempDir(), sets: "serial"}
	s := sets(1)[0]
	if p, err := o.part(t.Context(), s); err != nil || len(p.results) != 0 || !p.ended.IsZero() {
		t.Errorf("it never ran: %+v, %v", p, err)
	}
	if err := os.WriteFile(filepath.Join(o.dir, "parallel.json"), []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := o.part(t.Context(), s); err != nil || len(p.results) != 4 || p.ended.IsZero() {
		t.Errorf("it ran: %+v, %v", p, err)
	}
}

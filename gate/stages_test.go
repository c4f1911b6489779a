package main

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// parsed are the tests' files below a directory, by path.
func parsed(t *testing.T, dir string) map[string]*ast.File {
	t.Helper()
	files := map[string]*ast.File{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "testdata" {
			return err
		}
		if strings.HasSuffix(path, "_test.go") {
			files[path], err = parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of tests below %s, %v", len(files), dir, err)
	}
	return files
}

// onServers says whether a file is built with the tag of tests on servers.
func onServers(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if expr, err := constraint.Parse(c.Text); err == nil {
				return !expr.Eval(func(string) bool { return false }) && expr.Eval(func(tag string) bool { return tag == "lab" })
			}
		}
	}
	return false
}

// A test on the lab's servers that no suite has would never run.
func TestEachTestOnServersHasOneSuite(t *testing.T) {
	in := map[string][]string{}
	for suite, tests := range suites {
		for _, name := range tests {
			in[name] = append(in[name], suite)
		}
	}
	for path, file := range parsed(t, "../e2e") {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !strings.HasPrefix(f.Name.Name, "Test") || !onServers(file) {
				continue
			}
			if len(in[f.Name.Name]) != 1 {
				t.Errorf("%s: %s is in the suites %q: it belongs into one", path, f.Name.Name, in[f.Name.Name])
			}
			delete(in, f.Name.Name)
		}
	}
	for name, where := range in {
		t.Errorf("there is no test %s, which the suites %q have", name, where)
	}
}

// Packages whose tests run whole servers must not share the machine: they are known by what
// their tests import.
func TestPackagesWithServersRunApart(t *testing.T) {
	servers := []string{modulePath + "runtime/apiserver/apitest", "go.etcd.io/etcd/server/v3/embed"}
	seen := 0
	for _, dir := range []string{"../bootstrap", "../cmd", "../runtime"} {
		for path, file := range parsed(t, dir) {
			pkg := filepath.ToSlash(strings.TrimPrefix(filepath.Dir(path), "../"))
			for _, imported := range file.Imports {
				if name := strings.Trim(imported.Path.Value, `"`); slices.Contains(servers, name) {
					if seen++; !slices.Contains(served, pkg) {
						t.Errorf("%s imports %s: its package belongs to those that run apart", path, name)
					}
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no test that runs a server was found")
	}
	for _, pkg := range served {
		if _, err := os.Stat(filepath.Join("..", pkg)); err != nil {
			t.Error(err)
		}
	}
}

// What a stage asks of make is there.
func TestTheMakefileHasWhatStagesAskFor(t *testing.T) {
	makefile, err := os.ReadFile("../GNUmakefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(deciding(), exploring()...) {
		for _, step := range s.steps {
			if step.run[0] != "make" {
				continue
			}
			for _, name := range step.run[2:] {
				if !regexp.MustCompile(`(?m)^([a-z/-]+ )*` + regexp.QuoteMeta(name) + `( [a-z/-]+)*:`).Match(makefile) {
					t.Errorf("stage %s makes %s, of which the makefile has no rule", s.name, name)
				}
			}
		}
	}
}

// A test's own time-out comes before its stage's limit, so that it shows where it hangs.
func TestTimeoutsAreBelowLimits(t *testing.T) {
	seen := 0
	for _, s := range append(deciding(), exploring()...) {
		for _, step := range s.steps {
			for _, m := range regexp.MustCompile(`-timeout[= ](\d+m)`).FindAllStringSubmatch(strings.Join(step.run, " "), -1) {
				d, err := time.ParseDuration(m[1])
				if seen++; err != nil || d >= s.limit {
					t.Errorf("stage %s ends after %s, and a test of it after %s", s.name, s.limit, m[1])
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no time-out was found")
	}
}

func TestStagesAreChosen(t *testing.T) {
	all, err := stagesOf(nil, "")
	if err != nil || len(all) != len(deciding()) {
		t.Errorf("%d stages, %v", len(all), err)
	}
	if _, err := stagesOf([]string{"nonsense"}, ""); err == nil || !strings.Contains(err.Error(), `"nonsense"`) {
		t.Errorf("an unknown stage: %v", err)
	}
	one, err := stagesOf([]string{"lab"}, "^TestLife$")
	if err != nil {
		t.Fatal(err)
	}
	var tests []string
	for _, s := range one[0].steps {
		if s.servers {
			tests = append(tests, s.log)
		}
	}
	if !slices.Equal(tests, []string{"TestLife"}) {
		t.Errorf("chosen were %q", tests)
	}
}

package gantry

import (
	"bytes"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rooms are those within whose packages calls run one way: a file uses those below it.
var rooms = []string{"runtime/kubelet", "provider", "bootstrap"}

// TestCallsRunDownward: the files of a package have an order in which each calls those
// after it.
func TestCallsRunDownward(t *testing.T) {
	patterns := make([]string, len(rooms))
	for i, room := range rooms {
		patterns[i] = "./" + room + "/..."
	}
	exports := map[string]string{}
	var packages []string
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}} {{.DepOnly}}"}, patterns...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if exports[f[0]] = f[1]; f[2] == "false" {
			packages = append(packages, f[0])
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, pkg := range packages {
		dir := strings.TrimPrefix(pkg, module)
		calls := callsBetweenFiles(t, fset, imports, pkg, dir)
		if back := upwardCalls(calls); len(back) > 0 {
			t.Errorf("%s: calls run up: %v", dir, back)
		}
	}
}

// callsBetweenFiles are which files of a package use functions of which others.
func callsBetweenFiles(t *testing.T, fset *token.FileSet, imports types.Importer, pkg, dir string) map[string]map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	if _, err := (&types.Config{Importer: imports, Error: func(error) {}}).Check(pkg, fset, files, info); err != nil {
		t.Logf("%s: %v", dir, err) // a file of another system
	}
	file := func(pos token.Pos) string { return filepath.Base(fset.Position(pos).Filename) }
	calls := map[string]map[string]bool{}
	for id, used := range info.Uses {
		f, ok := used.(*types.Func)
		if !ok || f.Pkg() == nil || f.Pkg().Path() != pkg {
			continue
		}
		if sig := f.Signature(); sig.Recv() != nil && types.IsInterface(sig.Recv().Type()) {
			continue // whoever implements it is not known
		}
		from, to := file(id.Pos()), file(f.Origin().Pos())
		if from == to {
			continue
		}
		if calls[from] == nil {
			calls[from] = map[string]bool{}
		}
		calls[from][to] = true
	}
	return calls
}

// upwardCalls are those that have to go for the rest to run one way: the file that is
// called by the fewest of those that are left goes on top, one after the other.
func upwardCalls(calls map[string]map[string]bool) (back []string) {
	left := map[string]bool{}
	for from, to := range calls {
		left[from] = true
		for name := range to {
			left[name] = true
		}
	}
	for len(left) > 0 {
		var top string
		var callers []string
		for _, name := range slices.Sorted(maps.Keys(left)) {
			var by []string
			for _, from := range slices.Sorted(maps.Keys(left)) {
				if calls[from][name] {
					by = append(by, from+" → "+name)
				}
			}
			if top == "" || len(by) < len(callers) {
				top, callers = name, by
			}
		}
		back = append(back, callers...)
		delete(left, top)
	}
	return back
}

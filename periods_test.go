package gantry

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// longWait is a period above which somebody waits for it.
const longWait = 5 * time.Second

// TestWhatEndsALongWaitEarlyIsTold: after the world has changed, nobody should wait for a
// period to run out. So each one above longWait in the processes has its line in
// testdata/periods.txt: what ends it early, or why nothing has to.
func TestWhatEndsALongWaitEarlyIsTold(t *testing.T) {
	data, err := os.ReadFile("testdata/periods.txt")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	var names []string
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		name, why, _ := strings.Cut(strings.TrimSpace(line), " ")
		if len(strings.Fields(why)) < 3 {
			t.Errorf("testdata/periods.txt says nothing of %s", name)
		}
		told[name], names = true, append(names, name)
	}
	if !slices.IsSorted(names) {
		t.Error("testdata/periods.txt is not in order")
	}
	seen := map[string]bool{}
	for _, dir := range []string{"runtime", "cmd/gantry"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			names, err := longWaits(path)
			for _, name := range names {
				if seen[name] = true; !told[name] {
					t.Errorf("%s: a period of more than %s, of which testdata/periods.txt does not tell what ends it early: %s", path, longWait, name)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range told {
		if !seen[name] {
			t.Errorf("testdata/periods.txt tells of %s, which is not there", name)
		}
	}
}

// longWaits are the names of what a file has of periods above longWait: of a constant, a
// variable, or the function in which it stands, after the package.
func longWaits(path string) ([]string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var out []string
	in := func(name string, n ast.Node) {
		long := false
		ast.Inspect(n, func(n ast.Node) bool {
			d, ok := period(n)
			long = long || d > longWait
			return !ok
		})
		if long {
			out = append(out, filepath.ToSlash(filepath.Dir(path))+"."+name)
		}
	}
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			in(decl.Name.Name, decl)
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				if v, ok := spec.(*ast.ValueSpec); ok {
					for i, value := range v.Values {
						in(v.Names[i].Name, value)
					}
				}
			}
		}
	}
	return out, nil
}

// period is what an expression like 5 * time.Second comes to.
func period(n ast.Node) (time.Duration, bool) {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if n.Op != token.MUL {
			return 0, false
		}
		unit, ok := period(n.Y)
		number, isNumber := n.X.(*ast.BasicLit)
		if !ok || !isNumber {
			return 0, false
		}
		times, err := strconv.Atoi(number.Value)
		return time.Duration(times) * unit, err == nil
	case *ast.SelectorExpr:
		if of, ok := n.X.(*ast.Ident); ok && of.Name == "time" {
			unit, ok := map[string]time.Duration{"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour}[n.Sel.Name]
			return unit, ok
		}
	}
	return 0, false
}

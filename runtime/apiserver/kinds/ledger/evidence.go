package ledger

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strings"
)

// Tree is the source tree of the project, for what rules refer to.
type Tree struct {
	files fs.FS
	tests map[string]map[string]bool // by package directory
}

// NewTree returns the tree whose root is files.
func NewTree(files fs.FS) *Tree { return &Tree{files: files, tests: map[string]map[string]bool{}} }

// Verify reports the files and tests of rules that are not there.
func (t *Tree) Verify(l Ledger) error {
	var errs []error
	for _, e := range l.Entries() {
		for _, r := range e.Rules {
			if r.Enforced != "" {
				if err := t.File(r.Enforced); err != nil {
					errs = append(errs, fmt.Errorf("%s: %v: %w", e.Type, r.Fields, err))
				}
			}
			if r.Test != "" {
				if err := t.Test(r.Test); err != nil {
					errs = append(errs, fmt.Errorf("%s: %v: %w", e.Type, r.Fields, err))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// File reports a file that is not there.
func (t *Tree) File(name string) error {
	info, err := fs.Stat(t.files, name)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a directory, name a file", name)
	}
	return nil
}

// Test reports a test, as "path/of/package.TestName", that is not there.
func (t *Tree) Test(name string) error {
	dir, test, ok := cutLast(name, ".")
	if !ok || !strings.HasPrefix(test, "Test") {
		return fmt.Errorf("%q is no test: write path/of/package.TestName", name)
	}
	tests, known := t.tests[dir]
	if !known {
		var err error
		if tests, err = t.testsOf(dir); err != nil {
			return err
		}
		t.tests[dir] = tests
	}
	if !tests[test] {
		return fmt.Errorf("%s has no test %s", dir, test)
	}
	return nil
}

// testsOf are the tests of a package, those with build tags too.
func (t *Tree) testsOf(dir string) (map[string]bool, error) {
	names, err := fs.Glob(t.files, path.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	tests := map[string]bool{}
	for _, name := range names {
		src, err := fs.ReadFile(t.files, name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	return tests, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

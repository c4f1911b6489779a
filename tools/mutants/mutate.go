package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is a file with one small change.
type mutant struct {
	file   string
	line   int
	from   string // the line as it is
	change string
	source []byte // of the whole file, changed
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s in: %s", m.file, m.line, m.change, m.from)
}

// mutants are all mutants of a package's own code: tests and generated files are left
// out, and so is what handles errors, which is for tests with faults to try.
func mutants(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []mutant
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, file, src, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		if ast.IsGenerated(tree) {
			continue
		}
		lines := strings.Split(string(src), "\n")
		for _, e := range edits(tree) {
			at := set.Position(e.pos)
			from, to := at.Offset, at.Offset+len(e.old)
			if string(src[from:to]) != e.old {
				return nil, fmt.Errorf("%s: %q is not at %s", file, e.old, at)
			}
			out = append(out, mutant{
				file: file, line: at.Line, from: strings.TrimSpace(lines[at.Line-1]), change: fmt.Sprintf("%q to %q", e.old, e.new),
				source: slices.Concat(src[:from], []byte(e.new), src[to:]),
			})
		}
	}
	return out, nil
}

// edit replaces a token at a position.
type edit struct {
	pos      token.Pos
	old, new string
}

var turned = map[token.Token]string{
	token.EQL: "!=", token.NEQ: "==", token.LSS: "<=", token.GTR: ">=", token.LEQ: "<", token.GEQ: ">",
	token.LAND: "||", token.LOR: "&&", token.ADD: "-",
}

// renamed are identifiers for which another stands.
var renamed = map[string]string{"true": "false", "false": "true", "min": "max", "max": "min"}

func edits(tree *ast.File) []edit {
	var out []edit
	var visit func(ast.Node) bool
	visit = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if to, ok := turned[n.Op]; ok && !mentionsError(n) {
				out = append(out, edit{n.OpPos, n.Op.String(), to})
			}
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				out = append(out, edit{n.OpPos, "!", ""})
			}
		case *ast.BranchStmt:
			if n.Tok == token.CONTINUE && n.Label == nil {
				out = append(out, edit{n.TokPos, "continue", "break"})
			}
		case *ast.Ident:
			if to, ok := renamed[n.Name]; ok {
				out = append(out, edit{n.Pos(), n.Name, to})
			}
		case *ast.Field: // declares a name
			ast.Inspect(n.Type, visit)
			return false
		case *ast.SelectorExpr: // in x.min, min is a name of x's
			ast.Inspect(n.X, visit)
			return false
		}
		return true
	}
	ast.Inspect(tree, visit)
	return out
}

// mentionsError reports whether an expression compares an error itself.
func mentionsError(e *ast.BinaryExpr) bool {
	for _, side := range []ast.Expr{e.X, e.Y} {
		if id, ok := side.(*ast.Ident); ok && strings.HasPrefix(strings.ToLower(id.Name), "err") {
			return true
		}
	}
	return false
}

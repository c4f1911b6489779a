package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// mutant is one small change.
type mutant struct {
	file   string
	line   int
	from   string // the line as it is
	change string
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s in: %s", m.file, m.line, m.change, m.from)
}

// edit is a mutant's place in the source: what stands before, between and after the parts
// of the expression, so that the mutant is one of two that the program can choose.
type edit struct {
	at      token.Pos // where it is told to be
	change  string
	inserts []insert
}

// insert replaces some bytes of the source, often none.
type insert struct {
	pos  token.Pos
	skip int
	text string
}

// turned are the operators that get another one's meaning, and the function of the helper
// (chooser.go.txt) that has both.
var turned = map[token.Token]struct{ to, by string }{
	token.LSS: {"<=", "less"}, token.GTR: {">=", "greater"}, token.LEQ: {"<", "atMost"}, token.GEQ: {">", "atLeast"},
	token.LAND: {"||", "and"}, token.LOR: {"&&", "or"}, token.ADD: {"-", "add"},
	token.EQL: {"!=", ""}, token.NEQ: {"==", ""},
}

// edits are all changes of a file. What compares errors is left out: it is for tests with
// faults to try. So are constants, of which the compiler makes use.
func edits(tree *ast.File, info *types.Info) []edit {
	var out []edit
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok != token.CONST
		case *ast.BinaryExpr:
			if to, ok := turned[n.Op]; ok && !mentionsError(n) && info.Types[n].Value == nil && (n.Op != token.ADD || isNumber(info.Types[n].Type)) {
				out = append(out, ofBinary(n, to.to, to.by))
			}
		case *ast.UnaryExpr:
			if n.Op == token.NOT {
				out = append(out, edit{n.OpPos, `"!" to ""`, []insert{{n.OpPos, 1, "((("}, {n.X.End(), 0, ")) == " + prefix + "is(#))"}}})
			}
		case *ast.BranchStmt:
			if n.Tok == token.CONTINUE && n.Label == nil {
				out = append(out, edit{n.Pos(), `"continue" to "break"`, []insert{{n.Pos(), 0, "{ if " + prefix + "is(#) { break }; "}, {n.End(), 0, " }"}}})
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && info.Types[n].Value == nil {
				for name, to := range map[string]string{"min": "max", "max": "min"} {
					if info.Uses[id] == types.Universe.Lookup(name) {
						out = append(out, edit{id.Pos(), fmt.Sprintf("%q to %q", name, to), []insert{{id.Pos(), 3, prefix + name}, {n.Lparen, 1, "(#, "}}})
					}
				}
			}
		case *ast.Ident:
			for name, to := range map[string]string{"true": "false", "false": "true"} {
				if info.Uses[n] == types.Universe.Lookup(name) {
					out = append(out, edit{n.Pos(), fmt.Sprintf("%q to %q", name, to), []insert{{n.Pos(), len(name), "(" + prefix + "is(#) != " + name + ")"}}})
				}
			}
		}
		return true
	})
	return out
}

func ofBinary(n *ast.BinaryExpr, to, by string) edit {
	e := edit{at: n.OpPos, change: fmt.Sprintf("%q to %q", n.Op, to)}
	before, between, after := prefix+by+"(#, ", ",", ")"
	switch n.Op {
	case token.EQL, token.NEQ:
		e.inserts = []insert{{n.Pos(), 0, "(("}, {n.End(), 0, ") != " + prefix + "is(#))"}}
		return e
	case token.LAND, token.LOR: // the right side only where it is asked for
		between, after = ", func() bool { return ", "})"
	}
	e.inserts = []insert{{n.Pos(), 0, before}, {n.OpPos, len(n.Op.String()), between}, {n.End(), 0, after}}
	return e
}

func isNumber(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsNumeric != 0
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

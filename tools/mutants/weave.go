package main

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// variable is that of the environment by which a test binary is one of its mutants.
const variable = "GANTRY_MUTANT"

// prefix is that of the helper's names, which are in the scope of the package.
const prefix = "mutants_"

// helperImport is the package that the helper needs.
const helperImport = "os"

// helper is the source that chooses.
//
//go:embed chooser.go.txt
var helper string

// woven is a package with all its mutants.
type woven struct {
	mutants []mutant
	files   map[string][]byte // by the paths of the originals
}

// weave puts all mutants into the sources. What does not compile with them (a value that
// has to be of another type than bool) is left out by the line.
func (p *pack) weave() (woven, error) {
	skip := map[string]bool{}
	for range 20 {
		w, bad := p.weaveWithout(skip)
		if len(bad) == 0 {
			return w, nil
		}
		for at, why := range bad {
			if skip[at] {
				return woven{}, fmt.Errorf("%s does not compile: %s", at, why)
			}
			skip[at] = true
			if why == "missing return" { // with a break, the loop at the function's end may end
				for _, loop := range p.continuesBefore(at) {
					skip[loop] = true
				}
			}
		}
	}
	return woven{}, fmt.Errorf("%s does not compile with mutants", p.path)
}

// weaveWithout leaves out some lines (file:line), and returns those that do not compile,
// with the reason.
func (p *pack) weaveWithout(skip map[string]bool) (woven, map[string]string) {
	w := woven{files: map[string][]byte{filepath.Join(p.dir, "mutants_chooser.go"): []byte("package " + p.name + "\n" + helper)}}
	for _, f := range p.files {
		if !ast.IsGenerated(f.tree) {
			w.files[f.path] = w.weaveFile(p, f, skip)
		}
	}
	set := token.NewFileSet()
	var trees []*ast.File
	bad := map[string]string{}
	add := func(path string, source []byte) {
		tree, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
		if err != nil {
			bad[path] = err.Error()
			return
		}
		trees = append(trees, tree)
	}
	for _, f := range p.files {
		if w.files[f.path] == nil {
			add(f.path, f.source)
		}
	}
	for path, source := range w.files {
		add(path, source)
	}
	conf := types.Config{Importer: p.imports, Error: func(err error) {
		if e, ok := err.(types.Error); ok { //nolint:errorlint // the type checker's own
			at := e.Fset.Position(e.Pos)
			bad[at.Filename+":"+strconv.Itoa(at.Line)] = e.Msg
		}
	}}
	conf.Check(p.path, set, trees, nil) //nolint:errcheck // reported above
	return w, bad
}

// continuesBefore are the lines of continue in the functions that end at a line.
func (p *pack) continuesBefore(at string) (lines []string) {
	line := func(pos token.Pos) string {
		to := p.set.Position(pos)
		return to.Filename + ":" + strconv.Itoa(to.Line)
	}
	for _, f := range p.files {
		ast.Inspect(f.tree, func(n ast.Node) bool {
			body, ok := n.(*ast.BlockStmt)
			if !ok || line(body.Rbrace) != at {
				return true
			}
			ast.Inspect(body, func(n ast.Node) bool {
				if b, ok := n.(*ast.BranchStmt); ok && b.Tok == token.CONTINUE {
					lines = append(lines, line(b.Pos()))
				}
				return true
			})
			return true
		})
	}
	return lines
}

// weaveFile is a file with its mutants, on the same lines.
func (w *woven) weaveFile(p *pack, f file, skip map[string]bool) []byte {
	lines := strings.Split(string(f.source), "\n")
	type placed struct {
		insert
		order int
	}
	var inserts []placed
	for _, e := range edits(f.tree, p.info) {
		at := p.set.Position(e.at)
		if skip[f.path+":"+strconv.Itoa(at.Line)] {
			continue
		}
		id := len(w.mutants)
		w.mutants = append(w.mutants, mutant{file: filepath.Base(f.path), line: at.Line, from: strings.TrimSpace(lines[at.Line-1]), change: e.change})
		for i, in := range e.inserts {
			in.text = strings.ReplaceAll(in.text, "#", strconv.Itoa(id))
			// Where several expressions begin, the outer one's comes first; where they
			// end, the inner one's. The outer one was met first.
			order := id
			if i == len(e.inserts)-1 && i > 0 && in.skip == 0 {
				order = -id
			}
			inserts = append(inserts, placed{in, order})
		}
	}
	slices.SortStableFunc(inserts, func(a, b placed) int {
		if a.pos != b.pos {
			return int(a.pos - b.pos)
		}
		return a.order - b.order
	})
	var out []byte
	last := 0
	for _, in := range inserts {
		offset := p.set.Position(in.pos).Offset
		if offset < last { // within what was replaced
			offset = last
		}
		out = append(append(out, f.source[last:offset]...), in.text...)
		last = offset + in.skip
	}
	return append(out, f.source[last:]...)
}

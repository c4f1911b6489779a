package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
)

// pack is a package as it is, with the types of all that it says.
type pack struct {
	path, dir, name string
	set             *token.FileSet
	imports         types.Importer
	files           []file
	info            *types.Info
}

// file is one of its own files: no test, and not generated.
type file struct {
	path   string
	source []byte
	tree   *ast.File
}

// load reads a package, a folder below the tree.
func load(tree, dir string) (*pack, error) {
	out, err := goTool(tree, "list", "-export", "-deps", "-json=ImportPath,Export,DepOnly,Dir,Name,GoFiles", "./"+dir, helperImport)
	if err != nil {
		return nil, err
	}
	p := &pack{set: token.NewFileSet()}
	exports := map[string]string{}
	var names []string
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l struct {
			ImportPath, Export, Dir, Name string
			DepOnly                       bool
			GoFiles                       []string
		}
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if exports[l.ImportPath] = l.Export; !l.DepOnly && l.ImportPath != helperImport {
			p.path, p.dir, p.name, names = l.ImportPath, l.Dir, l.Name, l.GoFiles
		}
	}
	p.imports = importer.ForCompiler(p.set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for _, name := range names {
		f := file{path: filepath.Join(p.dir, name)}
		if f.source, err = os.ReadFile(f.path); err != nil {
			return nil, err
		}
		if f.tree, err = parser.ParseFile(p.set, f.path, f.source, parser.ParseComments|parser.SkipObjectResolution); err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	p.info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
	trees := make([]*ast.File, len(p.files))
	for i, f := range p.files {
		trees[i] = f.tree
	}
	_, err = (&types.Config{Importer: p.imports}).Check(p.path, p.set, trees, p.info)
	return p, err
}

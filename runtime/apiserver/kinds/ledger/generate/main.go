// Command generate writes docs/kubernetes.md.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"

	"github.com/gantry-run/gantry/runtime/apiserver/kinds"
	"github.com/gantry-run/gantry/runtime/apiserver/kinds/ledger"
)

func main() {
	out := flag.String("out", "", "the file to write")
	version := flag.String("version", "", "the version of Kubernetes whose API is served")
	flag.Parse()
	if err := run(*out, *version); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out, version string) error {
	l, err := ledger.Load()
	if err != nil {
		return err
	}
	table := kinds.Table()
	roots, err := ledger.Roots(table)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := l.Markdown(&b, version, table, l.Types(roots...)); err != nil {
		return err
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// Command gantry-unpack installs a bundle's programs on a server. It is uploaded
// before the bundle, so that a bare server needs neither tar nor zstd.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/gantry-run/gantry/bootstrap/bundle/archive"
)

func main() {
	path := flag.String("archive", "", "the bundle")
	dir := flag.String("dir", "", "where the programs go")
	flag.Parse()
	if err := unpack(*path, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "gantry-unpack:", err)
		os.Exit(1)
	}
}

func unpack(path, dir string) error {
	if path == "" || dir == "" {
		return fmt.Errorf("both -archive and -dir are needed")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return archive.Install(f, dir)
}

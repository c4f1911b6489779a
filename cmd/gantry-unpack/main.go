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
	sums := flag.String("sums", "", "where the SHA-256 of the programs are kept; empty is nowhere")
	flag.Parse()
	if err := unpack(*path, *dir, *sums); err != nil {
		fmt.Fprintln(os.Stderr, "gantry-unpack:", err)
		os.Exit(1)
	}
}

func unpack(path, dir, sums string) error {
	if path == "" || dir == "" {
		return fmt.Errorf("both -archive and -dir are needed")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return archive.Install(f, dir, sums)
}

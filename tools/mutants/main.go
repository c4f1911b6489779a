// Command mutants tells how many small wrong changes of a package's decisions its own
// unit tests notice. It makes changes (a comparison turned, a branch never taken, a
// negation dropped), draws some with a seed, runs the package's tests on each, and prints
// those that live. No file is changed, and a package is compiled once: all its mutants are
// in one test binary, and a variable of the environment chooses one (weave.go).
//
// A mutant that lives is a test that is missing, or code that does nothing; or it does
// the same in another way, which only a reader can tell.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

func main() {
	tree := flag.String("tree", ".", "root of the module")
	seed := flag.Uint64("seed", 0, "of the draw; 0: a new one, which is printed")
	n := flag.Int("n", 16, "mutants of each package; 0: all")
	timeout := flag.Duration("timeout", time.Minute, "the longest that the tests of one mutant may take, as long as that is less than about four times of what they take without; one that takes longer is noticed")
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64N(1 << 32)
	}
	fmt.Printf("seed %d\n", *seed)
	failed := false
	for _, pkg := range flag.Args() {
		d := draw{tree: *tree, n: *n, timeout: *timeout}
		r, err := d.run(pkg, rand.New(rand.NewPCG(*seed, 0)))
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", pkg, err)
			failed = true
			continue
		}
		fmt.Printf("%-44s %3d of %3d noticed\n", pkg, r.tried-len(r.alive), r.tried)
		for _, m := range r.alive {
			fmt.Printf("    alive: %s\n", m)
		}
	}
	if failed {
		os.Exit(1)
	}
}

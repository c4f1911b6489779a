// Command shell is /bin/sh of the busybox image. Debian's busybox has a shell that drops
// variables whose names are none of a shell ("data-1"), which the suite passes through it;
// bash keeps them, and words its errors in another way than the suite waits for. So it is
// busybox, and bash where there are such variables.
package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

func main() {
	program := "/bin/busybox"
	if foreign(os.Environ()) {
		program = "/bin/bash"
	}
	if err := syscall.Exec(program, os.Args, os.Environ()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s: %v\n", os.Args[0], program, err)
		os.Exit(127)
	}
}

// foreign reports whether some variable has a name that a shell would not give it.
func foreign(env []string) bool {
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		for i, c := range name {
			if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
				return true
			}
		}
	}
	return false
}

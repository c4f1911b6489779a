// Command hello is the application of the demo and the tests. Its image holds
// nothing else, no shell either, so it has a subcommand for what a shell would be
// used for.
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

type command func(ctx context.Context, args []string) error

// commands by name. Each gets the arguments behind its name.
func commands() map[string]command {
	return map[string]command{
		"serve":  serve,  // [PORT]: answer HTTP on :8080 with the pod and node that served it
		"get":    get,    // [-n N] URL: ask such a server
		"lookup": lookup, // NAME: print the addresses of a name
		"api":    api,    // PATH: ask the cluster's API as the pod's service account
		"env":    env,    // print the environment, sorted
		"id":     id,     // print user, groups, capabilities, host name
		"ps":     ps,     // print processes: PID and command line
		"cat":    cat,    // FILE...: print files
		"ls":     ls,     // DIR: print the names, modes and owners in a directory
		"write":  write,  // FILE TEXT...: write a file
		"sync":   sync,   // FILE N: write N blocks of 4 KiB, each synced, and print what one took
		"echo":   echo,   // copy standard input to standard output
		"sleep":  sleep,  // [-stubborn] [DURATION]: wait for the time or SIGTERM
		"eat":    eat,    // MiB: hold so much memory
		"exit":   exit,   // CODE [TEXT...]: print the text, leave it as message, end
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	err := run(ctx, os.Args[1:])
	var code exitCode
	if errors.As(err, &code) {
		os.Exit(int(code))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"serve"}
	}
	do, ok := commands()[args[0]]
	if !ok {
		return fmt.Errorf("unknown command %q: one of %s", args[0], strings.Join(slices.Sorted(maps.Keys(commands())), ", "))
	}
	return do(ctx, args[1:])
}

// Command terraform-provider-gantry serves the provider plugin.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/gantry-run/gantry/provider"
)

// version is set by the linker (see GNUmakefile).
var version = "0.0.0-dev"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger to attach")
	flag.Parse()
	if !*debug {
		go endWith(os.Getppid())
		quiet()
	}
	factory, done := provider.Open(version)
	err := providerserver.Serve(context.Background(), factory, providerserver.ServeOpts{
		Address: provider.Address, Debug: *debug,
	})
	done()
	if err != nil {
		log.Fatal(err)
	}
}

// endWith ends this process with its parent. A terraform that is killed ends no
// plugin: this one would work on, on servers that the next apply works on too.
func endWith(parent int) {
	for range time.Tick(100 * time.Millisecond) {
		if os.Getppid() != parent {
			os.Exit(1)
		}
	}
}

// quiet has nothing logged that terraform would throw away: without one of its
// variables it reads every line of the libraries' traces, several for each
// attribute of each host, and shows none.
func quiet() {
	if slices.ContainsFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "TF_LOG") }) {
		return
	}
	for _, name := range []string{"TF_LOG_SDK", "TF_LOG_SDK_PROTO", "TF_LOG_SDK_FRAMEWORK", "TF_LOG_PROVIDER"} {
		os.Setenv(name, "OFF") // the names are good
	}
}

// Command terraform-provider-gantry serves the provider plugin.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/gantry-run/gantry/provider"
)

// version is set by the linker (see GNUmakefile).
var version = "0.0.0-dev"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger to attach")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/gantry-run/gantry", Debug: *debug,
	})
	if err != nil {
		log.Fatal(err)
	}
}

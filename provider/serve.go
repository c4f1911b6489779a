package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/gantry-run/gantry/bootstrap"
	"github.com/gantry-run/gantry/bootstrap/runlock"
)

// Address is the provider's, in Terraform's registry.
const Address = "registry.terraform.io/gantry-run/gantry"

// Open returns the factory that the server of a plugin process asks for; done releases
// the run locks that the process holds, when it ends. All its provider instances share
// them.
func Open(version string) (factory func() provider.Provider, done func()) {
	locks := newProcessLocks(runlock.NewToken())
	return func() provider.Provider { return &Provider{version: version, locks: locks, now: time.Now} }, locks.close
}

// New is Open where many providers come and go in one process, which does not end with
// any of them: to each other they are one run, and none releases its locks.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return embedded(version, nil) }
}

func embedded(version string, adapt func(*bootstrap.Config)) *Provider {
	return &Provider{version: version, adapt: adapt, now: time.Now, locks: newProcessLocks(fmt.Sprintf("embedded in process %d", os.Getpid()))}
}

// Simulate serves the provider inside this process until ctx is done, for a terraform
// whose environment has what is returned. Adapt changes what its engines work with:
// other hosts than servers, say, to measure what the provider itself costs.
func Simulate(ctx context.Context, version string, adapt func(*bootstrap.Config)) (env string, ended <-chan error, err error) {
	attach, closed, errs := make(chan *plugin.ReattachConfig), make(chan struct{}), make(chan error, 1)
	p := embedded(version, adapt)
	go func() {
		errs <- tf6server.Serve(Address, providerserver.NewProtocol6(p), tf6server.WithDebug(ctx, attach, closed), tf6server.WithoutLogStderrOverride())
	}()
	select {
	case c := <-attach:
		type address struct{ Network, String string }
		data, err := json.Marshal(map[string]any{Address: map[string]any{
			"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.Getpid(), "Test": true,
			"Addr": address{c.Addr.Network(), c.Addr.String()},
		}})
		return "TF_REATTACH_PROVIDERS=" + string(data), errs, err
	case err := <-errs:
		return "", nil, err
	}
}

package provider

import (
	"context"
	"encoding/json"
	"os"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"

	"github.com/gantry-run/gantry/bootstrap"
)

// Address is the provider's, in Terraform's registry.
const Address = "registry.terraform.io/gantry-run/gantry"

// Simulate serves the provider inside this process until ctx is done, for a
// terraform whose environment has what is returned. Adapt changes what its engines
// work with: other hosts than servers, say, to measure what the provider itself
// costs.
func Simulate(ctx context.Context, version string, adapt func(*bootstrap.Config)) (env string, ended <-chan error, err error) {
	attach, closed, errs := make(chan *plugin.ReattachConfig), make(chan struct{}), make(chan error, 1)
	p := &Provider{version: version, adapt: adapt, leaseToken: embedded()}
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
